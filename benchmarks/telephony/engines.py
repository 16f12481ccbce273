"""The systems that are compared: how each is started, what it does in a call, what it kept."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import asterisk

from callcenter.bench.trial import free_port
from callcenter.telephony.adapters.recordings import DiskRecordings

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
_RTP = {"ours": (20000, 23999), "asterisk": (24000, 27999), "pyvoip": (28000, 31999)}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the load is: SIP of the callers, SIP and sound of the agents."""

    callers: int
    agents: int
    agents_sound: int


class Engine(Protocol):
    """A system under test. `prefix`: taskset and chrt, put before its program."""

    name: str
    does: str
    port: int
    note: str
    """What it said of itself at its end."""
    apart: bool
    """Whether its recordings keep the callers' frames apart from what the agents say."""

    def start(self, prefix: list[str], agents: int, ports: Ports) -> None:
        """Be ready for calls to sip:600@127.0.0.1:`port`."""

    def pids(self) -> list[int]:
        """Its processes."""

    def stop(self) -> None:
        """End it, its files stay."""

    def recordings(self) -> list[Path]:
        """Finished recordings as WAV, after `stop`."""

    def forget(self) -> None:
        """End it by force where it still runs, and remove its files."""


class Ours:
    """callcenter's telephony process."""

    name = "callcenter"
    does = (
        "SIP leg of the caller, RTP leg of the agent, through playout, both legs journalled "
        "(on the disk every second) and copied to the speech worker; every fact committed"
    )

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "ours"
        self._processes: list[subprocess.Popen[str]] = []
        self.note, self.apart = "", True

    def start(self, prefix: list[str], agents: int, ports: Ports) -> None:
        self.port = free_port_udp()
        data = self._folder / "data"
        (data / "run").mkdir(parents=True)
        (data / "run").chmod(0o700)
        settings = {
            "sip": {
                "listen": [f"udp://{HOST}:{self.port}"],
                "rtp_ports": list(_RTP["ours"]),
                "max_calls": 2000,
                "limits": {"source_rate": 100_000, "trunk_rate": 100_000},
            },
            "lines": [{"number": "600", "queue": "support", "language": "en"}],
            "queues": [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 60}],
            "log": {"format": "json"},
        }
        path = self._folder / "settings.json"
        path.write_text(json.dumps(settings))
        words = [str(path), str(agents), f"{HOST}:{ports.agents_sound}"]
        sink = _program("captions_sink.py", str(data / "run"), prefix=[])
        self._processes = [sink]
        node = _program("node.py", *words, prefix=prefix, errors=self._folder / "log")
        self._processes.insert(0, node)

    def pids(self) -> list[int]:
        return [self._processes[0].pid]

    def stop(self) -> None:
        node, sink = self._processes
        self.note = f"{_end(node)}, live tap: {float(_end(sink) or 0):.0f} s of sound taken"

    def recordings(self) -> list[Path]:
        root = self._folder / "data" / "recordings"
        store = DiskRecordings(root, format="wav", node="bench")
        return [root / store.seal(call).path for call in store.journals()]

    def forget(self) -> None:
        _kill(*self._processes)
        shutil.rmtree(self._folder, ignore_errors=True)


class Talkers:
    """The agents' telephones that talk by themselves; see talkers.py."""

    def __init__(self, prefix: list[str], host: str, port: int) -> None:
        self._process = _program("talkers.py", host, str(port), prefix=prefix)
        self._said: str | None = None

    def stop(self) -> str:
        """End them; what they say of themselves."""
        if self._said is None:
            self._said = _end(self._process)
        return self._said


class Asterisk:
    """Asterisk with Dial and MixMonitor."""

    does = "two SIP legs joined by Dial, MixMonitor"

    def __init__(self, recording: str = "stereo") -> None:
        """`recording`: stereo (option D, one interleaved file), mixed (one mono WAV) or none."""
        self.note = ""
        self.apart = recording == "stereo"
        self._recording = recording
        self.name = f"Asterisk, {recording}"
        self._system: asterisk.Asterisk | None = None

    def start(self, prefix: list[str], agents: int, ports: Ports) -> None:
        root = asterisk.folder()
        if root is None:
            raise RuntimeError("no Asterisk here: run tools/asterisk.sh as root first")
        self.port = free_port_udp()
        first, last = _RTP["asterisk"]
        pjsip = (
            f"[udp]\ntype=transport\nprotocol=udp\nbind={HOST}:{self.port}\n"
            "[caller]\ntype=endpoint\ncontext=bench\ndisallow=all\nallow=ulaw\ndirect_media=no\n"
            f"[caller]\ntype=identify\nendpoint=caller\nmatch={HOST}\n"
            "[agent]\ntype=endpoint\ncontext=none\ndisallow=all\nallow=ulaw\ndirect_media=no\n"
            "aors=agent\n"
            f"[agent]\ntype=aor\ncontact=sip:agent@{HOST}:{ports.agents}\n"
        )
        files = {
            "pjsip.conf": pjsip,
            "rtp.conf": f"[general]\nrtpstart={first}\nrtpend={last}\nicesupport=no\n",
        }
        files["logger.conf"] = "[general]\n[logfiles]\nfull = warning,error\n"
        self._system = asterisk.Asterisk(root, files, prefix)
        place = self._system.inside
        monitor = {
            "stereo": f"same => n,MixMonitor({place}/${{UNIQUEID}}.raw,D)\n",
            "mixed": f"same => n,MixMonitor({place}/${{UNIQUEID}}.wav)\n",
            "none": "",
        }[self._recording]
        (self._system.place / "etc" / "extensions.conf").write_text(
            f"[bench]\nexten => 600,1,NoOp()\n{monitor}"
            "same => n,Dial(PJSIP/agent)\nsame => n,Hangup()\n"
        )
        self._system.start()

    def pids(self) -> list[int]:
        assert self._system is not None
        return [self._system.pid]

    def stop(self) -> None:
        assert self._system is not None
        self._kept = sorted(self._system.recordings.iterdir())
        self._system.end()

    def recordings(self) -> list[Path]:
        return [_as_wav(path) if path.suffix == ".raw" else path for path in self._kept]

    def forget(self) -> None:
        if self._system is not None:
            self._system.stop()


class PyVoip:
    """pyVoIP 1.6.8, one leg."""

    name = "pyVoIP"
    does = (
        "one SIP leg, its sound written as 8-bit mono WAV, silence sent; it cannot join two calls"
    )

    def __init__(self, folder: Path) -> None:
        self.note, self.apart = "", True
        self._folder = folder / "pyvoip"
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, prefix: list[str], agents: int, ports: Ports) -> None:
        self.port = free_port_udp()
        self._folder.mkdir(parents=True)
        first, last = _RTP["pyvoip"]
        words = [str(self.port), str(ports.callers), str(self._folder), str(first), str(last)]
        self._processes = [_program("pyvoip_node.py", *words, prefix=prefix)]

    def pids(self) -> list[int]:
        return [self._processes[0].pid]

    def stop(self) -> None:
        _kill(*self._processes)

    def recordings(self) -> list[Path]:
        return sorted(self._folder.glob("*.wav"))

    def forget(self) -> None:
        _kill(*self._processes)
        shutil.rmtree(self._folder, ignore_errors=True)


def free_port_udp() -> int:
    """A free UDP port outside of every range of RTP ports used here."""
    while True:
        port = free_port(socket.SOCK_DGRAM)
        if port % 2 == 0 and port > 32000:
            return port


def _program(
    script: str, *words: str, prefix: list[str], errors: Path | None = None
) -> subprocess.Popen[str]:
    """Start a script of this folder and wait for its `ready`."""
    stderr = errors.open("w") if errors else subprocess.DEVNULL
    process = subprocess.Popen(
        [*prefix, sys.executable, str(HERE / script), *words],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line.strip() == "ready":
            return process
    raise RuntimeError(
        f"{script} did not start" + (f": {errors.read_text()[-800:]}" if errors else "")
    )


def _end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    try:
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return output.strip()


def _kill(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _as_wav(path: Path) -> Path:
    """Interleaved 16-bit samples as a stereo WAV beside them."""
    target = path.with_suffix(".stereo.wav")
    with wave.open(str(target), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(path.read_bytes())
    return target

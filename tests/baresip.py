"""baresip, the program: commanded by its module ctrl_tcp, what it says and hears as files."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec

HOST = "127.0.0.1"
PATIENCE = 30.0
needs_baresip = pytest.mark.skipif(
    shutil.which("baresip") is None, reason="baresip is not installed (apt: baresip-core)"
)
_MODULES = Path("/usr/lib/baresip/modules")
_NEEDED = (
    *("stdio", "g711", "aubridge", "aufile", "sndfile", "srtp"),
    *("account", "menu", "ctrl_tcp", "uuid"),
)


class Baresip:
    """The program, commanded by its module ctrl_tcp (netstrings of JSON)."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path
    ) -> None:
        self._writer, self._folder = writer, folder
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read(reader))

    async def order(self, command: str, params: str = "") -> None:
        """Do it. AssertionError when baresip does not want to."""
        text = json.dumps({"command": command, "params": params, "token": command})
        self._writer.write(f"{len(text)}:{text},".encode())
        answer = await asyncio.wait_for(self._answers.get(), 30)
        assert answer["ok"], answer

    def heard(self) -> NDArray[np.int16]:
        """What it played so far, call after call, from its module sndfile."""
        # the header is written at the end of the call only
        paths = sorted(self._folder.glob("dump-*-dec.wav"))
        sound = b"".join(path.read_bytes()[44:] for path in paths)
        return np.frombuffer(sound[: len(sound) // 2 * 2], "<i2")

    async def event(self, kind: str, times: int = 1) -> None:
        """Wait for it, to come that often."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while sum(one["type"] == kind for one in self.events) < times:
            assert asyncio.get_running_loop().time() < deadline, f"{kind} is not in {self.events}"
            await asyncio.sleep(0.02)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                size = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(size + 1))[:-1])
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if message.get("response"):
                self._answers.put_nowait(message)
            else:
                self.events.append(message)

    def close(self) -> None:
        self._reading.cancel()
        self._writer.close()


@asynccontextmanager
async def baresip(
    folder: Path,
    account: str,
    speech: bytes,
    certificate: Path | None = None,
    host: str = HOST,
    modules: tuple[str, ...] = (),
    rate: int = 8000,
) -> AsyncIterator[Baresip]:
    """A running baresip at `host` with that account; `speech` (µ-law) is what it says.

    `modules`: beside the usual ones; `rate`: of the speech, what its codec wants.
    """
    sip_port, control = _free(socket.SOCK_DGRAM), _free(socket.SOCK_STREAM)
    settings = [
        f"net_interface {host}",
        f"sip_listen {host}:{sip_port}",
        f"ctrl_tcp_listen {HOST}:{control}",
        f"module_path {_MODULES}",
        "audio_player aubridge,pseudo0",
        f"audio_source aufile,{_wave(folder, speech, rate)}",
        f"snd_path {folder}",
        "audio_alert aubridge,pseudo1",
        "audio_path /usr/share/baresip",
        "rtp_ports 47000-47999",
        "rtp_timeout 60",
        *(f"{_kind(name)} {name}.so" for name in (*_NEEDED, *modules)),
    ]
    if certificate:
        settings.append(f"sip_cafile {certificate}")
    for name, text in (("config", "\n".join(settings)), ("accounts", account), ("contacts", "")):
        (folder / name).write_text(text + "\n", encoding="utf-8")
    log = (folder / "baresip.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", str(folder), "-v"), stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
    )
    phone = None
    try:
        phone = Baresip(*await _connected(control, process, folder), folder)
        yield phone
    except BaseException:
        print((folder / "baresip.log").read_text(errors="replace")[:6000])  # noqa: T201
        raise
    finally:
        if phone is not None:
            phone.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()


async def _connected(
    port: int, process: asyncio.subprocess.Process, folder: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(600):
        try:
            return await asyncio.open_connection(HOST, port)
        except OSError:
            assert process.returncode is None, (folder / "baresip.log").read_text()
            await asyncio.sleep(0.05)
    raise AssertionError("baresip does not listen for commands")


def _wave(folder: Path, speech: bytes, rate: int) -> Path:
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(g711.decode(speech, Codec.PCMU).astype("<i2").tobytes())
    return path


def _kind(module: str) -> str:
    return "module_app" if module in ("account", "menu", "ctrl_tcp") else "module"


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

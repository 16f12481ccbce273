"""SIPp as the load: callers with numbered frames, agents that echo; what was kept of them."""

from __future__ import annotations

import csv
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import chkwav
import mkaudio
import numpy as np
from engines import HERE, HOST, Ports, free_port_udp

_SCENARIOS = HERE.parents[1] / "tests" / "data" / "sipp"
_AGENT_SOUND = 32768 + 2000
_CALLER_SOUND = 36000


@dataclass
class Times:
    """Milliseconds from INVITE to 180 and to 200, one each call."""

    ringing: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)


@dataclass
class Heard:
    """Numbered frames found in the recordings: share of those sent, per call."""

    customer: list[float]
    other: list[float]
    seconds: list[float]

    @property
    def complete(self) -> int:
        """Recordings with at least 99 % of the caller's frames."""
        return sum(share >= 0.99 for share in self.customer)


class Load:
    """One SIPp that calls and one that is called, on a core of their own."""

    def __init__(self, folder: Path, prefix: list[str]) -> None:
        self._folder, self._prefix = folder, prefix
        self.ports = Ports(free_port_udp(), free_port_udp(), _AGENT_SOUND)
        folder.mkdir(parents=True)
        self._agents: subprocess.Popen[bytes] | None = None
        self._callers: subprocess.Popen[bytes] | None = None

    def start_agents(self) -> None:
        """The called side."""
        words = ["-sf", str(HERE / "uas_agent.xml"), "-rtp_echo", "-mp", str(_AGENT_SOUND)]
        self._agents = self._sipp("agents", *words, "-p", str(self.ports.agents))

    def call(self, port: int, calls: int, rate: float, seconds: float, at_once: int) -> None:
        """Begin `calls` calls of `seconds` at `rate` a second, `at_once` at the same time."""
        frames = b"".join(mkaudio.frame(n) for n in range(int(seconds * 50)))
        (self._folder / "tone30.ulaw").write_bytes(frames)
        words = [f"{HOST}:{port}", "-sf", str(_SCENARIOS / "uac_record.xml"), "-s", "600"]
        words += ["-m", str(calls), "-l", str(at_once), "-r", str(rate)]
        words += ["-d", str(int(seconds * 1000)), "-mp", str(_CALLER_SOUND)]
        words += ["-p", str(self.ports.callers), "-trace_rtt", "-rtt_freq", "1"]
        self._callers = self._sipp("callers", *words)

    def finish(self, seconds: float) -> int:
        """Wait until every call is over; SIPp's exit code, 0 = every call as wanted."""
        assert self._callers is not None
        try:
            return self._callers.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            said = "".join(path.read_text()[-800:] for path in self._folder.glob("*_errors.log"))
            raise SystemExit(f"SIPp's calls did not end: {said or 'it said nothing'}") from None

    def times(self) -> Times:
        """What SIPp measured; its clock steps are about 4 ms."""
        times = Times()
        for path in self._folder.glob("*_rtt.csv"):
            with path.open() as file:
                for row in csv.reader(file, delimiter=";"):
                    if len(row) >= 3 and row[2] in ("1", "2"):
                        kept = times.ringing if row[2] == "1" else times.answered
                        kept.append(float(row[1]))
            path.unlink()
        return times

    def stop(self) -> None:
        """End both."""
        for process in (self._callers, self._agents):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def _sipp(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        output = (self._folder / f"{name}.out").open("wb")
        command = [*self._prefix, "sipp", *words, "-i", HOST, "-mi", HOST, "-nostdin", "-trace_err"]
        return subprocess.Popen(command, cwd=self._folder, stdout=output, stderr=subprocess.STDOUT)


def frames_in(paths: list[Path], sent: int) -> Heard:
    """Look for the numbered frames: the better channel is the caller's, the other the echo's."""
    heard = Heard([], [], [])
    for path in paths:
        sound = chkwav.samples(str(path))
        found = sorted(
            len({n for n in chkwav.frame_numbers(channel) if n < sent}) / sent
            for channel in sound.T
        )
        heard.customer.append(found[-1] if found else 0.0)
        heard.other.append(found[0] if len(found) > 1 else 0.0)
        heard.seconds.append(len(sound) / 8000)
    return heard


def middle_and_slow(values: list[float]) -> tuple[float, float]:
    """p50 and p95; NaN where there is nothing."""
    if not values:
        return float("nan"), float("nan")
    return float(np.percentile(values, 50)), float(np.percentile(values, 95))


def cores() -> tuple[int, int]:
    """The core of the system under test and the one of the load."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise SystemExit("two cores are needed: one for the system under test, one for the load")
    return mine[-1], mine[0]


def prefix(core: int, realtime: bool) -> list[str]:
    """Words that keep a program on one core; `realtime`: before everything else that is there."""
    return ["taskset", "-c", str(core), *(["chrt", "--rr", "5"] if realtime else [])]


def pause(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)

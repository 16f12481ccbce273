"""A telephony node under calls for a long time: memory, descriptors, ports, drift. See README.md.

python benchmarks/telephony/soak.py [--seconds 3600] [--calls 100] [--length 600] [--realtime]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(_TESTS / "interop"), str(_TESTS / "data" / "sipp")]

import chkwav
import load
import numpy as np
from engines import HOST, Ours, Talkers
from numpy.typing import NDArray

from callcenter.bench import processor
from callcenter.telephony.ports import FRAME_SAMPLES
from callcenter.telephony.recording.journal import LEGS

_EDGE = 500  # frames (10 s) that say together where a leg lies
_AIM = 40.0  # milliseconds by which the legs may drift


@dataclass(frozen=True, slots=True)
class Look:
    """The node at one moment: megabytes resident, open descriptors, processor in percent."""

    minute: float
    resident: float
    descriptors: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Kept:
    """One recording: the share of the caller's frames, how far each leg moved (ms).

    Every leg counts its own frames: in a recording without drift frame n lies n times 20 ms after
    where frame 0 lay. `caller` and `agent`: how much later, from the first to the last ten seconds;
    `between`: the most by which the legs moved against each other in any ten seconds of the call.
    """

    share: float
    caller: float
    agent: float
    between: float


def look(pid: int, minute: float, cpu: float) -> Look:
    """Read /proc."""
    place = Path(f"/proc/{pid}")
    pages = int((place / "statm").read_text().split()[1])
    return Look(minute, pages * 4096 / 1e6, len(list((place / "fd").iterdir())), cpu)


def watch(pid: int, until: float, began: float, every: float) -> Iterator[Look]:
    """A look every `every` seconds until `until` (monotonic)."""
    while (now := time.monotonic()) < until:
        meter = processor.Meter({"node": [pid]})
        load.pause(min(every, until - now))
        yield look(pid, (time.monotonic() - began) / 60, meter.shares()["node"])


def kept(path: Path, sent: int) -> Kept:
    """What is in a recording of a call of `sent` frames."""
    heard = dict(zip(LEGS, chkwav.samples(str(path)).T, strict=True))
    caller, agent = (chkwav.frame_places(heard[leg]) for leg in ("customer", "agent"))
    share = len([number for number in caller if number < sent]) / sent
    one, other = _places(caller, sent), _places(agent, sent)
    between = one - other
    if np.isnan(between).all():
        return Kept(share, *[float("nan")] * 3)
    away = np.abs(between - between[0]) / 8
    return Kept(share, _moved(one), _moved(other), float(np.nanmax(away)))


def _places(found: dict[int, int], sent: int) -> NDArray[np.float64]:
    """Each ten seconds: how many samples after its own time a frame lies, in the middle."""
    late = [
        [found[n] - n * FRAME_SAMPLES for n in range(start, start + _EDGE) if n in found]
        for start in range(0, sent - _EDGE + 1, _EDGE)
    ]
    return np.array([np.median(one) if one else np.nan for one in late])


def _moved(places: NDArray[np.float64]) -> float:
    """Milliseconds, from the first to the last ten seconds."""
    return float(places[-1] - places[0]) / 8


def slope(looks: list[Look]) -> float:
    """Megabytes per hour, over the second half: the first warms up."""
    half = looks[len(looks) // 2 :]
    if len(half) < 3:
        return float("nan")
    per_minute, _ = np.polyfit([one.minute for one in half], [one.resident for one in half], 1)
    return float(per_minute) * 60


def main() -> None:
    """Waves of calls until the time is over; a line a minute, then what was kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--calls", type=int, default=100, help="at once")
    parser.add_argument("--length", type=float, default=600, help="of a call, seconds (to 650)")
    parser.add_argument("--rate", type=float, default=10.0, help="new calls a second")
    parser.add_argument("--every", type=float, default=60, help="seconds between two looks")
    parser.add_argument("--realtime", action="store_true", help="chrt --rr, root")
    given = parser.parse_args()
    waves = max(1, round(given.seconds / (given.length + given.calls / given.rate)))
    print(" · ".join(f"{name} {value}" for name, value in processor.machine().items()), flush=True)
    print(f"{given.calls} calls at once, {given.length:.0f} s each, {waves} waves", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="callcenter-soak-"))
    under_test, other = load.cores()
    engine, sipp = Ours(folder), load.Load(folder / "load", load.prefix(other, given.realtime))
    looks: list[Look] = []
    talkers = Talkers(load.prefix(other, given.realtime), HOST, sipp.ports.agents_sound)
    try:
        engine.start(load.prefix(under_test, given.realtime), given.calls, sipp.ports)
        total, began = waves * given.calls, time.monotonic()
        sipp.call(engine.port, total, given.rate, given.length, given.calls)
        for seen in watch(engine.pids()[0], began + given.seconds, began, given.every):
            looks.append(seen)
            print(
                f"minute {seen.minute:5.1f}  resident {seen.resident:6.1f} MB  "
                f"descriptors {seen.descriptors:4d}  core {seen.cpu:5.1f} %",
                flush=True,
            )
        code = sipp.finish(given.length + 120)
        load.pause(7.0)  # the last ports cool down
        engine.stop()
        said = talkers.stop()
        frames = int(given.length * 50)
        all_kept = [kept(path, frames) for path in engine.recordings()]
    finally:
        sipp.stop()
        talkers.stop()
        engine.forget()
        shutil.rmtree(folder, ignore_errors=True)
    complete = sum(one.share >= 0.99 for one in all_kept)
    print(f"SIPp's exit code {code} (0: every call went as wanted); {engine.note}; talkers: {said}")
    print(f"recordings: {len(all_kept)} of {total}, {complete} hold 99 % of the caller's frames")
    print(f"memory, second half: {slope(looks):+.1f} MB per hour")
    for name in ("caller", "agent", "between"):
        found = np.abs([getattr(one, name) for one in all_kept])
        print(
            f"drift, {name:8}: median {np.median(found):5.1f} ms, most {np.max(found):5.1f} ms, "
            f"over {_AIM:.0f} ms in {int(np.sum(~(found <= _AIM)))} of {len(found)} calls"
        )


if __name__ == "__main__":
    main()

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
from engines import Ours

from callcenter.bench import processor

_EDGE = 500  # frames (10 s) at either end of a call that say where its echo lies


@dataclass(frozen=True, slots=True)
class Look:
    """The node at one moment: megabytes resident, open descriptors, processor in percent."""

    minute: float
    resident: float
    descriptors: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Kept:
    """One recording: share of the caller's frames, drift of the legs from start to end (ms)."""

    share: float
    drift: float | None


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
    """What is in a recording of a call of `sent` frames.

    The agent's phone sends back what it hears: its frames lie a round trip after the caller's. The
    legs drift where that distance is another at the end than at the beginning.
    """
    sides = [chkwav.frame_places(channel) for channel in chkwav.samples(str(path)).T]
    caller, echo = sorted(sides, key=lambda one: min(one.values(), default=0))
    share = len([number for number in caller if number < sent]) / sent
    first, last = _distance(caller, echo, 0), _distance(caller, echo, sent - _EDGE)
    if first is None or last is None:
        return Kept(share, None)
    return Kept(share, (last - first) / 8)


def _distance(caller: dict[int, int], echo: dict[int, int], start: int) -> float | None:
    found = [echo[n] - caller[n] for n in range(start, start + _EDGE) if n in caller and n in echo]
    return float(np.median(found)) if found else None


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
    try:
        sipp.start_agents()
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
        frames = int(given.length * 50)
        all_kept = [kept(path, frames) for path in engine.recordings()]
    finally:
        sipp.stop()
        engine.forget()
        shutil.rmtree(folder, ignore_errors=True)
    drifts = [abs(one.drift) for one in all_kept if one.drift is not None]
    complete = sum(one.share >= 0.99 for one in all_kept)
    print(f"SIPp's exit code {code} (0: every call went as wanted); {engine.note}")
    print(f"recordings: {len(all_kept)} of {total}, {complete} hold 99 % of the caller's frames")
    print(f"memory, second half: {slope(looks):+.1f} MB per hour")
    print(
        f"drift of the legs in {given.length:.0f} s: {max(drifts, default=float('nan')):.1f} ms at "
        f"most, median {np.median(drifts) if drifts else float('nan'):.1f} ({len(drifts)} calls)"
    )


if __name__ == "__main__":
    main()

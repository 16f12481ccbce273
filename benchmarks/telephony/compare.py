"""Bridged, recorded calls per core: callcenter beside Asterisk and pyVoIP, one run. See README.md.

python benchmarks/telephony/compare.py [--calls 100] [--seconds 20] [--rate 10] [--realtime]
    [--only callcenter asterisk mixed unrecorded pyvoip] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(_TESTS / "interop"), str(_TESTS / "data" / "sipp")]

import load
from engines import Asterisk, Engine, Ours, PyVoip

from callcenter.bench import processor

_SETTLING_SECONDS = 2.0  # from the last call's INVITE until the processor is looked at


@dataclass
class Row:
    """One engine's figures. Processor in percent of one core, times in milliseconds.

    `complete`: recordings with 99 % of the caller's frames; `worst`: the smallest share of them;
    `echo`: the same of the agent's side; `setup_ms`: processor time a call's beginning takes.
    """

    engine: str
    does: str
    calls: int
    complete: int
    worst: float
    echo: float
    cpu: float
    cpu_per_call: float
    per_core: float
    setup_ms: float
    ringing: tuple[float, float]
    answered: tuple[float, float]
    load_before: str
    sipp: int
    note: str
    apart: bool

    def line(self) -> str:
        found = f"complete {self.complete:4d} (worst {self.worst:6.2%}, echo {self.echo:6.2%})"
        if not self.apart:
            found = "recording not looked at: one mixed file or none"
        used = f"core {self.cpu:5.1f} %  per call {self.cpu_per_call:6.3f} %"
        times = "  ".join(
            f"INVITE→{code} {p50:.0f}/{p95:.0f} ms"
            for code, (p50, p95) in ((180, self.ringing), (200, self.answered))
        )
        failed = "" if self.sipp == 0 else f"  SIPP SAYS {self.sipp}: NOT ALL CALLS WENT WELL"
        if self.answered[1] > _SETTLING_SECONDS * 1000:
            failed += "  NOT ALL CALLS STOOD WHILE IT WAS LOOKED AT: ITS PROCESSOR SAYS NOTHING"
        return (
            f"{self.engine:22} {self.calls:4d} calls  {found}  {used}  "
            f"calls per core {self.per_core:5.0f}  setup {self.setup_ms:.1f} ms  {times}  "
            f"load {self.load_before}  {self.note}{failed}"
        )


def measure(engine: Engine, folder: Path, calls: int, given: argparse.Namespace) -> Row:
    """Start, let `calls` calls come up, look for `seconds`, let them end, look at what was kept."""
    under_test, other = load.cores()
    before = processor.machine()["load"]
    sipp = load.Load(folder / "load", load.prefix(other, given.realtime))
    try:
        sipp.start_agents()
        engine.start(load.prefix(under_test, given.realtime), calls, sipp.ports)
        coming = calls / given.rate
        length = coming + given.seconds + 5
        began = time.monotonic()
        idle = processor.seconds_used(engine.pids())
        sipp.call(engine.port, calls, given.rate, length, calls)
        load.pause(coming + _SETTLING_SECONDS - (time.monotonic() - began))
        up = processor.seconds_used(engine.pids())
        meter = processor.Meter({"engine": engine.pids()})
        load.pause(given.seconds)
        share = meter.shares()["engine"]
        code = sipp.finish(length + coming + 60)
        load.pause(1.0)
        engine.stop()
        times = sipp.times()
        heard = load.frames_in(engine.recordings(), int(length * 50))
    finally:
        sipp.stop()
        engine.forget()
        shutil.rmtree(folder / "load", ignore_errors=True)
    return Row(
        engine=engine.name,
        does=engine.does,
        calls=calls,
        complete=heard.complete,
        worst=min(heard.customer, default=0.0),
        echo=min(heard.other, default=0.0),
        cpu=share,
        cpu_per_call=share / calls,
        per_core=100 * calls / share if share else 0.0,
        setup_ms=1000 * (up - idle) / calls,
        ringing=load.middle_and_slow(times.ringing),
        answered=load.middle_and_slow(times.answered),
        load_before=before,
        sipp=code,
        note=engine.note,
        apart=engine.apart,
    )


def main() -> None:
    """Measure one engine after the other and print the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--pyvoip-calls", type=int, default=50)
    parser.add_argument("--rate", type=float, default=10.0, help="new calls a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--only", nargs="*", default=["callcenter", "asterisk", "mixed", "unrecorded", "pyvoip"]
    )
    parser.add_argument(
        "--realtime", action="store_true", help="for a machine with other work: chrt --rr"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="callcenter-compare-"))
    engines: dict[str, Callable[[], Engine]] = {
        "callcenter": lambda: Ours(folder),
        "asterisk": lambda: Asterisk("stereo"),
        "mixed": lambda: Asterisk("mixed"),
        "unrecorded": lambda: Asterisk("none"),
        "pyvoip": lambda: PyVoip(folder),
    }
    print(" · ".join(f"{name} {value}" for name, value in processor.machine().items()), flush=True)
    rows: dict[str, Row] = {}
    for name in given.only:
        calls = given.pyvoip_calls if name == "pyvoip" else given.calls
        rows[name] = measure(engines[name](), folder, calls, given)
        print(rows[name].line(), flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    ours = rows.get("callcenter")
    for name, row in rows.items():
        if ours and name != "callcenter":
            ratio = row.cpu_per_call / ours.cpu_per_call
            print(f"callcenter carries {ratio:.2f} times the calls of {row.engine} per core")
    if given.json:
        given.json.write_text(
            json.dumps({name: asdict(row) for name, row in rows.items()}, indent=1)
        )


if __name__ == "__main__":
    main()

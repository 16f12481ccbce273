"""How soon a caller hears that it rings and is answered, at several rates. See README.md.

python benchmarks/telephony/setup_times.py [--rates 5 20 50] [--seconds 10] [--realtime]
    [--only callcenter asterisk pyvoip]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(_TESTS / "interop"), str(_TESTS / "data" / "sipp")]

import load
from engines import Asterisk, Engine, Ours, PyVoip

from callcenter.bench import processor

_CALL_SECONDS = 4.0


def times(engine: Engine, folder: Path, rate: float, given: argparse.Namespace) -> str:
    """For `given.seconds` `rate` calls a second, each of four seconds; a line of figures."""
    under_test, other = load.cores()
    calls, at_once = round(rate * given.seconds), round(rate * _CALL_SECONDS * 2)
    sipp = load.Load(folder / "load", load.prefix(other, given.realtime))
    try:
        sipp.start_agents()
        engine.start(load.prefix(under_test, given.realtime), at_once, sipp.ports)
        used = processor.seconds_used(engine.pids())
        sipp.call(engine.port, calls, rate, _CALL_SECONDS, at_once)
        code = sipp.finish(given.seconds + 120)
        used = processor.seconds_used(engine.pids()) - used
        engine.stop()
        found = sipp.times()
    finally:
        sipp.stop()
        engine.forget()
        shutil.rmtree(folder / "load", ignore_errors=True)
    ringing, answered = map(load.middle_and_slow, (found.ringing, found.answered))
    failed = "" if code == 0 else f"  SIPP SAYS {code}: NOT ALL CALLS WENT WELL"
    return (
        f"{engine.name:18} {rate:4.0f} calls/s  {len(found.answered):4d} of {calls:4d} answered  "
        f"INVITE→180 {ringing[0]:.0f}/{ringing[1]:.0f} ms  "
        f"INVITE→200 {answered[0]:.0f}/{answered[1]:.0f} ms (p50/p95)  "
        f"{1000 * used / calls:.1f} ms of processor a call, {_CALL_SECONDS:.0f} s of sound included"
        f"{failed}"
    )


def main() -> None:
    """One engine after the other, each new for each rate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 20, 50])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--realtime", action="store_true", help="chrt --rr, root")
    parser.add_argument("--only", nargs="*", default=["callcenter", "asterisk"])
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="callcenter-setup-"))
    engines: dict[str, Callable[[], Engine]] = {
        "callcenter": lambda: Ours(folder),
        "asterisk": lambda: Asterisk("stereo"),
        "pyvoip": lambda: PyVoip(folder),
    }
    print(" · ".join(f"{name} {value}" for name, value in processor.machine().items()), flush=True)
    for name in given.only:
        for rate in given.rates:
            print(times(engines[name](), folder, rate, given), flush=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

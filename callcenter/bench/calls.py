"""`callcenter bench calls`: many recorded calls at once, what each costs and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callcenter import bootstrap
from callcenter.bench import processor
from callcenter.bench.figures import Report
from callcenter.bench.helper import Helper
from callcenter.bench.trial import LINE, Trial, running, wait_for
from callcenter.config import Settings

SPEECH = Path(__file__).parent.parent / "demo" / "speech" / "customer_en.wav"
_APART_SECONDS = 0.25
_PROCESSES = ("telephony", "web", "speech", "jobs")


def measure(
    base: Settings, *, calls: int, seconds: float, captions: bool, folder: Path | None = None
) -> Report:
    """Figures of `calls` calls at once; their processor time is taken over `seconds`."""
    report = Report(
        f"bench calls: {calls} recorded calls at once with WebRTC agents, {seconds:g} s",
        processor.machine(),
    )
    with running(base, folder=folder) as trial:
        _round(trial, report, calls, seconds, captions=False)
    if captions and bootstrap.list_models(base).get("en"):
        with running(base, folder=folder, captions=True) as trial:
            _round(trial, report, calls, seconds, captions=True)
    elif captions:
        report.notes.append("captions: no model here (callcenter models fetch en), no figures")
    report.notes += [
        "processor time: of the process itself (/proc/PID/stat) with all calls bridged and "
        "recorded, less the same system at rest without agents, through the number of calls",
        "agents: python-socketio and aiortc's ICE, DTLS and SRTP (50 packets a second each way), "
        "answering at once; order → two-way sound ends at the later of both first sounds",
    ]
    return report


def _round(trial: Trial, report: Report, calls: int, seconds: float, *, captions: bool) -> None:
    words = [str(SPEECH)] if captions else []
    names = trial.add_agents(calls)
    pids = trial.pids()
    if processor.set_apart(pids) and not captions:
        report.notes.append(processor.LAST_CORE_ONLY)
    idle = _shares(pids, min(seconds, 10.0))
    with (
        helper("callcenter.bench.agents", trial.base, *words) as agents,
        helper("callcenter.bench.caller", "127.0.0.1", str(trial.sip_port), *words) as callers,
    ):
        processor.set_apart({"load": [agents.pid, callers.pid]})
        agents.ask("sign_in", names=names, password=trial.password)
        waiting = _shares(pids, min(seconds, 10.0))
        for number in range(calls):
            callers.ask("call", to=LINE, caller=caller_number(number))
            time.sleep(_APART_SECONDS)
        wait_for(lambda: all_talk(agents, callers, calls), f"{calls} calls have two-way sound")
        load = processor.machine()["load"]
        busy = _shares(pids, seconds)
        heard, seen = callers.ask("report"), agents.ask("report")
        callers.ask("hang_up")
        agents.ask("leave")
    if not captions:
        _add_times(report, heard, seen)
        report.machine["load during calls"] = load
    kind = "captions on" if captions else "captions off"
    if not processor.can_measure():
        report.notes.append("processor time can be measured on Linux only")
        return
    for name in _PROCESSES:
        cost = (busy[name] - idle[name]) / calls
        aim = 1.0 if name == "telephony" and not captions else None
        report.add(f"{name} per call, {kind}", "% of a core", [cost], aim)
    if not captions:
        cost = (waiting["telephony"] - idle["telephony"]) / calls
        report.add("telephony per waiting agent", "% of a core", [cost])
    report.add(f"telephony at rest, {kind}", "% of a core", [idle["telephony"]])


def caller_number(number: int) -> str:
    """A caller's number, one for each call, by which both sides of it are found."""
    return f"+98912{5550000 + number:07d}"


def _shares(pids: dict[str, list[int]], seconds: float) -> dict[str, float]:
    meter = processor.Meter({name: pids.get(name, []) for name in _PROCESSES})
    time.sleep(seconds)
    return meter.shares()


def all_talk(agents: Helper, callers: Helper, calls: int) -> bool:
    """Whether every call has had sound both ways."""
    heard = sum("sound" in one for one in callers.ask("report"))
    seen = sum("sound" in one for one in agents.ask("report"))
    return heard >= calls and seen >= calls


def _add_times(report: Report, heard: list[dict[str, Any]], seen: list[dict[str, Any]]) -> None:
    of_caller = {one["caller"]: one for one in seen}
    pairs = [(one, of_caller[caller_number(number)]) for number, one in enumerate(heard)]
    report.add("INVITE → 180", "ms", [1000 * (c["ringing"] - c["invite"]) for c, _ in pairs], 10)
    report.add(
        "INVITE → event at the agent's socket",
        "ms",
        [1000 * (a["ringing"] - c["invite"]) for c, a in pairs],
        100,
    )
    both = [1000 * (max(c["sound"], a["sound"]) - a["order"]) for c, a in pairs]
    report.add("order to answer → two-way sound", "ms", both, 200)
    lost = [100 * c["lost"] / max(1, c["got"] + c["lost"]) for c, _ in pairs]
    report.add("packets lost on the way to a caller", "%", lost)


@contextmanager
def helper(module: str, *words: str) -> Iterator[Helper]:
    """A helper process that is ended in any case."""
    process = Helper(module, *words)
    try:
        yield process
    finally:
        process.close()

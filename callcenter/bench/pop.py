"""`callcenter bench pop`: one call after the other to one agent; how fast is she in it?"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from callcenter.bench import browser, processor
from callcenter.bench.calls import caller_number, helper
from callcenter.bench.figures import Report
from callcenter.bench.helper import Helper
from callcenter.bench.trial import LINE, Trial, running, wait_for
from callcenter.config import Settings

_PAUSE_SECONDS = 0.3
Times = dict[str, float]


def measure(
    base: Settings, *, calls: int, real_browser: bool = True, folder: Path | None = None
) -> Report:
    """Figures of `calls` calls; `real_browser` False takes an agent without one."""
    reason = browser.missing() if real_browser else "not asked for"
    report = Report(f"bench pop: {calls} calls, one after the other", processor.machine())
    with running(base, folder=folder) as trial:
        (name,) = trial.add_agents(1)
        if reason is None:
            _in_browser(trial, name, report, calls)
        else:
            report.notes.append(f"no browser: {reason}; the agent is python-socketio and aiortc")
            _without_browser(trial, name, report, calls)
    report.notes.append(
        "sound at the caller: arrival of the first RTP packet that is no silence; times of all "
        "processes are this machine's wall clock"
    )
    return report


def _in_browser(trial: Trial, name: str, report: Report, calls: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="callcenter-bench-") as folder,
        helper("callcenter.bench.caller", "127.0.0.1", str(trial.sip_port)) as callers,
        browser.browser_agent(Path(folder)) as agent,
    ):
        agent.sign_in(trial.base, name, trial.password)
        times = [_call_browser(callers, agent, number) for number in range(-1, calls)][1:]
        report.machine["load at the end"] = processor.machine()["load"]
        report.notes.append(
            f"agent: Chromium {agent.version}, the product's own pages, times taken in the page; "
            "sound at the agent: Web Audio hears the connection's track (its jitter buffer "
            "included), looked at every 4 ms; one call before the first is not counted"
        )
    _add(report, times, "at the browser", "click on Answer")
    report.figures.insert(
        2, report.add("INVITE → pop painted", "ms", _between(times, "invite", "painted"), 100)
    )
    report.figures.pop()


def _call_browser(callers: Helper, agent: browser.BrowserAgent, number: int) -> Times:
    agent.begin()
    index = callers.ask("call", to=LINE, caller=caller_number(number + 1))
    agent.answer()
    caller = wait_for(lambda: _with_sound(callers, index), "the caller hears the agent")
    times = agent.times()
    callers.ask("hang_up", index=index)
    agent.wait_idle()
    time.sleep(_PAUSE_SECONDS)
    return _joined(caller, times)


def _without_browser(trial: Trial, name: str, report: Report, calls: int) -> None:
    with (
        helper("callcenter.bench.caller", "127.0.0.1", str(trial.sip_port)) as callers,
        helper("callcenter.bench.agents", trial.base) as agents,
    ):
        agents.ask("sign_in", names=[name], password=trial.password)
        times = [_call_agent(callers, agents, number) for number in range(-1, calls)][1:]
        report.machine["load at the end"] = processor.machine()["load"]
        agents.ask("leave")
    _add(report, times, "at the agent's socket", "order to answer")


def _call_agent(callers: Helper, agents: Helper, number: int) -> Times:
    number += 1
    index = callers.ask("call", to=LINE, caller=caller_number(number))
    caller = wait_for(lambda: _with_sound(callers, index), "the caller hears the agent")

    def heard() -> Any:
        found = [one for one in agents.ask("report") if one["caller"] == caller_number(number)]
        return found[0] if found and "sound" in found[0] else None

    record = wait_for(heard, "the agent hears the caller")
    callers.ask("hang_up", index=index)
    time.sleep(_PAUSE_SECONDS)
    times = {"event": record["ringing"], "click": record["order"], "sound": record["sound"]}
    return _joined(caller, times)


def _with_sound(callers: Helper, index: int) -> Any:
    report = callers.ask("report")[index]
    return report if "sound" in report else None


def _joined(caller: Times, agent: Times) -> Times:
    both = {**agent, "agent_sound": agent["sound"], "caller_sound": caller["sound"]}
    both |= {name: caller[name] for name in ("invite", "ringing", "answered")}
    both["two_way"] = max(both["agent_sound"], both["caller_sound"])
    return both


def _add(report: Report, times: list[Times], place: str, click: str) -> None:
    report.add("INVITE → 180", "ms", _between(times, "invite", "ringing"), 10)
    report.add(f"INVITE → event {place}", "ms", _between(times, "invite", "event"), 100)
    report.add(f"{click} → 200 at the caller", "ms", _between(times, "click", "answered"))
    report.add(f"{click} → sound at the caller", "ms", _between(times, "click", "caller_sound"))
    report.add(f"{click} → sound at the agent", "ms", _between(times, "click", "agent_sound"))
    report.add(f"{click} → two-way sound", "ms", _between(times, "click", "two_way"), 200)


def _between(times: list[Times], start: str, end: str) -> list[float]:
    return [1000 * (one[end] - one[start]) for one in times]

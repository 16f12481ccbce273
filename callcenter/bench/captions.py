"""`callcenter bench captions`: from the spoken word to its caption at the agent."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from callcenter import bootstrap
from callcenter.bench import processor
from callcenter.bench.calls import SPEECH, all_talk, caller_number, helper
from callcenter.bench.figures import Report
from callcenter.bench.trial import LINE, running, wait_for
from callcenter.config import Settings
from callcenter.errors import ModelMissing


def measure(base: Settings, *, calls: int, seconds: float, folder: Path | None = None) -> Report:
    """Figures of `calls` English callers who speak for `seconds`. Raises ModelMissing."""
    models = bootstrap.list_models(base).get("en")
    if not models:
        raise ModelMissing("no English model is here: callcenter models fetch en")
    report = Report(
        f"bench captions: {calls} calls, both legs speak English for {seconds:g} s",
        processor.machine(),
        notes=[
            f"models that are here for English: {', '.join(models)}",
            "final: from the end of the utterance; first partial: from its beginning; "
            "to the caption's arrival at the agent's socket",
        ],
    )
    with (
        running(base, folder=folder, captions=True) as trial,
        helper("callcenter.bench.agents", trial.base, str(SPEECH)) as agents,
        helper("callcenter.bench.caller", "127.0.0.1", str(trial.sip_port), str(SPEECH)) as callers,
    ):
        agents.ask("sign_in", names=trial.add_agents(calls), password=trial.password)
        for number in range(calls):
            callers.ask("call", to=LINE, caller=caller_number(number))
        wait_for(lambda: all_talk(agents, callers, calls), f"{calls} calls have two-way sound")
        time.sleep(seconds)
        heard = agents.ask("captions")
        callers.ask("hang_up")
        agents.ask("leave")
    partials, finals = delays(heard)
    report.add("word begins → first partial caption", "ms", partials)
    report.add("utterance ends → final caption", "ms", finals)
    return report


def delays(captions: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Milliseconds of the first partials and of the finals after what they are captions of.

    Each caption has call, leg, id, kind, t0, t1 (seconds after the answer), at (wall clock) and
    answered_at (RFC 3339); one without a time of its answer is left out.
    """
    partials: list[float] = []
    finals: list[float] = []
    begun: set[tuple[str, str, str]] = set()
    for one in captions:
        if one.get("answered_at") is None or one.get("t0") is None:
            continue
        into_the_call = one["at"] - datetime.fromisoformat(one["answered_at"]).timestamp()
        name = (one["call"], one["leg"], one["id"])
        if one["kind"] == "final":
            finals.append(1000 * (into_the_call - one["t1"]))
        elif name not in begun:
            partials.append(1000 * (into_the_call - one["t0"]))
        begun.add(name)
    return partials, finals

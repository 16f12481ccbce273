"""A system that others shoot at: no recognisers, no ban for bad messages, and a call that is up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from world import World, running

from callcenter.events import CallEnded, CallRang

NO_SPEECH = {"live": {"en": "off", "fa": "off", "he": "off"}, "second_pass": "off"}
SETTINGS: dict[str, Any] = {
    "speech": NO_SPEECH,
    "sip": {
        "limits": {"malformed": 0},  # a ban would spare the listener the rest
        "trunks": [{"name": "near", "hosts": ["127.0.0.0/9"]}],  # 127.128.0.0 and up are strangers
    },
    "queues": [{"name": "hall", "agents": ["nobody"]}, {"name": "desk", "wrap_up_seconds": 0}],
    "lines": [
        {"number": "400", "queue": "hall", "answer": "early"},
        *({"number": number, "queue": "hall"} for number in ("100", "user", "probe")),
        {"number": "700", "queue": "desk"},  # what is shot at the others rings at no agent
    ],
}


@contextmanager
def live_call(world: World) -> Iterator[None]:
    """Somebody waits with music, and still does at the end."""
    before = len(world.facts(CallRang))
    caller = world.sipp("uac_record.xml", to="400", seconds=600)
    call = world.wait_fact(CallRang, count=before + 1).call
    yield
    assert caller.poll() is None, "the live call's telephone is still there"
    assert world.facts(CallEnded, call=call) == [], "the live call goes on"
    caller.kill()


@contextmanager
def talking_system(folder: Path) -> Iterator[World]:
    """Such a system of its own, with such a call."""
    with running(folder, **SETTINGS) as world, live_call(world):
        yield world

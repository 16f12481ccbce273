"""The state machine of a call: facts in, state out."""

from collections.abc import Callable

import pytest

from callcenter.errors import Conflict
from callcenter.events import (
    AgentDeclined,
    AgentOffered,
    CallAnswered,
    CallEnded,
    CallHeld,
    CallQueued,
    CallRang,
    CallResumed,
    CallTransferred,
    Fact,
)
from callcenter.telephony.call import Call, begin, evolve

RANG = CallRang(
    call="c1",
    from_number="+989121234567",
    from_name=None,
    to_number="100",
    line="100",
    trunk="local",
    region="IR",
    language="fa",
    policy="always",
    node="n",
    sip_call_id="x",
)
QUEUED = CallQueued(call="c1", queue="support", position=1)
OFFERED = AgentOffered(call="c1", agent="a", queue="support", attempt=1)
ANSWERED = CallAnswered(call="c1", agent="a", queue="support", wait_seconds=3.0)
ENDED = CallEnded(call="c1", reason="completed", by="agent")


def after(*facts: Fact) -> Call:
    call = begin(RANG)
    for fact in facts:
        call = evolve(call, fact)
    return call


def test_a_call_that_rang_shows_who_called_which_number() -> None:
    view = begin(RANG).view()
    assert (view["id"], view["state"], view["from"], view["to"]) == (
        "c1",
        "queued",
        "+989121234567",
        "100",
    )


def test_a_call_is_offered_declined_offered_again_and_answered() -> None:
    assert after(QUEUED, OFFERED).state == "ringing"
    declined = after(QUEUED, OFFERED, AgentDeclined(call="c1", agent="a", reason="declined"))
    assert (declined.state, declined.agent) == ("queued", None)
    talking = evolve(evolve(declined, OFFERED), ANSWERED)
    assert (talking.state, talking.agent, talking.answered_at) == ("talking", "a", ANSWERED.at)


def test_a_call_held_by_both_sides_talks_again_when_both_resumed() -> None:
    call = after(QUEUED, OFFERED, ANSWERED)
    call = evolve(evolve(call, CallHeld(call="c1", by="agent")), CallHeld(call="c1", by="customer"))
    call = evolve(call, CallResumed(call="c1", by="agent"))
    assert call.state == "held"
    assert evolve(call, CallResumed(call="c1", by="customer")).state == "talking"


def test_a_transferred_call_keeps_the_moment_of_its_first_answer() -> None:
    moved = after(
        QUEUED, OFFERED, ANSWERED, CallTransferred(call="c1", from_agent="a", to_queue="sales")
    )
    assert (moved.state, moved.agent) == ("queued", None)
    second = CallAnswered(call="c1", agent="b", queue="sales", wait_seconds=9.0)
    again = evolve(evolve(moved, OFFERED), second)
    assert (again.agent, again.answered_at) == ("b", ANSWERED.at)


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: after(ANSWERED),
        lambda: after(QUEUED, OFFERED, OFFERED),
        lambda: after(QUEUED, CallHeld(call="c1", by="agent")),
        lambda: after(QUEUED, OFFERED, ANSWERED, CallResumed(call="c1", by="agent")),
        lambda: after(QUEUED, ENDED, QUEUED),
        lambda: after(ENDED, ENDED),
    ],
)
def test_what_cannot_happen_is_refused(impossible: Callable[[], Call]) -> None:
    with pytest.raises(Conflict):
        impossible()

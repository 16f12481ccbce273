"""Why a call popped or did not: from facts and outboxes alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from callcenter.crm.diagnosis import Diagnosis, Pop, explain
from callcenter.events import (
    AgentDeclined,
    AgentOffered,
    CallEnded,
    CallQueued,
    CallRang,
    Fact,
    pack,
    unpack,
)

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CALL = "c"


def at(ms: float) -> datetime:
    return BEGAN + timedelta(milliseconds=ms)


RANG = CallRang(
    at=BEGAN,
    call=CALL,
    from_number=None,
    from_name=None,
    to_number="100",
    line="100",
    trunk="local",
    region="IR",
    language="en",
    policy="always",
    node="n",
    sip_call_id="x",
)


def queued(**others: str) -> CallQueued:
    return CallQueued(at=BEGAN, call=CALL, queue="support", position=1, others=others)


def offered(agent: str, ms: float = 5, **others: str) -> AgentOffered:
    return AgentOffered(
        at=at(ms), call=CALL, agent=agent, queue="support", attempt=1, others=others
    )


def ended(ms: float = 900) -> CallEnded:
    return CallEnded(at=at(ms), call=CALL, reason="abandoned", by="customer")


def of(*facts: Fact, pops: tuple[Pop, ...] = (), members: tuple[str, ...] = ("ann",)) -> Diagnosis:
    return explain(CALL, [RANG, *facts], pops, members)


def test_a_pop_that_was_seen_tells_each_hop_in_its_order() -> None:
    found = of(
        queued(ann="available"),
        offered("ann"),
        pops=(Pop("ann", 7, at(9), at(120)),),
    )
    assert found.verdict == "seen"
    assert [(step.code, step.ms) for step in found.steps] == [
        ("rang", 0.0),
        ("queued", 0.0),
        ("offered", 5.0),
        ("sent", 9.0),
        ("seen", 120.0),
    ]
    (ann,) = found.agents
    assert (ann.reason, ann.seq, ann.sent_ms, ann.seen_ms) == ("offered", 7, 9.0, 120.0)
    assert found.people == {"ann"}


def test_others_say_why_not_them() -> None:
    found = of(
        queued(ann="available", bob="break", cid="available"),
        offered("ann", bob="break", cid="less_idle"),
        pops=(Pop("ann", 7, at(9), None),),
        members=("ann", "bob", "cid", "dan"),
    )
    assert found.verdict == "unseen"
    reasons = {one.agent: one.reason for one in found.agents}
    assert reasons == {
        "ann": "offered",
        "bob": "break",
        "cid": "less_idle",
        "dan": "not_signed_in",
    }


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ((queued(ann="break"), ended()), "nobody_available"),
        ((queued(ann="offline"), ended()), "nobody_signed_in"),
        ((queued(), ended()), "nobody_signed_in"),
        ((queued(ann="available"), ended()), "caller_gone"),
        ((queued(ann="no_audio"), ended()), "nobody_available"),
        ((queued(ann="break"),), "waiting"),
        ((queued(ann="available"), offered("ann"), ended()), "not_sent"),
        ((ended(),), "nobody_signed_in"),
    ],
)
def test_the_verdict_names_the_cause(facts: tuple[Fact, ...], verdict: str) -> None:
    assert of(*facts).verdict == verdict


def test_a_caller_who_hung_up_at_the_announcement_reached_no_queue() -> None:
    asked = replace(RANG, policy="ask")
    assert explain(CALL, [asked, ended()], [], ["ann"]).verdict == "gone_at_announcement"
    assert explain(CALL, [RANG, ended()], [], ["ann"]).verdict == "nobody_signed_in"


def test_a_second_offer_adds_a_pop_and_keeps_the_first_ones_refusal() -> None:
    found = of(
        queued(ann="available", bob="available"),
        offered("ann", 5, bob="less_idle"),
        AgentDeclined(at=at(20_000), call=CALL, agent="ann", reason="no_answer"),
        offered("bob", 20_001, ann="tried"),
        pops=(Pop("ann", 1, at(8), None), Pop("bob", 4, at(20_010), at(20_100))),
    )
    assert found.verdict == "seen"
    assert [(one.agent, one.reason) for one in found.agents] == [
        ("ann", "offered"),
        ("bob", "offered"),
    ]
    declined = next(step for step in found.steps if step.code == "declined")
    assert (declined.agent, declined.detail) == ("ann", "no_answer")


def test_facts_of_before_have_no_others() -> None:
    old = pack(offered("ann"))
    del old["others"]
    assert unpack("AgentOffered", old).others == {}

"""What agents' browsers are told of facts, through Flask-SocketIO's test client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session
from web_world import Browser, World

from callcenter import events
from callcenter.crm.agents import queries as outboxes
from callcenter.errors import CallGone, NoAudioLeg, OutboundNight, Unavailable
from callcenter.log import Entry, EventLog
from callcenter.web import hearers, permissions, sockets
from callcenter.web.live import Caption, Ringing
from callcenter.web.permissions import Permission


def tab(world: World, browser: Browser) -> Any:
    client = world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)
    assert client.is_connected()
    return client


def got(client: Any, *names: str) -> list[tuple[str, dict[str, Any]]]:
    received = [(one["name"], one["args"][0]) for one in client.get_received()]
    return [one for one in received if not names or one[0] in names]


def ask(client: Any, event: str, body: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = client.emit(event, body, callback=True)
    return answer


def test_a_call_is_told_to_its_agent_from_the_pop_to_the_end(world: World) -> None:
    agent, other = world.people["agent"], world.people["other"]
    customer = world.client("agent").post(
        "/customers",
        {"name": "Sara", "phones": [{"number": "0912 123 4567", "region": "IR"}]},
    )
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    got(mine), got(theirs)
    call = world.call(agent=agent)
    world.happens(
        events.CallHeld(call=call, by="agent"),
        events.CallResumed(call=call, by="agent"),
        events.CallEnded(
            call=call, reason="completed", by="customer", agent=agent, talk_seconds=7.5
        ),
    )
    told = got(mine)
    assert [name for name, _ in told] == ["call.ringing"] + ["call.updated"] * 3 + ["call.ended"]
    assert [payload["seq"] for _, payload in told] == [1, 2, 3, 4, 5]
    pop = told[0][1]
    assert pop["caller"] == {
        "number": "+989121234567",
        "name": None,
        "country": "IR",
        "withheld": False,
        "diverted_from": None,
        "verstat": None,
    }
    assert [(m["customer"]["id"], m["reason"], m["score"]) for m in pop["matches"]] == [
        (customer.get_json()["id"], "exact", 1.0)
    ]
    assert (pop["queue"], pop["policy"]) == ("support", "always")
    assert {"id", "state", "direction", "from", "to", "queue", "started_at"} <= set(pop["call"])
    assert [told[i][1]["call"]["state"] for i in (0, 1, 2, 3)] == [
        "ringing",
        "talking",
        "held",
        "talking",
    ]
    assert told[4][1] | {"interaction": None} == {
        "call": call,
        "reason": "completed",
        "by": "customer",
        "interaction": None,
        "talk_seconds": 7.5,
        "seq": 5,
    }
    assert got(theirs) == []
    assert other not in {payload.get("agent") for _, payload in told}


def test_a_pop_says_who_diverted_the_call_and_what_the_network_found(world: World) -> None:
    mine = tab(world, world.client("agent"))
    call = world.call(agent=world.people["agent"], diverted_from="02112345678", verstat="failed")
    ((_, pop),) = got(mine, "call.ringing")
    assert (pop["caller"]["diverted_from"], pop["caller"]["verstat"]) == (
        "+982112345678",
        "failed",
    )
    shown = world.client("agent").get(f"/api/v1/interactions/{world.interaction(call)}").get_json()
    assert (shown["diverted_from"], shown["verstat"]) == ("02112345678", "failed")


def test_an_agent_hears_that_another_phone_took_the_callers_place(world: World) -> None:
    mine = tab(world, world.client("agent"))
    call = world.call(agent=world.people["agent"])
    got(mine)
    world.happens(
        events.CallerReplaced(
            call=call, from_number="+98912", from_name="Sara", trunk="t", sip_call_id="s"
        )
    )
    ((name, told),) = got(mine)
    assert (name, told["reason"], told["call"]["from"], told["call"]["from_name"]) == (
        *("call.updated", "replaced", "+98912", "Sara"),
    )


def test_resume_sends_exactly_what_was_missed_with_its_old_numbers(world: World) -> None:
    browser = world.client("agent")
    first = tab(world, browser)
    call = world.call(agent=world.people["agent"])
    before = got(first, "call.ringing", "call.updated")
    first.disconnect()
    world.happens(
        events.CallEnded(call=call, reason="completed", by="agent", agent=world.people["agent"])
    )
    again = tab(world, browser)
    answer = ask(again, "resume", {"last_seq": before[0][1]["seq"]})
    assert (answer["ok"], answer["sent"], answer["seq"]) == (True, 2, 3)
    missed = got(again)
    assert missed[0] == before[1]
    assert missed[1][0] == "call.ended"
    assert missed[1][1]["seq"] == 3
    assert ask(again, "resume", {"last_seq": 3})["sent"] == 0
    assert got(again) == []


def test_a_page_that_knows_nothing_gets_the_present_and_no_past(world: World) -> None:
    browser = world.client("agent")
    agent = world.people["agent"]
    call = world.call(agent=agent)
    world.telephony.floor["calls"] = [
        {"id": call, "state": "held", "agent": agent, "direction": "inbound"}
    ]
    client = tab(world, browser)
    answer = ask(client, "resume", {"last_seq": None})
    assert answer["sent"] == 0
    assert answer["seq"] == 2
    assert answer["ringing"] is None
    assert answer["call"]["call"]["id"] == call
    assert answer["call"]["call"]["state"] == "held"
    assert answer["call"]["caller"]["number"] == "+989121234567"
    assert answer["agent"]["agent"] == agent
    world.telephony.floor["calls"][0]["state"] = "ringing"
    assert ask(client, "resume", {"last_seq": None})["ringing"]["seq"] == 1
    world.telephony.floor["calls"] = []
    world.telephony.seated[agent] |= {"state": "wrap_up", "call": call}
    after = ask(client, "resume", {"last_seq": None})
    assert after["agent"]["state"] == "wrap_up"
    assert (after["call"]["call"]["id"], after["call"]["call"]["state"]) == (call, "ended")


def test_an_event_resumed_before_its_emission_is_not_sent_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.client("agent")
    client = tab(world, browser)
    real = world.runtime.live.deliver

    def resumed_first(entry: Entry) -> None:
        newest = max((payload["seq"] for _, payload in seen), default=0)
        ask(client, "resume", {"last_seq": newest})
        real(entry)
        seen.extend(got(client))

    seen: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(world.runtime.live, "deliver", resumed_first)
    world.call(agent=world.people["agent"])
    assert [(name, payload["seq"]) for name, payload in seen] == [
        ("call.ringing", 1),
        ("call.updated", 2),
    ]


def test_the_first_tab_that_saw_the_pop_is_told_so(world: World) -> None:
    browser = world.client("agent")
    one, two = tab(world, browser), tab(world, browser)
    world.call(agent=world.people["agent"])
    assert ask(one, "pop.seen", {"seq": 1}) == {"ok": True, "first": True}
    assert ask(two, "pop.seen", {"seq": 1}) == {"ok": True, "first": False}
    with Session(world.engine) as session:
        assert outboxes.unseen(session, world.people["agent"]) == 0


def test_both_tabs_show_the_same_call(world: World) -> None:
    browser = world.client("agent")
    one, two = tab(world, browser), tab(world, browser)
    got(one), got(two)
    world.call(agent=world.people["agent"])
    assert got(one) == got(two) != []


def test_a_caller_who_gives_up_ends_the_pop_and_is_missed(world: World) -> None:
    agent = world.people["agent"]
    client = tab(world, world.client("agent"))
    call = world.call()
    world.happens(
        events.AgentOffered(call=call, agent=agent, queue="support", attempt=1),
        events.AgentDeclined(call=call, agent=agent, reason="caller_gone"),
        events.CallEnded(call=call, reason="abandoned", by="customer", seconds=4.0),
    )
    told = got(client, "call.ringing", "call.updated", "call.ended", "missed.changed")
    assert [name for name, _ in told] == ["call.ringing", "call.ended", "missed.changed"]
    assert told[2][1]["count"] == 1


def test_captions_reach_only_the_agent_of_the_call_first_growing_then_final(world: World) -> None:
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call = world.call(agent=world.people["agent"])
    got(mine), got(theirs)
    world.runtime.live.caption(
        events.CaptionHeard(call=call, utterance="u1", leg="customer", text="my", t0=1.0, t1=1.5),
        "partial",
    )
    heard = {"call": call, "leg": "customer", "t0": 1.0, "t1": 2.0, "language": "en"}
    world.happens(
        events.UtteranceHeard(utterance="u1", text="my order", engine="vosk", **heard),  # type: ignore[arg-type]
        events.UtteranceHeard(utterance="u2", text="My order", engine="w", revision=2, **heard),  # type: ignore[arg-type]
    )
    assert got(mine) == [
        (
            "caption",
            {
                "call": call,
                "leg": "customer",
                "kind": kind,
                "id": "u1",
                "text": text,
                "t0": 1.0,
                "t1": t1,
                "masks": [],
            },
        )
        for kind, text, t1 in (("partial", "my", 1.5), ("final", "my order", 2.0))
    ]
    assert got(theirs) == []


def test_a_fact_that_fails_half_way_tells_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tab(world, world.client("agent"))
    call = world.call()
    got(client)

    def broken(*_: Any) -> None:
        raise RuntimeError("half-way")

    monkeypatch.setattr(world.runtime.live, "stage", broken)
    agent = world.people["agent"]
    world.happens(events.AgentOffered(call=call, agent=agent, queue="support", attempt=1))
    monkeypatch.undo()
    assert got(client) == []
    world.happens(events.AgentOffered(call=call, agent=agent, queue="support", attempt=2))
    assert [payload["attempt"] for _, payload in got(client)] == [2]


@pytest.mark.parametrize(
    ("event", "body", "order"),
    [
        ("call.answer", {}, lambda c, a: events.AnswerCall(call=c, agent=a)),
        ("call.reject", {}, lambda c, a: events.RejectCall(call=c, agent=a)),
        ("call.hold", {}, lambda c, a: events.HoldCall(call=c, agent=a)),
        ("call.resume", {}, lambda c, a: events.ResumeCall(call=c, agent=a)),
        ("call.hangup", {}, lambda c, a: events.HangUpCall(call=c, agent=a)),
        (
            "call.transfer",
            {"to_queue": "sales"},
            lambda c, a: events.TransferCall(call=c, agent=a, to_queue="sales"),
        ),
        (
            "call.consult",
            {"colleague": "b"},
            lambda c, a: events.ConsultColleague(call=c, agent=a, colleague="b"),
        ),
        (
            "call.consult",
            {"to": "0912 123 4567"},
            lambda c, a: events.ConsultNumber(call=c, agent=a, to="0912 123 4567"),
        ),
        (
            "call.transfer",
            {"to_number": "+989121234567"},
            lambda c, a: events.TransferCall(call=c, agent=a, to_number="+989121234567"),
        ),
        ("call.conference", {}, lambda c, a: events.BeginConference(call=c, agent=a)),
        (
            "call.swap",
            {"to": "customer"},
            lambda c, a: events.SwapConsultation(call=c, agent=a, to="customer"),
        ),
        (
            "call.keys",
            {"keys": "12#"},
            lambda c, a: events.PressKeys(call=c, agent=a, keys="12#"),
        ),
    ],
)
def test_an_order_goes_to_telephony_by_socket_and_by_request(
    world: World, event: str, body: dict[str, Any], order: Callable[[str, str], Any]
) -> None:
    browser = world.client("agent")
    client = tab(world, browser)
    world.telephony.orders.clear()
    assert ask(client, event, {"call": "c1", **body})["ok"] is True
    answer = browser.post(f"/calls/c1/{event.removeprefix('call.')}", body)
    assert answer.status_code == 200
    wanted = order("c1", world.people["agent"])
    assert world.telephony.orders == [wanted, wanted]


@pytest.mark.parametrize(
    ("error", "slug", "status"),
    [
        (CallGone("the caller hung up"), "call-gone", 409),
        (NoAudioLeg("connect audio first"), "no-audio-leg", 409),
        (Unavailable("telephony is not running"), "unavailable", 503),
    ],
)
def test_what_telephony_refuses_comes_back_as_a_problem(
    world: World, error: Exception, slug: str, status: int
) -> None:
    browser = world.client("agent")
    client = tab(world, browser)
    world.telephony.refuse = error
    answer = ask(client, "call.answer", {"call": "c1"})
    assert answer["ok"] is False
    assert answer["problem"]["type"] == f"urn:callcenter:problem:{slug}"
    request = browser.post("/calls/c1/answer")
    assert request.status_code == status
    assert request.get_json() == answer["problem"]


def test_states_and_audio_go_to_telephony(world: World) -> None:
    client = tab(world, world.client("agent"))
    agent = world.people["agent"]
    assert ask(client, "agent.state", {"state": "available"})["state"] == "available"
    assert ask(client, "agent.state", {"state": "break", "reason": "lunch"})["ok"]
    assert [(o.state, o.reason) for o in world.telephony.told(events.SetAgentState)] == [
        ("available", None),
        ("break", "lunch"),
    ]
    answer = ask(client, "rtc.offer", {"sdp": "v=0 offer", "type": "offer"})
    assert answer == {"ok": True, "sdp": "v=0 answer", "type": "answer"}
    assert world.telephony.told(events.OfferAudio) == [
        events.OfferAudio(agent=agent, sdp="v=0 offer")
    ]
    assert ask(client, "wrap_up.extend", {"seconds": 30})["ok"]


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("resume", {"last_seq": "1"}),
        ("resume", {"last_seq": -1}),
        ("resume", {"last_seq": True}),
        ("pop.seen", {}),
        ("call.answer", {}),
        ("call.answer", {"call": 7}),
        ("call.answer", {"call": "x" * 65}),
        ("call.transfer", {"call": "c1"}),
        ("call.consult", {"call": "c1"}),
        ("call.consult", {"call": "c1", "colleague": "b", "to": "02188888888"}),
        ("call.consult", {"call": "c1", "to": "1" * 65}),
        ("call.transfer", {"call": "c1", "to_queue": "q", "to_number": "+9821"}),
        ("call.transfer", {"call": "c1", "to_agent": 7}),
        ("call.swap", {"call": "c1"}),
        ("call.swap", {"call": "c1", "to": "nobody"}),
        ("call.keys", {"call": "c1"}),
        ("call.keys", {"call": "c1", "keys": "12A"}),
        ("call.keys", {"call": "c1", "keys": "1" * 33}),
        ("call.consult", {"call": "c1", "colleague": 7}),
        ("call.transfer", {"call": "c1", "to_agent": "a", "to_queue": "q"}),
        ("agent.state", {"state": "ringing"}),
        ("agent.state", {"state": "break", "reason": "x" * 201}),
        ("rtc.offer", {"sdp": "x", "type": "answer"}),
        ("wrap_up.extend", {"seconds": 0}),
        ("resume", [1]),
    ],
)
def test_a_wrong_message_is_answered_with_what_is_wrong(
    world: World, event: str, body: Any
) -> None:
    answer = ask(tab(world, world.client("agent")), event, body)
    assert answer["ok"] is False
    assert answer["problem"]["status"] == 422
    assert answer["problem"]["errors"] != []


def test_a_flood_of_messages_is_limited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tab(world, world.client("agent"))
    monkeypatch.setattr(sockets, "_PER_SECOND", 0.0)  # however slow the machine is
    answers = [ask(client, "pop.seen", {"seq": 1}) for _ in range(300)]
    refused = [answer for answer in answers if not answer["ok"]]
    assert refused
    assert {answer["problem"]["status"] for answer in refused} == {429}


def test_who_takes_no_calls_orders_nothing_by_socket(world: World) -> None:
    client = tab(world, world.client("auditor"))
    for event in ("call.answer", "agent.state", "rtc.offer"):
        assert ask(client, event, {"call": "c1"})["problem"]["status"] == 403
    assert world.telephony.orders == []


def test_nobody_connects_without_signing_in(world: World) -> None:
    client = world.runtime.socketio.test_client(world.app)
    assert not client.is_connected()


def test_the_first_tab_seats_the_agent_and_the_last_unseats_after_the_grace(
    world: World, wait_until: Callable[..., Any]
) -> None:
    browser = world.client("agent")
    agent = world.people["agent"]
    one, two = tab(world, browser), tab(world, browser)
    assert {order.agent for order in world.telephony.told(events.SeatAgent)} == {agent}
    one.disconnect()
    world.runtime.sockets.tick()
    two.disconnect()
    world.runtime.sockets.tick()
    assert world.telephony.told(events.UnseatAgent) == []
    back = tab(world, browser)
    back.disconnect()

    def unseated() -> Any:
        world.runtime.sockets.tick()
        return world.telephony.told(events.UnseatAgent)

    wait_until(unseated, "the end of the grace")
    assert unseated() == [events.UnseatAgent(agent=agent, reason="lost")]


def test_signing_out_cuts_the_sockets_and_unseats_at_once(world: World) -> None:
    browser = world.client("agent")
    client = tab(world, browser)
    assert browser.send("DELETE", "/session").status_code == 204
    assert not client.is_connected()
    assert world.telephony.told(events.UnseatAgent) == [
        events.UnseatAgent(agent=world.people["agent"], reason="signed_out")
    ]


def test_after_a_restart_of_telephony_everybody_is_seated_again(world: World) -> None:
    client = tab(world, world.client("agent"))
    agent = world.people["agent"]
    for state in ("available", "on_call"):
        world.happens(events.AgentStateChanged(agent=agent, state=state, previous="offline"))
    world.telephony.orders.clear()
    got(client)
    world.runtime.sockets.seat_all()
    seats = world.telephony.told(events.SeatAgent)
    assert [(one.agent, one.state) for one in seats] == [(agent, "available")]
    assert [payload["kind"] for _, payload in got(client, "notice")] == ["audio-lost"]


def test_without_telephony_everything_else_works(world: World) -> None:
    world.bus.close()
    browser = world.client("agent")
    client = tab(world, browser)
    assert ask(client, "agent.state", {"state": "available"})["problem"]["status"] == 503
    assert ask(client, "resume", {"last_seq": 0})["ok"]
    assert browser.get("/customers").status_code == 200
    assert [q["waiting"] for q in browser.get("/queues").get_json()["items"]] == [0]
    assert {a["state"] for a in browser.get("/agents").get_json()["items"]} == {"offline"}


def test_the_follower_delivers_and_the_floor_is_told_at_most_once_a_second(
    world: World, wait_until: Callable[..., Any]
) -> None:
    client = tab(world, world.client("supervisor"))
    mine = tab(world, world.client("agent"))
    got(client), got(mine)
    world.runtime.follower.start()
    try:
        call = world.call()
        offer = events.AgentOffered(
            call=call, agent=world.people["agent"], queue="support", attempt=1
        )
        EventLog(world.engine).append(offer)
        world.bus.publish(events.LogAdvanced(position=2))
        pops = wait_until(lambda: got(mine, "call.ringing"), "the pop")
        assert len(pops) == 1
        for _ in range(20):
            world.bus.publish(events.FloorChanged())
        floors = wait_until(lambda: got(client, "floor"), "the floor")
        assert len(floors) <= 2
        assert [queue["name"] for queue in floors[0][1]["queues"]] == ["support"]
    finally:
        world.runtime.follower.stop()


def test_nothing_undeclared_leaves() -> None:
    with pytest.raises(ValidationError):
        Caption(  # type: ignore[call-arg]
            call="c", leg="agent", kind="final", id="u", text="", t0=0, t1=0, secret="x"
        )
    assert Ringing.model_config["extra"] == "forbid"


# --- A colleague who is asked ------------------------------------------------------------------


def asked(world: World) -> tuple[str, dict[str, Any]]:
    """A call of the agent's, who asks the other one: the call, and the ids of both."""
    agent, other = world.people["agent"], world.people["other"]
    call = world.call(agent=agent)
    whom: dict[str, Any] = {"agent": agent, "colleague": other}
    world.happens(
        events.CallHeld(call=call, by="agent"),
        events.ConsultationOffered(call=call, **whom),
    )
    return call, whom


def test_a_colleague_sees_who_the_customer_is_and_who_asks(world: World) -> None:
    world.client("agent").post(
        "/customers", {"name": "Sara", "phones": [{"number": "0912 123 4567", "region": "IR"}]}
    )
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call, whom = asked(world)
    ((_, pop),) = got(theirs)
    assert pop["call"]["id"] == call
    assert (pop["call"]["state"], pop["call"]["agent"]) == ("ringing", whom["colleague"])
    assert pop["matches"][0]["customer"]["name"] == "Sara"
    assert pop["asked_by"]["id"] == whom["agent"]
    assert pop["interaction"] is None  # the note is not theirs to write
    (now,) = [body for name, body in got(mine) if name == "call.consultation"]
    assert (now["state"], now["colleague"]["id"]) == ("ringing", whom["colleague"])
    assert now["colleague"]["name"]

    world.happens(events.ConsultationAnswered(call=call, **whom))
    told = got(theirs)
    assert [name for name, _ in told] == ["call.consultation", "call.updated"]
    assert [body["state"] for _, body in told[:1]] == ["talking"]
    assert told[1][1]["call"]["state"] == "talking"
    assert [body["state"] for name, body in got(mine) if name == "call.consultation"] == ["talking"]

    world.happens(
        events.CallResumed(call=call, by="agent"), events.ConferenceBegan(call=call, **whom)
    )
    assert [body["state"] for _, body in got(theirs)] == ["joined"]
    assert [body.get("state") for _, body in got(mine)] == [None, "joined"]

    world.happens(events.ConsultationEnded(call=call, reason="left", **whom))
    assert [(name, body["reason"]) for name, body in got(theirs)] == [
        ("call.consultation", "left"),
        ("call.ended", "consulted"),
    ]
    ((name, body),) = got(mine)
    assert (name, body["state"], body["reason"]) == ("call.consultation", "ended", "left")


def test_both_are_told_who_waits(world: World) -> None:
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call, whom = asked(world)
    world.happens(events.ConsultationAnswered(call=call, **whom))
    got(mine), got(theirs)
    world.happens(
        events.ConsultationHeld(call=call, **whom), events.CallResumed(call=call, by="agent")
    )
    assert [body["state"] for _, body in got(theirs)] == ["held"]
    assert [body.get("state") or body["call"]["state"] for _, body in got(mine)] == [
        "held",
        "talking",
    ]
    world.happens(
        events.CallHeld(call=call, by="agent"), events.ConsultationResumed(call=call, **whom)
    )
    assert [body["state"] for _, body in got(theirs)] == ["talking"]
    assert [body.get("state") or body["call"]["state"] for _, body in got(mine)] == [
        "held",
        "talking",
    ]


def test_whoever_the_call_is_handed_over_to_writes_its_note(world: World) -> None:
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call, whom = asked(world)
    agent, other = whom["agent"], whom["colleague"]
    world.happens(events.ConsultationAnswered(call=call, **whom))
    got(mine), got(theirs)
    world.happens(
        events.ConsultationEnded(call=call, reason="handed_over", **whom),
        events.CallTransferred(call=call, from_agent=agent, to_agent=other, to_queue="support"),
        events.CallQueued(call=call, queue="support", position=1),
        events.AgentOffered(call=call, agent=other, queue="support", attempt=2),
        events.CallAnswered(call=call, agent=other, queue="support", wait_seconds=1.0),
    )
    told = got(theirs)
    assert [name for name, _ in told] == ["call.consultation", "call.ringing", "call.updated"]
    assert told[1][1]["interaction"] == told[2][1]["interaction"] is not None
    assert told[1][1]["asked_by"] is None
    assert "call.ended" in [name for name, _ in got(mine)]
    page = world.client("other").get("/interactions", query_string={"limit": 5}).get_json()
    assert call in [row["call_id"] for row in page["items"]]


@pytest.mark.parametrize(
    ("state", "shown"),
    [("ringing", "ringing"), ("talking", "call"), ("held", "call"), ("joined", "call")],
)
def test_a_page_that_is_loaded_anew_knows_who_is_asked(
    world: World, state: str, shown: str
) -> None:
    call, whom = asked(world)
    view = {
        "id": call,
        "state": "held",
        "agent": whom["agent"],
        "consultation": {"colleague": whom["colleague"], "state": state},
    }
    world.telephony.floor["calls"] = [view]
    ack = ask(tab(world, world.client("other")), "resume", {"last_seq": None})
    assert ack[shown]["call"]["id"] == call
    assert ack[shown]["asked_by"]["id"] == whom["agent"]
    assert ack["consultation"]["state"] == state
    assert ack["call" if shown == "ringing" else "ringing"] is None
    ack = ask(tab(world, world.client("agent")), "resume", {"last_seq": None})
    assert ack["call"]["call"]["state"] == "held"
    assert ack["consultation"]["colleague"]["id"] == whom["colleague"]
    ack = ask(tab(world, world.client("supervisor")), "resume", {"last_seq": None})
    assert (ack["call"], ack["ringing"], ack["consultation"]) == (None, None, None)


def speaks(world: World, call: str, utterance: str, text: str = "my order") -> None:
    """The customer says something: it grows, then it is a sentence."""
    said: dict[str, Any] = {
        "call": call, "utterance": utterance, "leg": "customer", "text": text, "t0": 1.0, "t1": 2.0,
    }  # fmt: skip
    world.runtime.live.caption(events.CaptionHeard(**said), "partial")
    world.happens(events.UtteranceHeard(**said, language="en", engine="vosk"))


def captions(client: Any) -> list[tuple[str, str]]:
    """What was told as captions: which sentence, growing or final."""
    return [(body["id"], body["kind"]) for _, body in got(client, "caption")]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("reason", ["left", "returned", "unreachable"])
def test_a_colleague_reads_what_is_said_from_the_answer_until_they_leave(
    world: World, joined: bool, reason: Any
) -> None:
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    boss = tab(world, world.client("supervisor"))
    call, whom = asked(world)
    speaks(world, call, "u1")  # it rings: whose call it is does not matter yet
    assert (captions(mine), captions(theirs)) == ([("u1", "partial"), ("u1", "final")], [])
    world.happens(events.ConsultationAnswered(call=call, **whom))
    speaks(world, call, "u2")
    assert captions(theirs) == captions(mine) == [("u2", "partial"), ("u2", "final")]
    world.happens(events.ConsultationHeld(call=call, **whom))
    speaks(world, call, "u2h")
    assert captions(theirs) == captions(mine) == [("u2h", "partial"), ("u2h", "final")]
    world.happens(events.ConsultationResumed(call=call, **whom))
    if joined:
        world.happens(
            events.CallResumed(call=call, by="agent"), events.ConferenceBegan(call=call, **whom)
        )
        speaks(world, call, "u3")
        assert captions(theirs) == captions(mine) == [("u3", "partial"), ("u3", "final")]
    world.happens(events.ConsultationEnded(call=call, reason=reason, **whom))
    speaks(world, call, "u4")
    assert (captions(mine), captions(theirs)) == ([("u4", "partial"), ("u4", "final")], [])
    assert captions(boss) == []


def test_whoever_handed_a_call_over_reads_no_more_and_the_colleague_does(world: World) -> None:
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call, whom = asked(world)
    agent, other = whom["agent"], whom["colleague"]
    world.happens(
        events.ConsultationAnswered(call=call, **whom),
        events.ConsultationEnded(call=call, reason="handed_over", **whom),
        events.CallTransferred(call=call, from_agent=agent, to_agent=other, to_queue="support"),
        events.CallQueued(call=call, queue="support", position=1),
        events.AgentOffered(call=call, agent=other, queue="support", attempt=2),
        events.CallAnswered(call=call, agent=other, queue="support", wait_seconds=1.0),
    )
    speaks(world, call, "u1")
    assert (captions(mine), captions(theirs)) == ([], [("u1", "partial"), ("u1", "final")])


def test_a_colleague_is_shown_what_was_said_before_and_nothing_once_they_left(
    world: World,
) -> None:
    theirs, third = tab(world, world.client("other")), tab(world, world.client("supervisor"))
    call, whom = asked(world)
    speaks(world, call, "u1", "my order is late")

    def answers() -> Any:
        answer = ask(theirs, "call.captions", {"call": call})
        return answer["items"] if answer["ok"] else answer["problem"]["status"]

    assert answers() == 404
    world.happens(events.ConsultationAnswered(call=call, **whom))
    assert answers() == [
        {
            "call": call, "leg": "customer", "kind": "final", "id": "u1",
            "text": "my order is late", "t0": 1.0, "t1": 2.0, "masks": [],
        }
    ]  # fmt: skip
    assert ask(third, "call.captions", {"call": call})["problem"]["status"] == 404
    interaction = f"/interactions/{world.interaction(call)}"
    assert world.client("other").get(f"{interaction}/transcript").status_code == 404
    world.happens(events.ConsultationEnded(call=call, reason="left", **whom))
    assert answers() == 404
    assert ask(theirs, "call.captions", {"call": "no call"})["problem"]["status"] == 404


def test_a_colleague_reads_no_more_where_nobody_says_that_they_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fact is in the log, another process has not applied it yet, or its signal was lost."""
    monkeypatch.setattr(hearers, "COLLEAGUE_SECONDS", 0.0)
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call, whom = asked(world)
    world.happens(events.ConsultationAnswered(call=call, **whom))
    heard = events.CaptionHeard(
        call=call, utterance="u1", leg="customer", text="my", t0=1.0, t1=1.5
    )
    world.runtime.live.caption(heard, "partial")
    EventLog(world.engine).append(events.ConsultationEnded(call=call, reason="left", **whom))
    world.runtime.live.caption(heard, "partial")
    assert (len(captions(mine)), len(captions(theirs))) == (2, 1)


def test_what_was_looked_up_while_a_colleague_left_is_not_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, whom = asked(world)
    world.happens(events.ConsultationAnswered(call=call, **whom))
    known = hearers.Hearers(world.runtime.live._parts)
    real = hearers.colleague_of

    def leaves_meanwhile(session: Session, call: str) -> str | None:
        found = real(session, call)
        known.follow(events.ConsultationEnded(call=call, reason="left", **whom))
        return found

    monkeypatch.setattr(hearers, "colleague_of", leaves_meanwhile)
    assert known.of(call) == {whom["agent"], whom["colleague"]}
    monkeypatch.setattr(hearers, "colleague_of", lambda session, call: None)
    assert known.of(call) == {whom["agent"]}


# --- Somebody outside who is asked -------------------------------------------------------------

OUTSIDE = "+989127654321"


def asked_outside(world: World) -> tuple[str, dict[str, Any]]:
    """A call of the agent's, who asks at a number outside and is answered."""
    agent = world.people["agent"]
    call = world.call(agent=agent)
    whom: dict[str, Any] = {"agent": agent, "colleague": "", "number": OUTSIDE}
    world.happens(
        events.CallHeld(call=call, by="agent"),
        events.ConsultationOffered(call=call, **whom, outside="o1", trunk="provider"),
        events.ConsultationAnswered(call=call, **whom, outside="o1"),
    )
    return call, whom


def test_only_whoever_asks_is_told_of_a_number_outside(world: World) -> None:
    mine, theirs = tab(world, world.client("agent")), tab(world, world.client("other"))
    call, whom = asked_outside(world)
    world.happens(
        events.ConsultationHeld(call=call, **whom),
        events.ConsultationResumed(call=call, **whom),
        events.ConferenceBegan(call=call, **whom),
        events.ConsultationEnded(call=call, **whom, outside="o1", reason="limit"),
    )
    told = [body for _, body in got(mine, "call.consultation")]
    assert [body["state"] for body in told] == [
        *("ringing", "talking", "held", "talking", "joined", "ended"),
    ]
    assert {(body["number"], body["colleague"]) for body in told} == {(OUTSIDE, None)}
    assert told[-1]["reason"] == "limit"
    assert got(theirs) == []


def test_a_call_that_was_handed_over_outside_is_read_by_nobody(world: World) -> None:
    """Its note stays with the agent, its captions do not."""
    mine = tab(world, world.client("agent"))
    call, whom = asked_outside(world)
    speaks(world, call, "u1")
    assert captions(mine) == [("u1", "partial"), ("u1", "final")]
    world.happens(
        events.ConsultationEnded(call=call, **whom, outside="o1", reason="handed_over"),
        events.CallTransferred(
            call=call, from_agent=whom["agent"], to_number=OUTSIDE, outside="o1"
        ),
    )
    told = got(mine, "call.ended")
    assert [(name, body["reason"]) for name, body in told] == [("call.ended", "transferred")]
    speaks(world, call, "u2")
    assert captions(mine) == []
    assert ask(mine, "call.captions", {"call": call})["problem"]["status"] == 404
    world.happens(events.CallEnded(call=call, reason="completed", by="customer"))
    shown = world.client("agent").get(f"/interactions/{world.interaction(call)}").get_json()
    assert (shown["agent"]["username"], shown["outcome"]) == ("agent", "completed")


def test_a_page_that_is_loaded_anew_knows_the_number_that_is_asked(world: World) -> None:
    call, whom = asked_outside(world)
    view = {"id": call, "state": "held", "agent": whom["agent"]}
    world.telephony.floor["calls"] = [
        {**view, "consultation": {"number": OUTSIDE, "state": "talking"}}
    ]
    ack = ask(tab(world, world.client("agent")), "resume", {"last_seq": None})
    now = ack["consultation"]
    assert (now["number"], now["colleague"], now["state"]) == (OUTSIDE, None, "talking")
    ack = ask(tab(world, world.client("other")), "resume", {"last_seq": None})
    assert (ack["call"], ack["consultation"]) == (None, None)


def test_who_may_not_place_calls_asks_nobody_outside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(permissions.TABLE, Permission.CALLS_PLACE, {})
    browser = world.client("agent")
    body = {"to": "0912 123 4567"}
    assert browser.post("/calls/c1/consult", body).status_code == 403
    answer = ask(tab(world, browser), "call.consult", {"call": "c1", **body})
    assert answer["problem"]["status"] == 403
    assert world.telephony.told(events.ConsultNumber) == []


def test_a_number_that_may_not_be_called_says_why(world: World) -> None:
    browser = world.client("agent")
    world.telephony.refuse = OutboundNight("nobody is called at this time of day")
    answer = browser.post("/calls/c1/consult", {"to": "0912 123 4567"})
    assert (answer.status_code, answer.get_json()["type"]) == (
        *(403, "urn:callcenter:problem:outbound-night"),
    )
    assert browser.post("/calls/c1/consult", {"to": ""}).status_code == 422
    assert browser.post("/calls/c1/consult", {}).status_code == 422

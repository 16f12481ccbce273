"""A BYE of a process that never saw the call, from what the killed one had kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sip_bench import FLOW, OFFER, Scene, messages, request, statuses, tokens

from callcenter.errors import SipFailure
from callcenter.telephony.sip.actions import Send
from callcenter.telephony.sip.farewell import AHEAD, memo_of, read_memo
from callcenter.telephony.sip.message import Request, Response, respond
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.useragent import UserAgent

ROUTES = "Record-Route: <sip:192.0.2.77;lr>, <sip:192.0.2.78;lr>\r\n"


def kept(scene: Scene) -> dict[str, Any]:
    """What the killed process wrote, as the database gives it back."""
    memo: dict[str, Any] = json.loads(json.dumps(memo_of(scene.call.dialog, scene.call.flow)))
    return memo


class Reborn:
    """A user agent that was started anew."""

    def __init__(self, memo: dict[str, Any]) -> None:
        self.ua, self.ends = UserAgent(tokens(9000)), list[int | None]()
        self.said = self.ua.say_goodbye(read_memo(memo), 0.0, self.ends.append)

    def bye(self) -> Request:
        (message,) = messages(self.said)
        assert isinstance(message, Request)
        return message


def test_the_bye_is_the_one_that_the_killed_process_would_have_sent() -> None:
    scene = Scene()
    scene.talking(extra=ROUTES)
    bye = Reborn(kept(scene)).bye()
    own = next(m for m in messages(scene.ua.hang_up(scene.call, scene.now)) if m.method == "BYE")  # type: ignore[union-attr]
    assert isinstance(own, Request)
    assert bye.uri == own.uri == "sip:caller@192.0.2.20:5060"
    for name in ("From", "To", "Call-ID", "Route"):
        assert bye.headers.all(name) == own.headers.all(name)
    assert bye.headers.all("Route") == ["<sip:192.0.2.77;lr>", "<sip:192.0.2.78;lr>"]
    assert bye.cseq.number == own.cseq.number + AHEAD
    assert bye.via.branch != own.via.branch


def test_it_ends_the_call_of_a_peer_that_knows_our_earlier_requests() -> None:
    """The other side is our own core: it takes the BYE as within the dialog, in order."""
    scene = Scene()
    scene.talking()
    scene.within("UPDATE", 5, body=OFFER, extra="")
    (bye,) = [a.data for a in Reborn(kept(scene)).said if isinstance(a, Send)]
    assert b"\r\nCSeq: 1001 BYE\r\n" in bye


def test_it_is_repeated_until_it_is_answered() -> None:
    scene = Scene()
    scene.talking()
    reborn = Reborn(kept(scene))
    assert reborn.said[0].flow == FLOW  # type: ignore[union-attr]
    assert statuses(reborn.ua.poll(0.4)) == []
    assert statuses(reborn.ua.poll(0.5)) == ["BYE"]
    assert statuses(reborn.ua.poll(1.5)) == ["BYE"]
    assert reborn.ends == []
    answer = respond(reborn.bye(), 200, tag="")
    reborn.ua.receive(bytes(answer), FLOW, 1.6)
    assert reborn.ends == [200]
    assert reborn.ua.poll(20.0) == []
    assert reborn.ends == [200]


def test_a_peer_that_knows_nothing_of_it_any_more_ends_it_too() -> None:
    scene = Scene()
    scene.talking()
    reborn = Reborn(kept(scene))
    stranger = UserAgent(tokens(1))
    (answer,) = messages(stranger.receive(bytes(reborn.bye()), FLOW, 0.0))
    assert isinstance(answer, Response)
    reborn.ua.receive(bytes(answer), FLOW, 0.1)
    assert reborn.ends == [481]


def test_nobody_answers_and_it_is_given_up_after_64_t1() -> None:
    scene = Scene()
    scene.talking()
    reborn = Reborn(kept(scene))
    now = 0.0
    while (due := reborn.ua.next_deadline()) is not None:
        now = due
        reborn.ua.poll(now)
    assert (reborn.ends, now) == ([None], 32.0)


def test_a_memo_that_another_version_wrote_is_refused_with_a_sentence() -> None:
    with pytest.raises(SipFailure, match="memo"):
        read_memo({"call_id": "x"})
    scene = Scene()
    scene.talking()
    with pytest.raises(SipFailure, match="memo"):
        Reborn(kept(scene) | {"remote_target": "no uri at all"})


def test_the_peers_new_target_and_way_are_in_the_memo() -> None:
    scene = Scene()
    scene.talking()
    moved = request("INVITE", cseq=2, branch="re", to_tag=scene.tag(), body=OFFER)
    moved = moved.replace(b"<sip:caller@192.0.2.20:5060>", b"<sip:caller@192.0.2.20:7070>")
    scene.send(moved)
    assert Reborn(kept(scene)).bye().uri == "sip:caller@192.0.2.20:7070"
    assert isinstance(parse(bytes(Reborn(kept(scene)).bye())), Request)

"""Whereto a call may be passed on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from callcenter.config import Line, Queue
from callcenter.errors import Conflict
from callcenter.events import TransferCall
from callcenter.telephony.acd.agent import AgentState
from callcenter.telephony.acd.floor import Floor, Seat
from callcenter.telephony.ports import DialogCall
from callcenter.telephony.targets import demand_target, referred_to

LINES = [Line(number="100", queue="support"), Line(number="*", queue="support")]


@dataclass
class Wish:
    user: str
    attended: bool = False

    def replaces(self, call: DialogCall) -> bool:
        return False

    def report(self, status: int) -> None:
        raise AssertionError("whoever asks reports")


@pytest.fixture
def floor() -> Floor:
    made = Floor({"support": Queue(name="support")})
    for agent, extension, name in (("a", "201", "available"), ("b", "202", "break")):
        state = AgentState(name=name, since=0.0)  # type: ignore[arg-type]
        made.seats[agent] = Seat(agent, f"user-{agent}", extension, "en", state)
    return made


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ("100", (200, "support", None)),
        ("support", (200, "support", None)),
        ("201", (200, None, "a")),
        ("user-a", (200, None, "a")),
        ("202", (480, None, "b")),
        ("*", (404, None, None)),
        ("+989120000000", (404, None, None)),
    ],
)
def test_a_refer_leads_to_a_line_a_queue_or_an_agent_who_is_free(
    floor: Floor, user: str, found: tuple[int, str | None, str | None]
) -> None:
    assert referred_to(Wish(user), LINES, floor) == found
    assert referred_to(Wish(user, attended=True), LINES, floor) == (501, None, None)


def test_a_transfer_names_one_target_that_is_there(floor: Floor) -> None:
    def order(**to: str) -> TransferCall:
        return TransferCall(call="c", agent="x", **to)

    demand_target(order(to_agent="a"), floor)
    demand_target(order(to_queue="support"), floor)
    for wrong, why in (
        (order(), "either an agent or a queue"),
        (order(to_agent="a", to_queue="support"), "either an agent or a queue"),
        (order(to_queue="sales"), "no such queue"),
        (order(to_agent="b"), "not available"),
        (order(to_agent="nobody"), "not available"),
    ):
        with pytest.raises(Conflict, match=why):
            demand_target(wrong, floor)

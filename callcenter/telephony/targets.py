"""Whereto a call may be passed on: by an agent's click, or by a telephone's REFER. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from callcenter.config import Line
from callcenter.errors import Conflict
from callcenter.events import TransferCall
from callcenter.telephony.acd.floor import Floor
from callcenter.telephony.ports import Referral


def demand_target(command: TransferCall, floor: Floor) -> None:
    """Raises Conflict where the transfer could not work."""
    if (command.to_agent is None) == (command.to_queue is None):
        raise Conflict("name either an agent or a queue to transfer to")
    if command.to_queue is not None and command.to_queue not in floor.queues:
        raise Conflict("there is no such queue")
    if command.to_agent is not None:
        seat = floor.seats.get(command.to_agent)
        if seat is None or seat.state.name != "available":
            raise Conflict("that agent is not available")


def referred_to(
    referral: Referral, lines: Iterable[Line], floor: Floor
) -> tuple[int, str | None, str | None]:
    """The status of the target, and the queue or the agent that it is: a number, a queue, or an
    agent by extension or user name."""
    user = referral.user
    if referral.attended:
        return 501, None, None
    line = next((one for one in lines if one.number == user), None)
    if line and line.number != "*":
        return 200, line.queue, None
    if user in floor.queues:
        return 200, user, None
    seat = floor.seat_called(user)
    if seat is None:
        return 404, None, None
    return 200 if seat.state.name == "available" else 480, None, seat.agent

"""Agents as they are now, and my own state."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.web import auth, floor, orders
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.prose import Short
from callcenter.web.shapes import AgentView, In, View

blueprint = APIBlueprint("agents", __name__, tag="Floor")


class StateIn(In):
    """The state that an agent chooses; during a call it is the one after it."""

    state: Literal["available", "break", "training", "back_office", "offline"]
    reason: Short | None = None


class DeviceIn(In):
    """What an agent talks by, from the next call on."""

    device: Literal["browser", "phone"]


class WrapUpIn(In):
    """How much longer the work after the call takes."""

    seconds: float = Field(30, gt=0, le=600)


class Agents(View):
    """Everybody who can take calls."""

    items: list[AgentView]


@blueprint.get("/agents")
@blueprint.output(Agents)
@auth.requires(Permission.FLOOR_READ)
def index() -> Any:
    """Agents with their states; all offline while telephony does not answer."""
    return {"items": floor.agents(services(), floor.ask(services()))}


@blueprint.post("/agents/me/state")
@blueprint.input(StateIn, location="json", arg_name="body")
@blueprint.output(AgentView)
@auth.requires(Permission.CALLS_TAKE)
def set_state(body: StateIn) -> Any:
    """Choose my state."""
    answer = orders.set_state(services(), who(), body.model_dump())
    return floor.agent_view(services(), {"agent": who().id, "state": body.state, **answer})


@blueprint.post("/agents/me/device")
@blueprint.doc(responses={409: "no desk phone is set up for this agent"})
@blueprint.input(DeviceIn, location="json", arg_name="body")
@blueprint.output(AgentView)
@auth.requires(Permission.CALLS_TAKE)
def set_device(body: DeviceIn) -> Any:
    """Choose browser or desk phone for my next calls."""
    answer = orders.set_device(services(), who(), body.model_dump())
    return floor.agent_view(services(), {"agent": who().id, **answer})


@blueprint.post("/agents/me/wrap-up")
@blueprint.input(WrapUpIn, location="json", arg_name="body")
@blueprint.output(AgentView)
@auth.requires(Permission.CALLS_TAKE)
def extend(body: WrapUpIn) -> Any:
    """More time for the work after the call."""
    answer = orders.extend_wrap_up(services(), who(), body.model_dump())
    return floor.agent_view(services(), {"agent": who().id, "state": "wrap_up", **answer})

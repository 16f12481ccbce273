"""Call control: each order goes to telephony, which knows whose call it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.crm import diagnosis
from callcenter.events import RecordingAction, SwapTarget
from callcenter.log import EventLog
from callcenter.web import auth, orders, records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.shapes import Id, In, LanguageName, Moment, PersonView, View

blueprint = APIBlueprint("calls", __name__, tag="Calls")


class Transfer(In):
    """Where the call goes: to an agent (a user's id), a queue (its name), or the number outside
    that I asked and that answered (E.164)."""

    to_agent: Id | None = None
    to_queue: Id | None = None
    to_number: str | None = Field(default=None, min_length=1, max_length=64)


class Asking(In):
    """Whom I ask: the id of a colleague who is free, or a number outside as people write it."""

    colleague: Id | None = None
    to: str | None = Field(default=None, min_length=1, max_length=64)


class Swap(In):
    """To whom I go; the other one hears music."""

    to: SwapTarget


class Keys(In):
    """Keys of a telephone, pressed one after the other."""

    keys: str = Field(pattern=r"^[0-9*#]{1,32}$")


class RecordingOrder(In):
    """What is to be done; start and stop only where the policy is on_demand."""

    action: RecordingAction
    cause: Literal["button", "api", "form"] = "api"


class Reading(In):
    """The code of a complaint, as it is to be heard."""

    code: str = Field(min_length=1, max_length=16)


class Done(View):
    """Telephony carried the order out; `call` is its view of the call where it gives one."""

    ok: bool = True
    call: dict[str, Any] | None = None


class StepView(View):
    """Something that happened to the call; `ms` since it rang. `detail` is a code or a name."""

    code: str
    at: Moment
    ms: float
    agent: PersonView | None = None
    detail: str = ""


class StandingView(View):
    """An agent and the call: `offered`, or why it did not ring there; the last pop's times."""

    agent: PersonView | None
    reason: str
    seq: int | None = None
    sent_ms: float | None = None
    seen_ms: float | None = None


class DiagnosisView(View):
    """Why a call popped, or did not."""

    call: str
    verdict: diagnosis.Verdict
    queue: str | None
    steps: list[StepView]
    agents: list[StandingView]


class Dial(In):
    """Whom to call: a number as people write it. `language`: of the captions."""

    to: str = Field(min_length=1, max_length=64)
    language: LanguageName | None = None


@blueprint.post("/calls")
@blueprint.input(Dial, location="json", arg_name="body")
@blueprint.output(Done, status_code=201)
@auth.requires(Permission.CALLS_PLACE)
def dial(body: Dial) -> Any:
    """Call somebody on my own leg: 201 with the call, or 403 `outbound-…` where that is denied."""
    return {"ok": True, "call": orders.dial(services(), who(), body.model_dump())}


@blueprint.get("/calls/<id>/diagnosis")
@blueprint.output(DiagnosisView)
@auth.requires(Permission.CALLS_DIAGNOSE)
def why(id: str) -> Any:
    """Why the call popped at whom, or did not: each hop, each agent of its queue."""
    log = EventLog(services().reader)
    with services().reading() as session:
        found = diagnosis.diagnose(session, log, services().settings, id)
        names = records.people(session, found.people)
    return {
        **asdict(found),
        "steps": [{**asdict(step), "agent": names.get(step.agent)} for step in found.steps],
        "agents": [{**asdict(one), "agent": names.get(one.agent)} for one in found.agents],
    }


def _order(action: str, call: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = orders.control(services(), who(), action, {"call": call, **body})
    return {"ok": True, "call": answer or None}


def _route(action: str, sentence: str) -> None:
    def view(id: str) -> Any:
        return _order(action, id, {})

    view.__name__ = action
    view.__doc__ = sentence
    guarded = auth.requires(Permission.CALLS_TAKE)(view)
    blueprint.post(f"/calls/<id>/{action}")(blueprint.output(Done)(guarded))


_route("answer", "Take the call that rings at me.")
_route("reject", "Decline the call that rings at me.")
_route("hold", "Put the customer on hold.")
_route("resume", "Take the customer back; a colleague whom I asked leaves.")
_route("hangup", "End the call; asked by a colleague, leave it.")
_route("conference", "Let the customer hear the colleague whom I asked, and me.")


@blueprint.post("/calls/<id>/transfer")
@blueprint.input(Transfer, location="json", arg_name="body")
@blueprint.output(Done)
@auth.requires(Permission.CALLS_TAKE)
def transfer(id: str, body: Transfer) -> Any:
    """Pass the call on to another agent or a queue; to whom I asked first: hand it over.

    Handed over to a number outside it is nobody's any more, and goes on until one of the two ends.
    """
    return _order("transfer", id, body.model_dump())


@blueprint.post("/calls/<id>/keys")
@blueprint.input(Keys, location="json", arg_name="body")
@blueprint.output(Done)
@auth.requires(Permission.CALLS_TAKE)
def keys(id: str, body: Keys) -> Any:
    """Press keys for a machine at the other end (RFC 4733, or tones where it takes no events)."""
    return _order("keys", id, body.model_dump())


@blueprint.post("/calls/<id>/consult")
@blueprint.input(Asking, location="json", arg_name="body")
@blueprint.output(Done)
@auth.requires(Permission.CALLS_TAKE)
def consult(id: str, body: Asking) -> Any:
    """Ask a colleague, who is rung, or a number outside; the customer is on hold meanwhile.

    409: the colleague is not free. 403 `outbound-…`: the number may not be called by me now.
    """
    return _order("consult", id, body.model_dump())


@blueprint.post("/calls/<id>/swap")
@blueprint.input(Swap, location="json", arg_name="body")
@blueprint.output(Done)
@auth.requires(Permission.CALLS_TAKE)
def swap(id: str, body: Swap) -> Any:
    """Go from the colleague whom I asked to the customer, or back; 409 before they answered."""
    return _order("swap", id, body.model_dump())


@blueprint.post("/calls/<id>/reading")
@blueprint.input(Reading, location="json", arg_name="body")
@blueprint.output(Done)
@auth.requires(Permission.CALLS_TAKE)
def reading(id: str, body: Reading) -> Any:
    """Let the customer of my call hear the code of their complaint; 409 where that cannot be."""
    answer = orders.read_out(services(), who(), {"call": id, "code": body.code})
    return {"ok": True, "call": answer or None}


@blueprint.post("/calls/<id>/recording")
@blueprint.input(RecordingOrder, location="json", arg_name="body")
@blueprint.output(Done)
@auth.requires(Permission.CALLS_TAKE)
def recording(id: str, body: RecordingOrder) -> Any:
    """Start, stop, pause or resume what is kept of my call; 409 where the policy forbids it."""
    answer = orders.recording(services(), who(), body.action, body.cause, {"call": id})
    return {"ok": True, "call": answer or None}

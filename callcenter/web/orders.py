"""Orders of an agent to telephony: the same for the API and for the sockets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

from callcenter.crm.agents import queries as outboxes
from callcenter.crm.complaints.queries import of_call
from callcenter.errors import Conflict, Forbidden, Invalid, Unavailable
from callcenter.events import (
    AgentStateName,
    AnswerCall,
    BeginConference,
    Command,
    ConsultColleague,
    ConsultNumber,
    ControlRecording,
    DialNumber,
    ExtendWrapUp,
    HangUpCall,
    HoldCall,
    OfferAudio,
    PauseCause,
    PressKeys,
    ReadOutCode,
    RecordingAction,
    RejectCall,
    ResumeCall,
    SeatAgent,
    SetAgentState,
    SwapConsultation,
    SwapTarget,
    TransferCall,
)
from callcenter.web import nodes
from callcenter.web.context import Services, Who
from callcenter.web.permissions import Permission

KEYS = "0123456789*#"
CHOSEN = ("available", "break", "training", "back_office", "offline")
_CONTROL: dict[str, type[Any]] = {
    "answer": AnswerCall,
    "reject": RejectCall,
    "hold": HoldCall,
    "resume": ResumeCall,
    "transfer": TransferCall,
    "consult": ConsultColleague,
    "swap": SwapConsultation,
    "conference": BeginConference,
    "keys": PressKeys,
    "hangup": HangUpCall,
}
ACTIONS = tuple(_CONTROL)
Body = dict[str, Any]


def control(parts: Services, person: Who, action: str, body: Body) -> Body:
    """One of ACTIONS on `body["call"]`. Raises what telephony raises, or Unavailable."""
    values: Body = {"call": text(body, "call"), "agent": person.id}
    if action == "transfer":
        names = ("to_agent", "to_queue", "to_number")
        where = {name: text(body, name) for name in names if body.get(name) is not None}
        if len(where) != 1:
            wanted = {"to_agent": "this, to_queue or to_number"}
            raise Invalid("name an agent, a queue or the number that you asked", wanted)
        values |= where
    elif action == "consult" and body.get("to") is not None:
        return _consult_number(parts, person, body)
    elif action == "consult":
        values |= {"colleague": text(body, "colleague")}
    elif action == "swap":
        to = body.get("to")
        if to not in get_args(SwapTarget):
            raise Invalid("say to whom you go", {"to": "is customer or colleague"})
        values |= {"to": to}
    elif action == "keys":
        keys = text(body, "keys", most=32)
        if not set(keys) <= set(KEYS):
            raise Invalid("these are no keys of a telephone", {"keys": "0 to 9, * and #"})
        values |= {"keys": keys}
    command = _CONTROL[action](**values)
    return _send(parts, command, service=nodes.of_call(parts, command.call))


def _consult_number(parts: Services, person: Who, body: Body) -> Body:
    """Ask somebody at the number `body["to"]`, as whoever may place calls may."""
    _demand_places(person)
    if body.get("colleague") is not None:
        raise Invalid("ask a colleague or a number", {"to": "this or colleague"})
    call = text(body, "call")
    command = ConsultNumber(call=call, agent=person.id, to=text(body, "to"))
    return _send(parts, command, timeout=15.0, service=nodes.of_call(parts, call))


def _demand_places(person: Who) -> None:
    if person.scope(Permission.CALLS_PLACE) is None:
        raise Forbidden(f"the role {person.role} places no calls")


def dial(parts: Services, person: Who, body: Body) -> Body:
    """Call `body["to"]` on the agent's own leg → the call. Raises what telephony raises."""
    _demand_places(person)
    seat(parts, person)
    language = body.get("language")
    command = DialNumber(
        agent=person.id,
        to=text(body, "to"),
        language=language if language in ("fa", "he", "en") else None,
    )
    return _send(parts, command, timeout=15.0)


def recording(
    parts: Services, person: Who, action: RecordingAction, cause: PauseCause, body: Body
) -> Body:
    """Start, stop, pause or resume what is kept of my call `body["call"]`."""
    call = text(body, "call")
    command = ControlRecording(call=call, agent=person.id, action=action, cause=cause)
    return _send(parts, command, service=nodes.of_call(parts, call))


def read_out(parts: Services, person: Who, body: Body) -> Body:
    """Let the customer of my call hear the code of a complaint that belongs to it.

    Raises NotFound for a complaint of somebody else, Conflict where nothing can be read out now.
    """
    call = text(body, "call")
    with parts.reading() as session:
        found = of_call(session, text(body, "code"), call)
        complaint, code = found.id, found.code
    command = ReadOutCode(call=call, agent=person.id, complaint=complaint, code=code)
    return _send(parts, command, timeout=15.0, service=nodes.of_call(parts, call))


def set_state(parts: Services, person: Who, body: Body) -> Body:
    """The state that the agent chose; an agent who is not seated yet is seated first."""
    state, reason = text(body, "state"), body.get("reason")
    if state not in CHOSEN:
        raise Invalid("this state cannot be chosen", {"state": f"is one of {', '.join(CHOSEN)}"})
    if reason is not None and (not isinstance(reason, str) or len(reason) > 200):
        raise Invalid("the reason is no short text", {"reason": "at most 200 characters"})
    seat(parts, person)
    return _send(parts, SetAgentState(agent=person.id, state=state, reason=reason))  # type: ignore[arg-type]


def set_device(parts: Services, person: Who, body: Body) -> Body:
    """What the agent's next calls come to: the browser, or the desk phone of the settings."""
    device = body.get("device")
    if device not in ("browser", "phone"):
        raise Invalid("this is no device", {"device": "is browser or phone"})
    if device == "phone" and parts.settings.sip.phone_of(person.username) is None:
        raise Conflict("no desk phone is set up for you; ask whoever looks after this system")
    parts.access.set_device(person, device)
    return seat(parts, person)


def extend_wrap_up(parts: Services, person: Who, body: Body) -> Body:
    """More time after the call."""
    seconds = body.get("seconds", 30)
    if not isinstance(seconds, int | float) or not 0 < seconds <= 600:
        raise Invalid("seconds is no time", {"seconds": "more than 0, at most 600"})
    return _send(parts, ExtendWrapUp(agent=person.id, seconds=float(seconds)))


def offer_audio(parts: Services, person: Who, body: Body) -> Body:
    """The browser's SDP offer → telephony's answer {sdp, type, node}.

    `node`: the telephony node whose call rings; any of them where it is not given or not there.
    """
    sdp = text(body, "sdp", most=60_000)
    if body.get("type", "offer") != "offer":
        raise Invalid("only an offer can be answered", {"type": "is offer"})
    seat(parts, person)
    command = OfferAudio(agent=person.id, sdp=sdp)
    if not parts.alone and body.get("node") is not None:
        with suppress(Unavailable):
            wanted = nodes.named(text(body, "node"))
            return _send(parts, command, timeout=15.0, service=wanted)
    return _send(parts, command, timeout=15.0)


def seat(parts: Services, person: Who, *, again: bool = False) -> Body:
    """The agent's browser is there; repeating it changes nothing.

    `again`: telephony was started anew and has to be told the state in which it left them.
    """
    state, reason = _left_in(parts, person.id) if again else ("offline", None)
    command = SeatAgent(
        state=state,
        reason=reason,
        agent=person.id,
        username=person.username,
        extension=person.extension,
        language=person.language or parts.settings.site.default_language,
        device=parts.access.device_of(person),
    )
    return _send(parts, command)


def _left_in(parts: Services, agent: str) -> tuple[AgentStateName, str | None]:
    """Whoever was in a call was available before: the call ended with the old process."""
    with parts.reading() as session:
        known = outboxes.state_of(session, agent)
    if known is None:
        return "offline", None
    if known.state in ("ringing", "on_call", "wrap_up"):
        return "available", None
    return known.state, known.reason


def _send(
    parts: Services, command: Command, *, timeout: float = 5.0, service: str = nodes.ANY
) -> Body:
    return parts.bus.request(service, command, timeout=timeout)


def text(body: Body, name: str, *, most: int = 64) -> str:
    """`body[name]`, a text of at most `most` characters. Raises Invalid."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise Invalid(f"{name} is missing or no text", {name: f"a text, at most {most} long"})
    return value

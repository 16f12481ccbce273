"""What browsers send over Socket.IO, each acknowledged with {ok: true, …} or {ok: false, problem}.

A connection is authenticated by the session cookie, or by `auth: {token}` with a session's
token. Presence: an agent's first socket seats the agent at telephony; when the last one has
been gone for GRACE seconds the agent is unseated; signing out unseats at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import structlog
from apiflask import APIFlask
from flask import request
from flask_socketio import SocketIO, join_room
from socketio.exceptions import ConnectionRefusedError as Refuse
from sqlalchemy.orm import Session

from callcenter.crm.agents import operations as outbox
from callcenter.crm.agents import queries as outboxes
from callcenter.errors import CallcenterError, Forbidden, Invalid, TooManyTries
from callcenter.events import PauseCause, RecordingAction, UnseatAgent
from callcenter.web import auth, floor, orders
from callcenter.web.context import Services, Who
from callcenter.web.live import (
    ALARM_ROOM,
    FLOOR_ROOM,
    LEAD_ROOM,
    Live,
    agent_room,
    consultation,
    wire,
)
from callcenter.web.permissions import Permission
from callcenter.web.presence import Presence
from callcenter.web.problems import describe

GRACE = 30.0
POP_PATIENCE = 1.0  # seconds that a picture waits for the pop of a call that rings
LARGEST_MESSAGE = 100_000
_BURST, _PER_SECOND = 100.0, 30.0
_LOGGER = structlog.get_logger()
Body = dict[str, Any]
Handle = Callable[["Sockets", "Connection", Body], Body]


@dataclass(slots=True)
class Connection:
    """One tab. `tokens` limits how fast it may send."""

    sid: str
    who: Who
    tokens: float = _BURST
    filled_at: float = field(default_factory=time.monotonic)

    def spend(self) -> None:
        """Take one token. Raises TooManyTries."""
        moment = time.monotonic()
        self.tokens = min(_BURST, self.tokens + (moment - self.filled_at) * _PER_SECOND)
        self.filled_at = moment
        if self.tokens < 1:
            raise TooManyTries("too many messages: slow down", 1.0)
        self.tokens -= 1


def build(app: APIFlask, parts: Services) -> SocketIO:
    """The Socket.IO server joined to the application."""

    def ours(origin: str | None, environ: dict[str, Any]) -> bool:
        with app.request_context(environ):
            return auth.same_origin(request, parts.settings)

    queue: dict[str, Any] = {}
    if not parts.alone:
        from callcenter.redis_bus import prefix_of

        url = parts.settings.bus_url
        queue = {"message_queue": url, "channel": f"{prefix_of(url)}:socketio"}
    return SocketIO(
        app,
        **queue,
        async_mode="threading",
        cors_allowed_origins=ours,
        manage_session=False,
        max_http_buffer_size=LARGEST_MESSAGE,
        ping_interval=10,
        ping_timeout=10,
        logger=False,
        engineio_logger=False,
    )


class Sockets:
    """Who is connected, and what each may order."""

    def __init__(self, parts: Services, socketio: SocketIO, live: Live, *, grace: float = GRACE):
        self._parts = parts
        self._socketio = socketio
        self._live = live
        self._grace = grace
        self._lock = threading.RLock()
        self._connections: dict[str, Connection] = {}
        self._leaving: dict[str, float] = {}
        self.presence = Presence(parts)
        live.connected = self.agents
        socketio.on_event("connect", self._connect)
        socketio.on_event("disconnect", self._disconnect)
        for name, handle in HANDLES.items():
            socketio.on_event(name, self._answering(handle))

    # --- Presence ----------------------------------------------------------------------------

    def agents(self) -> set[str]:
        """Agents who have a browser now."""
        with self._lock:
            return {one.who.id for one in self._connections.values() if _takes_calls(one.who)}

    def people(self) -> list[Who]:
        """The agents, each once."""
        with self._lock:
            found = {one.who.id: one.who for one in self._connections.values()}
        return [who for who in found.values() if _takes_calls(who)]

    def seat_all(self, node: str = "") -> None:
        """Telephony was started anew: seat everybody who is here, and let them offer audio."""
        for who in self.people():
            self._seat(who, again=True)
            self._live.notice("audio-lost", agent=who.id, node=node)

    def expect(self, agents: list[str]) -> None:
        """These are seated; those who do not come within the grace are unseated."""
        with self._lock:
            for agent in set(agents) - self.agents():
                self._leaving.setdefault(agent, time.monotonic() + self._grace)

    def tick(self) -> None:
        """Once a second: unseat who stayed away."""
        moment = time.monotonic()
        with self._lock:
            due = [agent for agent, when in self._leaving.items() if when <= moment]
            for agent in due:
                del self._leaving[agent]
        for agent in due:
            if not self.presence.elsewhere(agent):
                self._unseat(agent, "lost")

    def check_sessions(self) -> None:
        """Cut off sockets whose session is over; an open socket keeps its session alive."""
        with self._lock:
            sessions = {one.who.session for one in self._connections.values()}
        for session in sessions:
            if self._parts.access.alive(session):
                continue
            self.cut(session)

    def cut(self, session: str, *, signed_out: bool = False) -> None:
        """End every socket of a session."""
        with self._lock:
            gone = [one for one in self._connections.values() if one.who.session == session]
        for one in gone:
            self._forget(one.sid)
            self._socketio.server.disconnect(one.sid)
        if not signed_out:
            return
        for who in {one.who.id: one.who for one in gone}.values():
            with self._lock:
                still = who.id in {other.who.id for other in self._connections.values()}
                if not still:
                    self._leaving.pop(who.id, None)
            if not still and _takes_calls(who) and not self.presence.elsewhere(who.id):
                self._unseat(who.id, "signed_out")

    def close(self) -> None:
        """Before the server stops: every browser reconnects to the next one."""
        with self._lock:
            sids = list(self._connections)
        for sid in sids:
            self._socketio.server.disconnect(sid)

    def _connect(self, credentials: Any = None) -> None:
        person = self._identify(credentials)
        if person is None:
            raise Refuse("not-signed-in")
        with self._lock:
            self._connections[request.sid] = Connection(request.sid, person)  # type: ignore[attr-defined]
            self._leaving.pop(person.id, None)
        self._count()
        if _takes_calls(person):
            self._live.joins(person.id)
            self.presence.tell(self.agents())
        join_room(agent_room(person.id))
        if person.scope(Permission.FLOOR_READ):
            join_room(FLOOR_ROOM)
        if person.scope(Permission.ALARMS_READ):
            join_room(ALARM_ROOM)
            if self._parts.short():
                self._live.alarms(to=request.sid)  # type: ignore[attr-defined]
        if person.scope(Permission.OUTBOUND_WATCH):
            join_room(LEAD_ROOM)
        if _takes_calls(person):
            self._seat(person)

    def _identify(self, credentials: Any) -> Who | None:
        token = credentials.get("token") if isinstance(credentials, dict) else None
        if not isinstance(token, str):
            token, _ = auth.presented(request, auth.cookie_name(self._parts))
        return self._parts.access.whose(token) if token else None

    def _disconnect(self, *_reason: Any) -> None:
        self._forget(request.sid)  # type: ignore[attr-defined]

    def _forget(self, sid: str) -> None:
        with self._lock:
            gone = self._connections.pop(sid, None)
            self._live.forget(sid)
            if gone and _takes_calls(gone.who) and gone.who.id not in self.agents():
                self._leaving[gone.who.id] = time.monotonic() + self._grace
                self._live.leaves(gone.who.id)
        self._count()
        self.presence.tell(self.agents())

    def _count(self) -> None:
        self._parts.metrics.sockets.set(len(self._connections))
        self._parts.metrics.agents.set(len(self.agents()))

    def _seat(self, who: Who, *, again: bool = False) -> None:
        try:
            orders.seat(self._parts, who, again=again)
        except CallcenterError as error:
            _LOGGER.warning("agent not seated", agent=who.id, problem=error.slug)

    def _unseat(self, agent: str, reason: Any) -> None:
        try:
            self._parts.bus.request("telephony", UnseatAgent(agent=agent, reason=reason))
        except CallcenterError as error:
            _LOGGER.warning("agent not unseated", agent=agent, problem=error.slug)

    # --- Events ------------------------------------------------------------------------------

    def _answering(self, handle: Handle) -> Callable[..., Body]:
        def answer(body: Any = None, *_more: Any) -> Body:
            try:
                with self._lock:
                    connection = self._connections.get(request.sid)  # type: ignore[attr-defined]
                if connection is None:
                    raise Forbidden("this connection is over: connect again")
                connection.spend()
                if body is not None and not isinstance(body, dict):
                    raise Invalid("send an object", {"body": "is no object"})
                return {"ok": True, **handle(self, connection, body or {})}
            except CallcenterError as error:
                return {"ok": False, "problem": describe(error)}
            except Exception:
                _LOGGER.exception("event failed")
                return {"ok": False, "problem": describe(CallcenterError(""))}

        return answer

    def _resume(self, connection: Connection, body: Body) -> Body:
        """{last_seq: n | null} → what was missed, then where things stand."""
        last = body.get("last_seq")
        if last is not None and (isinstance(last, bool) or not isinstance(last, int) or last < 0):
            raise Invalid("last_seq is no number", {"last_seq": "a number or null"})
        sent = 0
        if last is not None:
            sent = self._live.resend(connection.sid, connection.who.id, last)
        return {"sent": sent, **self.snapshot(connection.who)}

    def snapshot(self, who: Who) -> Body:
        """What a reloaded page needs: my state, the call that rings or talks, my newest seq."""
        now = floor.ask(self._parts)
        mine = next((one for one in now["agents"] if one["agent"] == who.id), None)
        calls = [seen for call in now["calls"] if (seen := _seen_by(call, who.id))]
        if mine and mine.get("call") and not calls:
            calls = [{"id": mine["call"], "state": "ended"}]  # the work after it goes on
        ringing = next((c for c in calls if c["state"] == "ringing"), None)
        talking = next((c for c in calls if c["state"] != "ringing"), None)
        if ringing:
            self._await_pop(who.id, ringing["id"])
        with self._parts.reading() as session:
            seq = outboxes.last_seq(session, who.id)
            known = outboxes.state_of(session, who.id)
            pops = {call["id"]: outboxes.pop_of(session, who.id, call["id"]) for call in calls}
            asked = [
                _asked(session, call)
                for call in now["calls"]
                if call.get("consultation") and _seen_by(call, who.id)
            ]
        last = {"state": known.state, "reason": known.reason} if known and not mine else {}
        return {
            "seq": seq,
            "agent": floor.agent_view(self._parts, {"agent": who.id, **last, **(mine or {})}),
            "audio": bool(mine and mine.get("audio")),
            "ringing": _pop(pops, ringing, None),
            "call": _pop(pops, talking, talking),
            "consultation": asked[0] if asked else None,
        }

    def _await_pop(self, agent: str, call: str) -> None:
        """Telephony rings before its fact is applied here: no card without caller and matches."""
        deadline = time.monotonic() + POP_PATIENCE
        while time.monotonic() < deadline:
            with self._parts.reading() as session:
                if outboxes.pop_of(session, agent, call):
                    return
            time.sleep(0.02)

    def _seen(self, connection: Connection, body: Body) -> Body:
        """{seq}: the pop was on the eye. `first` is true for the first tab that says so."""
        seq = body.get("seq")
        if isinstance(seq, bool) or not isinstance(seq, int):
            raise Invalid("seq is no number", {"seq": "a number"})
        with self._parts.writing() as session:
            first = outbox.mark_seen(session, connection.who.id, seq)
        if first:
            self._parts.metrics.pops_seen.inc()
        return {"first": first}

    def _captions(self, connection: Connection, body: Body) -> Body:
        """{call} → {items: what `caption` told so far}, for whoever is told it now."""
        call = orders.text(body, "call")
        return {"items": self._live.captions(call, _agent(connection).id)}

    def _set_state(self, connection: Connection, body: Body) -> Body:
        return orders.set_state(self._parts, _agent(connection), body)

    def _set_device(self, connection: Connection, body: Body) -> Body:
        """{device: browser | phone} → {agent}."""
        mine = orders.set_device(self._parts, _agent(connection), body)
        return {"agent": floor.agent_view(self._parts, {"agent": connection.who.id, **mine})}

    def _extend(self, connection: Connection, body: Body) -> Body:
        return orders.extend_wrap_up(self._parts, _agent(connection), body)

    def _audio(self, connection: Connection, body: Body) -> Body:
        return orders.offer_audio(self._parts, _agent(connection), body)


def _order(action: str) -> Handle:
    def handle(sockets: Sockets, connection: Connection, body: Body) -> Body:
        answer = orders.control(sockets._parts, _agent(connection), action, body)
        return {"call": answer} if answer else {}

    return handle


def _recording(action: RecordingAction) -> Handle:
    def handle(sockets: Sockets, connection: Connection, body: Body) -> Body:
        cause: PauseCause = "form" if body.get("form") else "button"
        return {"call": orders.recording(sockets._parts, _agent(connection), action, cause, body)}

    return handle


def _agent(connection: Connection) -> Who:
    if not _takes_calls(connection.who):
        raise Forbidden(f"the role {connection.who.role} takes no calls")
    return connection.who


def _takes_calls(who: Who) -> bool:
    return who.scope(Permission.CALLS_TAKE) is not None


def _seen_by(call: Body, agent: str) -> Body | None:
    """A call of telephony's as that agent has it; None where it is not theirs.

    Who is asked by a colleague has it too: it rings there, or they talk.
    """
    asked = call.get("consultation") or {}
    if call.get("agent") == agent:
        return call
    if asked.get("colleague") == agent:
        state = "ringing" if asked["state"] == "ringing" else "talking"
        return {**call, "agent": agent, "state": state}
    return None


def _asked(session: Session, call: Body) -> Body:
    """The payload of `call.consultation` as it would be sent now."""
    asked = call["consultation"]
    colleague, number = asked.get("colleague"), asked.get("number")
    who = (call["agent"], colleague)
    return wire(consultation(session, call["id"], asked["state"], *who, number=number))


def _pop(pops: dict[str, Any], call: Any, now: Any) -> Body | None:
    """The pop of a call as it was sent; `now` is the call as it stands."""
    if call is None:
        return None
    sent = pops.get(call["id"])
    known = {**sent.payload, "seq": sent.seq} if sent else {"caller": None, "matches": []}
    current = {**known.get("call", {}), **(now or {})} or call
    return {**known, "call": current}


def _dial(sockets: Sockets, connection: Connection, body: Body) -> Body:
    """{to} → the call."""
    return {"call": orders.dial(sockets._parts, _agent(connection), body)}


HANDLES: dict[str, Handle] = {
    "call.dial": _dial,
    "resume": Sockets._resume,
    "pop.seen": Sockets._seen,
    "call.captions": Sockets._captions,
    "agent.state": Sockets._set_state,
    "agent.device": Sockets._set_device,
    "wrap_up.extend": Sockets._extend,
    "rtc.offer": Sockets._audio,
    **{f"call.{action}": _order(action) for action in orders.ACTIONS},
    **{f"recording.{action}": _recording(action) for action in get_args(RecordingAction)},
}

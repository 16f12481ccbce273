"""What the web's tests share: a scripted telephony, a world to act in, a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.crm.interactions.queries import by_call
from callcenter.events import Fact
from callcenter.ids import new_id
from callcenter.log import Consumer, EventLog
from callcenter.web.app import Runtime

PASSWORD = "correct horse"


_TAKEN = (
    events.AnswerCall,
    events.RejectCall,
    events.HoldCall,
    events.ResumeCall,
    events.TransferCall,
    events.HangUpCall,
    events.ConsultColleague,
    events.ConsultNumber,
    events.SwapConsultation,
    events.BeginConference,
    events.PressKeys,
    events.ReadOutCode,
    events.ExtendWrapUp,
    events.UnseatAgent,
    events.OfferAudio,
    events.DialNumber,
    events.ControlRecording,
)


@dataclass
class Telephony:
    """Answers on the bus as the telephony process would, by script; keeps what it was told."""

    bus: MemoryBus
    orders: list[Any] = field(default_factory=list)
    refuse: Exception | None = None
    floor: dict[str, Any] = field(default_factory=lambda: {"queues": [], "agents": [], "calls": []})
    seated: dict[str, dict[str, Any]] = field(default_factory=dict)

    def start(self) -> None:
        handlers: dict[type[Any], Callable[[Any], Any]] = dict.fromkeys(_TAKEN, self._take)
        handlers[events.SeatAgent] = self._seat
        handlers[events.SetAgentState] = self._set
        handlers[events.DescribeFloor] = lambda _: {
            **self.floor,
            "agents": list(self.seated.values()),
        }
        handlers[events.DescribeHealth] = lambda _: {"ok": True, "detail": "0 calls"}
        self.bus.serve("telephony", handlers)

    def told(self, kind: type[Any]) -> list[Any]:
        return [order for order in self.orders if isinstance(order, kind)]

    def _take(self, order: Any) -> dict[str, Any]:
        self.orders.append(order)
        if self.refuse:
            raise self.refuse
        if isinstance(order, events.OfferAudio):
            return {"sdp": "v=0 answer", "type": "answer"}
        if isinstance(order, events.ExtendWrapUp):
            return {"agent": order.agent, **self.seated.get(order.agent, {"state": "wrap_up"})}
        if isinstance(order, events.UnseatAgent):
            self.seated.pop(order.agent, None)
        return {"id": getattr(order, "call", None), "state": "talking"}

    def _seat(self, order: events.SeatAgent) -> dict[str, Any]:
        self.orders.append(order)
        view = {"agent": order.agent, "username": order.username, "state": "offline"}
        return self.seated.setdefault(order.agent, view)

    def _set(self, order: events.SetAgentState) -> dict[str, Any]:
        self.orders.append(order)
        self.seated[order.agent]["state"] = order.state
        return self.seated[order.agent]


@dataclass
class World:
    """Everything a test of the web needs."""

    settings: Settings
    engine: Engine
    bus: MemoryBus
    runtime: Runtime
    telephony: Telephony
    people: dict[str, str]

    @property
    def app(self) -> Any:
        return self.runtime.app

    def client(self, username: str | None = None) -> Browser:
        browser = Browser(self.app.test_client())
        if username:
            browser.sign_in(username)
        return browser

    def happens(self, *facts: Fact) -> None:
        """Append facts, and let the follower apply and deliver them here and now."""
        EventLog(self.engine).append(*facts)
        consumer = Consumer(self.engine, "crm", self.runtime.follower.apply)
        for entry in consumer.catch_up():
            self.runtime.live.deliver(entry)

    def call(self, *, agent: str | None = None, **changes: Any) -> str:
        """A call that rang; with `agent` it was answered too. → its id."""
        call = new_id()
        ring: dict[str, Any] = {
            "call": call,
            "from_number": "+989121234567",
            "from_name": None,
            "to_number": "100",
            "line": "100",
            "trunk": "local",
            "region": "IR",
            "language": "en",
            "policy": "always",
            "node": "test",
            "sip_call_id": call,
        }
        self.happens(events.CallRang(**(ring | changes)))
        if agent:
            self.happens(
                events.AgentOffered(call=call, agent=agent, queue="support", attempt=1),
                events.CallAnswered(call=call, agent=agent, queue="support", wait_seconds=1.5),
            )
        return call

    def interaction(self, call: str) -> str:
        with Session(self.engine) as session:
            row = by_call(session, call)
            assert row is not None
            return row.id


@dataclass
class Browser:
    """A client that keeps its cookie and sends its CSRF token."""

    http: Any
    csrf: str = ""

    def sign_in(self, username: str, password: str = PASSWORD) -> Any:
        answer = self.http.post(
            "/api/v1/session", json={"username": username, "password": password}
        )
        if answer.status_code == 201:
            self.csrf = answer.get_json()["csrf_token"]
        return answer

    def get(self, path: str, **options: Any) -> Any:
        return self.http.get(_full(path), buffered=True, **options)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        headers = {"X-CSRF-Token": self.csrf, **options.pop("headers", {})}
        return self.http.open(
            _full(path), method=method, json=body, headers=headers, buffered=True, **options
        )

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.send("POST", path, {} if body is None else body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.send("PATCH", path, body or {}, **options)


def _full(path: str) -> str:
    return path if path.startswith(("/api", "/sign-in")) or path.count("//") else f"/api/v1{path}"

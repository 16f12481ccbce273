from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.crm import subscribers
from callcenter.events import CallAnswered, CallEnded, CallRang, Fact
from callcenter.ids import new_id
from callcenter.log import Consumer, EventLog

Counter = Callable[[], Any]


def rang(call: str | None = None, number: str | None = "09121234567", **fields: Any) -> CallRang:
    return CallRang(
        call=call or new_id(),
        from_number=number,
        **{
            "from_name": None,
            "to_number": "100",
            "line": "100",
            "trunk": "local",
            "region": "IR",
            "language": "fa",
            "policy": "always",
            "node": "n1",
            "sip_call_id": new_id(),
        }
        | fields,
    )


@dataclass
class Floor:
    """Appends facts and lets the CRM's consumer write their records."""

    engine: Engine
    session: Session
    consumer: Consumer = field(init=False)

    def __post_init__(self) -> None:
        self.consumer = Consumer(self.engine, "crm", subscribers.apply)

    def happened(self, *facts: Fact) -> None:
        self.session.commit()  # or it would hold off the other writers
        EventLog(self.engine).append(*facts)
        for _ in self.consumer.catch_up():
            pass

    def talk(self, agent: str, number: str | None = "09121234567", **fields: Any) -> str:
        """A whole call that this agent answered; returns its id."""
        call = new_id()
        self.happened(
            rang(call, number, **fields),
            CallAnswered(call=call, agent=agent, queue="support", wait_seconds=2.0),
            CallEnded(
                call=call,
                reason="completed",
                by="customer",
                agent=agent,
                seconds=32,
                talk_seconds=30,
            ),
        )
        return call

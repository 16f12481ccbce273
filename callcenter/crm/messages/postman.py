"""Empties the outbox: each message is handed over, tried again later, or given up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from callcenter.crm.messages.models import Channel, Message
from callcenter.crm.messages.ports import Messenger, Outgoing
from callcenter.errors import CallcenterError, MessageRefused
from callcenter.events import now

PAUSES = (30, 120, 600, 3_600, 6 * 3_600, 24 * 3_600)  # seconds before each further attempt
LEASE = timedelta(minutes=5)  # while one is being handed over nobody else takes it
_ROUND = 20
_LOGGER = structlog.get_logger()


class Postman:
    """One round at a time; several processes may have one each."""

    def __init__(self, engine: Engine, messengers: Mapping[Channel, Messenger]) -> None:
        self._engine = engine
        self._messengers = messengers

    def round(self) -> int:
        """Hand over what is due; returns how many were taken."""
        if not self._messengers:
            return 0
        taken = 0
        for id_ in self._due(now()):
            message = self._claim(id_, now())
            taken += message is not None and self._deliver(message)
        return taken

    def _due(self, at: datetime) -> list[str]:
        query = (
            select(Message.id)
            .where(
                Message.state == "waiting",
                Message.next_at <= at,
                Message.channel.in_(self._messengers),
            )
            .order_by(Message.next_at, Message.id)
            .limit(_ROUND)
        )
        with Session(self._engine) as session:
            return list(session.scalars(query))

    def _claim(self, id_: str, at: datetime) -> Message | None:
        """None where another process was quicker. A kill from here on costs one attempt."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            mine = session.execute(
                update(Message)
                .where(Message.id == id_, Message.state == "waiting", Message.next_at <= at)
                .values(next_at=at + LEASE, attempts=Message.attempts + 1)
                .execution_options(synchronize_session=False)
            )
            if not mine.rowcount:  # type: ignore[attr-defined]
                return None
            return session.get(Message, id_)

    def _deliver(self, message: Message) -> bool:
        outgoing = Outgoing(message.id, message.to, message.language, message.subject, message.body)
        try:
            self._messengers[message.channel].send(outgoing)
        except MessageRefused as error:
            self._note(message, "failed", error.detail)
        except CallcenterError as error:
            self._later(message, error.detail)
        except Exception:
            _LOGGER.exception("a message could not be handed over", message=message.id)
            self._later(message, "see the log of jobs")
        else:
            self._note(message, "sent", "")
            return True
        return False

    def _later(self, message: Message, problem: str) -> None:
        if message.attempts > len(PAUSES):
            self._note(message, "failed", problem)
            return
        pause = timedelta(seconds=PAUSES[message.attempts - 1])
        self._set(message, problem=problem, next_at=now() + pause)
        _LOGGER.warning("a message will be tried again", message=message.id, problem=problem)

    def _note(self, message: Message, state: str, problem: str) -> None:
        sent = now() if state == "sent" else None
        self._set(message, state=state, problem=problem, sent_at=sent)
        _LOGGER.info("message " + state, message=message.id, channel=message.channel)

    def _set(self, message: Message, **values: object) -> None:
        with Session(self._engine) as session, session.begin():
            session.execute(update(Message).where(Message.id == message.id).values(**values))

"""The keys of calls for whoever writes or reads recordings: who the customer is is known here."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.vault import operations as vault
from callcenter.database import reading


class KeysOfCalls:
    """See telephony.recording.cipher_file.CallKeys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, call: str) -> bytes:
        """The call's key, made when it has none."""
        with Session(self._engine) as session, session.begin():
            whose = select(Interaction.customer_id).where(Interaction.call_id == call)
            return vault.key_for(session, call, session.scalar(whose))

    def find(self, call: str) -> bytes | None:
        """The call's key; None when it never had one or it was destroyed."""
        with Session(reading(self._engine)) as session:
            return vault.find(session, call)

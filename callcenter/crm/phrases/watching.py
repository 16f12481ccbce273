"""The lists that calls are listened to with, kept between two sentences.

A change is a fact (`PhraseListChanged`), so the process that applies facts forgets what it kept
exactly there. Where another process has applied facts meanwhile, what is kept is at most ten
seconds old.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.phrases.matching import Wording, wording
from callcenter.crm.phrases.models import PhraseList
from callcenter.events import LegName, PhraseListChanged

KEPT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A list as it is compared."""

    id: str
    language: str
    leg: LegName | None
    notice: bool
    phrases: tuple[Wording, ...]

    def concerns(self, language: str, leg: LegName) -> bool:
        """Whether it is about what this side says in that language."""
        return self.language == language[:2] and self.leg in (None, leg)


_kept: WeakKeyDictionary[Any, tuple[float, Sequence[Watched]]] = WeakKeyDictionary()


def watched(session: Session) -> Sequence[Watched]:
    """Every list that is not retired."""
    engine = session.get_bind().engine
    at, lists = _kept.get(engine, (float("-inf"), ()))
    if time.monotonic() - at < KEPT_SECONDS:
        return lists
    rows = session.scalars(select(PhraseList).where(PhraseList.retired_at.is_(None)))
    lists = [
        Watched(row.id, row.language, row.leg, row.notice, tuple(map(wording, row.phrases)))
        for row in rows
    ]
    _kept[engine] = (time.monotonic(), lists)
    return lists


def changed(session: Session, _fact: PhraseListChanged) -> None:
    """Look them up anew with the next sentence."""
    _kept.pop(session.get_bind().engine, None)

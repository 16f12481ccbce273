"""Changing phrase lists. Each change is a fact, in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy.orm import Session

from callcenter import log
from callcenter.crm.phrases.matching import wording
from callcenter.crm.phrases.models import Language, PhraseList, Severity
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import LegName, PhraseListChanged, now

MOST_PHRASES = 500
MOST_LETTERS = 200


def get_or_raise(session: Session, list_: str) -> PhraseList:
    """The list with that id, else NotFound."""
    found = session.get(PhraseList, list_)
    if found is None:
        raise NotFound("there is no such phrase list")
    return found


def create(
    session: Session,
    *,
    by: str,
    name: str,
    language: str,
    phrases: Sequence[str],
    severity: str = "warning",
    leg: LegName | None = None,
    notice: bool = True,
) -> PhraseList:
    """A new list, which marks calls from now on."""
    made = PhraseList(by=by, version=0)
    session.add(made)
    _set(made, name=name, language=language, phrases=phrases, severity=severity)
    made.leg, made.notice = leg, notice
    return _changed(session, made, by)


def change(
    session: Session, row: PhraseList, *, by: str, version: int | None = None, **fields: Any
) -> PhraseList:
    """Set any of name, language, phrases, severity, leg, notice, retired."""
    if version is not None and version != row.version:
        raise Conflict("somebody else changed this list: look at it again")
    if "retired" in fields:
        row.retired_at = (row.retired_at or now()) if fields.pop("retired") else None
    for name in ("leg", "notice"):
        if name in fields:
            setattr(row, name, fields.pop(name))
    _set(row, **fields)
    return _changed(session, row, by)


def _changed(session: Session, row: PhraseList, by: str) -> PhraseList:
    row.by, row.changed_at, row.version = by, now(), row.version + 1
    session.flush()
    log.append_within(session.connection(), PhraseListChanged(list=row.id, by=by))
    return row


def _set(row: PhraseList, **fields: Any) -> None:
    for field, value in fields.items():
        setattr(row, field, _CHECKS[field](value))


def _name(value: str) -> str:
    return checked("name", value, most=200, needed=True)


def _language(value: str) -> str:
    return _one_of("language", value, get_args(Language))


def _severity(value: str) -> str:
    return _one_of("severity", value, get_args(Severity))


def _phrases(values: Sequence[str]) -> list[str]:
    """Without blanks and doubles, in their order; each has a word in it."""
    written = [checked("phrases", value, most=MOST_LETTERS) for value in values]
    unlike: dict[str, str] = {}
    for one in filter(None, written):
        unlike.setdefault(wording(one).letters, one)
    if "" in unlike:
        raise Invalid("a phrase needs a word", {"phrases": f"{unlike['']} has no word in it"})
    if not 1 <= len(unlike) <= MOST_PHRASES:
        raise Invalid(
            f"a list has 1 to {MOST_PHRASES} phrases", {"phrases": f"must be 1 to {MOST_PHRASES}"}
        )
    return list(unlike.values())


def _one_of(field: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise Invalid(f"{field} is one of {', '.join(known)}", {field: "is none of them"})
    return value


_CHECKS: dict[str, Any] = {
    "name": _name,
    "language": _language,
    "severity": _severity,
    "phrases": _phrases,
}

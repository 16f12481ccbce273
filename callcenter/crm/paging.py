"""Pages of a list: at most 200 items and a cursor that stays right while rows are added."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from callcenter.errors import Invalid

T = TypeVar("T")
LIMIT = 50
MOST = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items and where the next ones begin; `next` is None on the last page."""

    items: Sequence[T]
    next: str | None = None


def limited(limit: int | None) -> int:
    """The number of items to read: 1 to 200."""
    if limit is None:
        return LIMIT
    if not 1 <= limit <= MOST:
        raise Invalid(f"limit is 1 to {MOST}", {"limit": f"must be 1 to {MOST}"})
    return limit


def after(*key: str | datetime) -> str:
    """The cursor behind the item with this sort key; opaque to whoever carries it."""
    parts = [
        part.astimezone(UTC).isoformat() if isinstance(part, datetime) else part for part in key
    ]
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def key_of(cursor: str, length: int) -> list[str]:
    """The sort key in a cursor of ours; Invalid for any other text."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        parts = msgspec.json.decode(raw, type=list[str])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise _strange() from error
    if len(parts) != length:
        raise _strange()
    return parts


def moment_and_id(cursor: str) -> tuple[datetime, str]:
    """The key of lists that are sorted by time."""
    moment, id_ = key_of(cursor, 2)
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), id_
    except ValueError as error:
        raise _strange() from error


def _strange() -> Invalid:
    return Invalid("cursor is none of ours: start again without it", {"cursor": "unknown"})

"""Daily heads: how long each chain is and how it ends, written down outside of the data directory.

One line of JSON a day, with a mac of its own. Who cuts the end off a chain cannot make a line
disappear from a copy that is out of reach: keep one elsewhere (mail it, print it).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import structlog
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from callcenter.crm.chains.keys import KeyRing
from callcenter.crm.chains.links import Finding, Head, Kind, spelled
from callcenter.crm.chains.models import ChainCheckpoint, ChainEnd
from callcenter.crm.chains.operations import keys_of
from callcenter.database import reading
from callcenter.errors import Invalid
from callcenter.events import now

FILE = "heads.jsonl"
TRY_AGAIN_SECONDS = 600.0
_LOGGER = structlog.get_logger()


class End(msgspec.Struct, frozen=True):
    """How many links, and the mac of the last one."""

    count: int
    head: str


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A day's heads. `date` is by the site's time zone, `at` in UTC, `mac` made with `key`.

    `checkpoints`: the last link that retention took off the beginning, of chains that it has cut.
    """

    date: str
    at: str
    chains: dict[str, End]
    key: str
    mac: str = ""
    checkpoints: dict[str, End] = {}

    def content(self) -> bytes:
        """What the mac is made of."""
        ends = {name: [end.count, end.head] for name, end in self.chains.items()}
        cuts = {name: [end.count, end.head] for name, end in self.checkpoints.items()}
        more = [cuts] if cuts else []  # lines from before there were any stay as they are
        return b"head\0" + spelled(self.date, self.at, ends, self.key, *more)


@dataclass(slots=True)
class Heads:
    """What a file of heads says of each chain (ends, checkpoints), and which lines are not ours."""

    seen: dict[str, list[Head]] = field(default_factory=dict)
    cuts: dict[str, list[Head]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    lines: int = 0


def read(file: Path, keys: KeyRing) -> Heads:
    """Raises Invalid where the file cannot be read."""
    heads = Heads()
    for number, line in enumerate(_lines(file), 1):
        heads.lines = number
        kind = _problem(line, keys)
        if line is None or kind is not None:
            text = "its key is not here" if kind == "key" else "the line is not as it was written"
            place = f"{file.name} line {number}"
            heads.findings.append(Finding(kind or "changed", "heads", place, text))
            continue
        for known, ends in ((heads.seen, line.chains), (heads.cuts, line.checkpoints)):
            for name, end in ends.items():
                known.setdefault(name, []).append(Head(end.count, end.head, line.date))
    return heads


class DailyHeads:
    """Appends a line to `folder`/heads.jsonl once a day of that time zone."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        timezone: str,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._engine, self._file = engine, folder / FILE
        self._zone, self._clock = ZoneInfo(timezone), clock
        self._written, self._not_before = "", 0.0

    def round(self) -> None:
        """The line of this day, unless it is there. A folder that fails is tried again later."""
        at = self._clock()
        today = at.astimezone(self._zone).date().isoformat()
        if today == self._written or time.monotonic() < self._not_before:
            return
        try:
            self._write(today, at)
            self._written = today
        except OSError as error:
            self._not_before = time.monotonic() + TRY_AGAIN_SECONDS
            _LOGGER.warning(
                "the daily head cannot be written; make the folder or set trust.heads_dir",
                folder=str(self._file.parent),
                reason=error.strerror,
            )

    def _write(self, today: str, at: datetime) -> None:
        """Several machines may share the file: one writes, the others find its line."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if any(line is not None and line.date == today for line in _lines(self._file)):
                return
            line = self._line(today, at)
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        ends = {name: f"{end.count} {end.head}" for name, end in line.chains.items()}
        _LOGGER.info("daily head", date=today, **ends)

    def _line(self, today: str, at: datetime) -> Line:
        with Session(reading(self._engine)) as session:
            key = keys_of(session).signing
            rows = session.scalars(select(ChainEnd).order_by(ChainEnd.chain)).all()
            ends = {row.chain: End(row.count, row.mac) for row in rows}
            points = session.scalars(select(ChainCheckpoint).order_by(ChainCheckpoint.chain)).all()
            cuts = {row.chain: End(row.number, row.mac) for row in points}
        line = Line(today, at.isoformat(), ends, key.id, checkpoints=cuts)
        return msgspec.structs.replace(line, mac=key.mac(line.content()))


def _lines(file: Path) -> Iterator[Line | None]:
    """None for what is no line of heads."""
    try:
        with file.open("rb") as lines:
            for raw in lines:
                try:
                    yield msgspec.json.decode(raw, type=Line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    yield None
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error


def _problem(line: Line | None, keys: KeyRing) -> Kind | None:
    if line is None:
        return "changed"
    key = keys.known.get(line.key)
    if key is None:
        return "key"
    return None if key.mac(line.content()) == line.mac else "changed"

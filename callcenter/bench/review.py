"""`callcenter bench review`: finding and opening a recording among a million.

The application itself answers (its WSGI interface, without a network); the database is one made
up for it. What is aimed at is at most 200 ms for a list or search, a second to open an hour.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from callcenter import config, migrations
from callcenter.bench import archive, processor
from callcenter.bench.figures import Report
from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.crm.chains.keys import ring
from callcenter.crm.chains.operations import use_keys
from callcenter.crm.customers.models import Customer
from callcenter.crm.interactions.models import Interaction, Recording
from callcenter.crm.search import queries as search
from callcenter.crm.users import operations as users
from callcenter.crm.users.models import User
from callcenter.database import open_database, reading
from callcenter.errors import CallcenterError
from callcenter.events import now
from callcenter.telephony.recording.peaks_file import PER_SECOND, Peaks, write
from callcenter.web.app import create_app
from callcenter.web.passwords import hashed

AGENTS = 100
LIST_AIM, OPEN_AIM = 200.0, 1000.0
PEAKS = 1200  # values that the player asks for
Ask = Callable[[], Any]


def measure(
    base: Settings, *, calls: int, requests: int, folder: Path, database: str | None = None
) -> Report:
    """Figures of `requests` of each kind over `calls` calls.

    A `database` that holds calls already is measured as it is; else one is made in `folder`.
    """
    report = Report(f"bench review: {calls} calls", processor.machine())
    with _opened(folder, database) as (settings, engine):
        took = _seed(engine, calls)
        stage = Stage(settings, engine)
        for name, ask in stage.lists():
            report.add(f"list: {name}", "ms", _times(requests, ask), LIST_AIM)
        for name, ask in stage.searches():
            report.add(f"search: {name}", "ms", _times(requests, ask), LIST_AIM)
        report.add("open a call of an hour", "ms", _times(requests, stage.open), OPEN_AIM)
        report.notes.append(f"{engine.dialect.name}; {took}")
    report.notes.append(
        "each kind with other values every time; opening: the call, recording, transcript of "
        f"{archive.SENTENCES} sentences, figures, comments and waveform, one after the other"
    )
    return report


@contextmanager
def _opened(folder: Path, database: str | None) -> Iterator[tuple[Settings, Engine]]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.json"
    values = {"database_url": database} if database else {}
    file.write_text(json.dumps(values), encoding="utf-8")
    settings = config.load(file, data_dir=folder / "data", environ={})
    engine = open_database(settings.database_url)
    try:
        migrations.upgrade(engine)
        use_keys(engine, ring(settings.data_dir))
        yield settings, engine
    finally:
        engine.dispose()


def _seed(engine: Engine, calls: int) -> str:
    """Fill the database, unless there are calls in it. → what was done"""
    with Session(engine) as session:
        if session.scalar(select(Interaction.id).limit(1)):
            return "the database was there already"
    began = time.monotonic()
    people = archive.cast(engine, _agents(engine))
    columns = (TextColumn("calls"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_stderr())
    with progress:
        task = progress.add_task("calls", total=calls)
        for done in archive.fill(engine, people, calls, now() - timedelta(minutes=90)):
            progress.update(task, completed=done)
    return f"filled in {time.monotonic() - began:.0f} s"


def _stderr() -> Console:
    return Console(stderr=True)


def _agents(engine: Engine) -> list[str]:
    nobody = "-"  # no password comes to this
    with Session(engine) as session, session.begin():
        made = [
            users.create(session, username=f"agent{at:03d}", password_hash=nobody, role="agent")
            for at in range(AGENTS)
        ]
        return [one.id for one in made]


@dataclass(frozen=True, slots=True)
class Known:
    """What is in the database to be asked for."""

    agents: list[str]
    customers: list[str]
    hours: list[tuple[Interaction, Recording]]


class Stage:
    """The application, a supervisor who is signed in, and what they ask."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._random = Random(7)  # noqa: S311 - which rows are asked for
        self._reader = reading(engine)
        self._known = _known(engine)
        for _, recording in self._known.hours:
            _write_peaks(settings.recordings_dir, recording, self._random)
        app = create_app(settings, engine, MemoryBus())
        self._boss = _signed_in(app, engine, "supervisor")

    def lists(self) -> Iterator[tuple[str, Ask]]:
        """Name and question of each list."""
        pick, words = self._random.choice, archive.KNOWN
        yield "newest", lambda: self._list()
        yield "one queue", lambda: self._list(queue=pick(list(archive.QUEUES)))
        yield "one line", lambda: self._list(line=pick(archive.LINES))
        yield "one language", lambda: self._list(language=pick(list(archive.LANGUAGES)))
        yield "one agent", lambda: self._list(agent=pick(self._known.agents))
        yield "one customer", lambda: self._list(customer=pick(self._known.customers))
        yield "outcome failed", lambda: self._list(outcome="failed")
        yield "longer than 50 minutes", lambda: self._list(min_seconds=3000)
        yield (
            "an agent's in one queue, 5 to 10 minutes",
            lambda: self._list(
                agent=pick(self._known.agents), queue="returns", min_seconds=300, max_seconds=600
            ),
        )
        yield (
            "nothing fits",
            lambda: self._list(queue="vip", line=pick(archive.LINES), max_seconds=1),
        )
        yield "a day last year", self._day
        for place, name in enumerate(("a common word", "a word", "a rare word")):
            yield name, self._words(place, pick, words)
        yield "a score below 60", lambda: self._list(max_score=60)
        yield (
            "an agent's with a word",
            lambda: self._list(agent=pick(self._known.agents), words=pick(words["fa"][:2])[0]),
        )

    def searches(self) -> Iterator[tuple[str, Ask]]:
        """Name and question of each search over transcripts."""
        pick = self._random.choice
        for place, name in enumerate(("a common word", "a word", "a rare word")):
            yield name, self._searched(lambda at: pick(list(archive.KNOWN.values()))[at][0], place)
        yield "two words", self._searched(lambda _: "سفارش برگشت", 0)
        yield "the beginning of a word", self._searched(lambda _: pick(("ord", "refu", "ombu")), 0)
        yield "a word that nobody said", self._searched(lambda _: "xylophone", 0)

    def open(self) -> None:
        """All that the page of a call asks for."""
        contact, recording = self._random.choice(self._known.hours)
        address = f"/interactions/{contact.id}"
        for part in ("", "/recording", "/transcript", "/conversation", "/comments"):
            self._get(address + part)
        self._get(f"/recordings/{recording.id}/peaks?columns={PEAKS}")

    def _day(self) -> Any:
        day = now() - timedelta(days=self._random.randrange(30, archive.DAYS))
        until = day + timedelta(days=1)
        return self._list(**{"from": day.isoformat(), "to": until.isoformat()})

    def _words(self, place: int, pick: Callable[[Sequence[Any]], Any], words: Any) -> Ask:
        return lambda: self._list(words=pick(list(words.values()))[place][0])

    def _searched(self, of: Callable[[int], str], place: int) -> Ask:
        def ask() -> None:
            with Session(self._reader) as session:
                search.transcripts(session, of(place))

        return ask

    def _list(self, **filters: Any) -> Any:
        return self._get(f"/recordings?{urlencode(filters)}")

    def _get(self, path: str) -> Any:
        answer = self._boss.get(f"/api/v1{path}", buffered=True)
        if answer.status_code != 200:
            raise CallcenterError(f"{path.partition('?')[0]} answered {answer.status_code}")
        return answer.get_json()


def _known(engine: Engine) -> Known:
    with Session(engine, expire_on_commit=False) as session:
        agents = select(User.id).where(User.username.like("agent%"))
        hours = (
            select(Interaction, Recording)
            .join(Recording, Recording.call_id == Interaction.call_id)
            .where(Interaction.recorded_seconds == archive.HOUR)
            .limit(archive.HOUR_LONG)
        )
        return Known(
            list(session.scalars(agents)),
            list(session.scalars(select(Customer.id).limit(1000))),
            [(one, two) for one, two in session.execute(hours)],
        )


def _write_peaks(root: Path, recording: Recording, random: Random) -> None:
    """A waveform of the recording's length."""
    file = (root / recording.path).with_suffix(".peaks")
    file.parent.mkdir(parents=True, exist_ok=True)
    length = int(recording.seconds * PER_SECOND)
    file.write_bytes(write(Peaks(random.randbytes(length), random.randbytes(length))))


def _signed_in(app: Any, engine: Engine, role: Any) -> Any:
    """A client of the application that is signed in as somebody new."""
    password, name = secrets.token_urlsafe(16), f"{role}-{secrets.token_hex(4)}"
    with Session(engine) as session, session.begin():
        users.create(session, username=name, password_hash=hashed(password), role=role)
    client = app.test_client()
    words = {"username": name, "password": password}
    if client.post("/api/v1/session", json=words).status_code != 201:
        raise CallcenterError("the supervisor of the measurement could not sign in")
    return client


def _times(count: int, ask: Ask) -> list[float]:
    """Milliseconds of each answer; the first is not counted."""
    ask()
    found = []
    for _ in range(count):
        began = time.perf_counter()
        ask()
        found.append(1000 * (time.perf_counter() - began))
    return found

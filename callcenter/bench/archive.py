"""An archive made up for measuring: years of recorded calls with their words, by bulk inserts.

Words follow Zipf's law over made-up vocabularies of three languages; a few real ones stand in a
known share of the sentences (`KNOWN`), so that a search can be asked for what is common or rare.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from callcenter.crm import fts
from callcenter.crm.customers.models import Customer
from callcenter.crm.interactions.models import Interaction, Participant, Recording, Utterance
from callcenter.crm.review.models import Conversation
from callcenter.events import LegName

DAYS, CUSTOMERS, BATCH = 730, 50_000, 5_000
HOUR = 3600.0
HOUR_LONG, SENTENCES = 20, 1200  # calls of an hour, and what is said in each of them
KNOWN = {
    "fa": (("سفارش", 0.2), ("برگشت", 0.01), ("تعزیرات", 0.0002)),
    "he": (("הזמנה", 0.2), ("החזר", 0.01), ("נציבות", 0.0002)),
    "en": (("order", 0.2), ("refund", 0.01), ("ombudsman", 0.0002)),
}
"""Language → words with the share of the language's sentences that hold them."""
LANGUAGES = {"fa": 0.6, "he": 0.25, "en": 0.15}
QUEUES = {"support": 0.4, "sales": 0.3, "billing": 0.2, "returns": 0.099, "vip": 0.001}
OUTCOMES = {"completed": 0.96, "interrupted": 0.035, "failed": 0.005}
LINES = tuple(str(number) for number in range(100, 112))
_LETTERS = {
    "fa": ("بپتجدرزسشفکگلمنه", "اوی"),
    "he": ("בגדזחטכלמנספצקרשת", "אויע"),
    "en": ("bcdfghklmnprstvw", "aeiou"),
}
_VOCABULARY, _POOL = 5_000, 20_000
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is in the calls."""

    agents: list[str]
    customers: list[str]


def sentences(random: Random, language: str) -> list[str]:
    """Made-up sentences of 6 to 14 words, in each of which the known words have their share."""
    hard, soft = _LETTERS[language]
    words = [
        "".join(random.choice(hard) + random.choice(soft) for _ in range(random.randint(1, 4)))
        for _ in range(_VOCABULARY)
    ]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, _VOCABULARY + 1)))
    made = [
        random.choices(words, cum_weights=weights, k=random.randint(6, 14)) for _ in range(_POOL)
    ]
    for word, share in KNOWN[language]:
        for one in random.sample(made, max(1, round(share * _POOL))):
            one[random.randrange(len(one))] = word
    return [" ".join(one) for one in made]


def cast(engine: Engine, agents: list[str], seed: int = 1) -> Cast:
    """Customers for these agents (their ids)."""
    random = Random(seed)  # noqa: S311 - sample data
    rows = [
        {
            "id": str(uuid.UUID(int=random.getrandbits(128), version=4)),
            "kind": "person",
            "name": f"Customer {number:05d}",
            "sort_name": f"customer {number:05d}",
        }
        for number in range(CUSTOMERS)
    ]
    with Session(engine) as session, session.begin():
        session.execute(insert(Customer), rows)
    return Cast(agents, [row["id"] for row in rows])


def fill(engine: Engine, people: Cast, calls: int, until: datetime, seed: int = 1) -> Iterator[int]:
    """Write `calls` calls, the last of them at `until`; yields how many are there, again and again.

    The newest hold some calls of an hour.
    """
    maker = _Maker(people, calls, until, Random(seed))  # noqa: S311 - sample data
    for first in range(0, calls, BATCH):
        batch = [maker.call(number) for number in range(first, min(first + BATCH, calls))]
        with Session(engine) as session, session.begin():
            _quick(session)
            _write(session, batch)
        yield first + len(batch)
    with Session(engine) as session, session.begin():
        if engine.dialect.name == "postgresql":
            session.execute(text("ANALYZE"))  # as its own autovacuum would, a minute later


def _quick(session: Session) -> None:
    """Index pages stay in memory while they are filled."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("PRAGMA cache_size = -400000"))


def _write(session: Session, batch: list[dict[str, list[Row]]]) -> None:
    tables = (Interaction, Participant, Recording, Conversation, Utterance)
    for table in tables:
        rows = [row for one in batch for row in one[table.__tablename__]]
        session.execute(insert(table), rows)
    said = [row for one in batch for row in one["utterances"]]
    fts.add_all(session, [(row["number"], row["text"]) for row in said])


class _Maker:
    """Calls by their number, evenly over the years, so that ids rise with time."""

    def __init__(self, people: Cast, calls: int, until: datetime, random: Random) -> None:
        self._people, self._calls, self._until, self._random = people, calls, until, random
        self._step = timedelta(days=DAYS) / calls
        self._sentences = {one: sentences(random, one) for one in LANGUAGES}
        self._numbers = itertools.count(1)
        every = max(1, min(calls, 1000) // HOUR_LONG)
        self._long = set(range(calls - 1, calls - 1 - every * HOUR_LONG, -every))

    def call(self, number: int) -> dict[str, list[Row]]:
        """The rows of one call, by table."""
        random, long = self._random, number in self._long
        started = self._until - self._step * (self._calls - 1 - number)
        seconds = HOUR if long else round(min(7000.0, 5 + random.lognormvariate(5, 1)), 2)
        ids = {name: _id(random, started) for name in ("id", "call_id", "recording")}
        agent = random.choice(self._people.agents)
        language = _pick(random, LANGUAGES)
        return {
            "interactions": [self._interaction(ids, started, seconds, agent, language)],
            "interaction_participants": [
                {
                    "interaction_id": ids["id"],
                    "agent": agent,
                    "at": started,
                    "started_at": started,
                }
            ],
            "recordings": [_recording(ids, started, seconds)],
            "conversations": [_conversation(random, ids["call_id"], seconds)],
            "utterances": list(
                self._said(ids["call_id"], seconds, language, SENTENCES if long else 2)
            ),
        }

    def _interaction(
        self, ids: Row, started: datetime, seconds: float, agent: str, language: str
    ) -> Row:
        random = self._random
        return {
            "id": ids["id"],
            "call_id": ids["call_id"],
            "direction": "inbound",
            "line": random.choice(LINES),
            "queue": _pick(random, QUEUES),
            "agent": agent,
            "customer_id": random.choice(self._people.customers),
            "from_number": f"+98912{random.randrange(10**7):07d}",
            "to_number": "100",
            "region": "IR",
            "language": language,
            "policy": "always",
            "started_at": started,
            "answered_at": started + timedelta(seconds=4),
            "ended_at": started + timedelta(seconds=4 + seconds),
            "wait_seconds": 4.0,
            "talk_seconds": seconds,
            "outcome": _pick(random, OUTCOMES),
            "transcript_state": "done",
            "recording_state": "sealed",
            "recorded_seconds": seconds,
        }

    def _said(self, call: str, seconds: float, language: str, count: int) -> Iterator[Row]:
        legs: tuple[LegName, LegName] = ("customer", "agent")
        for place in range(count):
            yield {
                "number": next(self._numbers),
                "id": f"{call}-{place}",
                "call_id": call,
                "leg": legs[place % 2],
                "text": self._random.choice(self._sentences[language]),
                "t0": seconds * place / count,
                "t1": seconds * (place + 0.9) / count,
                "language": language,
                "engine": "script",
                "revision": 1,
            }


def _recording(ids: Row, started: datetime, seconds: float) -> Row:
    leg = {"offset": 0.0, "seconds": seconds}
    return {
        "id": ids["recording"],
        "call_id": ids["call_id"],
        "path": f"{started:%Y/%m/%d}/{ids['call_id']}.opus",
        "format": "opus",
        "seconds": seconds,
        "size": round(seconds * 4000),
        "sha256": "0" * 64,
        "legs": {"agent": {"channel": 0, **leg}, "customer": {"channel": 1, **leg}},
        "interrupted": False,
        "sealed_at": started + timedelta(seconds=seconds + 10),
    }


def _conversation(random: Random, call: str, seconds: float) -> Row:
    share = random.uniform(0.2, 0.8)
    return {
        "call_id": call,
        "state": "measured",
        "seconds": seconds,
        "agent_seconds": seconds * share * 0.9,
        "agent_share": share,
        "customer_seconds": seconds * (1 - share) * 0.9,
        "customer_share": 1 - share,
        "silence_seconds": seconds * 0.1,
    }


def _pick(random: Random, shares: dict[str, float]) -> str:
    return random.choices(list(shares), weights=list(shares.values()))[0]


def _id(random: Random, moment: datetime) -> str:
    """A UUIDv7 of that moment, as `ids.new_id` makes one of now."""
    value = int(moment.timestamp() * 1000) << 80 | random.getrandbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))

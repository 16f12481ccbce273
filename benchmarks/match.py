"""How long a caller's lookup takes: `python benchmarks/match.py [phones] [lookups]`.

Seeds a fresh database (a million phones unless told) and times what a pop needs, with the
canonical form, the session and the transaction included. Prints p50, p95 and p99.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from callcenter import migrations
from callcenter.crm import pop
from callcenter.crm.customers.models import Customer, Phone
from callcenter.crm.customers.queries import match
from callcenter.database import open_database, reading
from callcenter.events import now
from callcenter.ids import new_id

BATCH = 20_000


def rows(first: int, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Customers with one Iranian mobile each."""
    moment = now()
    for number in range(first, first + count):
        customer, national = new_id(), str(9_000_000_000 + number)
        yield (
            {
                "id": customer, "kind": "person", "name": f"Customer {number}",
                "sort_name": f"customer {number}", "emails": [], "custom": {}, "address": "",
                "notes": "", "version": 1, "created_at": moment, "updated_at": moment,
            },
            {
                "id": new_id(), "customer_id": customer, "position": 0, "region": "IR",
                "label": "", "number": f"0{national}", "e164": f"+98{national}",
                "national": national, "international": False,
            },
        )  # fmt: skip


def seed(engine: Engine, phones: int) -> None:
    """Fill the tables as an import would, in large steps."""
    for first in range(0, phones, BATCH):
        customers, numbers = zip(*rows(first, min(BATCH, phones - first)), strict=True)
        with engine.begin() as connection:
            connection.execute(insert(Customer), list(customers))
            connection.execute(insert(Phone), list(numbers))


def timed(engine: Engine, numbers: list[str], look: Callable[[Session, str], Any]) -> list[float]:
    """Milliseconds of each lookup, every one in a session of its own."""
    taken = []
    for number in numbers:
        begin = time.perf_counter()
        with Session(reading(engine)) as session:
            look(session, number)
        taken.append((time.perf_counter() - begin) * 1000)
    return taken


def main(phones: int = 1_000_000, lookups: int = 2_000) -> None:
    """Seed, look up, print."""
    spellings = ("0{}", "+98{}", "0098 {}", "98{}", "0{} ext 5")
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'match.db'}")
        migrations.upgrade(engine)
        seed(engine, phones)
        chance = random.Random(7)  # noqa: S311 - a benchmark, not a secret
        numbers = [
            chance.choice(spellings).format(9_000_000_000 + chance.randrange(phones))
            for _ in range(lookups)
        ]
        for name, look in (
            ("match", lambda session, number: match(session, number, "IR")),
            ("pop", lambda session, number: pop.cards(session, number, "IR")),
        ):
            cuts = statistics.quantiles(timed(engine, numbers, look), n=100)
            print(  # noqa: T201
                f"{name}: {phones} phones, {lookups} lookups: "
                f"p50 {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms"
            )


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))

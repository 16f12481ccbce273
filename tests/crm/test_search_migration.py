"""What was indexed before the search knew places and vocabulary."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text
from sqlalchemy.orm import Session

from callcenter import migrations
from callcenter.crm import fts
from callcenter.database import open_database

_OLD = """INSERT INTO utterances
(number, id, call_id, leg, text, t0, t1, language, engine, revision) VALUES
(1, 'u1', 'c1', 'customer', 'please cancel my contract', 0, 1, 'en', 'vosk', 1),
(2, 'u2', 'c1', 'customer', 'my contract, cancel', 2, 3, 'en', 'vosk', 1)"""
_INDEX = {
    "sqlite": "INSERT INTO utterances_fts (rowid, text)"
    " SELECT number, replace(text, ',', '') FROM utterances",
    "postgresql": "INSERT INTO utterances_fts (number, words) SELECT number,"
    " array_to_tsvector(string_to_array(replace(text, ',', ''), ' ')) FROM utterances",
}


def test_it_is_found_by_phrase_and_with_slips_afterwards(database_url: str) -> None:
    engine = open_database(database_url)
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0016")
        connection.execute(text(_OLD))
        connection.execute(text(_INDEX[engine.dialect.name]))
    migrations.upgrade(engine)
    with Session(engine) as session:
        for typed, numbers in (
            ('"cancel my contract"', {1}),
            ("contrakt", {1, 2}),
            ("contract -please", {2}),
        ):
            found = fts.numbers(session, typed)
            assert found is not None
            assert set(session.scalars(found)) == numbers, typed
    engine.dispose()

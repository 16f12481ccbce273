"""Search by phrase and nearness: places of words on PostgreSQL, and the vocabulary on both.

What was indexed is indexed anew, from the utterances themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from callcenter.crm.fts.spelling import forms
from callcenter.crm.fts.wanted import vector
from callcenter.crm.fts.words import indexed, is_number

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_BATCH = 2_000
_WORD = sa.String(length=200).with_variant(sa.String(length=200, collation="C"), "postgresql")


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "vocabulary",
        sa.Column("word", _WORD, nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word", name="pk_vocabulary"),
    )
    op.create_table(
        "vocabulary_forms",
        sa.Column("form", _WORD, nullable=False),
        sa.Column("word", _WORD, nullable=False),
        sa.PrimaryKeyConstraint("form", "word", name="pk_vocabulary_forms"),
    )
    op.create_index("ix_vocabulary_forms_word", "vocabulary_forms", ["word"])
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    seen: Counter[str] = Counter()
    places = connection.dialect.name == "postgresql"
    again = sa.text("UPDATE utterances_fts SET words = CAST(:words AS tsvector) WHERE number = :n")
    for rows in _utterances(connection):
        said = [(number, indexed(text)) for number, text in rows]
        for _, found in said:
            seen.update({word for word in found if not is_number(word)})
        if places:
            connection.execute(again, [{"n": n, "words": vector(found)} for n, found in said])
    words = sa.table("vocabulary", sa.column("word"), sa.column("seen"))
    spelled = sa.table("vocabulary_forms", sa.column("form"), sa.column("word"))
    known = sorted(seen)
    for start in range(0, len(known), _BATCH):
        batch = known[start : start + _BATCH]
        rows_ = [{"word": word, "seen": seen[word]} for word in batch]
        connection.execute(sa.insert(words), rows_)
        forms_ = [{"form": form, "word": word} for word in batch for form in sorted(forms(word))]
        connection.execute(sa.insert(spelled), forms_)


def _utterances(connection: sa.Connection) -> Iterator[list[tuple[int, str]]]:
    table = sa.table("utterances", sa.column("number"), sa.column("text"))
    last = 0
    while True:
        query = sa.select(table.c.number, table.c.text).where(table.c.number > last)
        rows = connection.execute(query.order_by(table.c.number).limit(_BATCH)).all()
        if not rows:
            return
        yield [(number, text) for number, text in rows]
        last = rows[-1][0]

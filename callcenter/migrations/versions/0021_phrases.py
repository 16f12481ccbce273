"""Phrase lists, and the marks that calls get of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "phrase_lists",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("leg", sa.String(length=16), nullable=True),
        sa.Column("phrases", sa.JSON(), nullable=False),
        sa.Column("notice", sa.Boolean(), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("retired_at", _MOMENT, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_phrase_lists"),
    )
    op.create_table(
        "phrase_marks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("list_id", _ID, nullable=False),
        sa.Column("utterance", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("leg", sa.String(length=16), nullable=False),
        sa.Column("phrase", sa.String(length=200), nullable=False),
        sa.Column("t0", sa.Double(), nullable=False),
        sa.Column("t1", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["phrase_lists.id"], name="fk_phrase_marks_list_id_phrase_lists"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_phrase_marks"),
        sa.UniqueConstraint("utterance", "list_id", name="uq_phrase_marks_utterance_list"),
    )
    op.create_index("ix_phrase_marks_call", "phrase_marks", ["call_id", "revision", "t0"])
    op.create_index("ix_phrase_marks_list", "phrase_marks", ["list_id", "call_id"])

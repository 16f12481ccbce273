"""Marks of retention for every kind; what is append-only lets their shredding through, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_ERASED_CALL = (
    "EXISTS (SELECT 1 FROM interactions i JOIN erasures e ON e.customer_id = i.customer_id "
    "WHERE i.call_id = OLD.subject AND e.state = 'running')"
)
_ERASED_COMPLAINT = (
    "EXISTS (SELECT 1 FROM complaints c JOIN erasures e ON e.customer_id = c.customer_id "
    "WHERE c.id = OLD.complaint_id AND e.state = 'running')"
)
_OLD = (
    "EXISTS (SELECT 1 FROM retention_marks m WHERE m.kind = '{kind}' AND m.object = OLD.{object} "
    "AND m.shredded_at IS NULL)"
)
_OLD_TRANSCRIPT = (
    f"(OLD.kind = 'UtteranceHeard' AND {_OLD.format(kind='transcripts', object='subject')})"
)
_OLD_COMPLAINT = _OLD.format(kind="complaints", object="complaint_id")
_KEPT = {
    "facts": (
        ("position", "id", "kind", "subject", "at"),
        f"({_ERASED_CALL} OR {_OLD_TRANSCRIPT})",
    ),
    "complaint_transitions": (
        ("number", "complaint_id", "from_stage", "to_stage", "by", "at"),
        f"({_ERASED_COMPLAINT} OR {_OLD_COMPLAINT})",
    ),
    "complaint_changes": (
        ("number", "complaint_id", "field", "by", "at"),
        f"({_ERASED_COMPLAINT} OR {_OLD_COMPLAINT})",
    ),
}
"""Table → columns that never change, and when the others may."""


def upgrade() -> None:
    """Go one step forward."""
    op.rename_table("retention_marks", "retention_marks_before")
    op.create_table(
        "retention_marks",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("object", sa.String(length=36), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shredded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "object", name=op.f("pk_retention_marks_kind")),
    )
    op.execute(
        "INSERT INTO retention_marks (kind, object, marked_at, shredded_at) "
        "SELECT 'recordings', recording_id, marked_at, shredded_at FROM retention_marks_before"
    )
    op.drop_table("retention_marks_before")
    op.create_index(
        "ix_retention_marks_waiting", "retention_marks", ["kind", "shredded_at", "marked_at"]
    )
    for table, (columns, when) in _KEPT.items():
        _guard(table, columns, when)


def _guard(table: str, columns: tuple[str, ...], when: str) -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    same = " AND ".join(
        f'NEW."{one}" {"IS" if sqlite else "IS NOT DISTINCT FROM"} OLD."{one}"' for one in columns
    )
    if sqlite:
        op.execute(f"DROP TRIGGER no_update_{table}")
        op.execute(
            f"CREATE TRIGGER no_update_{table} BEFORE UPDATE ON {table} "
            f"WHEN NOT ({same} AND {when}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION only_erased_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN IF {same} AND {when} THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
        "MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
    )

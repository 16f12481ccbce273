"""Erasures, and the one change that what is append-only lets through: theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_OF_A_CALL = (
    "EXISTS (SELECT 1 FROM interactions i JOIN erasures e ON e.customer_id = i.customer_id "
    "WHERE i.call_id = OLD.subject AND e.state = 'running')"
)
_OF_A_COMPLAINT = (
    "EXISTS (SELECT 1 FROM complaints c JOIN erasures e ON e.customer_id = c.customer_id "
    "WHERE c.id = OLD.complaint_id AND e.state = 'running')"
)
_KEPT = {
    "facts": (("position", "id", "kind", "subject", "at"), _OF_A_CALL),
    "complaint_transitions": (
        ("number", "complaint_id", "from_stage", "to_stage", "by", "at"),
        _OF_A_COMPLAINT,
    ),
    "complaint_changes": (("number", "complaint_id", "field", "by", "at"), _OF_A_COMPLAINT),
}
"""Table → columns that never change, and when the others may."""


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("customer_id", sa.String(length=36), nullable=True),
        sa.Column("tombstone", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=36), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_by", sa.String(length=36), nullable=True),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("waits_for", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_erasures_customer_id_customers")
        ),
        sa.ForeignKeyConstraint(
            ["asked_by"], ["users.id"], name=op.f("fk_erasures_asked_by_users")
        ),
        sa.ForeignKeyConstraint(["run_by"], ["users.id"], name=op.f("fk_erasures_run_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sa.UniqueConstraint("tombstone", name=op.f("uq_erasures_tombstone")),
    )
    op.create_index("ix_erasures_state", "erasures", ["state", "claimed_until"])
    op.create_index("ix_erasures_customer", "erasures", ["customer_id", "state"])
    op.add_column("customers", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
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
    op.execute(f"DROP TRIGGER no_update_{table} ON {table}")
    op.execute(
        f"CREATE FUNCTION only_erased_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {same} AND {when} THEN RETURN NEW; END IF; "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
        "MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER no_update_{table} BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION only_erased_{table}()"
    )

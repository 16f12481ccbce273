"""Keyed chains over audit and sealed recordings; rows from before are linked at the first start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "chain_links",
        sa.Column("chain", sa.String(length=16), nullable=False),
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "number", name="pk_chain_links"),
    )
    op.create_index("ix_chain_links_item", "chain_links", ["chain", "item"], unique=True)
    ends = op.create_table(
        "chain_ends",
        sa.Column("chain", sa.String(length=16), nullable=False),
        sa.Column("count", _BIG, nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_chain_ends"),
    )
    rows = [{"chain": name, "count": 0, "mac": "0" * 64} for name in ("audit", "recordings")]
    op.bulk_insert(ends, rows)
    for deed in ("UPDATE", "DELETE"):
        what = (
            "FOR EACH ROW EXECUTE FUNCTION append_only()"
            if op.get_bind().dialect.name == "postgresql"
            else "BEGIN SELECT RAISE(ABORT, 'chain_links is append-only'); END"
        )
        op.execute(
            f"CREATE TRIGGER no_{deed.lower()}_chain_links BEFORE {deed} ON chain_links {what}"
        )

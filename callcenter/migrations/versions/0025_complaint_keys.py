"""The keys of a complaint's code on a telephone, by which callers ask for its status."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_KEYS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")


def upgrade() -> None:
    """Go one step forward."""
    op.add_column(
        "complaints", sa.Column("keys", sa.String(length=16), nullable=False, server_default="")
    )
    op.create_index("ix_complaints_keys", "complaints", ["keys"])
    table = sa.table("complaints", sa.column("id"), sa.column("code"), sa.column("keys"))
    rows = op.get_bind().execute(sa.select(table.c.id, table.c.code)).all()
    by_id = table.c.id == sa.bindparam("row")
    change = sa.update(table).where(by_id).values(keys=sa.bindparam("pressed"))
    if rows:
        values = [
            {"row": row.id, "pressed": row.code.removeprefix("C-").translate(_KEYS)} for row in rows
        ]
        op.get_bind().execute(change, values)

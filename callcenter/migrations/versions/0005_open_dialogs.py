"""Dialogs that are open now, so that a restarted telephony process can end them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "open_dialogs",
        sa.Column("call", sa.String(length=36), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("memo", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("call"),
    )
    op.create_index("ix_open_dialogs_node", "open_dialogs", ["node"])

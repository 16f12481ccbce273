"""Keys of recordings: one per customer and one per call, each wrapped by another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "customer_keys",
        sa.Column("customer_id", sa.String(length=36), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("master", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_keys")),
    )
    op.create_index(op.f("ix_customer_keys_master"), "customer_keys", ["master"])
    op.create_table(
        "call_keys",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.String(length=36), nullable=True),
        sa.Column("master", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_call_keys")),
    )
    op.create_index(op.f("ix_call_keys_customer_id"), "call_keys", ["customer_id"])
    op.create_index(op.f("ix_call_keys_master"), "call_keys", ["master"])

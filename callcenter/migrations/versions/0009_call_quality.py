"""How the sound of each party of a call was carried: loss, jitter, round trip, MOS."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward; calls before were not measured."""
    op.create_table(
        "call_quality",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("leg", sa.String(length=16), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("agent", sa.String(length=36), nullable=True),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("codec", sa.String(length=16), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("late", sa.Integer(), nullable=False),
        sa.Column("jitter_ms", sa.Double(), nullable=False),
        sa.Column("jitter_max_ms", sa.Double(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("remote_lost", sa.Integer(), nullable=True),
        sa.Column("remote_jitter_ms", sa.Double(), nullable=True),
        sa.Column("round_trip_ms", sa.Double(), nullable=True),
        sa.Column("mos", sa.Double(), nullable=True),
        sa.Column("remote_mos", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", "leg", "part", name="pk_call_quality"),
    )

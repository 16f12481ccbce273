"""What conversations were like; calls that are there wait to be measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SECONDS = (
    "seconds",
    "agent_seconds",
    "agent_share",
    "agent_longest",
    "customer_seconds",
    "customer_share",
    "customer_longest",
    "both_seconds",
    "silence_seconds",
    "hold_seconds",
)
_COUNTS = ("agent_words", "customer_words", "talk_overs", "dead_airs")


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "conversations",
        sa.Column("call_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False, server_default="1"),
        *(sa.Column(name, sa.Double(), nullable=False, server_default="0") for name in _SECONDS),
        *(sa.Column(name, sa.Integer(), nullable=False, server_default="0") for name in _COUNTS),
        sa.Column("agent_pace", sa.Double(), nullable=True),
        sa.Column("customer_pace", sa.Double(), nullable=True),
        sa.Column("marks", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("quiet", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("call_id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_waiting", "conversations", ["state", "call_id"])
    op.execute(
        "INSERT INTO conversations (call_id, state) "
        "SELECT call_id, 'waiting' FROM interactions WHERE call_id IS NOT NULL "
        "AND (recording_state = 'sealed' OR transcript_state <> 'none')"
    )

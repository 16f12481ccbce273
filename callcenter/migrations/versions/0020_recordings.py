"""The list of recordings: their length beside the call, an agent's calls in order, saved views."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)
_RECORDED = sa.text("recorded_seconds IS NOT NULL")


def upgrade() -> None:
    """Go one step forward."""
    _lengths()
    _began()
    op.create_table(
        "saved_views",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner", _ID, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("removed_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_saved_views"),
    )
    op.create_index("ix_saved_views_owner", "saved_views", ["owner", "name"])
    op.create_index("ix_saved_views_shared", "saved_views", ["shared", "name"])


def _lengths() -> None:
    op.add_column("interactions", sa.Column("recorded_seconds", sa.Double(), nullable=True))
    op.execute(
        "UPDATE interactions SET recorded_seconds = "
        "(SELECT seconds FROM recordings WHERE recordings.call_id = interactions.call_id)"
    )
    op.create_index(
        "ix_interactions_recorded",
        "interactions",
        ["started_at", "id", "queue", "line", "language", "outcome", "recorded_seconds"],
        sqlite_where=_RECORDED,
        postgresql_where=_RECORDED,
    )


def _began() -> None:
    op.add_column("interaction_participants", sa.Column("started_at", _MOMENT, nullable=True))
    op.execute(
        "UPDATE interaction_participants SET started_at = (SELECT started_at FROM interactions "
        "WHERE interactions.id = interaction_participants.interaction_id)"
    )
    op.drop_index("ix_interaction_participants_agent", "interaction_participants")
    with op.batch_alter_table("interaction_participants") as table:
        table.alter_column("started_at", existing_type=_MOMENT, nullable=False)
    op.create_index(
        "ix_interaction_participants_agent",
        "interaction_participants",
        ["agent", "started_at", "interaction_id"],
    )

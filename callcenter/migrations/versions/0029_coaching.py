"""Coaching tasks and their steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "coaching_tasks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("agent", _ID, nullable=False),
        sa.Column("evaluation_id", _ID, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("moments", sa.JSON(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_by", _ID, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name="fk_coaching_tasks_evaluation_id_evaluations",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_coaching_tasks"),
    )
    op.create_index("ix_coaching_tasks_created", "coaching_tasks", ["created_at", "id"])
    op.create_index("ix_coaching_tasks_agent", "coaching_tasks", ["agent", "created_at"])
    op.create_table(
        "coaching_steps",
        sa.Column("id", _ID, nullable=False),
        sa.Column("task_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["coaching_tasks.id"], name="fk_coaching_steps_task_id_coaching_tasks"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_coaching_steps"),
    )
    op.create_index("ix_coaching_steps_task", "coaching_steps", ["task_id", "at"])

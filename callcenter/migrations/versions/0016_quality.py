"""Scorecards with their versions, evaluations with their answers and what is said about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "scorecards",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_by", _ID, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("retired_by", _ID, nullable=True),
        sa.Column("retired_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_scorecards"),
    )
    op.create_table(
        "scorecard_versions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("scorecard_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sections", sa.JSON(), nullable=False),
        sa.Column("edited_by", _ID, nullable=False),
        sa.Column("edited_at", _MOMENT, nullable=False),
        sa.Column("published_by", _ID, nullable=True),
        sa.Column("published_at", _MOMENT, nullable=True),
        _points_to("scorecard_versions", "scorecard_id", "scorecards"),
        sa.PrimaryKeyConstraint("id", name="pk_scorecard_versions"),
        sa.UniqueConstraint(
            "scorecard_id", "number", name="uq_scorecard_versions_scorecard_id_number"
        ),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("interaction_id", _ID, nullable=False),
        sa.Column("scorecard_id", _ID, nullable=False),
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("agent", _ID, nullable=False),
        sa.Column("evaluator", _ID, nullable=False),
        sa.Column("call_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("knocked_out", sa.Boolean(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        sa.Column("submitted_at", _MOMENT, nullable=True),
        sa.Column("acknowledged_at", _MOMENT, nullable=True),
        _points_to("evaluations", "interaction_id", "interactions"),
        _points_to("evaluations", "scorecard_id", "scorecards"),
        _points_to("evaluations", "version_id", "scorecard_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
    )
    op.create_index("ix_evaluations_created", "evaluations", ["created_at", "id"])
    op.create_index("ix_evaluations_agent", "evaluations", ["agent", "created_at"])
    op.create_index("ix_evaluations_evaluator", "evaluations", ["evaluator", "created_at"])
    op.create_index("ix_evaluations_interaction", "evaluations", ["interaction_id"])
    op.create_index("ix_evaluations_trend", "evaluations", ["scorecard_id", "state", "call_at"])
    op.create_table(
        "evaluation_answers",
        sa.Column("evaluation_id", _ID, nullable=False),
        sa.Column("question", _ID, nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.Column("share", sa.Double(), nullable=True),
        sa.Column("t0", sa.Double(), nullable=True),
        sa.Column("remark", sa.Text(), nullable=False),
        _points_to("evaluation_answers", "evaluation_id", "evaluations"),
        sa.PrimaryKeyConstraint("evaluation_id", "question", name="pk_evaluation_answers"),
    )
    op.create_table(
        "evaluation_notes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("evaluation_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        _points_to("evaluation_notes", "evaluation_id", "evaluations"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation_notes"),
    )
    op.create_index("ix_evaluation_notes_evaluation", "evaluation_notes", ["evaluation_id", "at"])


def _points_to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}")

"""Rules by which calls are drawn for evaluation, their draws; corrections of transcripts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "sampling_rules",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("scorecard_id", _ID, nullable=False),
        sa.Column("evaluator", _ID, nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("mark", sa.String(length=16), nullable=True),
        sa.Column("queue", sa.String(length=64), nullable=True),
        sa.Column("least_seconds", sa.Double(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("created_by", _ID, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_by", _ID, nullable=True),
        sa.Column("ended_at", _MOMENT, nullable=True),
        _points_to("sampling_rules", "scorecard_id", "scorecards"),
        sa.PrimaryKeyConstraint("id", name="pk_sampling_rules"),
    )
    op.create_table(
        "sampling_draws",
        sa.Column("rule_id", _ID, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        _points_to("sampling_draws", "rule_id", "sampling_rules"),
        sa.PrimaryKeyConstraint("rule_id", "week", name="pk_sampling_draws"),
    )
    op.create_table(
        "sampled_calls",
        sa.Column("id", _ID, nullable=False),
        sa.Column("rule_id", _ID, nullable=False),
        sa.Column("interaction_id", _ID, nullable=False),
        sa.Column("scorecard_id", _ID, nullable=False),
        sa.Column("agent", _ID, nullable=False),
        sa.Column("evaluator", _ID, nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("drawn_at", _MOMENT, nullable=False),
        sa.Column("evaluation_id", _ID, nullable=True),
        sa.Column("passed_at", _MOMENT, nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        _points_to("sampled_calls", "rule_id", "sampling_rules"),
        _points_to("sampled_calls", "interaction_id", "interactions"),
        _points_to("sampled_calls", "scorecard_id", "scorecards"),
        _points_to("sampled_calls", "evaluation_id", "evaluations"),
        sa.PrimaryKeyConstraint("id", name="pk_sampled_calls"),
        sa.UniqueConstraint(
            "rule_id",
            "interaction_id",
            "agent",
            name="uq_sampled_calls_rule_id_interaction_id_agent",
        ),
    )
    op.create_index(
        "ix_sampled_calls_evaluator", "sampled_calls", ["evaluator", "passed_at", "drawn_at"]
    )
    op.create_index("ix_sampled_calls_interaction", "sampled_calls", ["interaction_id"])
    op.create_table(
        "utterance_corrections",
        sa.Column("id", _ID, nullable=False),
        sa.Column("call_id", _ID, nullable=False),
        sa.Column("utterance", sa.String(length=64), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_utterance_corrections"),
    )
    op.create_index("ix_utterance_corrections_call", "utterance_corrections", ["call_id", "at"])


def _points_to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}")

"""Calibrations: one call judged blind by several people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)
_POINTS = (
    ("interaction_id", "interactions"),
    ("version_id", "scorecard_versions"),
    ("agreed_id", "evaluations"),
)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "calibrations",
        sa.Column("id", _ID, nullable=False),
        sa.Column("interaction_id", _ID, nullable=False),
        sa.Column("version_id", _ID, nullable=False),
        sa.Column("agent", _ID, nullable=False),
        sa.Column("call_at", _MOMENT, nullable=False),
        sa.Column("created_by", _ID, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("closed_by", _ID, nullable=True),
        sa.Column("closed_at", _MOMENT, nullable=True),
        sa.Column("agreed_id", _ID, nullable=True),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=f"fk_calibrations_{column}_{table}"
            )
            for column, table in _POINTS
        ),
        sa.PrimaryKeyConstraint("id", name="pk_calibrations"),
    )
    op.create_index("ix_calibrations_created", "calibrations", ["created_at", "id"])
    op.add_column("evaluations", sa.Column("calibration_id", _ID, nullable=True))
    op.create_index("ix_evaluations_calibration", "evaluations", ["calibration_id"])

"""Comments at moments of a call, and links to moments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "review_comments",
        sa.Column("id", _ID, nullable=False),
        sa.Column("interaction_id", _ID, nullable=False),
        sa.Column("t0", sa.Double(), nullable=False),
        sa.Column("t1", sa.Double(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("removed_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["interactions.id"],
            name="fk_review_comments_interaction_id_interactions",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_review_comments"),
    )
    op.create_index("ix_review_comments_interaction", "review_comments", ["interaction_id", "t0"])
    op.create_table(
        "moment_links",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("interaction_id", _ID, nullable=False),
        sa.Column("t0", sa.Double(), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["interactions.id"],
            name="fk_moment_links_interaction_id_interactions",
        ),
        sa.PrimaryKeyConstraint("token_hash", name="pk_moment_links"),
    )

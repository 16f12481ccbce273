"""What a caller said to being recorded, and the spans of a call of which nothing was kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.add_column("interactions", sa.Column("consent", sa.String(length=16), nullable=True))
    op.add_column(
        "interactions", sa.Column("pauses", sa.JSON(), nullable=False, server_default="[]")
    )
    op.add_column(
        "interactions", sa.Column("resumes_at", sa.DateTime(timezone=True), nullable=True)
    )

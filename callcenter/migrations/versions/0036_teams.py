"""The team of a user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.add_column("users", sa.Column("team", sa.String(length=64), nullable=True))
    op.create_index("ix_users_team", "users", ["team"])

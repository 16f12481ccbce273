"""Who diverted a call to us, and what the network found of the caller's number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.add_column("interactions", sa.Column("diverted_from", sa.String(length=128)))
    op.add_column("interactions", sa.Column("verstat", sa.String(length=16)))

"""What a sealed recording lacks: the disk was full, …"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.add_column("recordings", sa.Column("problem", sa.String(length=200), nullable=True))

"""What was taken out of an utterance, in the order of its masks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.add_column("utterances", sa.Column("masks", sa.JSON(), nullable=False, server_default="[]"))

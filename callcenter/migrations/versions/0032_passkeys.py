"""Passkeys among the second factors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    with op.batch_alter_table("factors") as table:
        table.add_column(sa.Column("credential", sa.String(length=1364), nullable=True))
        table.create_unique_constraint("uq_factors_credential", ["credential"])

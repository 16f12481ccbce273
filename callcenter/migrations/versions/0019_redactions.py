"""What was taken out of sealed recordings, each with the sha256 of the file from then on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "recording_redactions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("recording_id", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("silences", sa.JSON(), nullable=False),
        sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name="fk_recording_redactions_recording_id_recordings",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_recording_redactions"),
    )
    op.create_index(
        "ix_recording_redactions_recording", "recording_redactions", ["recording_id", "id"]
    )
    ends = sa.table("chain_ends", sa.column("chain"), sa.column("count"), sa.column("mac"))
    op.bulk_insert(ends, [{"chain": "redactions", "count": 0, "mac": "0" * 64}])

"""A key for each person's drafts in the browser."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_USERS = sa.table("users", sa.column("id", sa.String), sa.column("draft_key", sa.String))


def upgrade() -> None:
    """Go one step forward."""
    op.add_column(
        "users", sa.Column("draft_key", sa.String(length=64), nullable=False, server_default="")
    )
    connection = op.get_bind()
    for user in connection.scalars(sa.select(_USERS.c.id)).all():
        mine = sa.update(_USERS).where(_USERS.c.id == user)
        connection.execute(mine.values(draft_key=secrets.token_hex(32)))

"""Every agent who talked in a call, so that one who passed it on still sees it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one step forward; earlier answers are taken from the log."""
    op.create_table(
        "interaction_participants",
        sa.Column("interaction_id", sa.String(length=36), nullable=False),
        sa.Column("agent", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["interactions.id"],
            name="fk_interaction_participants_interaction_id_interactions",
        ),
        sa.PrimaryKeyConstraint("interaction_id", "agent", name="pk_interaction_participants"),
    )
    op.create_index(
        "ix_interaction_participants_agent",
        "interaction_participants",
        ["agent", "interaction_id"],
    )
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    facts = sa.table(
        "facts",
        sa.column("position", sa.BigInteger),
        sa.column("kind", sa.String),
        sa.column("subject", sa.String),
        sa.column("at", sa.DateTime(timezone=True)),
        sa.column("payload", sa.JSON),
    )
    interactions = sa.table("interactions", sa.column("id"), sa.column("call_id"))
    participants = sa.table(
        "interaction_participants",
        sa.column("interaction_id"),
        sa.column("agent"),
        sa.column("at", sa.DateTime(timezone=True)),
    )
    answers = (
        sa.select(interactions.c.id, facts.c.payload, facts.c.at)
        .join(facts, facts.c.subject == interactions.c.call_id)
        .where(facts.c.kind == "CallAnswered")
        .order_by(facts.c.position)
    )
    first: dict[tuple[str, str], dict[str, object]] = {}
    for id_, payload, at in connection.execute(answers):
        row = {"interaction_id": id_, "agent": payload["agent"], "at": at}
        first.setdefault((id_, payload["agent"]), row)
    if first:
        connection.execute(sa.insert(participants), list(first.values()))

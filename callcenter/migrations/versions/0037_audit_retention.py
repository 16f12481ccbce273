"""Checkpoints of chains, and the one removal from audit and links that is let through: theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LEAST_DAYS = 729
"""No row of the audit that is younger goes, whatever a program says. A day less than the settings
allow: the clocks of two machines differ."""

_OLD_ROW = (
    "EXISTS (SELECT 1 FROM chain_checkpoints c WHERE c.chain = 'audit' AND c.cutting "
    "AND OLD.number <= CAST(c.item AS BIGINT)) AND OLD.at < {before}"
)
_OLD_LINK = (
    "EXISTS (SELECT 1 FROM chain_checkpoints c WHERE c.chain = OLD.chain AND c.cutting "
    "AND OLD.number <= c.number)"
)


def upgrade() -> None:
    """Go one step forward."""
    op.create_table(
        "chain_checkpoints",
        sa.Column("chain", sa.String(length=16), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("proof", sa.String(length=64), nullable=False),
        sa.Column("cutting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_chain_checkpoints")),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    before = (
        f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{LEAST_DAYS} days')"
        if sqlite
        else f"now() - INTERVAL '{LEAST_DAYS} days'"
    )
    for table, when in (("audit", _OLD_ROW.format(before=before)), ("chain_links", _OLD_LINK)):
        op.execute(f"DROP TRIGGER no_delete_{table}" + ("" if sqlite else f" ON {table}"))
        _guard(f"no_delete_{table}", table, "DELETE", when, "append-only")
    _guard("no_delete_chain_checkpoints", "chain_checkpoints", "DELETE", "FALSE", "kept for ever")
    same = "NEW.chain = OLD.chain AND NEW.number >= OLD.number"
    _guard("no_update_chain_checkpoints", "chain_checkpoints", "UPDATE", same, "never set back")


def _guard(name: str, table: str, deed: str, when: str, rule: str) -> None:
    """Refuse that deed, except `when`."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {deed} ON {table} WHEN NOT ({when}) "
            f"BEGIN SELECT RAISE(ABORT, '{table} is {rule}'); END"
        )
        return
    row = "OLD" if deed == "DELETE" else "NEW"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {when} THEN RETURN {row}; END IF; "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
        f"MESSAGE = '{table} is {rule}'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {deed} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )

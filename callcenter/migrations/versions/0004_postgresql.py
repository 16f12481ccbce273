"""What PostgreSQL lacked: the text index over utterances, and rows that are never taken back."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEPT = (
    ("facts", "UPDATE"),
    ("audit", "UPDATE"),
    ("audit", "DELETE"),
    ("complaints", "DELETE"),
    ("complaint_transitions", "UPDATE"),
    ("complaint_transitions", "DELETE"),
)


def upgrade() -> None:
    """Go one step forward."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("CREATE TABLE utterances_fts (number INTEGER PRIMARY KEY, words TSVECTOR NOT NULL)")
    op.execute("CREATE INDEX ix_utterances_fts_words ON utterances_fts USING gin (words)")
    op.execute(
        "CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
        "MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$"
    )
    for table, deed in _KEPT:
        op.execute(
            f"CREATE TRIGGER no_{deed.lower()}_{table} BEFORE {deed} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION append_only()"
        )

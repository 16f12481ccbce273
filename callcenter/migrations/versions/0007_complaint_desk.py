"""The complaint desk: assessment, clocks, changes, further calls, causes, incidents, messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.String(length=36)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go one step forward; complaints that are there keep their deadlines."""
    _complaints()
    _ways()
    _incidents()
    _messages()
    _nothing_is_taken_back()


def _complaints() -> None:
    for column in (
        sa.Column("product", sa.String(length=200), nullable=False, server_default=""),
        sa.Column("queue", sa.String(length=64), nullable=True),
        sa.Column("safety", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("impact", sa.String(length=16), nullable=True),
        sa.Column("complexity", sa.String(length=16), nullable=True),
        sa.Column("wanted", sa.Text(), nullable=False, server_default=""),
        sa.Column("clock_from", _MOMENT, nullable=True),
        sa.Column("acknowledge_due_at", _MOMENT, nullable=True),
        sa.Column("acknowledged_at", _MOMENT, nullable=True),
        sa.Column("decided_at", _MOMENT, nullable=True),
        sa.Column("told_at", _MOMENT, nullable=True),
        sa.Column("escalation", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("cause", sa.String(length=64), nullable=True),
        sa.Column("corrective", sa.Text(), nullable=False, server_default=""),
        sa.Column("remedy", sa.String(length=16), nullable=True),
        sa.Column("remedy_cents", sa.BigInteger(), nullable=True),
        sa.Column("accepted", sa.Boolean(), nullable=True),
        sa.Column("incident_id", _ID, nullable=True),
    ):
        op.add_column("complaints", column)
    op.add_column("complaint_quotes", sa.Column("interaction_id", _ID, nullable=True))
    op.execute("UPDATE complaints SET clock_from = created_at")
    for name, stages in (
        ("acknowledged_at", None),
        ("decided_at", "responded"),
        ("told_at", "communicated"),
    ):
        reached = f"AND t.to_stage = '{stages}'" if stages else "AND t.from_stage IS NOT NULL"
        op.execute(
            f"UPDATE complaints SET {name} = (SELECT MIN(t.at) FROM complaint_transitions t "  # noqa: S608 - our own words
            f"WHERE t.complaint_id = complaints.id {reached})"
        )
    op.execute(
        "UPDATE complaints SET queue = "
        "(SELECT i.queue FROM interactions i WHERE i.id = complaints.interaction_id)"
    )
    op.create_index("ix_complaints_cause", "complaints", ["cause", "created_at"])
    op.create_index("ix_complaints_incident", "complaints", ["incident_id"])


def _ways() -> None:
    op.create_table(
        "complaint_changes",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("complaint_id", _ID, nullable=False),
        sa.Column("field", sa.String(length=32), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"],
            ["complaints.id"],
            name="fk_complaint_changes_complaint_id_complaints",
        ),
        sa.PrimaryKeyConstraint("number", name="pk_complaint_changes"),
    )
    op.create_index("ix_complaint_changes_complaint_id", "complaint_changes", ["complaint_id"])
    op.create_table(
        "complaint_calls",
        sa.Column("complaint_id", _ID, nullable=False),
        sa.Column("interaction_id", _ID, nullable=False),
        sa.Column("by", _ID, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"], ["complaints.id"], name="fk_complaint_calls_complaint_id_complaints"
        ),
        sa.ForeignKeyConstraint(
            ["interaction_id"],
            ["interactions.id"],
            name="fk_complaint_calls_interaction_id_interactions",
        ),
        sa.PrimaryKeyConstraint("complaint_id", "interaction_id", name="pk_complaint_calls"),
    )
    op.create_index("ix_complaint_calls_interaction_id", "complaint_calls", ["interaction_id"])


def _incidents() -> None:
    causes = op.create_table(
        "complaint_causes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("label_fa", sa.String(length=100), nullable=False),
        sa.Column("label_he", sa.String(length=100), nullable=False),
        sa.Column("label_en", sa.String(length=100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_complaint_causes"),
    )
    rows = [
        ("delivery", "تأخیر یا خطا در ارسال", "משלוח מאוחר או שגוי", "Late or wrong delivery"),
        ("defect", "کالای معیوب", "מוצר פגום", "Defective product"),
        ("damage", "آسیب در حمل‌ونقل", "נזק בהובלה", "Damaged in transport"),
        ("billing", "خطا در صورت‌حساب", "טעות בחיוב", "Wrong bill"),
        ("repair", "طولانی شدن تعمیر", "תיקון ממושך", "Slow repair"),
        ("behaviour", "رفتار کارکنان", "התנהגות עובדים", "Conduct of staff"),
        ("information", "اطلاعات نادرست", "מידע שגוי", "Wrong information"),
        ("waiting", "انتظار طولانی در تماس", "המתנה ארוכה בטלפון", "Long wait on the phone"),
        ("system", "اختلال سامانه", "תקלה במערכת", "System failure"),
        ("other", "سایر", "אחר", "Something else"),
    ]
    op.bulk_insert(
        causes,
        [
            {
                "id": id_,
                "label_fa": fa,
                "label_he": he,
                "label_en": en,
                "position": place,
            }
            for place, (id_, fa, he, en) in enumerate(rows)
        ],
    )
    op.create_table(
        "incidents",
        sa.Column("id", _ID, nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=200), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("opened_by", _ID, nullable=False),
        sa.Column("closed_at", _MOMENT, nullable=True),
        sa.Column("closed_by", _ID, nullable=True),
        sa.Column("closing", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    op.create_index("ix_incidents_open", "incidents", ["closed_at", "opened_at"])


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", _ID, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("to", sa.String(length=320), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("customer_id", _ID, nullable=True),
        sa.Column("complaint_id", _ID, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    op.create_index("ix_messages_waiting", "messages", ["state", "next_at"])
    op.create_index("ix_messages_complaint", "messages", ["complaint_id"])
    op.create_index("ix_messages_customer", "messages", ["customer_id"])


def _nothing_is_taken_back() -> None:
    """As for complaints: SQLite by its own triggers, PostgreSQL by the function of 0004."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, deed in (
        ("complaint_changes", "UPDATE"),
        ("complaint_changes", "DELETE"),
        ("complaint_calls", "DELETE"),
        ("incidents", "DELETE"),
    ):
        act = (
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            if sqlite
            else "FOR EACH ROW EXECUTE FUNCTION append_only()"
        )
        op.execute(f"CREATE TRIGGER no_{deed.lower()}_{table} BEFORE {deed} ON {table} {act}")

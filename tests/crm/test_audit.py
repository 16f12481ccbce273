from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations, queries


def three(session: Session) -> None:
    operations.record(session, "u1", "listen", "recording", "r1", reason="quality")
    operations.record(session, "u2", "search", "transcript")
    operations.record(session, None, "sign_in", "session", address="10.0.0.1", result="refused")
    session.commit()


def test_who_did_what_is_kept_and_listed_newest_first(session: Session) -> None:
    three(session)
    rows = queries.page(session).items
    assert [(one.who, one.what, one.result) for one in rows] == [
        (None, "sign_in", "refused"),
        ("u2", "search", "ok"),
        ("u1", "listen", "ok"),
    ]
    assert [one.object for one in queries.page(session, kind="recording").items] == ["r1"]
    page = queries.page(session, limit=2)
    assert [one.who for one in queries.page(session, limit=2, cursor=page.next).items] == ["u1"]


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "UPDATE audit SET who = 'nobody'"])
def test_the_database_itself_refuses_to_change_it(session: Session, statement: str) -> None:
    three(session)
    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET reason = 'other' WHERE number = 2", 2),
        ("DELETE FROM audit WHERE number = 1", 2),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE number = 3", 3),
    ],
)
def test_who_gets_around_that_is_found_out(session: Session, statement: str, broken: int) -> None:
    three(session)
    assert queries.first_broken(session) is None
    on = " ON audit" if session.get_bind().dialect.name == "postgresql" else ""
    for deed in ("update", "delete"):
        session.execute(text(f"DROP TRIGGER no_{deed}_audit{on}"))
    session.execute(text(statement))
    session.expire_all()
    assert queries.first_broken(session) == broken

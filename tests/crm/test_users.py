from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import time_machine
from sqlalchemy.orm import Session

from callcenter.crm.users import operations, queries
from callcenter.crm.users.models import User
from callcenter.errors import Conflict, Invalid
from callcenter.events import now

IDLE = timedelta(minutes=30)


def user(session: Session, username: str = "Sara", **fields: object) -> User:
    wanted = {"password_hash": "x", "role": "agent", "extension": None} | fields
    return operations.create(session, username=username, **wanted)  # type: ignore[arg-type]


def signed_in(session: Session, who: User, token: str = "t1") -> None:
    operations.open_session(
        session, who, token_hash=token, csrf="c", lifetime=timedelta(hours=12), address="127.0.0.1"
    )


def is_open(session: Session, token: str = "t1") -> bool:
    return queries.open_session(session, token, idle=IDLE) is not None


def test_a_name_is_the_same_in_every_case(session: Session) -> None:
    made = user(session, " Sara ")
    assert queries.by_username(session, "SARA") is made
    with pytest.raises(Conflict):
        user(session, "sARA")


def test_an_extension_has_one_owner_and_ascii_digits(session: Session) -> None:
    assert user(session, "a", extension="۲۰۱").extension == "201"
    with pytest.raises(Conflict):
        user(session, "b", extension="201")
    assert user(session, "c").extension is None
    assert user(session, "d").extension is None


@pytest.mark.parametrize(
    "fields",
    [
        {"username": ""},
        {"username": "a b"},
        {"role": "god"},
        {"language": "xx"},
        {"extension": "x"},
    ],
)
def test_a_bad_field_is_named(session: Session, fields: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        user(session, **fields)
    assert set(refused.value.fields) == set(fields)


def test_the_first_admin_is_made_once(session: Session) -> None:
    made = operations.ensure_first_admin(session, "hash")
    assert made is not None
    assert (made.username, made.role) == ("admin", "admin")
    assert operations.ensure_first_admin(session, "other") is None
    assert made.password_hash == "hash"


def test_a_session_ends_by_idleness_by_age_and_by_revoking(session: Session) -> None:
    start = now()
    with time_machine.travel(start, tick=False) as clock:
        signed_in(session, user(session))
        assert is_open(session)
        clock.shift(timedelta(minutes=29))
        operations.touch(session, "t1")
        clock.shift(timedelta(minutes=29))
        assert is_open(session)
        clock.shift(timedelta(minutes=2))
        assert not is_open(session)
        for _ in range(30):
            operations.touch(session, "t1")
            clock.shift(timedelta(minutes=25))
        assert not is_open(session)
        clock.move_to(start)
        operations.touch(session, "t1")
        assert is_open(session)
        operations.revoke(session, "t1")
        assert not is_open(session)
    assert not is_open(session, "unknown")


def test_a_new_password_role_or_disabling_ends_every_session(session: Session) -> None:
    who = user(session)
    for token, deed in (
        ("t1", lambda: operations.set_password(session, who, "new")),
        ("t2", lambda: operations.change(session, who, role="supervisor")),
        ("t3", lambda: operations.disable(session, who)),
    ):
        signed_in(session, who, token)
        assert is_open(session, token)
        deed()
        assert not is_open(session, token)
    assert queries.everybody(session) == []
    assert queries.everybody(session, disabled=True) == [who]


def test_all_but_the_present_session_can_be_revoked(session: Session) -> None:
    who = user(session)
    for token in ("t1", "t2", "t3"):
        signed_in(session, who, token)
    operations.revoke_all(session, who.id, but="t2")
    assert [one.token_hash for one in queries.sessions_of(session, who.id)] == ["t2"]


def test_failures_delay_the_next_try_longer_and_longer(session: Session) -> None:
    with time_machine.travel(now(), tick=False) as clock:
        delays = []
        for _ in range(8):
            operations.note_failure(session, "Sara", "10.0.0.1")
            delays.append(queries.delay(session, "SARA", None))
        assert delays == [0, 0, 0, 0, 1, 2, 4, 8]
        clock.shift(timedelta(seconds=7))
        assert queries.delay(session, "sara", None) == 1
        assert queries.delay(session, "other", None) == 0
        operations.forget_failures(session, "sara")
        assert queries.delay(session, "sara", None) == 0


def test_an_address_that_tries_many_names_is_delayed_too(session: Session) -> None:
    with time_machine.travel(now(), tick=False):
        for place in range(31):
            operations.note_failure(session, f"name{place}", "10.0.0.1")
        assert queries.delay(session, "fresh", "10.0.0.1") > 0
        assert queries.delay(session, "fresh", "10.0.0.2") == 0


def test_preferences_are_merged_and_none_removes(session: Session) -> None:
    who = user(session)
    operations.set_preferences(session, who, {"theme": "dark", "speed": 2})
    operations.set_preferences(session, who, {"speed": None})
    session.commit()
    assert who.preferences == {"theme": "dark"}


def test_old_sessions_and_failures_are_swept(session: Session) -> None:
    who = user(session)
    signed_in(session, who)
    operations.note_failure(session, "sara", None)
    later: datetime = now() + timedelta(days=2)
    operations.sweep(session, before=later)
    assert queries.sessions_of(session, who.id) == []
    assert not is_open(session)

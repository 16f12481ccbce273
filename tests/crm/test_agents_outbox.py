from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.crm.agents import operations, queries
from callcenter.events import now


def test_every_agent_has_a_row_of_numbers_without_gap(session: Session) -> None:
    push = operations.push
    assert [push(session, "a1", "notice", {"n": n}) for n in range(3)] == [1, 2, 3]
    assert push(session, "a2", "notice", {}) == 1
    assert queries.last_seq(session, "a1") == 3
    assert queries.last_seq(session, "nobody") == 0
    missed = queries.after(session, "a1", 1)
    assert [(one.seq, one.payload) for one in missed] == [(2, {"n": 1}), (3, {"n": 2})]
    assert queries.after(session, "a1", 3) == []


def test_a_number_never_comes_twice_after_old_events_were_swept(session: Session) -> None:
    operations.push(session, "a1", "notice", {})
    operations.sweep(session, before=now())
    assert queries.after(session, "a1", 0) == []
    assert operations.push(session, "a1", "notice", {}) == 2


def test_a_pop_is_seen_once(session: Session) -> None:
    seq = operations.push(session, "a1", "call.ringing", {}, call="c1")
    assert queries.unseen(session, "a1") == 1
    assert operations.mark_seen(session, "a2", seq) is False
    assert operations.mark_seen(session, "a1", seq) is True
    assert operations.mark_seen(session, "a1", seq) is False
    assert queries.unseen(session, "a1") == 0
    pop = queries.pop_of(session, "a1", "c1")
    assert pop is not None
    assert pop.seen_at is not None


def test_an_event_of_a_rolled_back_transaction_leaves_no_gap(engine: Engine) -> None:
    with Session(engine) as session:
        operations.push(session, "a1", "notice", {})
        session.rollback()
        assert operations.push(session, "a1", "notice", {}) == 1


def test_many_writers_at_once_never_share_a_number(engine: Engine) -> None:
    def push(_: int) -> int:
        with Session(engine) as session, session.begin():
            return operations.push(session, "a1", "notice", {})

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(push, range(80))) == list(range(1, 81))

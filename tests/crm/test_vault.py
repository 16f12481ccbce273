"""Keys of recordings: whose key opens what, what a rotation leaves, what destroying destroys."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from crm_floor import Floor
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from callcenter.crm.customers.operations import create
from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.crm.interactions.operations import assign_customer
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.vault import operations as vault
from callcenter.crm.vault.master import MasterFile, MasterSecret, parsed
from callcenter.crm.vault.models import CallKey, CustomerKey
from callcenter.errors import ConfigError, RecordingError, StartError


@pytest.fixture
def master(engine: Engine, tmp_path: Path) -> MasterFile:
    file = MasterFile(tmp_path / "keys" / "master.keys", make=True)
    vault.use_master(engine, file)
    return file


def wrapped_by(engine: Engine, call: str) -> tuple[str | None, bool]:
    with Session(engine) as session:
        row = session.get_one(CallKey, call)
        return row.customer_id, row.master is not None


def test_an_unknown_callers_key_moves_to_the_customer_who_it_was(
    floor: Floor, engine: Engine, master: MasterFile
) -> None:
    call, keys = floor.talk("a1", None), KeysOfCalls(engine)
    key = keys.make(call)
    assert len(key) == 32
    assert wrapped_by(engine, call) == (None, True)
    with Session(engine) as session, session.begin():
        first = create(session, name="Sara Levi", region="IR")
        second = create(session, name="Dana Katz", region="IR")
        one, other = first.id, second.id
    for customer in (one, other, None, one):
        with Session(engine) as session, session.begin():
            interaction = by_call(session, call)
            assert interaction is not None
            assign_customer(session, interaction, customer)
        assert wrapped_by(engine, call) == (customer, customer is None)
        assert keys.find(call) == keys.make(call) == key
    with Session(engine) as session, session.begin():
        vault.destroy(session, other)
    assert keys.find(call) == key
    with Session(engine) as session, session.begin():
        vault.destroy(session, one)
    assert keys.find(call) is None


def test_two_calls_of_a_customer_hang_at_one_key_and_die_with_it(
    engine: Engine, master: MasterFile
) -> None:
    with Session(engine) as session, session.begin():
        keys = [vault.key_for(session, call, "c1") for call in ("a", "b")]
        stranger = vault.key_for(session, "c", None)
        assert session.scalar(select(func.count()).select_from(CustomerKey)) == 1
    assert len({*keys, stranger}) == 3
    with Session(engine) as session, session.begin():
        holder = session.get_one(CustomerKey, "c1")
        session.delete(holder)  # the key alone, whatever becomes of the rest
    with Session(engine) as session:
        assert [vault.find(session, call) for call in ("a", "b", "c")] == [None, None, stranger]


def test_a_row_that_was_changed_or_moved_opens_nothing(engine: Engine, master: MasterFile) -> None:
    with Session(engine) as session, session.begin():
        vault.key_for(session, "a", None)
        vault.key_for(session, "b", None)
    with Session(engine) as session, session.begin():
        first, second = session.get_one(CallKey, "a"), session.get_one(CallKey, "b")
        first.wrapped = second.wrapped
    with Session(engine) as session, pytest.raises(RecordingError, match="the key of call a"):
        vault.find(session, "a")


def test_rotation_moves_every_key_and_drops_the_old_master(
    engine: Engine, master: MasterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault, "BATCH", 3)
    with Session(engine) as session, session.begin():
        known = {
            f"k{n}": vault.key_for(session, f"k{n}", f"c{n}" if n % 2 else None) for n in range(9)
        }
    (old,) = master.load()
    new, moved = vault.rotate(engine, fresh=True)
    assert (list(master.load()), moved) == ([new], 9)
    assert new != old
    with Session(engine) as session:
        assert vault.counts(session) == {new: 9}
        assert {call: vault.find(session, call) for call in known} == known


def test_a_rotation_that_was_cut_off_is_finished_without_a_third_key(
    engine: Engine, master: MasterFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(engine) as session, session.begin():
        known = {f"k{n}": vault.key_for(session, f"k{n}", None) for n in range(5)}
    whole, rounds = vault.rewrap, iter(range(10))

    def killed(session: Session, newest: str, limit: int = 2) -> int:
        if next(rounds) == 1:
            raise KeyboardInterrupt
        return whole(session, newest, 2)

    monkeypatch.setattr(vault, "rewrap", killed)
    with pytest.raises(KeyboardInterrupt):
        vault.rotate(engine, fresh=True)
    new, old = master.load()
    with Session(engine) as session:
        assert vault.counts(session) == {new: 2, old: 3}
        assert {call: vault.find(session, call) for call in known} == known
    monkeypatch.setattr(vault, "rewrap", whole)
    assert vault.rotate(engine, fresh=True) == (new, 3)
    assert list(master.load()) == [new]


def test_keys_made_during_a_rotation_can_be_opened_after_it(
    engine: Engine, master: MasterFile
) -> None:
    keys, stop = KeysOfCalls(engine), threading.Event()
    made: dict[str, bytes] = {}

    def write() -> None:
        while not stop.is_set():
            call = f"call {len(made)}"
            made[call] = keys.make(call)

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(5):
        vault.rotate(engine, fresh=True)
    stop.set()
    writer.join()
    assert made
    assert {call: keys.find(call) for call in made} == made


def test_a_master_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.keys"
    MasterFile(path, make=True).load()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"master\.keys can be read by others; run: chmod 600"):
        MasterFile(path).load()
    with pytest.raises(ConfigError, match="cannot be read"):
        MasterFile(tmp_path / "none").load()
    for text in ("", "secret", "00" * 32, "ab" * 31, "ab" * 32 + " cd"):
        with pytest.raises(ConfigError, match=r"allowed|found no key"):
            parsed(text, "keys.master")
    with pytest.raises(ConfigError, match="put the new key before the old one"):
        MasterSecret(lambda: "ab" * 32).add()


def test_without_the_master_key_nothing_is_opened_and_it_is_said_which(
    engine: Engine, master: MasterFile, tmp_path: Path
) -> None:
    with Session(engine) as session, session.begin():
        vault.key_for(session, "a", None)
    (name,) = master.load()
    vault.use_master(engine, MasterFile(tmp_path / "another", make=True))
    with (
        Session(engine) as session,
        pytest.raises(RecordingError, match=f"master key {name} is not"),
    ):
        vault.find(session, "a")
    engine.update_execution_options(master_keys=None)
    with Session(engine) as session, pytest.raises(StartError, match="without its master key"):
        vault.find(session, "a")

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from callcenter import events, log
from callcenter.database import open_database, reading
from callcenter.errors import Conflict
from callcenter.events import AgentStateChanged, CallHeld, CallResumed
from callcenter.log import Consumer, Entry, EventLog, append_within, newest


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    log.metadata.create_all(engine)
    applied.create(engine)
    yield engine
    engine.dispose()


def held(*calls: str) -> list[CallHeld]:
    return [CallHeld(call=call, by="agent") for call in calls]


applied = Table(
    "applied",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("position", Integer),
    Column("who", Text),
)


def positions(engine: Engine) -> list[int | None]:
    """Of the facts that were applied, in the order in which they were."""
    with reading(engine).connect() as connection:
        query = select(applied.c.position).order_by(applied.c.number)
        return list(connection.execute(query).scalars())


def note(session: Session, entry: Entry) -> None:
    session.execute(insert(applied).values(position=entry.position, who="test"))


# Applies facts; dies by its own hand at fact DIE, at the moment WHEN.
CHILD = """
import os, signal, sys
from sqlalchemy import text
from callcenter.database import open_database
from callcenter.log import Consumer
url, who, die, when = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]

def apply(session, entry):
    if entry.position == die and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    values = {"p": entry.position, "w": who}
    session.execute(text("INSERT INTO applied (position, who) VALUES (:p, :w)"), values)
    if entry.position == die and when == "within":
        os.kill(os.getpid(), signal.SIGKILL)

consumer = Consumer(open_database(url), "crm", apply)
print("ready", flush=True)
sys.stdin.readline()
for entry in consumer.catch_up():
    if entry.position == die and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def child(engine: Engine) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(who: str = "child", die: int = 0, when: str = "never") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(engine.url), who, str(die), when],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate("go\n", timeout=120)
    return process.returncode


@pytest.mark.integration
@pytest.mark.parametrize(("when", "done"), [("before", 2), ("within", 2), ("after", 3)])
def test_a_consumer_that_was_killed_resumes_exactly_there(
    engine: Engine, child: Start, when: str, done: int
) -> None:
    EventLog(engine).append(*held(*"abcde"))
    assert finish(child(die=3, when=when)) == -signal.SIGKILL
    assert positions(engine) == [1, 2, 3][:done]
    assert Consumer(engine, "crm", note).position() == done
    assert finish(child()) == 0
    assert positions(engine) == [1, 2, 3, 4, 5]


@pytest.mark.integration
def test_a_fact_committed_by_a_process_that_died_before_announcing_it_is_applied(
    engine: Engine,
) -> None:
    program = (
        "import os, signal, sys\n"
        "from callcenter.database import open_database\n"
        "from callcenter.events import CallHeld\n"
        "from callcenter.log import EventLog\n"
        "EventLog(open_database(sys.argv[1])).append(CallHeld(call='c', by='agent'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", program, str(engine.url)], timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert [entry.fact.subject for entry in Consumer(engine, "crm", note).catch_up()] == ["c"]


@pytest.mark.integration
def test_two_processes_under_one_name_apply_every_fact_once_and_in_order(
    engine: Engine, child: Start
) -> None:
    EventLog(engine).append(*held(*(str(number) for number in range(300))))
    processes = [child("one"), child("two")]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(finish, processes)) == [0, 0]
    assert positions(engine) == list(range(1, 301))


@pytest.mark.integration
def test_one_of_two_killed_in_the_middle_costs_nothing_and_repeats_nothing(
    engine: Engine, child: Start
) -> None:
    EventLog(engine).append(*held(*(str(number) for number in range(100))))
    processes = [child("one", 40, "within"), child("two")]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(finish, processes))
    assert codes[1] == 0
    for _ in Consumer(engine, "crm", note).catch_up():
        pass
    assert positions(engine) == list(range(1, 101))


def test_a_fact_is_there_for_everybody_when_append_returns(engine: Engine) -> None:
    elsewhere = open_database(str(engine.url))
    other = EventLog(elsewhere)
    for number in range(20):
        (entry,) = EventLog(engine).append(*held(str(number)))
        assert other.end() == entry.position
        assert other.read(entry.position - 1) == [entry]
    elsewhere.dispose()


def test_a_consumer_yields_a_fact_only_after_its_records_are_committed(engine: Engine) -> None:
    EventLog(engine).append(*held("a", "b"))
    for entry in Consumer(engine, "crm", note).catch_up():
        assert positions(engine)[-1] == entry.position


def test_facts_appended_together_come_together_and_in_order(engine: Engine) -> None:
    facts = [*held("a"), CallResumed(call="a", by="agent"), *held("b")]
    entries = EventLog(engine).append(*facts)
    assert [entry.fact for entry in EventLog(engine).read()] == facts
    assert [entry.position for entry in entries] == [1, 2, 3]
    assert len({entry.id for entry in entries}) == 3


def test_facts_of_a_transaction_that_fails_do_not_exist(engine: Engine) -> None:
    def refused() -> None:
        with engine.begin() as connection:
            append_within(connection, *held("a"))
            raise Conflict("no")

    with pytest.raises(Conflict):
        refused()
    assert EventLog(engine).end() == 0


@pytest.mark.integration
def test_eight_writers_at_once_lose_nothing_and_keep_each_ones_order(engine: Engine) -> None:
    writing = threading.Event()
    writing.set()
    followed: list[Entry] = []

    def follow() -> None:
        reader, done = EventLog(engine), False
        while not done:
            done = not writing.is_set()
            followed.extend(reader.read(followed[-1].position if followed else 0))

    def write(who: int) -> None:
        for number in range(40):
            EventLog(engine).append(*held(f"{who}-{number}"))

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    writing.clear()
    follower.join()
    assert [entry.position for entry in followed] == list(range(1, 321))
    for who in range(8):
        mine = [str(e.fact.subject) for e in followed if str(e.fact.subject).startswith(f"{who}-")]
        assert mine == [f"{who}-{number}" for number in range(40)]


def test_the_newest_fact_of_some_kinds_is_found(engine: Engine) -> None:
    resumed, (last,) = CallResumed(call="a", by="agent"), held("a")
    EventLog(engine).append(*held("a", "b"), resumed, last)
    with engine.connect() as connection:
        assert newest(connection, "a", CallHeld, CallResumed) == last
        assert newest(connection, "a", CallResumed) == resumed
        assert newest(connection, "b", CallResumed) is None
        assert newest(connection, "c", CallHeld) is None


def test_facts_are_found_by_call_and_by_kind(engine: Engine) -> None:
    log_ = EventLog(engine)
    log_.append(*held("a", "b"), CallResumed(call="a", by="agent"))
    log_.append(AgentStateChanged(agent="x", state="available", previous="offline"))
    assert [entry.kind for entry in log_.of_call("a")] == ["CallHeld", "CallResumed"]
    assert [entry.position for entry in log_.of_kinds(CallHeld, CallResumed)] == [1, 2, 3]
    assert [entry.position for entry in log_.of_kinds(CallHeld, after=1)] == [2]
    assert [entry.position for entry in log_.read(1, limit=2)] == [2, 3]


def test_a_fact_comes_back_as_it_was_with_its_moment(engine: Engine) -> None:
    (fact,) = held("a")
    EventLog(engine).append(fact)
    (entry,) = EventLog(engine).read()
    assert entry.fact == fact
    assert entry.fact.at.tzinfo is not None


def test_one_bad_fact_is_noted_undone_and_passed_over(engine: Engine) -> None:
    def apply(session: Session, entry: Entry) -> None:
        note(session, entry)
        if entry.position == 2:
            raise ValueError("bad")

    EventLog(engine).append(*held("a", "b", "c"))
    consumer = Consumer(engine, "crm", apply)
    assert [entry.position for entry in consumer.catch_up()] == [1, 2, 3]
    assert positions(engine) == [1, 3]
    with engine.connect() as connection:
        row = connection.execute(log.failures.select()).one()
    assert (row.consumer, row.position, row.error) == ("crm", 2, "ValueError('bad')")


def test_a_database_that_fails_costs_no_fact(engine: Engine) -> None:
    EventLog(engine).append(*held("a", "b"))
    full = [True]

    def apply(session: Session, entry: Entry) -> None:
        if entry.position == 2 and full:
            raise OperationalError("INSERT", None, Exception("disk is full"))
        note(session, entry)

    consumer = Consumer(engine, "crm", apply)
    with pytest.raises(OperationalError, match="disk is full"):
        list(consumer.catch_up())
    assert (consumer.position(), positions(engine)) == (1, [1])
    full.clear()
    assert [entry.position for entry in consumer.catch_up()] == [2]


def append_unknown(engine: Engine, kind: str, **payload: str) -> None:
    """What a newer version writes beside this one."""
    row = {"id": kind, "kind": kind, "subject": "c", "at": events.now(), "payload": payload}
    with engine.begin() as connection:
        connection.execute(insert(log.facts).values(**row))


@pytest.mark.parametrize(
    ("kind", "payload"), [("CallTeleported", {}), ("CallHeld", {"call": "c", "by": "robot"})]
)
def test_a_fact_of_a_newer_version_neither_stops_a_consumer_nor_is_lost(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, kind: str, payload: dict[str, str]
) -> None:
    EventLog(engine).append(*held("a"))
    append_unknown(engine, kind, **payload)
    EventLog(engine).append(*held("b"))
    with structlog.testing.capture_logs() as said:
        older = Consumer(engine, "crm", note)
        assert [entry.position for entry in older.catch_up()] == [1, 3]
    (line,) = [line for line in said if line["log_level"] == "error"]
    assert (line["kind"], line["position"]) == (kind, 2)
    assert positions(engine) == [1, 3]
    (unread,) = EventLog(engine).unread("crm")
    assert (unread.kind, unread.fact.subject) == (kind, "c")

    # The update: the process knows the kind now. It is applied once, late, by the first that can.
    monkeypatch.setattr(events, "unpack", lambda kind, payload: CallHeld(call="c", by="agent"))
    newer, other = Consumer(engine, "crm", note), Consumer(engine, "crm", note)
    assert [entry.position for entry in newer.catch_up()] == [2]
    assert list(other.catch_up()) == []
    assert positions(engine) == [1, 3, 2]
    assert EventLog(engine).unread("crm") == []


def test_a_fact_of_a_newer_version_does_not_hide_the_rest_of_its_call(engine: Engine) -> None:
    EventLog(engine).append(*held("c"))
    append_unknown(engine, "CallTeleported")
    assert [entry.kind for entry in EventLog(engine).of_call("c")] == ["CallHeld", "CallTeleported"]


def test_consumers_of_two_names_each_get_everything(engine: Engine) -> None:
    EventLog(engine).append(*held("a", "b"))
    for name in ("crm", "jobs"):
        assert len(list(Consumer(engine, name, note).catch_up())) == 2
        assert list(Consumer(engine, name, note).catch_up()) == []
    assert positions(engine) == [1, 2, 1, 2]


def test_more_facts_than_a_batch_are_all_applied(engine: Engine) -> None:
    EventLog(engine).append(*held(*(str(number) for number in range(250))))
    assert len(list(Consumer(engine, "crm", note).catch_up())) == 250

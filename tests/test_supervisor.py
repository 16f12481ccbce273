"""The supervisor with real processes: small programs that note what happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from callcenter.errors import StartError
from callcenter.supervisor import (
    FIRST_DELAY,
    HEALTHY_AFTER,
    LONGEST_DELAY,
    Backoff,
    only_one,
    when_ready,
)

WaitUntil = Callable[..., Any]

# A supervisor of its own process: argv = run_dir, then name=mode for each program.
SUPERVISOR = """
import sys
from pathlib import Path
from callcenter.supervisor import Program, Supervisor, only_one
from callcenter.errors import StartError

folder, child = Path(sys.argv[1]), sys.argv[2]
programs = []
for word in sys.argv[3:]:
    name, mode = word.split("=")
    command = [sys.executable, "-c", Path(child).read_text(), str(folder), name, mode]
    programs.append(Program(name, command, drain_first=name == "telephony"))
try:
    with only_one(folder / "run") as lock:
        sys.exit(Supervisor(programs, lock=lock).run())
except StartError as error:
    print(error.detail, file=sys.stderr)
    sys.exit(1)
"""

# What runs under it: notes its pid and its end, does as its mode says.
CHILD = """
import os, signal, sys, threading, time
from pathlib import Path
from callcenter import process
from callcenter.config import Settings

folder, name, mode = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def note(what):
    with (folder / "notes").open("a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")

process.begin(Settings(), name)
if mode == "refuse":
    note("refused")
    os._exit(process.REFUSED_TO_START)
if mode == "fail":
    note("failed")
    sys.exit(3)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("started")
    while True:
        time.sleep(60)
stop = process.stop_event()
note("started")
stop.wait()
if mode == "slow":
    time.sleep(0.7)
note("stopped")
"""


class System:
    """A supervisor under test and what its children noted."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process

    def notes(self, name: str = "", what: str = "") -> list[tuple[str, str, int]]:
        try:
            lines = (self.folder / "notes").read_text().splitlines()
        except FileNotFoundError:
            return []
        rows = [(row[0], row[1], int(row[2])) for row in (line.split() for line in lines)]
        return [row for row in rows if name in ("", row[0]) and what in ("", row[1])]

    def pids(self) -> list[int]:
        return [pid for _, _, pid in self.notes()]

    def all_gone(self) -> bool:
        return not any(_is_alive(pid) for pid in self.pids())


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that nobody has waited for yet is dead too
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


Start = Callable[..., System]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    child = tmp_path / "child.py"
    child.write_text(CHILD)
    systems: list[System] = []

    def begin(*programs: str) -> System:
        command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(child), *programs]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        systems.append(System(tmp_path, process))
        return systems[-1]

    yield begin
    for system in systems:
        for pid in [*system.pids(), system.process.pid]:
            if system.process.poll() is None or _is_alive(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        system.process.communicate()


def test_back_off_doubles_up_to_half_a_minute_and_forgets_after_a_healthy_minute() -> None:
    backoff = Backoff()
    delays = [backoff.delay(ran=0.1) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]
    assert backoff.delay(ran=HEALTHY_AFTER) == FIRST_DELAY
    assert backoff.delay(ran=1) == 2 * FIRST_DELAY


def test_back_off_stays_at_its_longest_for_days() -> None:
    backoff = Backoff(failures=100_000)
    assert backoff.delay(ran=0) == LONGEST_DELAY


@pytest.mark.integration
def test_a_killed_child_is_started_again(start: Start, wait_until: WaitUntil) -> None:
    system = start("web=run", "jobs=run")
    (first,) = wait_until(lambda: system.notes("web", "started"), "the start")
    wait_until(lambda: system.notes("jobs", "started"), "the other's start")
    os.kill(first[2], signal.SIGKILL)
    wait_until(lambda: len(system.notes("web", "started")) == 2, "the second start")
    assert len(system.notes("jobs")) == 1
    assert not _is_alive(first[2])


@pytest.mark.integration
def test_a_child_that_keeps_failing_is_tried_again_and_again(
    start: Start, wait_until: WaitUntil
) -> None:
    system = start("speech=fail", "web=run")
    wait_until(lambda: len(system.notes("speech", "failed")) == 3, "three tries")
    assert len(system.notes("web")) == 1
    assert system.process.poll() is None


@pytest.mark.integration
def test_a_child_that_cannot_start_ends_the_system_with_status_1(
    start: Start, wait_until: WaitUntil
) -> None:
    system = start("web=refuse", "jobs=run")
    assert system.process.wait(30) == 1
    assert len(system.notes("web")) == 1
    assert system.all_gone()


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_in_order_telephony_first(
    start: Start, wait_until: WaitUntil, number: signal.Signals
) -> None:
    system = start("telephony=slow", "web=run", "jobs=run")
    wait_until(lambda: len(system.notes(what="started")) == 3, "all starts")
    system.process.send_signal(number)
    assert system.process.wait(30) == 0
    stopped = [name for name, _, _ in system.notes(what="stopped")]
    assert stopped[0] == "telephony"
    assert sorted(stopped) == ["jobs", "telephony", "web"]
    assert system.all_gone()


@pytest.mark.integration
def test_a_second_signal_ends_what_does_not_listen(start: Start, wait_until: WaitUntil) -> None:
    system = start("telephony=stubborn", "web=stubborn")
    wait_until(lambda: len(system.notes(what="started")) == 2, "all starts")
    system.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        system.process.wait(0.5)
    system.process.send_signal(signal.SIGTERM)
    assert system.process.wait(9) == 0
    assert system.all_gone()


@pytest.mark.integration
def test_no_child_outlives_a_killed_supervisor(start: Start, wait_until: WaitUntil) -> None:
    system = start("telephony=run", "web=run", "jobs=run")
    wait_until(lambda: len(system.notes(what="started")) == 3, "all starts")
    system.process.kill()
    system.process.wait(10)
    wait_until(system.all_gone, "the end of the children")
    assert len(system.notes(what="stopped")) == 3


@pytest.mark.integration
def test_a_second_start_is_refused_with_the_pid_of_the_first(
    start: Start, wait_until: WaitUntil
) -> None:
    first = start("web=run")
    wait_until(lambda: first.notes("web", "started"), "the start")
    second = start("web=run")
    _, said = second.process.communicate(timeout=30)
    assert second.process.returncode == 1
    assert f"is in use by the callcenter with pid {first.process.pid}: " in said.decode()
    assert len(first.notes("web")) == 1


@pytest.mark.integration
def test_a_start_after_a_kill_waits_for_the_old_children(
    start: Start, wait_until: WaitUntil
) -> None:
    first = start("web=slow")
    wait_until(lambda: first.notes("web", "started"), "the start")
    first.process.kill()
    first.process.wait(10)
    second = start("web=run")
    wait_until(lambda: len(second.notes("web", "started")) == 2, "the second start")
    assert [what for _, what, _ in second.notes()] == ["started", "stopped", "started"]


def test_the_lock_is_free_again_after_the_end(tmp_path: Path) -> None:
    mine = f"pid {os.getpid()}"
    with (
        only_one(tmp_path / "run"),
        pytest.raises(StartError, match=mine),
        only_one(tmp_path / "run"),
    ):
        pass
    with only_one(tmp_path / "run"):
        assert (tmp_path / "run" / "lock").read_text() == f"{os.getpid()}\n"


def test_when_ready_gives_up_in_the_end() -> None:
    answers = iter([False, False, True])
    assert when_ready(lambda: next(answers), seconds=5, every=0)
    assert not when_ready(lambda: False, seconds=0.05, every=0.01)

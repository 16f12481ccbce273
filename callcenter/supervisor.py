"""Starts the processes, watches them, starts them again, and ends them in order.

A child that ends by itself is started again after 0.5 s, then 1 s, 2 s … 30 s; a minute of
health forgets the past. At the end those named in `drain_first` get SIGTERM and time to
finish their calls, then the others, and after 20 s in all what is left is killed.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from callcenter.errors import StartError
from callcenter.process import LIFELINE, REFUSED_TO_START

FIRST_DELAY, LONGEST_DELAY, HEALTHY_AFTER = 0.5, 30.0, 60.0
DRAIN_SECONDS, STOP_SECONDS = 10.0, 18.0
_TICK = 0.05
_LOGGER = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    drain_first: bool = False


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start; pure: times are passed in (seconds)."""

    failures: int = 0

    def delay(self, ran: float) -> float:
        """The wait after a run of `ran` seconds."""
        self.failures = 0 if ran >= HEALTHY_AFTER else self.failures
        self.failures += 1
        return min(FIRST_DELAY * 2.0 ** min(self.failures - 1, 10), LONGEST_DELAY)


@dataclass(slots=True)
class _Child:
    program: Program
    backoff: Backoff = field(default_factory=Backoff)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    runs: int = 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """To the child alone; SIGKILL to all that it started."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            elif self.running:
                os.kill(self.process.pid, number)


class Supervisor:
    """Runs programs until SIGTERM, SIGINT or SIGHUP; a second signal ends them at once."""

    def __init__(self, programs: Sequence[Program], *, lock: int | None = None) -> None:
        """`lock`: a file that the children hold too, so that it is free when all are gone."""
        self._lock = lock
        self._children = [_Child(program) for program in programs]
        self._signals = 0
        self._refused: str | None = None
        self._lifeline, self._held = os.pipe()

    def run(self) -> int:
        """Start all, return the exit status when all have ended. Call it on the main thread."""
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        try:
            while not self._signals and not self._refused:
                for child in self._children:
                    self._look_after(child)
                time.sleep(_TICK)
            self._stop()
        finally:
            for child in self._children:
                child.signal(signal.SIGKILL)
            os.close(self._held)
            os.close(self._lifeline)
            for number, handler in previous.items():
                signal.signal(number, handler)
        return 1 if self._refused else 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                self._start(child)
        elif not child.running:
            self._ended(child, child.process.returncode)

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(
            child.program.command,
            stdin=subprocess.DEVNULL,
            pass_fds=[self._lifeline] if self._lock is None else [self._lifeline, self._lock],
            env={**os.environ, LIFELINE: str(self._lifeline)},
            start_new_session=True,  # Ctrl-C reaches the supervisor only, which ends them in order
        )
        child.started = time.monotonic()
        child.runs += 1
        _LOGGER.info("process started", child=child.program.name, pid=child.process.pid)

    def _ended(self, child: _Child, status: int) -> None:
        child.signal(signal.SIGKILL)  # whatever it started and left behind
        child.process = None
        if status == REFUSED_TO_START and child.runs == 1:
            self._refused = child.program.name
            return
        delay = child.backoff.delay(time.monotonic() - child.started)
        child.start_at = time.monotonic() + delay
        _LOGGER.error(
            "process ended, starting it again",
            child=child.program.name,
            status=status,
            in_seconds=delay,
        )

    def _stop(self) -> None:
        """First those that drain, then the others; 20 s in all, kill -9 included."""
        begin, heard = time.monotonic(), self._signals
        _LOGGER.info("stopping", refused=self._refused)
        for first, seconds in ((True, DRAIN_SECONDS), (False, STOP_SECONDS)):
            for child in self._children:
                if first is child.program.drain_first:
                    child.signal(signal.SIGTERM)
            waited_for = [c for c in self._children if not first or c.program.drain_first]
            while any(child.running for child in waited_for):
                if time.monotonic() > begin + seconds or self._signals > heard:
                    break
                time.sleep(_TICK)
        for child in self._children:
            if child.running:
                _LOGGER.warning("process did not stop in time", child=child.program.name)
            child.signal(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()


@contextmanager
def only_one(run_dir: Path) -> Iterator[int]:
    """Hold the data directory; yields the lock. Raises StartError when another system has it.

    Where the other one was killed and only its children still end, this waits for them.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + STOP_SECONDS
        while not _locked(handle):
            pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            if _is_alive(pid) or time.monotonic() > deadline:
                raise StartError(
                    f"{run_dir.parent} is in use by the callcenter with pid {pid or 'unknown'}: "
                    "stop that one first, or give this one another --data-dir"
                )
            time.sleep(_TICK)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield handle
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def when_ready(ask: Callable[[], bool], *, seconds: float, every: float = 0.2) -> bool:
    """Poll until `ask()` is true; False when it did not become so in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ask():
            return True
        time.sleep(every)
    return False

"""What every process of the system does at its start and its end.

The supervisor hands each child the reading end of a pipe whose writing end it alone holds.
When it dies, however, the pipe ends, and the child asks itself to stop: no process outlives
its supervisor, on Linux and macOS alike.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from types import FrameType

import structlog

from callcenter import logs
from callcenter.config import Settings

LIFELINE = "CALLCENTER_LIFELINE_FD"
REFUSED_TO_START = 69  # exit status that tells the supervisor not to try again
_LAST_GRACE = 15.0
_LOGGER = structlog.get_logger()


def begin(settings: Settings, name: str) -> None:
    """Logging, and the watch over the supervisor where there is one."""
    logs.setup(settings.log, name)
    lifeline = os.environ.pop(LIFELINE, None)
    if lifeline is not None:
        threading.Thread(target=_watch, args=(int(lifeline),), name="lifeline", daemon=True).start()


def is_supervised() -> bool:
    """Whether a supervisor started this process (asked before `begin`)."""
    return LIFELINE in os.environ


def stop_event() -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it on the main thread."""
    event = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        event.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return event


def _watch(lifeline: int) -> None:
    """Blocks until the supervisor is gone; then this process stops, at the latest by force."""
    with suppress(OSError):
        while os.read(lifeline, 1):
            pass
    _LOGGER.warning("supervisor is gone, stopping")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_GRACE)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

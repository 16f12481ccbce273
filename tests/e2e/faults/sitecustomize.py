"""Loaded by the processes of test_pops and test_faults (PYTHONPATH). Not in the product.

The web process dies at a named point: a file of that name in CALLCENTER_TEST_FAULTS arms it once.
The telephony process lives by the clock of libfaketime that FAKED_CLOCK names: it starts itself
anew with the library. (The others do not: Python's own sleep fails with it.)
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

FAULTS = os.environ.get("CALLCENTER_TEST_FAULTS", "")


def die_at(point: str) -> None:
    """SIGKILL to the web process, server and worker, when the point is armed."""
    armed = Path(FAULTS) / point
    if not armed.exists():
        return
    armed.unlink()
    if b"\0web\0" in Path(f"/proc/{os.getppid()}/cmdline").read_bytes():
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def arm() -> None:
    """Put the points into the web process."""
    from callcenter import events
    from callcenter.log import Entry
    from callcenter.web import sockets
    from callcenter.web.live import Live

    deliver, seen = Live.deliver, sockets.HANDLES["pop.seen"]

    def guarded_deliver(self: Live, entry: Entry) -> None:
        if isinstance(entry.fact, events.AgentOffered):
            die_at("committed-not-emitted")
        deliver(self, entry)

    def guarded_seen(of: Any, connection: Any, body: Any) -> Any:
        die_at("emitted-not-seen")
        return seen(of, connection, body)

    Live.deliver = guarded_deliver  # type: ignore[method-assign]
    sockets.HANDLES["pop.seen"] = guarded_seen


def fake_clock(library: str) -> None:
    """This process once more, with the library in front of the C library."""
    os.execve(sys.executable, sys.orig_argv, os.environ | {"LD_PRELOAD": library})


CLOCK = os.environ.get("FAKED_CLOCK", "")
if CLOCK and "telephony" in sys.orig_argv and "LD_PRELOAD" not in os.environ:
    fake_clock(CLOCK)
if FAULTS and "web" in sys.orig_argv:
    arm()

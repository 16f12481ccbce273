"""Messages made by chance against a running listener (`make fuzz`, tests/e2e/test_faults.py)."""

from __future__ import annotations

import random
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from torture import Sender
from torture_set import cases, mutant

PROBE_EVERY = 100
PER_SECOND = 400  # well below `sip.limits.source_rate`: what is dropped tests nothing
FLAT = 1.10  # memory after the second half of the messages, against that after the first
SLACK = 12 * 2**20  # bytes: what an allocator may keep besides


@dataclass(frozen=True)
class Outcome:
    """What a run of mutants did to the listener."""

    sent: int
    silent: list[int]  # numbers of the messages after which OPTIONS got no answer
    slowest: float  # seconds
    half: int  # resident bytes of the process after one half of the messages …
    full: int  # … and after all of them

    @property
    def well(self) -> bool:
        """Alive all the time, memory flat."""
        return not self.silent and self.full < self.half * FLAT + SLACK

    def line(self) -> str:
        """For people."""
        silent = self.silent or "never"
        return (
            f"{self.sent} mutants: silent after {silent}, slowest OPTIONS "
            f"{self.slowest * 1000:.0f} ms, memory {self.half >> 20} MiB → {self.full >> 20} MiB"
        )


def bombard(port: int, pid: int, *, messages: int, seed: int) -> Outcome:
    """Send `messages` mutants to 127.0.0.1; `pid` is the listener's process."""
    chance = random.Random(seed)
    seeds = [case.data for case in cases() if 0 < len(case.data) < 4000]
    sender = Sender("127.0.0.1", port)
    silent: list[int] = []
    slowest, half = 0.0, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gun:
        gun.bind((sender.host, 0))
        for number in range(messages):
            gun.sendto(mutant(chance.choice(seeds), chance), ("127.0.0.1", port))
            time.sleep(1 / PER_SECOND)
            if number % PROBE_EVERY == PROBE_EVERY - 1:
                took = sender.probe()
                slowest = max(slowest, took or 0.0)
                silent += [number] if took is None else []
            if number == messages // 2:
                half = resident(pid)
    full = resident(pid)
    sender.close()
    return Outcome(messages, silent, slowest, half, full)


def resident(pid: int) -> int:
    """Bytes of memory that the process has now."""
    fields = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return int(fields[1]) * 4096

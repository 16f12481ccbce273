"""The machine: its size, its load, and the processor time of processes (Linux's /proc)."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
LAST_CORE_ONLY = "telephony alone has the last core; everything else that is ours has the others"


def machine() -> dict[str, Any]:
    """What a reader must know to compare figures."""
    return {
        "cores": os.cpu_count() or 1,
        "processor": _model(),
        "memory": _memory(),
        "load": " ".join(f"{one:.1f}" for one in os.getloadavg()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def seconds_used(pids: Iterable[int]) -> float:
    """Processor time (user and system, seconds) of these processes so far; 0 without /proc."""
    return sum(_used(pid) for pid in pids)


def ticks_of(stat: str) -> int:
    """utime + stime of a line of /proc/PID/stat (proc(5)): fields 14 and 15."""
    after_name = stat.rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


def can_measure() -> bool:
    """Whether this system tells the processor time of other processes."""
    return (_PROC / "self" / "stat").exists()


def pids_of(data_dir: Path) -> dict[str, list[int]]:
    """Process ids of the system with this data directory: name (telephony, web …) → pids."""
    found: dict[str, list[int]] = {}
    for entry in _PROC.iterdir() if can_measure() else []:
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if str(data_dir) in words and "callcenter" in words[:-1]:
                name = words[words.index("callcenter") + 1]
                found.setdefault(name, []).append(int(entry.name))
    return found


def pin(pids: Iterable[int], cores: set[int]) -> bool:
    """Keep every thread of these processes on these cores; False where that is not possible."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    for pid in pids:
        with suppress(OSError):
            for task in (_PROC / str(pid) / "task").iterdir():
                os.sched_setaffinity(int(task.name), cores)
    return True


def set_apart(pids: dict[str, list[int]]) -> bool:
    """Give telephony the last core and the others the rest, where there are two or more."""
    if not hasattr(os, "sched_getaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return False
    for name, ids in pids.items():
        pin(ids, {cores[-1]} if name == "telephony" else set(cores[:-1]))
    return True


class Meter:
    """Shares of a core that groups of processes use between two looks."""

    def __init__(self, groups: dict[str, list[int]]) -> None:
        self._groups = groups
        self._began = time.monotonic()
        self._before = self._look()

    def shares(self) -> dict[str, float]:
        """Group → percent of one core since the start."""
        passed = time.monotonic() - self._began
        now = self._look()
        return {name: 100 * (now[name] - self._before[name]) / passed for name in now}

    def _look(self) -> dict[str, float]:
        return {name: seconds_used(pids) for name, pids in self._groups.items()}


def _used(pid: int) -> float:
    try:
        ticks = ticks_of((_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace"))
    except OSError:
        return 0.0
    return ticks / os.sysconf("SC_CLK_TCK")


def _model() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*: (.+)$", (_PROC / "cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _memory() -> str:
    with suppress(OSError, ValueError):
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return "unknown"

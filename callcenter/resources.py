"""What can run out: disks, descriptors, ports, calls. Measured, and told before it is full.

`Watch` is pure: uses in, changes out. An alarm begins at 90 % and ends below 85 %, so that it does
not flicker. `Reserve` keeps a little room beside the database, given up when the disk is full, so
that calls go on while somebody makes room.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import DBAPIError

ALARM_AT = 0.90
CALM_BELOW = 0.85
RESERVE_SHARE, RESERVE_BYTES = 20, 64 * 2**20
"""The reserve is a twentieth of the disk, at most 64 MiB."""

Resource = Literal["recordings_disk", "database_disk", "descriptors", "rtp_ports", "calls"]


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a resource is taken; `used` and `limit` in its own unit."""

    resource: Resource
    used: int
    limit: int

    @property
    def share(self) -> float:
        """0 … 1."""
        return min(1.0, self.used / self.limit) if self.limit > 0 else 1.0


class Watch:
    """Which resources are short."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}
        self.alarms: dict[str, float] = {}

    def look(self, uses: Iterable[Use]) -> list[str]:
        """Take what was measured; the resources whose alarm began or ended."""
        changed = []
        for use in uses:
            name, share = use.resource, round(use.share, 3)
            self.shares[name] = share
            short = share >= (CALM_BELOW if name in self.alarms else ALARM_AT)
            if short != (name in self.alarms):
                changed.append(str(name))
            if short:
                self.alarms[name] = share
            else:
                self.alarms.pop(name, None)
        return changed


def disk(name: Resource, folder: Path) -> Use:
    """The disk that a folder is on, or will be. What only root may take counts as taken."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return Use(name, usage.used, usage.used + usage.free)


def descriptors() -> Use:
    """Open files and sockets of this process, against RLIMIT_NOFILE."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    listing = "/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"
    return Use("descriptors", len(os.listdir(listing)), most)  # noqa: PTH208 - names are enough


def is_full(error: BaseException) -> bool:
    """Whether the database failed for want of room (SQLite: SQLITE_FULL; PostgreSQL: 53100)."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if getattr(original, "sqlstate", None) == "53100":
        return True
    return "disk is full" in str(original)


class Reserve:
    """A file of zeros beside the database. Gone, it leaves its room to those who write."""

    def __init__(self, beside: Path | None) -> None:
        self._file = None if beside is None else beside.with_name(f"{beside.name}.reserve")

    def hold(self) -> None:
        """Have it again, where there is plenty of room. Raises nothing: it is a reserve."""
        if self._file is None or self._file.exists():
            return
        try:
            usage = shutil.disk_usage(self._file.parent)
            size = min(RESERVE_BYTES, usage.total // RESERVE_SHARE)
            if usage.free > 4 * size:
                part = self._file.with_name(f"{self._file.name}.part")
                _fill(part, size)
                part.replace(self._file)
        except OSError:
            self.release()

    def release(self) -> bool:
        """Give it up; whether there was one."""
        if self._file is None:
            return False
        held = self._file.exists()
        for file in (self._file, self._file.with_name(f"{self._file.name}.part")):
            file.unlink(missing_ok=True)
        return held


def _fill(file: Path, size: int) -> None:
    with file.open("wb") as opened:
        for _ in range(size // 2**16):
            opened.write(bytes(2**16))
        opened.flush()
        os.fsync(opened.fileno())


def database_file(url: str) -> Path | None:
    """The file of a SQLite database, None for a server."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))

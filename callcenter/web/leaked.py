"""A local list of leaked passwords, looked up in its file (OWASP ASVS 5.0, 6.2.12).

The file has one line for each password, sorted by hash: SHA-1 in hex, a colon, how often it was
seen. Such lists have tens of GB. Nothing of one is kept in memory: a look-up halves the file
until a few KB are left, about 25 reads. It is opened anew each time, so that a newer list may be
put in its place while the system runs. No Flask here: the command line uses it too.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from callcenter.config import Settings
from callcenter.errors import ConfigError, Unavailable

SETTING = "sign_in.leaked_passwords"
_LINE = re.compile(rb"([0-9A-Fa-f]{40})(?::\d{1,20})?\r?")
_LONGEST = 64  # bytes of a line with its end: 40 + 1 + 20 + 2
_FEW = 4096  # bytes that are read at once where the line is, if it is there
_PLACES = 1000  # of the file, looked at before the start
_LOGGER = structlog.get_logger()


class _Broken(Exception):
    """The list cannot be used; the message goes on after the file's name."""


class LeakedPasswords:
    """The list at `file`; safe to use from many threads."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, settings: Settings) -> LeakedPasswords | None:
        """The site's; None where none is set."""
        file = settings.sign_in.leaked_passwords
        return cls(file) if file else None

    def holds(self, password: str) -> bool:
        """Whether it is in the list, as it was typed. Raises Unavailable for a broken list."""
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            with self._opened() as (fd, size):
                return _finds(fd, size, wanted.encode())
        except _Broken as error:
            _LOGGER.error("leaked_passwords", file=str(self._file), problem=str(error))
            raise Unavailable(
                f"the list of leaked passwords cannot be used, so no password can be set: see to "
                f"{SETTING}"
            ) from error

    def problem(self, places: int = 1) -> str | None:
        """What is wrong with it; None when it is in order where it was looked at.

        `places` lines, as far from each other as can be, must have the form and be in order, and
        so must the last one. A list that is out of order between two of them is not noticed here.
        """
        try:
            with self._opened() as (fd, size):
                _look(fd, size, places)
        except _Broken as error:
            return str(error)
        return None

    def check(self) -> None:
        """Before the start. Raises ConfigError with one sentence."""
        problem = self.problem(_PLACES)
        if problem is not None:
            raise ConfigError([f"{SETTING}: {self._file} {problem}"])

    @contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """File descriptor and size in bytes. Raises _Broken, also for what fails inside."""
        try:
            if self._file.exists() and not self._file.is_file():
                raise _Broken("is no file")
            fd = os.open(self._file, os.O_RDONLY)
            try:
                size = os.fstat(fd).st_size
                if size == 0:
                    raise _Broken("is empty")
                yield fd, size
            finally:
                os.close(fd)
        except OSError as error:
            raise _Broken(f"cannot be read ({error.strerror})") from error


def _finds(fd: int, size: int, wanted: bytes) -> bool:
    """Whether a line of the file has that hash."""
    begin, end = 0, size  # where the line begins, if it is there
    low, high = b"", b"~"  # hashes just before and at the end of that part
    while end - begin > _FEW:
        found = _line(fd, size, (begin + end) // 2)
        if found is None:
            raise _no_line(end)  # there are KBs behind the middle, and no line begins there
        start, after, hashed = found
        if not low <= hashed <= high:
            raise _out_of_order(start)
        if hashed == wanted:
            return True
        if hashed < wanted:
            begin, low = after, hashed
        else:
            end, high = start, hashed
    return wanted in _hashes(os.pread(fd, end - begin, begin), begin)


def _look(fd: int, size: int, places: int) -> None:
    """Lines at even distances, and the last one. Raises _Broken."""
    before = b""
    for number in range(places):
        found = _line(fd, size, number * size // places)
        if found is None:
            break
        start, _, hashed = found
        if hashed < before:
            raise _out_of_order(start)
        before = hashed
    tail = max(0, size - _LONGEST)
    rest = os.pread(fd, _LONGEST, tail).removesuffix(b"\n")
    begin = rest.rfind(b"\n") + 1
    if _hashes(rest[begin:], tail + begin)[-1] < before:
        raise _out_of_order(tail + begin)


def _line(fd: int, size: int, at: int) -> tuple[int, int, bytes] | None:
    """(start, start of the next, hash) of the first line that begins at `at` or behind it."""
    start = at
    if at > 0:
        skipped = os.pread(fd, _LONGEST, at - 1).find(b"\n")
        if skipped < 0 and at - 1 + _LONGEST < size:
            raise _no_line(at)
        if skipped < 0 or at + skipped >= size:
            return None
        start = at + skipped
    text, newline, _ = os.pread(fd, _LONGEST, start).partition(b"\n")
    return start, start + len(text) + len(newline), _hashes(text, start)[0]


def _hashes(block: bytes, at: int) -> list[bytes]:
    """Of whole lines that begin at that byte of the file, in upper case. Raises _Broken."""
    found: list[bytes] = []
    for text in block.removesuffix(b"\n").split(b"\n"):
        line = _LINE.fullmatch(text)
        if line is None:
            raise _no_line(at)
        hashed = line[1].upper()
        if found and hashed < found[-1]:
            raise _out_of_order(at)
        found.append(hashed)
        at += len(text) + 1
    return found


def _no_line(at: int) -> _Broken:
    return _Broken(
        f"has no line such as {'0' * 40}:1 (SHA-1 in hex, colon, count) at byte {at:,}: take a "
        "list of that form, whole"
    )


def _out_of_order(at: int) -> _Broken:
    return _Broken(
        f"is not sorted by hash (at byte {at:,}): take the list that is, or sort it with "
        "LC_ALL=C sort"
    )

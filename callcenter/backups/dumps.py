"""The database as a file, as of one moment, and back. The system may go on while it is saved.

SQLite: `VACUUM INTO`, one read transaction; what was erased is not in the copy's free pages.
PostgreSQL: its own `pg_dump` and `pg_restore` (Debian: postgresql-client), custom format.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import URL, make_url

from callcenter.database import AWAY, open_database
from callcenter.errors import BackupError

_T = TypeVar("_T")


class Dump(Protocol):
    """A database that can be saved into a file and loaded from it."""

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database it is."""

    @property
    def member(self) -> str:
        """The file's name in a backup."""

    def is_empty(self) -> bool:
        """Whether there is no table yet; an empty database is not made by asking."""

    def size(self) -> int:
        """About how many bytes its file will have."""

    def save(self, target: Path) -> None:
        """Write it as it is now. Raises BackupError."""

    def load(self, source: Path) -> None:
        """Make it what `source` says, all or nothing; it is empty. Raises BackupError."""


def dump_of(url: str) -> Dump:
    """The dump that goes with `database_url`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDump(Path(parsed.database or ""))
    return PostgresDump(parsed)


class SqliteDump:
    """See Dump."""

    kind: Literal["sqlite"] = "sqlite"
    member = "database.sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_empty(self) -> bool:
        """See Dump."""
        if not self._path.exists() or not self._path.stat().st_size:
            return True
        with _failing(), closing(self._open()) as database:
            return not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def size(self) -> int:
        """See Dump."""
        return self._path.stat().st_size if self._path.exists() else 0

    def save(self, target: Path) -> None:
        """See Dump."""
        with _failing(), closing(self._open()) as database:
            database.execute("VACUUM INTO ?", [str(target)])

    def load(self, source: Path) -> None:
        """See Dump."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for end in ("-wal", "-shm"):  # of an empty database; they would be taken for this one's
            Path(f"{self._path}{end}").unlink(missing_ok=True)
        with _failing(), closing(sqlite3.connect(source)) as database:
            if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise BackupError("the database in the backup is damaged; nothing was brought back")
        with source.open("rb") as file:
            os.fsync(file.fileno())
        source.replace(self._path)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)


class PostgresDump:
    """See Dump."""

    kind: Literal["postgresql"] = "postgresql"
    member = "database.pgdump"

    def __init__(self, url: URL) -> None:
        self._url = url

    def is_empty(self) -> bool:
        """See Dump."""
        return not self._ask(lambda connection: inspect(connection).get_table_names())

    def size(self) -> int:
        """See Dump."""
        query = "SELECT pg_database_size(current_database())"
        return self._ask(lambda found: int(found.exec_driver_sql(query).scalar_one()))

    def save(self, target: Path) -> None:
        """See Dump."""
        self._run("pg_dump", "--format=custom", f"--file={target}")

    def load(self, source: Path) -> None:
        """See Dump."""
        self._run("pg_restore", "--single-transaction", "--exit-on-error", str(source))

    def _ask(self, question: Callable[[Connection], _T]) -> _T:
        engine = open_database(self._url.render_as_string(hide_password=False))
        try:
            with engine.connect() as connection:
                return question(connection)
        except AWAY as error:
            raise BackupError(f"{self._url.render_as_string()} does not answer") from error
        finally:
            engine.dispose()

    def _run(self, program: str, *words: str) -> None:
        """The password goes by the environment: a command line can be read by everybody."""
        if shutil.which(program) is None:
            raise BackupError(f"{program} is missing: apt-get install postgresql-client")
        plain = self._url.set(drivername="postgresql", password=None).render_as_string()
        password = {"PGPASSWORD": self._url.password} if self._url.password else {}
        done = subprocess.run(
            [program, "--no-owner", "--no-privileges", f"--dbname={plain}", *words],
            env={**os.environ, **password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            # the first line names what failed; what follows may show rows
            raise BackupError(f"{program} failed: {said[0] if said else done.returncode}")


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"the database cannot be copied: {error}") from error

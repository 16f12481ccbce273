"""Users from the command line: add, passwd, disable, unlock, reset-factors; the first admin."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of
from callcenter.errors import Invalid, NotFound

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from callcenter.config import Settings
    from callcenter.crm.users.models import User

FIRST_ADMIN = "admin"  # the name that crm.users gives it
DEMO_AGENT = "sara"


class Role(str, Enum):  # noqa: UP042 - typer shows the values of a str enum
    """What a user may do."""

    agent = "agent"
    supervisor = "supervisor"
    manager = "manager"
    admin = "admin"
    auditor = "auditor"


class Language(str, Enum):  # noqa: UP042
    """In which language a user works."""

    fa = "fa"
    he = "he"
    en = "en"


Username = Annotated[str, typer.Argument(metavar="NAME", help="The name to sign in with.")]
PasswordFile = Annotated[
    str, typer.Option("--password-file", metavar="FILE|-", help="The password; - reads stdin.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    user = typer.Typer(help="People who sign in.", no_args_is_help=True)
    user.command(
        epilog=example("callcenter user add sara --role agent --password-file secret.txt")
    )(add)
    user.command(epilog=example("callcenter user passwd sara --password-file -"))(passwd)
    user.command(epilog=example("callcenter user team sara north"))(team)
    user.command(epilog=example("callcenter user disable sara"))(disable)
    user.command(epilog=example("callcenter user unlock sara"))(unlock)
    user.command(epilog=example("callcenter user reset-factors sara"))(reset_factors)
    app.add_typer(user, name="user")


def add(
    username: Username,
    password_file: PasswordFile,
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.agent,
    extension: Annotated[str | None, typer.Option(help="The user's own number.")] = None,
    language: Annotated[Language | None, typer.Option(help="Of the pages.")] = None,
    full_name: Annotated[str | None, typer.Option("--name", help="Shown to others.")] = None,
    team: Annotated[str | None, typer.Option(help="Whose calls a supervisor hears.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a user."""
    from callcenter.crm.users import operations
    from callcenter.web.leaked import LeakedPasswords
    from callcenter.web.passwords import chosen

    settings = settings_of(config, data_dir)
    about = (username, full_name or "", settings.site.name)
    leaked = LeakedPasswords.of(settings)
    password_hash = chosen(read_password(password_file), about=about, leaked=leaked)
    with _session(settings) as session:
        operations.create(
            session,
            username=username,
            name=full_name,
            role=role.value,
            extension=extension,
            language=language.value if language else settings.site.default_language,
            team=team,
            password_hash=password_hash,
        )
    say(f"{username} can sign in as {role.value}.")


def passwd(
    username: Username,
    password_file: PasswordFile,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Give a user another password; his sessions end."""
    from callcenter.crm.users import operations
    from callcenter.web.leaked import LeakedPasswords
    from callcenter.web.passwords import chosen

    settings = settings_of(config, data_dir)
    about = (username, settings.site.name)
    leaked = LeakedPasswords.of(settings)
    password_hash = chosen(read_password(password_file), about=about, leaked=leaked)
    with _session(settings) as session:
        operations.set_password(session, _user(session, username), password_hash)
    say(f"{username} has a new password; every session of that user has ended.")


def team(
    username: Username,
    name: Annotated[
        str | None, typer.Argument(metavar="TEAM", help="None: out of the team.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Put a user into a team, or out of it: a supervisor in a team hears its calls only."""
    from callcenter.crm.audit import operations as audit
    from callcenter.crm.users import operations

    with _session(settings_of(config, data_dir)) as session:
        user = _user(session, username)
        operations.change(session, user, team=name)
        audit.record(session, None, "team", "user", user.id, reason=f"command line: {name or ''}")
    say(f"{username} is in the team {name}." if name else f"{username} is in no team.")


def disable(username: Username, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Let a user sign in no more; the records stay."""
    from callcenter.crm.users import operations

    with _session(settings_of(config, data_dir)) as session:
        operations.disable(session, _user(session, username))
    say(f"{username} can sign in no more; every session of that user has ended.")


def unlock(username: Username, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Forget failed tries to sign in, so that the user need not wait."""
    from callcenter.crm.audit import operations as audit
    from callcenter.crm.users import operations

    with _session(settings_of(config, data_dir)) as session:
        user = _user(session, username)
        operations.forget_failures(session, username)
        audit.record(session, None, "unlock", "user", user.id, reason="command line")
    say(f"{username} can try to sign in again at once.")


def reset_factors(username: Username, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Take every second factor of a user away who lost it; the sessions end."""
    from callcenter.crm.audit import operations as audit
    from callcenter.crm.factors import operations as factors
    from callcenter.crm.users import operations

    with _session(settings_of(config, data_dir)) as session:
        user = _user(session, username)
        factors.reset(session, user.id)
        operations.revoke_all(session, user.id)
        audit.record(session, None, "factor.reset", "user", user.id, reason="command line")
    say(f"{username} signs in with the password alone; every session of that user has ended.")


def read_password(source: str) -> str:
    """The first line of a file or of stdin. Raises Invalid when it cannot be read."""
    try:
        text = sys.stdin.readline() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{source} cannot be read as a password: {error}") from error
    return (text.splitlines() or [""])[0]


def first_admin(engine: Engine, settings: Settings) -> str | None:
    """Make the user admin where there is nobody yet; the password, or None."""
    from sqlalchemy.orm import Session

    from callcenter.crm.users import operations, queries
    from callcenter.database import reading
    from callcenter.web.passwords import hashed

    with Session(reading(engine)) as session:
        if queries.everybody(session, disabled=True):
            return None
    password = secrets.token_urlsafe(12)
    password_hash = hashed(password)  # takes a while: not with the database's write lock held
    with Session(engine) as session, session.begin():
        made = operations.ensure_first_admin(
            session, password_hash, language=settings.site.default_language
        )
    return password if made is not None else None


def demo_agent(engine: Engine, settings: Settings) -> str | None:
    """Sample records, and the user sara who takes the calls; her password when made now."""
    from sqlalchemy.orm import Session

    from callcenter.crm.users import operations, queries
    from callcenter.database import reading
    from callcenter.demo import data
    from callcenter.web.passwords import hashed

    with Session(reading(engine)) as session:
        is_there = queries.by_username(session, DEMO_AGENT) is not None
    password = secrets.token_urlsafe(12)
    password_hash = "" if is_there else hashed(password)
    with Session(engine) as session, session.begin():
        if not is_there:
            operations.create(
                session,
                username=DEMO_AGENT,
                name="Sara",
                role="agent",
                language=settings.lines[0].language or settings.site.default_language,
                password_hash=password_hash,
            )
        data.fill(session)
    return None if is_there else password


@contextmanager
def _session(settings: Settings) -> Iterator[Session]:
    """One transaction on a database that is up to date."""
    from sqlalchemy.orm import Session

    from callcenter import bootstrap
    from callcenter.migrations import upgrade

    engine = bootstrap.open_records(settings)
    try:
        upgrade(engine)
        with Session(engine) as session, session.begin():
            yield session
    finally:
        engine.dispose()


def _user(session: Session, username: str) -> User:
    from callcenter.crm.users import queries

    user = queries.by_username(session, username)
    if user is None:
        raise NotFound(f"there is no user {username}")
    return user

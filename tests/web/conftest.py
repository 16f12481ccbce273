"""The application on a real database file, with people of every role, and a scripted telephony."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy.orm import Session
from web_world import PASSWORD, Telephony, World

from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.crm.users import operations as users
from callcenter.crm.users.queries import everybody
from callcenter.database import open_database
from callcenter.web import passwords
from callcenter.web.app import create_app, join_sockets
from callcenter.web.permissions import ROLES


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    """argon2id with the least cost: what is tested is who gets in, not how long it takes."""
    patch = pytest.MonkeyPatch()
    patch.setattr(passwords, "_HASHER", PasswordHasher(1, 8, 1))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def peopled(migrated: str, databases: Any) -> str:
    """A migrated database with a person of every role, made once."""
    url: str = databases.copy(migrated)
    engine = open_database(url)
    known = PasswordHasher(1, 8, 1).hash(PASSWORD)
    with Session(engine) as session, session.begin():
        for role in ROLES:
            users.create(session, username=role, password_hash=known, role=role, language="en")
        users.create(session, username="other", password_hash=known, role="agent", language="fa")
    engine.dispose()
    return url


@pytest.fixture
def world(
    peopled: str, databases: Any, keyed: Any, make_settings: Callable[..., Settings]
) -> Iterator[World]:
    url = databases.copy(peopled)
    settings = make_settings().model_copy(update={"database_url": url})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.recordings_dir.mkdir(parents=True, exist_ok=True)
    engine = keyed(settings.database_url)
    bus = MemoryBus()
    telephony = Telephony(bus)
    telephony.start()
    runtime = join_sockets(create_app(settings, engine, bus), grace=0.3)
    with Session(engine) as session:
        people = {user.username: user.id for user in everybody(session)}
    yield World(settings, engine, bus, runtime, telephony, people)
    engine.dispose()
    databases.drop(url)

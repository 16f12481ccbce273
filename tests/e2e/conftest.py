"""One running system for a module of tests; agents with a socket and real WebRTC sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("browser", "soft_agent", "sounds", "world")

from world import World, running  # noqa: E402 - after its asserts were made to speak


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running system with agents dana and omid, supervisor sara and manager mina."""
    with running(Path(tmp_path_factory.mktemp("world"))) as started:
        for name, role in (("dana", "agent"), ("omid", "agent"), ("sara", "supervisor")):
            started.add_user(name, role)
        yield started

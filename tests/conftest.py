"""What many tests need: a free port, waiting with a deadline, settings in a temporary folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callcenter import config
from callcenter.config import Settings

PATIENCE = float(os.environ.get("CALLCENTER_TEST_PATIENCE", "20"))
WaitUntil = Callable[..., Any]


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Call it: a TCP port of 127.0.0.1 on which nobody listens."""
    return lambda: _free_port(socket.SOCK_STREAM)


@pytest.fixture
def free_udp_port() -> Callable[[], int]:
    """Call it: a UDP port of 127.0.0.1 that nobody has."""
    return lambda: _free_port(socket.SOCK_DGRAM)


def wait_for(
    condition: Callable[[], Any], what: str = "the condition", *, seconds: float = PATIENCE
) -> Any:
    """Poll until `condition()` is true, return its value; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.02)


@pytest.fixture
def wait_until() -> WaitUntil:
    """`wait_until(lambda: …, "what", seconds=20)`: poll with a deadline, return the value."""
    return wait_for


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Call it with sections (`web={"port": 9000}`): settings whose files are all in tmp_path."""

    def make(**sections: Any) -> Settings:
        file = tmp_path / "config.json"
        file.write_text(json.dumps(sections, default=str), encoding="utf-8")
        return config.load(file, data_dir=tmp_path / "data", environ={})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Default settings whose files are all in tmp_path."""
    return make_settings()

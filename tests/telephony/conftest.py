"""The scripted stage of the telephony service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from scripted import Stage

from callcenter.config import Settings


@pytest.fixture
def stage(make_settings: Callable[..., Settings]) -> Callable[..., Any]:
    @asynccontextmanager
    async def make(**queue: Any) -> AsyncIterator[Stage]:
        line = {"number": "100", "queue": "support", "language": "en"}
        line["answer"] = queue.pop("line_answer", "on_agent")
        line["record"] = queue.pop("line_record", "always")
        lines = queue.pop("lines", [line])
        settings = make_settings(lines=lines, queues=[{"name": "support", **queue}])
        stage = Stage(settings)
        await stage.service.start()
        try:
            yield stage
        finally:
            await stage.service.stop(0.0)

    return make

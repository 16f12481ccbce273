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
        outbound = queue.pop("outbound", None)
        phones = queue.pop("phones", [])
        sip: dict[str, Any] = {
            "phones": [
                {"extension": ext, "user": user, "password": "x", "hosts": ["127.0.0.0/8"]}
                for user, ext in phones
            ]
        }
        sip |= queue.pop("sip", {})
        if outbound is not None:
            trunk = {"name": "provider", "hosts": ["127.0.0.0/8"], "server": "127.0.0.1"}
            rules = {"trunk": "provider", "allow": ["+98"], "night": None} | outbound
            sip |= {"trunks": [trunk], "outbound": rules}
        more = {"sip": sip, "recording": queue.pop("recording", {})}
        queues = [{"name": "support", **queue}]
        settings = make_settings(lines=lines, queues=queues, **more)
        stage = Stage(settings)
        await stage.service.start()
        try:
            yield stage
        finally:
            await stage.service.stop(0.0)

    return make

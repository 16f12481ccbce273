"""The simulated customer: phones whenever an agent is available, speaks, hangs up."""

from __future__ import annotations

import threading
from typing import Any

import structlog

from callcenter.bus import Bus, open_bus
from callcenter.config import Settings
from callcenter.demo.phone import place_call
from callcenter.errors import CallcenterError, Unavailable
from callcenter.events import DescribeFloor

PAUSE_SECONDS = 20.0
_LOGGER = structlog.get_logger()


def run(settings: Settings, host: str, port: int, stop: threading.Event) -> None:
    """Call line after line, one at a time, until `stop` is set."""
    bus = open_bus(settings.bus_url, settings.run_dir)
    lines = [line.number for line in settings.lines if line.number != "*"] or ["100"]
    made = 0
    try:
        while not stop.wait(1.0):
            if not _is_agent_available(bus):
                continue
            _call(lines[made % len(lines)], made, host, port)
            made += 1
            stop.wait(PAUSE_SECONDS)
    finally:
        bus.close()


def _is_agent_available(bus: Bus) -> bool:
    try:
        floor: dict[str, Any] = bus.request("telephony", DescribeFloor())
    except Unavailable:
        return False
    return any(agent["state"] == "available" for agent in floor.get("agents", []))


def _call(line: str, number: int, host: str, port: int) -> None:
    from callcenter.demo import data

    who = data.CALLERS[number % len(data.CALLERS)]
    try:
        place_call(to=line, caller=who.number, host=host, port=port, play=who.speech, dtmf="")
    except CallcenterError as error:
        _LOGGER.warning("the simulated customer could not phone", reason=error.detail)

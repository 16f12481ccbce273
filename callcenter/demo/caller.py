"""The simulated customer: phones whenever an agent is available, speaks, hangs up."""

from __future__ import annotations

import threading
from typing import Any

import structlog

from callcenter.bus import Bus
from callcenter.buses import open_bus
from callcenter.config import Line, Settings
from callcenter.demo import data
from callcenter.demo.phone import place_call
from callcenter.errors import CallcenterError, Unavailable
from callcenter.events import DescribeFloor

PAUSE_SECONDS = 20.0
_LOGGER = structlog.get_logger()


def run(settings: Settings, host: str, port: int, stop: threading.Event) -> None:
    """Call line after line, one at a time, until `stop` is set."""
    bus = open_bus(settings.bus_url, settings.run_dir)
    lines = [line for line in settings.lines if line.number != "*"] or settings.lines
    made = 0
    try:
        while not stop.wait(1.0):
            if not _is_agent_available(bus):
                continue
            _call(lines[made % len(lines)], settings.site.default_language, host, port)
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


def _call(line: Line, language: str, host: str, port: int) -> None:
    """One call by the customer who speaks the line's language."""
    wanted = line.language or language
    who = next((one for one in data.CALLERS if one.language == wanted), data.CALLERS[0])
    number = "100" if line.number == "*" else line.number
    try:
        report = place_call(to=number, caller=who.number, host=host, port=port, play=who.speech)
    except CallcenterError as error:
        _LOGGER.warning("the simulated customer could not phone", reason=error.detail)
    else:
        _LOGGER.info("the simulated customer phoned", seconds=round(report.seconds, 1))

"""Log lines: one format, no numbers, no local variables."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from callcenter import logs
from callcenter.config import Log

CALL = "018f2345-6789-7abc-8def-012345678901"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The lines that were logged since the last call, as objects."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config(), sys.excepthook)
    logs.setup(Log(level="debug", format="json"), "telephony")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])
    sys.excepthook = before[3]
    logging.captureWarnings(False)


def test_a_line_has_time_level_process_event_and_fields(lines: Lines) -> None:
    structlog.get_logger().info("call rang", queue="support")
    (line,) = lines()
    assert set(line) == {"timestamp", "level", "process", "event", "queue"}
    assert (line["level"], line["process"], line["event"]) == ("info", "telephony", "call rang")
    assert line["timestamp"].endswith("Z")


def test_libraries_log_in_the_same_format(lines: Lines) -> None:
    logging.getLogger("gunicorn.error").warning("worker %s", "left")
    (line,) = lines()
    assert line["event"] == "worker left"
    assert (line["logger"], line["process"], line["level"]) == (
        "gunicorn.error",
        "telephony",
        "warning",
    )


def test_a_library_with_handlers_of_its_own_is_adopted(lines: Lines) -> None:
    logger = logging.getLogger("a.stubborn.library")
    logger.addHandler(logging.StreamHandler())
    logger.propagate = False
    logs.adopt("a.stubborn.library")
    logger.error("once")
    assert [line["event"] for line in lines()] == ["once"]


def test_every_line_of_a_call_carries_its_id(lines: Lines) -> None:
    with logs.bind_call(CALL):
        structlog.get_logger().info("one")
        logging.getLogger("aiortc").warning("two")
    structlog.get_logger().info("three")
    assert [line.get("call") for line in lines()] == [CALL, CALL, None]


def test_chatty_libraries_say_warnings_only(lines: Lines) -> None:
    logging.getLogger("aioice.ice").info("candidate")
    logging.getLogger("httpx").info("GET")
    assert lines() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from +989121234567 now", "from +[number] now"),
        ("sip:09121234567@pbx", "sip:[number]@pbx"),
        ("شماره ۰۹۱۲۱۲۳۴۵۶۷", "شماره [number]"),
        ("room 1234", "room 1234"),
        ("listening on 127.0.0.1:50600", "listening on 127.0.0.1:50600"),
        ("tel:50600", "tel:[number]"),
        (f"call {CALL} ended", f"call {CALL} ended"),
        ("sha " + "12345678" * 8, "sha " + "12345678" * 8),
    ],
)
def test_numbers_are_masked_and_identifiers_kept(lines: Lines, text: str, shown: str) -> None:
    structlog.get_logger().info(text, detail={"inner": [text]})
    (line,) = lines()
    assert line["event"] == shown
    assert line["detail"] == {"inner": [shown]}


def test_an_exception_is_shown_without_local_variables_and_numbers(lines: Lines) -> None:
    def fail() -> None:
        secret_name = "Sara Ahmadi"
        raise ValueError(f"no customer {len(secret_name)} for 09121234567")

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("lookup failed")
    (line,) = lines()
    assert "ValueError: no customer 11 for [number]" in line["exception"]
    assert "in fail" in line["exception"]
    assert "Sara Ahmadi" not in line["exception"].replace('secret_name = "Sara Ahmadi"', "")


def test_an_uncaught_exception_becomes_one_line(lines: Lines) -> None:
    try:
        raise RuntimeError("of 09121234567")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    (line,) = lines()
    assert (line["event"], line["level"]) == ("process failed", "critical")
    assert "RuntimeError: of [number]" in line["exception"]


def test_the_console_form_masks_too(capsys: pytest.CaptureFixture[str], lines: Lines) -> None:
    logs.setup(Log(format="console"), "web")
    structlog.get_logger().info("from 09121234567", process_id=7)
    shown = capsys.readouterr().err
    assert "from [number]" in shown
    assert "web" in shown
    assert "09121234567" not in shown


def test_below_the_level_nothing_is_shown(lines: Lines) -> None:
    logs.setup(Log(level="warning", format="json"), "web")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines()] == ["loud"]

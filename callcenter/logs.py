"""One log line format for every process: ours, and what the libraries say.

On a terminal lines are for people, else one JSON object a line. Every line carries the process
and, where one is bound, the call. Exceptions come without the values of local variables, and a
safety net masks what looks like a telephone number: no numbers, names or speech in a log.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from callcenter.config import Log

MASK = "[number]"
_KEPT = re.compile(
    r"(?P<kept>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # our identifiers
    r"|\b[0-9a-fA-F]{32,}\b"  # hashes
    r"|(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\]):\d{1,5}(?!\d))"  # host:port
    r"|\d{5,}"
)
_AS_THEY_ARE = {"timestamp", "level", "logger", "process", "call"}
_QUIET = (
    "aioice",
    "aiortc",
    "alembic",
    "asyncio",
    "engineio",
    "httpcore",
    "httpx",
    "huey",
    "socketio",
)


def setup(settings: Log, process: str) -> None:
    """Send all logging of this process, structlog's and the standard library's, to stderr."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _process_name(process),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask_numbers,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared[:3], structlog.stdlib.add_logger_name, *shared[3:]],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _renderer(settings),
        ],
    )
    handler = _StderrHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught


class _StderrHandler(logging.Handler):
    """Writes to what sys.stderr is now, also when it was replaced meanwhile."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 - this is the log
        except Exception:
            self.handleError(record)


def adopt(*names: str) -> None:
    """Take the handlers off loggers that a library gave its own, e.g. gunicorn.error."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def bind_call(call: str) -> AbstractContextManager[Any]:
    """`with bind_call(id):` puts the call on every line of this thread or task."""
    return structlog.contextvars.bound_contextvars(call=call)


def mask_numbers(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """The safety net: runs of five digits or more become [number], in any script's digits."""
    for key, value in line.items():
        if key not in _AS_THEY_ARE and not key.startswith("_"):
            line[key] = _masked(value)
    return line


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _KEPT.sub(lambda found: found["kept"] or MASK, value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def _process_name(process: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line["process"] = process
        return line

    return add


def _renderer(settings: Log) -> Processor:
    if settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty()):
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger().critical("process failed", exc_info=(kind, error, trace))

"""One error handler: everything that fails leaves as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import math
from typing import Any

import structlog
from apiflask import HTTPError
from flask import Flask, Response, current_app, make_response, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from callcenter.database import AWAY
from callcenter.errors import (
    CallcenterError,
    FactorNeeded,
    Invalid,
    NotBuilt,
    StorageFull,
    TooManyTries,
    Unavailable,
)
from callcenter.resources import is_full

MIME = "application/problem+json"
TYPE = "urn:callcenter:problem:"
_LOGGER = structlog.get_logger()

_TITLES = {
    400: "This request cannot be understood",
    401: "Sign in first",
    403: "This is not allowed",
    404: "Not found",
    405: "This address does not take that method",
    409: "The state of things does not allow it",
    410: "It was there, and its time is over",
    413: "Too large",
    415: "Send JSON",
    416: "No such part of the file",
    422: "Something in the input is wrong",
    429: "Too many tries",
    500: "Something went wrong here",
    501: "This is not built yet",
    503: "A part of the system does not answer",
}
_TOLD = (Unavailable, NotBuilt)  # of the errors of ours above 500: their sentence helps
_SLUGS = {
    400: "refused",
    401: "not-signed-in",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "not-json",
    416: "no-such-range",
    503: "unavailable",
}


def describe(error: CallcenterError) -> dict[str, Any]:
    """The problem object of an error of ours; also what a socket's acknowledgement carries."""
    errors = error.fields if isinstance(error, Invalid) else {}
    internal = error.status >= 500 and not isinstance(error, _TOLD)
    further = (
        {"step": error.step, "factors": error.kinds} if isinstance(error, FactorNeeded) else {}
    )
    return {
        "type": TYPE + error.slug,
        "title": "Storage full" if isinstance(error, StorageFull) else _title(error.status),
        "status": error.status,
        "detail": "see the log of the web process" if internal else error.detail,
        "errors": [{"field": name, "detail": text} for name, text in errors.items()],
        **further,
    }


def _title(status: int) -> str:
    return _TITLES.get(status, _TITLES[500])


def install(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(CallcenterError, _ours)
    app.register_error_handler(HTTPError, _apiflask)
    app.register_error_handler(HTTPException, _werkzeug)
    for away in AWAY:
        app.register_error_handler(away, _database)
    app.register_error_handler(Exception, _unknown)


def respond(problem: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """The problem as a response."""
    response = Response(
        current_app.json.dumps(problem) + "\n", status=problem["status"], content_type=MIME
    )
    response.headers.update(headers or {})
    return response


def _ours(error: CallcenterError) -> Response:
    if error.status >= 500 and not isinstance(error, NotBuilt):
        _LOGGER.error("request failed", kind=error.slug, rule=_rule(), detail=error.detail)
    headers = {}
    if isinstance(error, TooManyTries):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return respond(describe(error), headers)


def _apiflask(error: HTTPError) -> Response:
    """What APIFlask found wrong with the input: {location: {field: [sentences]}}."""
    detail: Any = error.detail or {}
    fields = {
        name: "; ".join(sentences)
        for place in detail.values()
        if isinstance(place, dict)
        for name, sentences in place.items()
    }
    if error.status_code == 422:
        named = ", ".join(fields) or "the input"
        return respond(describe(Invalid(f"look at {named}", fields)))
    return _plain(error.status_code, error.message or "")


def _werkzeug(error: HTTPException) -> Response:
    code = error.code or 500
    if code < 400:
        return make_response(error.get_response())
    kept = ("Allow", "Retry-After", "Content-Range")
    headers = {name: value for name, value in error.get_headers() if name in kept}
    return _plain(code, error.description or "", headers)


def _database(error: DBAPIError) -> Response:
    _LOGGER.error("database failed", rule=_rule(), error=str(error.orig))
    if is_full(error):
        return respond(describe(StorageFull("storage full: nothing was saved")))
    return respond(describe(Unavailable("the database does not answer; nothing was saved")))


def _unknown(error: Exception) -> Response:
    _LOGGER.exception("request failed", rule=_rule(), exc_info=error)
    return respond(describe(CallcenterError("")))


def _plain(code: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    title = _TITLES.get(code, _TITLES[500 if code >= 500 else 400])
    problem = {
        "type": TYPE + _SLUGS.get(code, "error" if code >= 500 else "refused"),
        "title": title,
        "status": code,
        "detail": detail or title,
        "errors": [],
    }
    return respond(problem, headers)


def _rule() -> str:
    return request.url_rule.rule if request.url_rule else "none"

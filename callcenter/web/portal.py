"""The customers' page: where a complaint stands, by its code and the end of a phone number.

Works without scripts. Code and number together are what only the customer has; whoever guesses
is slowed down per code and per address, as at the sign-in, and every failure looks the same.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any
from urllib.parse import urlsplit

from apiflask import APIFlask
from flask import Response, make_response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from callcenter.crm.complaints import status
from callcenter.crm.complaints.codes import read
from callcenter.crm.complaints.status import Status
from callcenter.crm.dates import day
from callcenter.crm.text import visible
from callcenter.crm.users import operations as tries
from callcenter.crm.users import queries as waits
from callcenter.errors import NotFound
from callcenter.web import assets, auth, pages
from callcenter.web.context import Services
from callcenter.web.texts import choose, texts

DIGITS = 4
PATH = "/portal"


def install(app: APIFlask, parts: Services) -> None:
    """Register the page."""

    @app.get(PATH)
    @app.doc(hide=True)
    @auth.public
    def portal() -> Response:
        _demand_portal(parts)
        return _page(parts, 200, code=request.args.get("code", "")[:20])

    @app.post(PATH)
    @app.doc(hide=True)
    @auth.public
    def portal_asked() -> Response:
        _demand_portal(parts)
        code = request.form.get("code", "")[:64]
        last = request.form.get("last", "")[:16]
        wait, found = _ask(parts, code, last, request.remote_addr)
        if wait:
            return _page(parts, 429, "too-many-tries", code=code, wait=wait)
        if found is None:
            return _page(parts, 404, "portal_unknown", code=code)
        return _page(parts, 200, found=found)


def keep_apart(app: APIFlask, address: str | None) -> None:
    """With `complaints.portal_url` customers and workers share no host: neither cookies nor pages
    of the one reach the other. Before anything else looks at a request."""
    if address is None:
        return
    own = urlsplit(address).netloc

    @app.before_request
    def sort() -> AnyResponse | None:
        if request.host != own:
            return redirect(f"{address}{PATH}", 308) if request.path == PATH else None
        if request.path == "/":
            return redirect(PATH, 303)
        if request.path != PATH and not request.path.startswith(assets.ADDRESS):
            raise NotFound("there is no such page")
        return None


def _demand_portal(parts: Services) -> None:
    if not parts.settings.complaints.portal:
        raise NotFound("there is no such page")


def _ask(parts: Services, code: str, last: str, address: str | None) -> tuple[float, Status | None]:
    """Seconds to wait, or what was found."""
    name = _name(code)
    where = f"portal:{address}" if address else None
    with parts.writing() as session:
        if wait := waits.delay(session, name, where):
            return wait, None
        found = status.look_up(session, code, last) if len(last.strip()) >= DIGITS else None
        if found is None:
            tries.note_failure(session, name, where)
        else:
            tries.forget_failures(session, name)
        return 0.0, found


def _name(code: str) -> str:
    """Under which tries of a code are counted; what was typed wrongly is not kept."""
    known = read(code) or "?" + hashlib.sha256(code.encode()).hexdigest()[:16]
    return f"portal:{known}"


def _page(
    parts: Services,
    code_of_answer: int,
    problem: str = "",
    *,
    code: str = "",
    wait: float = 0.0,
    found: Status | None = None,
) -> Response:
    language = choose(request, parts.settings.site)
    words = texts(language)
    seconds = max(1, math.ceil(wait))
    page = pages.render(
        parts,
        "portal.html",
        language,
        "portal",
        problem=words.get(problem, "").replace("{seconds}", str(seconds)),
        slug=problem,
        code=code,
        shown=_shown(parts, found, language) if found else None,
    )
    response = make_response(page, code_of_answer)
    response.headers["Vary"] = "Accept-Language"
    if wait:
        response.headers["Retry-After"] = str(seconds)
    return response


def _shown(parts: Services, found: Status, language: str) -> dict[str, Any]:
    zone = parts.desk.rules.calendar.zone
    return {
        "code": found.code,
        "subject": visible(found.subject),
        "stage": found.stage,
        "due": day(found.due, language, zone) if found.due else "",
        "answer": visible(found.answer),
        "steps": [(stage, day(at, language, zone)) for stage, at in found.steps],
    }

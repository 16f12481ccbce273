"""The Flask application: pages, API, health; sockets are joined to it by `live`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from apiflask import APIFlask
from flask import Response, abort, g, request
from flask_socketio import SocketIO
from sqlalchemy import Engine

from callcenter import __version__
from callcenter.bus import Bus
from callcenter.config import Settings
from callcenter.web import (
    auth,
    headers,
    health,
    metrics,
    oidc_pages,
    openapi,
    pages,
    portal,
    problems,
    proxy,
)
from callcenter.web.access import Access
from callcenter.web.api import (
    agents,
    calibrations,
    calls,
    coaching,
    complaints,
    customers,
    disclosures,
    erasures,
    evaluations,
    exports,
    factors,
    holds,
    imports,
    incidents,
    interactions,
    phones,
    phrases,
    queues,
    recordings,
    review,
    sampling,
    scorecards,
    search,
    session,
    site,
    trends,
    users,
    views,
)
from callcenter.web.context import EXTENSION, Services
from callcenter.web.follower import Follower
from callcenter.web.live import LEAD_ROOM, Live
from callcenter.web.sockets import GRACE, Sockets, build
from callcenter.web.texts import texts

PREFIX = "/api/v1"
LARGEST_BODY = 1_000_000
NOUNS = (
    session,
    factors,
    site,
    customers,
    holds,
    exports,
    erasures,
    interactions,
    recordings,
    views,
    review,
    scorecards,
    evaluations,
    sampling,
    trends,
    coaching,
    calibrations,
    complaints,
    incidents,
    search,
    phrases,
    queues,
    agents,
    phones,
    calls,
    imports,
    users,
    disclosures,
)
_LOGGER = structlog.get_logger()


def create_app(settings: Settings, engine: Engine, bus: Bus) -> APIFlask:
    """The application. Raises StartError when a route does not say who may use it."""
    app = APIFlask(
        "callcenter.web",
        title="callcenter",
        version=__version__,
        spec_path=None,
        docs_path=None,
        json_errors=False,
        static_folder=None,  # type: ignore[arg-type]
    )
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        AUTO_OPERATION_ID=True,
        AUTO_404_RESPONSE=False,
        AUTO_SERVERS=False,
        PROPAGATE_EXCEPTIONS=False,
        TRAP_HTTP_EXCEPTIONS=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    parts = Services(settings, engine, bus, Access(settings, engine), metrics.Metrics())
    app.extensions[EXTENSION] = parts
    problems.install(app)
    metrics.install(app, parts.metrics, settings.web.metrics_from, settings.web.proxies)
    portal.keep_apart(app, settings.complaints.portal_url)
    auth.install(app, parts)
    headers.install(app, parts)
    health.install(app, parts)
    _no_nul(app)
    _only_json(app)
    _log_access(app)
    for noun in NOUNS:
        app.register_blueprint(noun.blueprint, url_prefix=PREFIX)
    openapi.install(app, PREFIX)
    portal.install(app, parts)
    oidc_pages.install(app, parts)
    pages.install(app, parts)
    proxy.install(app, settings.web.public_url, settings.web.proxies)
    auth.check_routes(app)
    return app


@dataclass(frozen=True, slots=True)
class Runtime:
    """The application with its sockets and the threads that follow the other processes."""

    app: APIFlask
    socketio: SocketIO
    live: Live
    sockets: Sockets
    follower: Follower

    def start(self) -> None:
        """Follow the others; in the process that serves, after it forked."""
        self.follower.start()

    def stop(self) -> None:
        """Close the sockets and end the threads."""
        self.sockets.close()
        self.follower.stop()


def join_sockets(app: APIFlask, *, grace: float = GRACE) -> Runtime:
    """Join Socket.IO to the application."""
    parts: Services = app.extensions[EXTENSION]
    socketio = build(app, parts)
    live = Live(parts, socketio)
    sockets = Sockets(parts, socketio, live, grace=grace)
    parts.access.on_sign_out.append(lambda session: sockets.cut(session, signed_out=True))
    parts.access.on_locked.append(
        lambda user: live.notice(
            "sign-in-locked",
            agent=user.id,
            text=texts(user.language)["sign_in_locked"],
            everywhere=True,
        )
    )
    parts.access.on_disclosed.append(
        lambda: live.notice("disclosure", room=LEAD_ROOM, everywhere=True)
    )
    return Runtime(app, socketio, live, sockets, Follower(parts, live, sockets))


def _only_json(app: APIFlask) -> None:
    @app.before_request
    def refuse() -> None:
        """A form of another site can send text, but not JSON."""
        has_body = request.content_length or request.headers.get("Transfer-Encoding")
        api = request.path.startswith(PREFIX) and not auth.takes_any_body(app)
        if has_body and api and not request.is_json:
            abort(415, description="send the body as application/json")


def _no_nul(app: APIFlask) -> None:
    @app.before_request
    def refuse() -> None:
        """No record has a NUL in its name; PostgreSQL fails at one instead of finding nothing."""
        if "\x00" in request.path:
            abort(404)
        if any(
            "\x00" in value
            for fields in (request.args, request.form)
            for _, value in fields.items(multi=True)
        ):
            abort(400, description="there is a NUL character in what was sent")


def _log_access(app: APIFlask) -> None:
    @app.after_request
    def note(response: Response) -> Response:
        """The rule, not the address: no query string and no number in a log."""
        quiet = request.path.startswith(("/static/", "/healthz", "/readyz", "/metrics"))
        if not quiet:
            rule = request.url_rule.rule if request.url_rule else "none"
            person: Any = g.get("who")
            _LOGGER.info(
                "request",
                method=request.method,
                rule=rule,
                status=response.status_code,
                user=person.id if person else None,
            )
        return response

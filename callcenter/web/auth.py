"""Guards of every request: who asks, is it from our own pages, may they do it.

Order: origin, session cookie (or bearer token: the same token), CSRF token on every method
but GET and HEAD, then the permission that the route declares. A route that declares none
stops the start: `check_routes()`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, g, request
from werkzeug.wrappers import Request

from callcenter.config import Settings
from callcenter.errors import Forbidden, NotFound, StartError
from callcenter.web import permissions
from callcenter.web.context import Services, Who, services, who
from callcenter.web.permissions import Permission, Scope

F = TypeVar("F", bound=Callable[..., Any])
CSRF_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")
_MARK = "_callcenter_requires"
PUBLIC = "public"


def requires(permission: Permission) -> Callable[[F], F]:
    """Let a view run only for roles that have `permission` at all; asked before the input."""

    def decorate(view: F) -> F:
        setattr(view, _MARK, permission)
        return view

    return decorate


def public(view: F) -> F:
    """A view for everybody, also without signing in."""
    setattr(view, _MARK, PUBLIC)
    return view


def any_body(view: F) -> F:
    """A view that takes more than JSON (files)."""
    view._callcenter_any_body = True  # type: ignore[attr-defined]
    return view


def takes_any_body(app: Flask) -> bool:
    """Whether the asked view takes more than JSON."""
    view = app.view_functions.get(request.endpoint or "")
    return bool(getattr(view, "_callcenter_any_body", False))


def allow(permission: Permission) -> tuple[Who, Scope]:
    """The person and how far the permission reaches. Raises NotSignedIn or Forbidden."""
    person = who()
    scope = person.scope(permission)
    if scope is None:
        raise Forbidden(f"the role {person.role} has no permission {permission}")
    return person, scope


def every(permission: Permission) -> Who:
    """For lists and searches: who needs a reason for each one sees no list. Raises Forbidden."""
    person, scope = allow(permission)
    if scope is Scope.REASON:
        raise Forbidden(f"the role {person.role} opens one at a time, with a reason")
    return person


def reach(permission: Permission) -> tuple[str, ...] | None:
    """Whose things the person may see with it: ids of users; None for everybody's."""
    person, _ = allow(permission)
    return permissions.reach(person, permission, services().access.members)


def own_only(permission: Permission, *people: str | None) -> Who:
    """Where it reaches for one's own or one's team's only, one of `people` must be among them;
    else it is not there."""
    person, _ = allow(permission)
    if not permissions.reaches(person, permission, people, services().access.members):
        raise NotFound("no such thing")
    return person


def install(app: Flask, parts: Services) -> None:
    """Register the guards."""
    name = cookie_name(parts)

    @app.before_request
    def guard() -> None:
        if not same_origin(request, parts.settings):
            raise Forbidden("the request comes from a page of another origin")
        token, by_cookie = presented(request, name)
        g.who = parts.access.whose(token) if token else None
        needed = _mark_of(app)
        if not isinstance(needed, Permission):
            return
        person = who()
        if by_cookie and request.method not in _SAFE and not _has_csrf(person):
            raise Forbidden(f"the header {CSRF_HEADER} is missing or old; reload the page")
        allow(needed)


def _has_csrf(person: Who) -> bool:
    given = request.headers.get(CSRF_HEADER, "")
    return hmac.compare_digest(given.encode(), person.csrf.encode())


def _mark_of(app: Flask) -> object:
    view = app.view_functions.get(request.endpoint or "")
    return mark(view) if view else None


def mark(view: Callable[..., Any]) -> object:
    """What a view declares: a permission, PUBLIC, or None."""
    inner: Any = view
    while inner is not None:
        if hasattr(inner, _MARK):
            return getattr(inner, _MARK)
        inner = getattr(inner, "__wrapped__", None)
    return None


def check_routes(app: Flask) -> None:
    """Deny by default: every route has to say who may use it. Raises StartError."""
    silent = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if mark(app.view_functions[rule.endpoint]) is None
    ]
    if silent:
        raise StartError(f"routes without a declared permission: {', '.join(sorted(silent))}")


def presented(asked: Request, cookie: str) -> tuple[str | None, bool]:
    """The token that came with a request, and whether the browser added it by itself."""
    header = asked.headers.get("Authorization", "")
    if header.startswith("Bearer "):
        return header.removeprefix("Bearer ").strip(), False
    return asked.cookies.get(cookie), True


def same_origin(asked: Request, settings: Settings) -> bool:
    """False when a browser says that the request comes from somebody else's page."""
    origin = asked.headers.get("Origin")
    if origin is None:
        site = asked.headers.get("Sec-Fetch-Site", "none")
        return asked.method in _SAFE or site in ("none", "same-origin")
    return urlsplit(origin).netloc in {asked.host, urlsplit(own_origin(asked, settings)).netloc}


def own_origin(asked: Request, settings: Settings) -> str:
    """What a browser calls this site: scheme and host of `web.public_url`, else of the request."""
    ours = urlsplit(settings.web.public_url or asked.host_url)
    return f"{ours.scheme}://{ours.netloc}"


def cookie_name(parts: Services) -> str:
    """`__Host-` binds the cookie to this host; browsers take the prefix only over https."""
    return "__Host-callcenter" if parts.tls else "callcenter"


def set_cookie(response: Any, token: str, seconds: int) -> None:
    """Give the browser its token."""
    parts = services()
    response.set_cookie(
        cookie_name(parts),
        token,
        max_age=seconds,
        path="/",
        secure=parts.tls,
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(response: Any) -> None:
    """Let the browser forget its token."""
    parts = services()
    response.delete_cookie(
        cookie_name(parts), path="/", secure=parts.tls, httponly=True, samesite="Lax"
    )

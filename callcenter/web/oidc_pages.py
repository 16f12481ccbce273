"""The way to an OpenID Connect provider and back: redirects, no scripts."""

from __future__ import annotations

from apiflask import APIFlask
from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from callcenter.errors import CallcenterError, NotFound
from callcenter.web import auth, pages
from callcenter.web.context import Services
from callcenter.web.oidc import CALLBACK, LASTS, OidcSignIn


def install(app: APIFlask, parts: Services) -> None:
    """Register them; without a provider they are not there."""
    settings = parts.settings.sign_in.oidc
    flow = OidcSignIn(parts, settings) if settings else None

    @app.get("/sign-in/oidc")
    @app.doc(hide=True)
    @auth.public
    def to_provider() -> AnyResponse:
        """A link, not a form: `form-action 'self'` of our policy would stop the redirect."""
        try:
            address, carried = _present(flow).begin(pages.local(request.args.get("next")))
        except CallcenterError as error:
            return pages.show_sign_in(parts, error.status, error)
        return _carry(parts, redirect(address, 303), carried)

    @app.get(CALLBACK)
    @app.doc(hide=True)
    @auth.public
    def from_provider() -> AnyResponse:
        carried = request.cookies.get(_cookie(parts), "")
        try:
            _, token, on = _present(flow).finish(
                carried, request.args.to_dict(), request.remote_addr
            )
        except CallcenterError as error:
            return _forget(parts, pages.show_sign_in(parts, error.status, error))
        response = pages.signed_in(parts, token, redirect(pages.local(on), 303))
        return _forget(parts, response)


def _present(flow: OidcSignIn | None) -> OidcSignIn:
    if flow is None:
        raise NotFound("there is no such page")
    return flow


def _cookie(parts: Services) -> str:
    return f"{auth.cookie_name(parts)}-oidc"


def _carry(parts: Services, response: AnyResponse, carried: str) -> AnyResponse:
    response.set_cookie(
        _cookie(parts),
        carried,
        max_age=LASTS,
        path="/",
        secure=parts.tls,
        httponly=True,
        samesite="Lax",
    )
    return response


def _forget(parts: Services, response: AnyResponse) -> AnyResponse:
    response.delete_cookie(
        _cookie(parts), path="/", secure=parts.tls, httponly=True, samesite="Lax"
    )
    return response

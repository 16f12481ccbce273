"""Behind a proxy on this machine, a request's address is the one the proxy saw."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

_LOOPBACK = ("127.0.0.1", "::1")


def install(app: Flask, public_url: str | None) -> None:
    """With `web.public_url`, believe X-Forwarded-For of a peer on loopback, and of no other.

    Without it the delay after failed sign-ins would count every browser as one address, and the
    audit would name the proxy.
    """
    if public_url is None:
        return
    direct = app.wsgi_app
    forwarded = ProxyFix(direct, x_for=1, x_proto=0, x_host=0)

    def choose(environ, start_response):  # type: ignore[no-untyped-def]
        inner = forwarded if environ.get("REMOTE_ADDR") in _LOOPBACK else direct
        return inner(environ, start_response)

    app.wsgi_app = choose  # type: ignore[method-assign]

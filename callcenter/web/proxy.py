"""Behind a proxy of ours, a request's address is the one the proxy saw."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix


def install(app: Flask, public_url: str | None, proxies: Sequence[str]) -> None:
    """With `web.public_url`, believe X-Forwarded-For of a peer in `proxies`, and of no other.

    Without it the delay after failed sign-ins would count every browser as one address, and the
    audit would name the proxy.
    """
    if public_url is None:
        return
    direct = app.wsgi_app
    networks = [ip_network(one, strict=False) for one in proxies]
    forwarded = ProxyFix(direct, x_for=1, x_proto=0, x_host=0)

    def choose(environ, start_response):  # type: ignore[no-untyped-def]
        peer = ip_address(environ.get("REMOTE_ADDR") or "::")
        inner = forwarded if any(peer in network for network in networks) else direct
        return inner(environ, start_response)

    app.wsgi_app = choose  # type: ignore[method-assign]

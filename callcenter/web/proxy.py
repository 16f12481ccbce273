"""Behind a proxy of ours, a request's address is the one the proxy saw."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

_NAMING = ("X_FORWARDED_FOR", "X_REAL_IP", "X_CLIENT_IP", "X_CLUSTER_CLIENT_IP", "CLIENT_IP",
           "TRUE_CLIENT_IP", "CF_CONNECTING_IP")  # fmt: skip
"""Headers in which proxies name who asked, beside RFC 7239's."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a request came: the address at the other end of the connection; whether headers say
    that a proxy stands between; the addresses that they name, as they wrote them."""

    peer: str
    is_proxied: bool
    named: tuple[str, ...]


def way_of(environ: Mapping[str, Any]) -> Way:
    """How a request (WSGI) came, whatever `install` made of it. A proxy that adds no header
    cannot be told from a browser on its machine."""
    before: Mapping[str, Any] = environ.get("werkzeug.proxy_fix.orig") or environ
    headers = {
        name.removeprefix("HTTP_"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    proxied = any(
        name.startswith("X_FORWARDED_") or name in ("FORWARDED", "VIA", *_NAMING)
        for name in headers
    )
    named = [one for name in _NAMING for one in headers.get(name, "").split(",") if one.strip()]
    named += re.findall(r'\bfor\s*=\s*"?([^;,"]*)', headers.get("FORWARDED", ""), re.IGNORECASE)
    return Way(str(before.get("REMOTE_ADDR") or ""), proxied, tuple(map(_bare, named)))


def _bare(text: str) -> str:
    """An address without the port and the brackets that may be around it."""
    text = text.strip()
    inner = re.fullmatch(r"\[([^\]]*)\](:\d+)?|([^:]*):\d+", text)
    return (inner[1] or inner[3] or "") if inner else text


@lru_cache
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def networks_of(texts: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """Networks and addresses of the settings."""
    return [_network(one) for one in texts]


def install(app: Flask, public_url: str | None, proxies: Sequence[str]) -> None:
    """With `web.public_url`, believe X-Forwarded-For of a peer in `proxies`, and of no other.

    Without it the delay after failed sign-ins would count every browser as one address, and the
    audit would name the proxy.
    """
    if public_url is None:
        return
    direct = app.wsgi_app
    networks = networks_of(proxies)
    forwarded = ProxyFix(direct, x_for=1, x_proto=0, x_host=0)

    def choose(environ, start_response):  # type: ignore[no-untyped-def]
        peer = ip_address(environ.get("REMOTE_ADDR") or "::")
        inner = forwarded if any(peer in network for network in networks) else direct
        return inner(environ, start_response)

    app.wsgi_app = choose  # type: ignore[method-assign]

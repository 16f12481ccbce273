"""Security and caching headers of every response."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, request

from callcenter.web.context import Services


def nonce() -> str:
    """The one of this response, for the few inline styles and scripts of our own templates."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def install(app: Flask, parts: Services) -> None:
    """Register them."""

    @app.after_request
    def protect(response: Response) -> Response:
        headers = response.headers
        headers["Content-Security-Policy"] = policy(parts.tls)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = (
            "microphone=(self), autoplay=(self), camera=(), geolocation=(), payment=(), usb=()"
        )
        if parts.tls:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if "Cache-Control" not in headers or request.path.startswith("/api/"):
            headers["Cache-Control"] = "no-store"
        return response


def policy(tls: bool) -> str:
    """The Content-Security-Policy: nothing but ourselves."""
    own = f"'nonce-{nonce()}'"
    socket = "wss:" if tls else "ws:"
    host = request.host
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {own}",
            f"style-src 'self' {own}",
            f"connect-src 'self' {socket}//{host}",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )

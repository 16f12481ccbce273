"""A small OpenID Connect provider over HTTP on loopback: signs real tokens, checks PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT, SECRET = "callcenter", "between us: 100%"


class Twin:
    """Who is signed in there is `person`; `forge` makes another token than the right one."""

    def __init__(self) -> None:
        self.person: dict[str, Any] = {"sub": "77", "preferred_username": "agent"}
        self.forge: Callable[[dict[str, Any]], str] | None = None
        self.changes: dict[str, Any] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.rotate("RS256")
        twin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                twin.answer(self, "")

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                twin.answer(self, self.rfile.read(length).decode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def rotate(self, algorithm: str) -> None:
        """Sign with a new key from now on; the old one is shown no more."""
        self.algorithm, self.kid = algorithm, secrets.token_hex(4)
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key: Any = rsa_key if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> dict[str, Any]:
        public = self.key.public_key()
        kind: Any = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        return {"keys": [{**kind.to_jwk(public, as_dict=True), "kid": self.kid, "use": "sig"}]}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, self.algorithm, {"kid": self.kid})

    def answer(self, to: BaseHTTPRequestHandler, body: str) -> None:
        place = urlsplit(to.path)
        self.asked.append(place.path)
        if place.path == "/authorize":
            return self._authorize(to, dict(parse_qsl(place.query)))
        documents: dict[str, Callable[[], Any]] = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
            },
            "/jwks": self.jwks,
            "/token": lambda: self._token(to.headers.get("Authorization", ""), body),
        }
        found = documents[place.path]()
        data = json.dumps(found).encode()
        to.send_response(400 if "error" in found else 200)
        to.send_header("Content-Type", "application/json")
        to.send_header("Content-Length", str(len(data)))
        to.end_headers()
        to.wfile.write(data)

    def _authorize(self, to: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        good = query["client_id"] == CLIENT and query["response_type"] == "code"
        assert good
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_hex(8)
        self.codes[code] = query
        back = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
        to.send_response(302)
        to.send_header("Location", f"{query['redirect_uri']}?{back}")
        to.send_header("Content-Length", "0")
        to.end_headers()

    def _token(self, authorization: str, body: str) -> dict[str, Any]:
        form = {name: found[0] for name, found in parse_qs(body).items()}
        begun = self.codes.pop(form["code"], None)
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        proven = pair == urlencode({CLIENT: SECRET}).replace("=", ":")
        if begun is None or not proven or begun["code_challenge"] != challenge:
            return {"error": "invalid_grant"}
        if begun["redirect_uri"] != form["redirect_uri"]:
            return {"error": "invalid_grant"}
        moment = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": moment,
            "exp": moment + 300,
            "nonce": begun["nonce"],
            **self.person,
            **self.changes,
        }
        return {"id_token": (self.forge or self.sign)(claims), "token_type": "Bearer"}

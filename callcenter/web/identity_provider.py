"""The OpenID Connect provider over HTTP: what it says of itself, its keys, codes for tokens."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx

from callcenter.config import Oidc
from callcenter.errors import IdentityRefused, ProviderDown
from callcenter.web.id_tokens import UnknownKey, claims_of

TIMEOUT = httpx.Timeout(5.0)
KEPT = 3600.0  # seconds for which its description and keys are believed
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class IdentityProvider:
    """Asked when somebody signs in, never before; safe to use from many threads."""

    def __init__(self, settings: Oidc, redirect_uri: str) -> None:
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser (RFC 6749 4.1.1, PKCE by RFC 7636). Raises ProviderDown."""
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        if self._settings.acr_values:
            asked["acr_values"] = " ".join(self._settings.acr_values)
        place = self._description()["authorization_endpoint"]
        return f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}"

    def claims(self, code: str, *, nonce: str, verifier: str) -> dict[str, Any]:
        """Who the code is about. Raises ProviderDown or IdentityRefused."""
        token = self._exchange(code, verifier)
        for fresh in (False, True):  # keys change: one more look where a key is unknown
            try:
                return claims_of(
                    token,
                    self._keys(fresh=fresh),
                    issuer=self._settings.issuer,
                    client=self._settings.client_id,
                    nonce=nonce,
                )
            except UnknownKey:
                continue
        raise IdentityRefused("the ID token is signed with a key that the provider does not show")

    def _exchange(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        known = self._description()
        headers = self._prove(form, known.get("token_endpoint_auth_methods_supported"))
        answer = _ask("POST", known["token_endpoint"], data=form, headers=headers)
        if answer.status_code != 200:
            raise IdentityRefused("the provider does not take the code")
        token = _object(answer).get("id_token")
        if not isinstance(token, str):
            raise IdentityRefused("the provider sent no ID token")
        return token

    def _prove(self, form: dict[str, str], methods: Any) -> dict[str, str]:
        """Show the client's secret in the way that the provider takes; header or form."""
        name, secret = self._settings.client_id, self._settings.secret()
        if secret and (methods is None or "client_secret_basic" in methods):
            pair = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        form["client_id"] = name
        if secret:
            form["client_secret"] = secret
        return {}

    def _description(self) -> dict[str, Any]:
        issuer = self._settings.issuer
        place = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._document(place)
        whole = all(_is_safe(found.get(name), issuer) for name in _ENDPOINTS)
        if found.get("issuer") != issuer or not whole:
            raise ProviderDown("the provider describes itself as another one than sign_in.oidc")
        return found

    def _keys(self, *, fresh: bool) -> dict[str, Any]:
        return self._document(self._description()["jwks_uri"], fresh=fresh)

    def _document(self, place: str, *, fresh: bool = False) -> dict[str, Any]:
        """A document of the provider, from memory for an hour."""
        with self._lock:
            at, kept = self._kept.get(place, (0.0, {}))
        if kept and not fresh and time.monotonic() - at < KEPT:
            return kept
        answer = _ask("GET", place)
        if answer.status_code != 200:
            raise ProviderDown(f"the identity provider answers {answer.status_code}")
        found = _object(answer)
        with self._lock:
            self._kept[place] = (time.monotonic(), found)
        return found


def _ask(method: str, place: str, **options: Any) -> httpx.Response:
    try:
        return httpx.request(method, place, timeout=TIMEOUT, follow_redirects=False, **options)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderDown("the identity provider does not answer") from error


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise ProviderDown("the identity provider answers something else than JSON") from error
    if not isinstance(found, dict):
        raise ProviderDown("the identity provider answers something else than an object")
    return found


def _is_safe(place: Any, issuer: str) -> bool:
    """https, save where the provider itself is a trial on this machine."""
    allowed = ("https://",) if issuer.startswith("https:") else ("https://", "http://")
    return isinstance(place, str) and place.startswith(allowed)

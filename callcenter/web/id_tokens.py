"""What an ID token has to be (OpenID Connect Core 3.1.3.7); no clock but PyJWT's, no network."""

from __future__ import annotations

import hmac
from typing import Any

import jwt

from callcenter.errors import IdentityRefused

ALGORITHMS = ("RS256", "ES256")  # public keys only: never none, never a shared secret
LEEWAY = 30.0  # seconds by which the clocks of provider and us may differ
_NEEDED = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class UnknownKey(Exception):
    """The token names a key that is not among these: the provider may have changed its keys."""


def claims_of(
    token: str, keys: dict[str, Any], *, issuer: str, client: str, nonce: str
) -> dict[str, Any]:
    """The claims of a token that is whole, fresh and for us.

    `keys` is the provider's JWK set as it came. Raises IdentityRefused or UnknownKey.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(token, keys),
            algorithms=list(ALGORITHMS),
            audience=client,
            issuer=issuer,
            leeway=LEEWAY,
            options={"require": _NEEDED},
        )
    except jwt.PyJWTError as error:
        raise IdentityRefused(f"the ID token is wrong ({type(error).__name__})") from error
    _check_party(claims, client)
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise IdentityRefused("the ID token belongs to another sign-in")
    return claims


def _check_party(claims: dict[str, Any], client: str) -> None:
    """With several audiences the token says which of them it was made for."""
    audience, party = claims["aud"], claims.get("azp")
    several = isinstance(audience, list) and len(audience) > 1
    if (several or party is not None) and party != client:
        raise IdentityRefused("the ID token was made for another program")


def _key(token: str, keys: dict[str, Any]) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    algorithm, name = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise IdentityRefused(f"ID tokens are signed with one of {', '.join(ALGORITHMS)}")
    fitting = [key for key in keys.get("keys", []) if _signs(key, algorithm)]
    found = [key for key in fitting if key.get("kid") == name] if name else fitting
    if len(found) != 1:
        raise UnknownKey
    return jwt.PyJWK(found[0], algorithm)


def _signs(key: Any, algorithm: str) -> bool:
    kind = "RSA" if algorithm == "RS256" else "EC"
    return isinstance(key, dict) and key.get("kty") == kind and key.get("use", "sig") == "sig"


def values(claims: dict[str, Any], name: str) -> list[str]:
    """The texts that a claim holds; a dot goes one map deeper (`realm_access.roles`)."""
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    listed = found if isinstance(found, list) else [found]
    return [value for value in listed if isinstance(value, str)]

"""The two ceremonies of WebAuthn level 3 (W3C), without a database: `webauthn` does the checking.

Challenges, keys and counters are kept by the caller.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from callcenter.errors import PasskeyCopied, PasskeyRefused

Answer = dict[str, Any]  # PublicKeyCredential.toJSON()
# What `webauthn` raises for what is no answer at all.
_UNREADABLE = (WebAuthnException, ValueError, TypeError, KeyError)
LONGEST_CREDENTIAL = 1023  # bytes (WebAuthn level 3, 6.1)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """This site, as a browser names it; `origin` without a slash at the end."""

    origin: str
    name: str

    @property
    def id(self) -> str:
        """The host, without a port."""
        return urlsplit(self.origin).hostname or ""

    @property
    def is_name(self) -> bool:
        """Whether passkeys can be bound to it: to a name they can, to an IP address not."""
        try:
            ipaddress.ip_address(self.id)
        except ValueError:
            return bool(self.id)
        return False


@dataclass(frozen=True, slots=True)
class Passkey:
    """What is kept of a credential; `public_key` is a COSE key."""

    credential: bytes
    public_key: bytes
    counter: int


def registration_options(
    party: RelyingParty, user: str, username: str, challenge: bytes, known: Iterable[bytes]
) -> dict[str, Any]:
    """For `navigator.credentials.create`: one that the browser finds without a name."""
    made = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=user.encode(),
        user_name=username,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return options_to_json_dict(made)


def assertion_options(
    party: RelyingParty, challenge: bytes, known: Iterable[bytes]
) -> dict[str, Any]:
    """For `navigator.credentials.get`: one of those credentials."""
    made = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        allow_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(made)


def spelled(data: bytes) -> str:
    """Bytes as WebAuthn spells them in JSON."""
    return bytes_to_base64url(data)


def read(text: str) -> bytes:
    """What `spelled` made."""
    return base64url_to_bytes(text)


def credential_of(answer: Answer) -> str:
    """The name of the credential that answered. Raises PasskeyRefused."""
    found = answer.get("id")
    if not isinstance(found, str):
        raise _refused()
    return found


def challenge_of(answer: Answer) -> bytes:
    """The challenge that an answer says it is for; not believed before the signature is checked.

    Raises PasskeyRefused.
    """
    try:
        said = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))
        return base64url_to_bytes(said["challenge"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused() from error


def registered(party: RelyingParty, challenge: bytes, answer: Answer) -> Passkey:
    """The new credential. Raises PasskeyRefused."""
    try:
        seen = webauthn.verify_registration_response(
            credential=json.dumps(answer),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except _UNREADABLE as error:
        raise _refused() from error
    if len(seen.credential_id) > LONGEST_CREDENTIAL:
        raise _refused()
    return Passkey(seen.credential_id, seen.credential_public_key, seen.sign_count)


def asserted(
    party: RelyingParty, challenge: bytes, public_key: bytes, counter: int, answer: Answer
) -> int:
    """The counter after a right answer; `counter` is the one of before.

    Raises PasskeyRefused, and PasskeyCopied (only for what the key truly signed) where the counter
    did not grow; a counter that stays 0 is a device that does not count.
    """
    try:
        seen = webauthn.verify_authentication_response(
            credential=json.dumps(answer),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # looked at below: `webauthn` does so unsigned
            require_user_verification=True,
        )
    except _UNREADABLE as error:
        raise _refused() from error
    if seen.new_sign_count <= counter and counter:
        raise PasskeyCopied("this passkey may have been copied: sign in another way, remove it")
    return seen.new_sign_count


def _refused() -> PasskeyRefused:
    return PasskeyRefused("this passkey was not accepted: begin again")

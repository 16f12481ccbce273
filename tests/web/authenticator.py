"""An authenticator in software: EC P-256, attestation `none`, real signatures."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

VERIFIED, ATTESTED = 0b101, 0b1000000


def b64(data: bytes) -> str:
    """As WebAuthn spells bytes in JSON."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """One credential for one site."""

    def __init__(self, origin: str, rp_id: str, counter: int = 0) -> None:
        self.origin, self.rp_id, self.counter = origin, rp_id, counter
        self.credential = secrets.token_bytes(32)
        self._key = ec.generate_private_key(ec.SECP256R1())

    def create(self, challenge: bytes) -> dict[str, Any]:
        """The answer to `navigator.credentials.create`."""
        length = len(self.credential).to_bytes(2, "big")
        data = self._data(VERIFIED | ATTESTED) + bytes(16) + length + self.credential + self._cose()
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", challenge)
        return self._answer(clientDataJSON=client, attestationObject=attestation)

    def get(self, challenge: bytes, flags: int = VERIFIED) -> dict[str, Any]:
        """The answer to `navigator.credentials.get`."""
        client, data = self._client("webauthn.get", challenge), self._data(flags)
        signed = data + hashlib.sha256(client).digest()
        signature = self._key.sign(signed, ec.ECDSA(SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _answer(self, **response: bytes) -> dict[str, Any]:
        spelled = {name: b64(value) for name, value in response.items()}
        id_ = b64(self.credential)
        return {"id": id_, "rawId": id_, "type": "public-key", "response": spelled}

    def _data(self, flags: int) -> bytes:
        hashed = hashlib.sha256(self.rp_id.encode()).digest()
        return hashed + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client(self, kind: str, challenge: bytes) -> bytes:
        said = {"type": kind, "challenge": b64(challenge), "origin": self.origin}
        return json.dumps(said).encode()

    def _cose(self) -> bytes:
        at = self._key.public_key().public_numbers()
        x, y = at.x.to_bytes(32, "big"), at.y.to_bytes(32, "big")
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

"""A local certificate authority and a certificate of it, for a company without a public name.

Browsers give the microphone to https and localhost only. The authority signs for this system's
names alone (name constraints would break IP addresses in some browsers, so its key simply stays
here, readable by its owner only).
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from callcenter.config import Settings

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397  # what browsers accept at most is 398


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything is; all readable by the owner only."""

    authority: Path
    authority_key: Path
    certificate: Path
    key: Path


def files(settings: Settings) -> Files:
    """The four files of that data directory."""
    folder = settings.data_dir / "tls"
    return Files(*(folder / name for name in ("ca.pem", "ca.key", "web.pem", "web.key")))


def names(settings: Settings, extra: list[str]) -> list[str]:
    """Hosts the certificate is for: localhost, web.host, public_url, this machine, `extra`."""
    found = ["localhost", "127.0.0.1", "::1"]
    if settings.web.host not in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        found.append(settings.web.host)
    if settings.web.public_url:
        found.append(urlsplit(settings.web.public_url).hostname or "")
    found += [socket.gethostname(), *extra]
    return list(dict.fromkeys(name for name in found if name))


def make(settings: Settings, extra: list[str] | None = None) -> Files:
    """Make the certificate anew; the authority stays when there is one, so trust stays too."""
    paths = files(settings)
    paths.authority.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (paths.authority.exists() and paths.authority_key.exists()):
        _make_authority(settings, paths)
    _make_certificate(names(settings, extra or []), paths)
    return paths


def _make_authority(settings: Settings, paths: Files) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{settings.site.name[:40]} callcenter authority")
    certificate = (
        _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(paths.authority_key, _pem(key))
    _write(paths.authority, certificate.public_bytes(serialization.Encoding.PEM))


def _make_certificate(hosts: list[str], paths: Files) -> None:
    authority = x509.load_pem_x509_certificate(paths.authority.read_bytes())
    signer = serialization.load_pem_private_key(paths.authority_key.read_bytes(), password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(hosts[-1][:60]), authority.subject, key.public_key(), CERTIFICATE_DAYS)
        .add_extension(x509.SubjectAlternativeName([_general(h) for h in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write(paths.key, _pem(key))
    _write(paths.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of browsers differ
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode("ascii"))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    """Through a temporary file, so that nobody sees half of it; mode 0600 from the start."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    new.replace(path)

"""The local authority: browsers accept what it makes, nobody else reads its keys."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from callcenter import tls
from callcenter.config import Settings


@pytest.fixture
def made(settings: Settings) -> tls.Files:
    return tls.make(settings, ["calls.example.com"])


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_certificate_is_for_localhost_this_host_the_public_url_and_named_hosts(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(web={"host": "192.0.2.7", "public_url": "https://crm.example.org"})
    made = tls.make(settings, ["calls.example.com"])
    extension = _certificate(made.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    hosts = set(extension.value.get_values_for_type(x509.DNSName))
    assert {"localhost", "crm.example.org", "calls.example.com"} <= hosts
    assert set(extension.value.get_values_for_type(x509.IPAddress)) == {
        ip_address("127.0.0.1"),
        ip_address("::1"),
        ip_address("192.0.2.7"),
    }


def test_a_client_that_trusts_the_authority_connects(made: tls.Files) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.certificate, made.key)
    client = ssl.create_default_context(cafile=str(made.authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(ours, server_side=True) as connection:
            connection.sendall(connection.recv(2))

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(theirs, server_hostname="calls.example.com") as connection:
        connection.sendall(b"hi")
        assert connection.recv(2) == b"hi"
    thread.join()


def test_only_the_owner_reads_the_files(made: tls.Files) -> None:
    for path in (made.authority, made.authority_key, made.certificate, made.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.key.parent.stat().st_mode) == 0o700


def test_a_second_certificate_keeps_the_authority_that_people_trust(
    settings: Settings, made: tls.Files
) -> None:
    authority, certificate = made.authority.read_bytes(), made.certificate.read_bytes()
    again = tls.make(settings, [])
    assert again.authority.read_bytes() == authority
    assert again.certificate.read_bytes() != certificate
    assert _certificate(again.certificate).issuer == _certificate(again.authority).subject


def test_the_certificate_lives_no_longer_than_browsers_accept(made: tls.Files) -> None:
    certificate = _certificate(made.certificate)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 390 < life.days <= 398

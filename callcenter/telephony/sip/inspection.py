"""What is looked at before a request is taken up (RFC 3261 8.2.1 to 8.2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.responses import ACCEPT, ALLOW, METHODS, SDP, Fields

_ELSEWHERE = "REGISTER SUBSCRIBE NOTIFY PUBLISH MESSAGE"
KNOWN_METHODS = frozenset((*METHODS, *_ELSEWHERE.split()))
EXTENSIONS = frozenset({"100rel", "timer", "replaces", "norefersub"})  # that we understand
OFFERING = ("INVITE", "UPDATE", "PRACK")
SCHEMES = frozenset({"sip", "sips", "tel"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response and the header fields that explain it."""

    status: int
    fields: Fields = ()


def inspect(request: Request) -> Refusal | None:
    """Why the request is not taken up, None when it is. ACK and CANCEL are never asked about."""
    return refused_method(request) or understood(request)


def understood(request: Request) -> Refusal | None:
    """The same for a request whose method is allowed."""
    for look in (_scheme, _extensions, _content, _accepted):
        if refusal := look(request):
            return refusal
    return None


def refused_method(request: Request) -> Refusal | None:
    """8.2.1: 405 for methods not allowed here, 501 for those nobody knows (21.5.2)."""
    if request.method in METHODS:
        return None
    return Refusal(405 if request.method in KNOWN_METHODS else 501, (ALLOW,))


def _scheme(request: Request) -> Refusal | None:
    """8.2.2.1: a Request-URI of a scheme that we do not serve."""
    return None if request.target.scheme in SCHEMES else Refusal(416)


def _extensions(request: Request) -> Refusal | None:
    """8.2.2.3: extensions that the peer insists on."""
    unknown = [tag for tag in request.headers.values("Require") if tag.lower() not in EXTENSIONS]
    return Refusal(420, (("Unsupported", ", ".join(unknown)),)) if unknown else None


def _content(request: Request) -> Refusal | None:
    """8.2.3: bodies that we cannot read."""
    coding = (request.headers.get("Content-Encoding") or "identity").lower()
    if request.body and coding != "identity":
        return Refusal(415, (("Accept-Encoding", "identity"),))
    if request.body and request.method in OFFERING and request.content_type != SDP:
        return Refusal(415, (ACCEPT,))
    return None


def _accepted(request: Request) -> Refusal | None:
    """21.4.7: our answer would be SDP, and the peer does not take that."""
    if request.method not in OFFERING:
        return None
    types = {value.partition(";")[0].strip().lower() for value in request.headers.values("Accept")}
    welcome = not types or types & {SDP, "application/*", "*/*"}
    return None if welcome else Refusal(406)

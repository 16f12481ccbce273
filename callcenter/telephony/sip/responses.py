"""Finished responses: what RFC 3261 8.2.6 copies, who we are, and a body."""

from __future__ import annotations

from dataclasses import replace

from callcenter.telephony.sip.actions import Flow
from callcenter.telephony.sip.headers import parameter, split_values
from callcenter.telephony.sip.message import Request, Response, respond
from callcenter.telephony.sip.uri import hostport

PRODUCT = "callcenter"  # no version: nobody outside needs it
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER")
SDP = "application/sdp"

ALLOW = ("Allow", ", ".join(METHODS))
ACCEPT = ("Accept", SDP)
SUPPORTED = ("Supported", "100rel, timer, replaces, norefersub")
CALLING = ("Supported", "timer, replaces, norefersub")  # in an INVITE of ours

Fields = tuple[tuple[str, str], ...]


def build(
    request: Request, status: int, tag: str, fields: Fields = (), body: bytes = b""
) -> Response:
    """A response that is ready to be sent."""
    response = respond(request, status, tag=tag)
    for name, value in fields:
        response.headers.add(name, value)
    response.headers.add("Server", PRODUCT)
    response.set_body(body, SDP if body else None)
    return response


def contact(flow: Flow, *, secure: bool) -> tuple[str, str]:
    """Where requests of the dialog reach us (RFC 3261 12.1.1): sips where the caller asked so."""
    place = hostport(flow.local.host, flow.local.port)
    if secure:
        return "Contact", f"<sips:{place}>"
    transport = f";transport={flow.transport.lower()}" if flow.reliable else ""
    return "Contact", f"<sip:{place}{transport}>"


def record_routes(request: Request) -> Fields:
    """Record-Route as it came: responses that make a dialog repeat it (RFC 3261 12.1.1)."""
    return tuple(("Record-Route", value) for value in request.headers.all("Record-Route"))


def stamp(request: Request, flow: Flow) -> None:
    """Note in the topmost Via where the request came from (RFC 3261 18.2.1, RFC 3581 4)."""
    via, remote = request.via, flow.remote
    asked = parameter(via.parameters, "rport") is not None
    if not asked and via.host.strip("[]") == remote.host:
        return
    stamped = via.with_parameter("received", remote.host)
    if asked:
        stamped = stamped.with_parameter("rport", str(remote.port))
    _, *others = split_values(request.headers.get("Via") or "")
    request.headers.replace_first("Via", ", ".join((str(stamped), *others)))


def reply_flow(request: Request, flow: Flow) -> Flow:
    """The way responses take: always the packet's source address (RFC 3261 18.2.2, RFC 3581 4).

    The port is the source's with `rport`, else the one of the Via. Its `maddr` and host are not
    followed, so that nobody can aim our responses at a third party.
    """
    via = request.via
    if flow.reliable or parameter(via.parameters, "rport") is not None:
        return flow
    return replace(flow, remote=replace(flow.remote, port=via.port or 5060))

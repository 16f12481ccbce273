"""REFER and Replaces: a trusted peer moves a call (RFC 3515, RFC 3891, RFC 4488)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.headers import parameter, parse_name_addr, parse_parameters
from callcenter.telephony.sip.message import Request, Response, reason_phrase
from callcenter.telephony.sip.responses import Fields
from callcenter.telephony.sip.uri import Uri

SUBSCRIBED = 180  # seconds that a peer is kept informed of one REFER
SIPFRAG = "message/sipfrag;version=2.0"

Notify = Callable[[Fields, bytes, Callable[[Response | None, float], None], float], None]


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog that an INVITE takes the place of, by our own names for its parts."""

    call_id: str
    local_tag: str
    remote_tag: str
    early_only: bool = False


class Referral:
    """One REFER that was taken; `report` tells its sender how it goes on.

    `user` is the user part of the Refer-To URI, `replaces` the dialog that it names (RFC 5589 7),
    None where that cannot be read. `notify` sends a NOTIFY with these header fields
    and body. Nothing is told where the sender wants to hear nothing (RFC 4488).
    """

    def __init__(self, request: Request, target: Uri, notify: Notify, *, first: bool) -> None:
        self.user = target.user or ""
        self.attended = "replaces" in (target.headers or "").lower()
        self.replaces = _replaces_within(target) if self.attended else None
        self.silent = (request.headers.get("Refer-Sub") or "").strip().lower() == "false"
        self.over = self.silent
        self._notify = notify
        # Only the first REFER of a dialog may be told apart without an id (RFC 3515 2.4.6).
        self._event = "refer" if first else f"refer;id={request.cseq.number}"

    def report(self, status: int, now: float) -> None:
        """NOTIFY with the status line that the new target gave; 200 and above is the last one."""
        if self.over:
            return
        self.over = status >= 200
        state = "terminated;reason=noresource" if self.over else f"active;expires={SUBSCRIBED}"
        fields = (
            ("Event", self._event),
            ("Subscription-State", state),
            ("Content-Type", SIPFRAG),
        )
        line = f"SIP/2.0 {status} {reason_phrase(status)}\r\n"
        self._notify(fields, line.encode(), self._heard, now)

    def _heard(self, response: Response | None, now: float) -> None:
        """A peer that knows nothing of it, or is gone, is told nothing more (RFC 6665 4.2.2)."""
        if response is None or response.status in (404, 405, 410, 416, 480, 481, 489, 501, 604):
            self.over = True


def target_of(request: Request) -> Uri:
    """The one URI of Refer-To. Raises SipSyntaxError (RFC 3515 2.4.2: then 400)."""
    values = request.headers.values("Refer-To")
    if len(values) != 1:
        raise SipSyntaxError("A REFER has exactly one Refer-To.")
    return parse_name_addr(values[0]).uri


def replaces_of(invite: Request) -> Replaces | None:
    """The dialog that this INVITE replaces, if any. Raises SipSyntaxError (RFC 3891 3)."""
    values = invite.headers.all("Replaces")
    if not values:
        return None
    if len(values) != 1 or "," in values[0]:
        raise SipSyntaxError("An INVITE has one Replaces header field at most.")
    return _replaces(values[0])


def _replaces_within(target: Uri) -> Replaces | None:
    """What the Replaces among a URI's header fields says; it is escaped there (RFC 3891 3)."""
    for field in (target.headers or "").split("&"):
        name, _, value = field.partition("=")
        if name.lower() == "replaces":
            try:
                return _replaces(unquote(value))
            except SipSyntaxError:
                return None
    return None


def _replaces(value: str) -> Replaces:
    """Raises SipSyntaxError."""
    call_id, _, rest = value.strip().partition(";")
    parameters = parse_parameters(";" + rest)
    ours, theirs = parameter(parameters, "to-tag"), parameter(parameters, "from-tag")
    if not call_id or not ours or not theirs:
        raise SipSyntaxError("A Replaces header field lacks a tag.")
    # RFC 2543 has no tags: "0" stands for none (RFC 3891 6.1)
    theirs = "" if theirs == "0" else theirs
    early_only = parameter(parameters, "early-only") is not None
    return Replaces(call_id.strip(), ours, theirs, early_only)

"""Dialogs: what two user agents remember of each other (RFC 3261 12)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from callcenter.telephony.sip.headers import Via, parse_name_addr
from callcenter.telephony.sip.message import Message, Request, Response
from callcenter.telephony.sip.uri import Uri

DialogId = tuple[str, str, str]  # Call-ID, local tag, remote tag


@dataclass
class Dialog:
    """The state of RFC 3261 12; From and To are kept as written, tags included."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: Uri
    route_set: tuple[str, ...]
    remote_seq: int
    local_seq: int = 0

    @property
    def id(self) -> DialogId:
        """What names the dialog on our side."""
        return self.call_id, self.local_tag, self.remote_tag

    @classmethod
    def of_invite(cls, invite: Request, local_tag: str) -> Dialog:
        """The dialog that our response to `invite` establishes (RFC 3261 12.1.1)."""
        return cls(
            call_id=invite.call_id,
            local_tag=local_tag,
            remote_tag=invite.from_.tag or "",
            local=f"{invite.headers.get('To')};tag={local_tag}",
            remote=invite.headers.get("From") or "",
            remote_target=_target(invite) or invite.from_.uri,
            route_set=tuple(invite.headers.values("Record-Route")),
            remote_seq=invite.cseq.number,
        )

    @classmethod
    def of_response(cls, invite: Request, response: Response) -> Dialog:
        """The dialog that a peer's response to our `invite` establishes (RFC 3261 12.1.2)."""
        return cls(
            call_id=invite.call_id,
            local_tag=invite.from_.tag or "",
            remote_tag=response.to.tag or "",
            local=invite.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            remote_target=_target(response) or invite.target,
            route_set=tuple(reversed(response.headers.values("Record-Route"))),
            remote_seq=-1,
            local_seq=invite.cseq.number,
        )

    def ack(self, invite: Request, via: Via) -> Request:
        """The ACK of a 2xx to our `invite`: its number, its credentials (13.2.2.4, 22.1)."""
        before, self.local_seq = self.local_seq, invite.cseq.number - 1
        ack = self.request("ACK", via)
        self.local_seq = before
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.all(name):
                ack.headers.add(name, value)
        return ack

    def in_order(self, request: Request) -> bool:
        """Whether the peer's request comes after those before it; remembers it (12.2.2)."""
        if request.cseq.number < self.remote_seq:
            return False
        self.remote_seq = request.cseq.number
        return True

    def refresh(self, message: Message) -> None:
        """Take the peer's new target from a re-INVITE, an UPDATE or a 2xx to one (12.2)."""
        self.remote_target = _target(message) or self.remote_target

    def request(self, method: str, via: Via) -> Request:
        """A request of ours within the dialog (RFC 3261 12.2.1.1). The body is still to be set."""
        self.local_seq += 1
        uri, routes = self._path()
        request = Request(method, str(uri))
        request.headers.add("Via", str(via))
        for route in routes:
            request.headers.add("Route", route)
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", self.local)
        request.headers.add("To", self.remote)
        request.headers.add("Call-ID", self.call_id)
        request.headers.add("CSeq", f"{self.local_seq} {method}")
        return request

    def _path(self) -> tuple[Uri, tuple[str, ...]]:
        """Request-URI and Route: loose routing, or the strict kind of RFC 2543 proxies."""
        if not self.route_set:
            return self.remote_target, ()
        first = parse_name_addr(self.route_set[0]).uri
        if first.parameter("lr") is not None:
            return self.remote_target, self.route_set
        return first, (*self.route_set[1:], f"<{self.remote_target}>")


def _target(message: Message) -> Uri | None:
    """Where the peer wants requests of this dialog: its Contact."""
    contacts = message.headers.values("Contact")
    # No header fields in a Request-URI (RFC 3261 19.1.1, table 1).
    return replace(parse_name_addr(contacts[0]).uri, headers=None) if contacts else None

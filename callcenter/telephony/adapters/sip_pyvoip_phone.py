"""pyVoIP as one extension: its phone, client and call, without its threads, socket and sound.

pyVoIP 1.6.8 keeps the calls, runs their flow and words its messages. It is handed validated
requests only, in the plain form that it can read (`plain`), and what it writes goes to `Outlet`,
which gives each response the header fields that RFC 3261 demands. Overridden here, because it
is wrong or missing there:

- the socket and the thread: the backend's loop hands requests in, nothing blocks;
- REGISTER, which blocks that thread for up to 30 s and knows MD5 without qop only;
- the second that passes before a call is told of (`Timer(1, callCallback)`) and the 180 before it;
- `RTPClient`: the sound is the media plane's (`RtpSide` stands in its place);
- the search for a port, which costs more with each call;
- the answer's session description: the codec agreed on, direction mirrored, version counted;
- CANCEL, which it answers without ending the call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

with warnings.catch_warnings():  # audioop's farewell in Python 3.13
    warnings.simplefilter("ignore")
    import pyVoIP.VoIP  # first: pyVoIP.SIP cannot be imported before it
    from pyVoIP.SIP import SIPClient, SIPMessage
    from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone

from callcenter.telephony.ports import MediaDescription
from callcenter.telephony.sip.message import Request

NOWHERE = ("0.0.0.0", 0)  # noqa: S104 - pyVoIP's idea of its peer; the outlet knows better


class Outlet(Protocol):
    """Takes what pyVoIP writes; it calls `sendto` as if this were its socket."""

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        """One message. `address` is pyVoIP's guess and not looked at."""

    def setblocking(self, flag: bool) -> None:
        """Nothing blocks here."""


class RtpSide:
    """In the place of pyVoIP's RTPClient: the port that it tells the peer; moves no sound."""

    def __init__(self, codecs: dict[int, Any]) -> None:
        self.assoc = codecs
        self.inPort = 0
        self.outIP, self.outPort = NOWHERE

    def start(self) -> None:
        """pyVoIP starts it again at each re-INVITE: that may change nothing."""

    def stop(self) -> None:
        """The media plane closes its legs itself."""


class Call(VoIPCall):  # type: ignore[misc,unused-ignore]
    """A call; `description` is what its next 200 carries."""

    description = b""

    def create_rtp_clients(
        self, codecs: dict[int, Any], ip: str, port: int, request: SIPMessage, baseport: int
    ) -> None:
        """No client, no thread, no port."""
        self.RTPClients.append(RtpSide(codecs))  # type: ignore[arg-type,unused-ignore]

    def __del__(self) -> None:
        """It owns no port that could be released."""

    @property
    def rings(self) -> bool:
        """Whether it waits for its answer."""
        return bool(self.state is CallState.RINGING)

    @property
    def talks(self) -> bool:
        """Whether it was answered and not ended."""
        return bool(self.state is CallState.ANSWERED)

    def ring(self) -> None:
        """180."""
        self._write(self.sip.gen_ringing(self.request))

    def accept(self, description: bytes, port: int) -> None:
        """200 by pyVoIP's `answer`."""
        self.description = description
        for side in self.RTPClients:
            side.inPort = port
        self.answer()

    def busy(self) -> None:
        """486 by pyVoIP's `deny`, the only refusal that it can word."""
        self.deny()

    def over(self) -> None:
        """It was refused or cancelled: pyVoIP forgets it."""
        self.state = CallState.ENDED
        self.phone.calls.pop(self.call_id, None)

    def _write(self, text: str) -> None:
        self.sip.out.sendto(text.encode(), NOWHERE)


class Client(SIPClient):  # type: ignore[misc,unused-ignore]
    """Words messages and takes requests apart by their method; owns no socket and no thread."""

    def open(self, outlet: Outlet) -> None:
        """Write to `outlet` from now on."""
        self.NSD = True
        self.s = self.out = outlet  # type: ignore[assignment,unused-ignore]

    def register(self) -> bool:
        """The backend registers, where the settings ask for it."""
        return True

    def gen_answer(self, request: SIPMessage, sess_id: str, ms: Any, sendtype: Any) -> str:
        """pyVoIP's 200 with the description that was agreed on in place of its own."""
        head = str(super().gen_answer(request, sess_id, ms, sendtype)).partition("\r\n\r\n")[0]
        lines = [line for line in head.split("\r\n") if not line.startswith("Content-")]
        call: Any = self.phone.calls[request.headers["Call-ID"]]
        body = str(call.description, "utf-8")
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body.encode())}"]
        return "\r\n".join(lines) + "\r\n\r\n" + body


class Phone(VoIPPhone):  # type: ignore[misc,unused-ignore]
    """The extension. `cancelled` is told of a CANCEL that pyVoIP would only acknowledge."""

    def __init__(self, user: str, outlet: Outlet, cancelled: Callable[[str], None]) -> None:
        pyVoIP.DEBUG = False
        super().__init__(*NOWHERE, user, "", *NOWHERE[:1], sipPort=0)
        self.sip = Client(*NOWHERE, user, "", phone=self, callCallback=self.callback)
        self.sip.open(outlet)
        self._cancelled = cancelled

    def take(self, key: str, request: Request, media: MediaDescription | None = None) -> None:
        """One request of the call that pyVoIP knows by `key`, dispatched by pyVoIP."""
        self.sip.parse_message(SIPMessage(plain(key, request, media)))

    def callback(self, request: SIPMessage) -> None:
        """As pyVoIP does it, and CANCEL."""
        if request.method == "CANCEL":
            self._cancelled(request.headers["Call-ID"])
        super().callback(request)

    def _callback_MSG_Invite(self, request: SIPMessage) -> None:
        call_id = request.headers["Call-ID"]
        if call_id in self.calls:
            super()._callback_MSG_Invite(request)
            return
        self.calls[call_id] = Call(self, CallState.RINGING, request, 1, self.myIP)
        self.sip.tagLibrary[call_id] = self.sip.gen_tag()

    def call_of(self, key: str) -> Call:
        """The call that it knows by `key`."""
        call: Any = self.calls[key]
        assert isinstance(call, Call)
        return call

    def forget(self, call_id: str) -> None:
        """pyVoIP would keep the tags of every call that ever was."""
        self.calls.pop(call_id, None)
        self.sip.tagLibrary.pop(call_id, None)
        self.sip.tags.clear()

    def request_port(self, blocking: bool = True) -> int:
        """The media plane has the ports."""
        return 0

    def release_ports(self, call: VoIPCall | None = None) -> None:
        """The media plane takes them back."""


def plain(key: str, request: Request, media: MediaDescription | None) -> bytes:
    """The request as pyVoIP reads it: one Via, nothing folded, a small body, `key` as Call-ID.

    Who calls, tags, routes and targets stay with the request itself: the outlet takes them from
    there, and pyVoIP's own reading of them would lose a part.
    """
    body = _plain_body(media) if media else ""
    fields = [
        "Via: SIP/2.0/UDP peer.invalid:5060;branch=z9hG4bKplain",
        "From: <sip:caller@peer.invalid>;tag=caller",
        "To: <sip:us@us.invalid>",
        f"Call-ID: {key}",
        f"CSeq: {request.cseq}",
        "Contact: <sip:caller@peer.invalid>",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    head = f"{request.method} sip:us@us.invalid SIP/2.0"
    return ("\r\n".join((head, *fields)) + "\r\n\r\n" + body).encode()


def _plain_body(media: MediaDescription) -> str:
    """What is agreed on, as an offer of nothing else."""
    host = f"IN IP4 {media.address.host}"
    formats = [f"{media.codec.value}"]
    maps = [f"a=rtpmap:{media.codec.value} {media.codec.name}/8000"]
    if (event := media.telephone_event) is not None:
        formats.append(str(event))
        maps.append(f"a=rtpmap:{event} telephone-event/8000")
    lines = ["v=0", f"o=- 1 1 {host}", "s=-", f"c={host}", "t=0 0"]
    lines.append(f"m=audio {media.address.port} RTP/AVP {' '.join(formats)}")
    return "\r\n".join((*lines, *maps, f"a={media.direction.value}")) + "\r\n"

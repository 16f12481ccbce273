"""pyVoIP as a customer's telephone: no registrar, its known faults mended from outside.

pyVoIP 1.6.8 is an implementation of SIP that is not ours, which makes it a good customer. What is
overridden here: REGISTER is never sent; `invite` does not block for ever; refusals are seen
and acknowledged; the ACK carries the callee's tag (its issue 272); CANCEL exists; the receiving
thread starts at once and ends before its socket is closed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():  # audioop's farewell in Python 3.13
    warnings.simplefilter("ignore")
    import pyVoIP.VoIP  # first: pyVoIP.SIP cannot be imported before it
    from pyVoIP.SIP import SIPClient, SIPMessage, SIPMessageType
    from pyVoIP.VoIP import CallState, VoIPCall, VoIPPhone

POLL_SECONDS = 0.05
_EVENTS = "0123456789*#ABCD"  # in the order of their numbers (RFC 4733 section 3.2)
_EVENT = struct.Struct(">BBHIIBBH")  # the head of RTP, then event, end and volume, duration
_HAND_SECONDS = 0.5  # nobody presses keys in the moment of the answer
_EVENT_TYPE, _EVENT_SAMPLES, _VOLUME, _ENDS = 101, 160, 10, 3


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it came: status, phrase, and the method it answers."""

    status: int
    phrase: str
    method: str


class _Client(SIPClient):  # type: ignore[misc,unused-ignore]
    """SIPClient with its faults mended; `replies` in the order of their coming."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.replies: list[Reply] = []
        self.sent = ""
        self._receiver: threading.Thread | None = None

    def register(self) -> bool:
        """There is no registrar: the system takes calls from its trunk's addresses."""
        return True

    def start(self) -> None:
        """Open the socket and listen at once."""
        self.NSD = True
        self.s = self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((self.myIP, self.myPort))
        self._receiver = threading.Thread(target=self.recv_loop, name="SIP Receive", daemon=True)
        self._receiver.start()

    def stop(self) -> None:
        """End the thread, then close the socket."""
        self.NSD = False
        if self._receiver:
            self._receiver.join(5)
        self._close_sockets()

    def recv_loop(self) -> None:
        """Receive until `stop`."""
        while self.NSD:
            if select.select([self.s], [], [], POLL_SECONDS)[0]:
                with self.recvLock:
                    self.recv()

    def parse_message(self, message: SIPMessage) -> None:
        """Note each response; refusals are acknowledged here (RFC 3261 section 17.1.1.3)."""
        if message.type == SIPMessageType.MESSAGE:
            super().parse_message(message)
            return
        status, method = int(message.status), message.headers["CSeq"]["method"]
        self.replies.append(Reply(status, message.status.phrase, method))
        if status >= 300 and method == "INVITE":
            self.send(self.gen_ack(message))
        elif method == "INVITE":
            super().parse_message(message)

    def invite(self, number: str, ms: Any, sendtype: Any) -> tuple[SIPMessage, str, int]:
        """Send the INVITE and return; the receiving thread takes what comes."""
        # pyVoIP derives both from a counter: the second call of a day would look like the first.
        branch, session = self.gen_branch(), self.sessID.next()
        call_id = f"{self.gen_urn_uuid()}@{self.myIP}"
        self.sent = self.gen_invite(number, str(session), ms, sendtype, branch, call_id)
        self.send(self.sent)
        return SIPMessage(self.sent.encode()), call_id, session

    def gen_ack(self, request: SIPMessage) -> str:
        """ACK with the callee's tag; its own branch only for a 2xx (section 13.2.2.4)."""
        headers = request.headers
        refused = int(request.status) >= 300
        branch = headers["Via"][0]["branch"] if refused else self.gen_branch()
        target = headers["To"]["raw"].strip("<>")
        if not refused and "Contact" in headers:
            target = headers["Contact"].partition(">")[0].strip("<> ")
        lines = [
            f"ACK {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.myIP}:{self.myPort};branch={branch}",
            "Max-Forwards: 70",
            f"From: {headers['From']['raw']};tag={self.tagLibrary[headers['Call-ID']]}",
            f"To: {headers['To']['raw']};tag={headers['To']['tag']}",
            f"Call-ID: {headers['Call-ID']}",
            f"CSeq: {headers['CSeq']['check']} ACK",
            "Content-Length: 0",
        ]
        return "\r\n".join(lines) + "\r\n\r\n"

    def cancel(self) -> None:
        """CANCEL of the INVITE: same Via, From, To, Call-ID and number (section 9.1)."""
        kept = ("Via:", "From:", "To:", "Call-ID:", "Max-Forwards:")
        first, *lines = self.sent.partition("\r\n\r\n")[0].split("\r\n")
        number = next(line for line in lines if line.startswith("CSeq:")).split()[1]
        text = [first.replace("INVITE", "CANCEL", 1)]
        text += [line for line in lines if line.startswith(kept)]
        text += [f"CSeq: {number} CANCEL", "Content-Length: 0"]
        self.send("\r\n".join(text) + "\r\n\r\n")

    def send(self, text: str) -> None:
        """One datagram; a closed socket or port is seen by the missing answer."""
        with contextlib.suppress(OSError):
            self.out.sendto(text.encode(), (self.server, self.port))


class Telephone(VoIPPhone):  # type: ignore[misc,unused-ignore]
    """A telephone with one number and no registrar. `stop()` leaves no thread behind."""

    def __init__(self, host: str, port: int, number: str) -> None:
        # pyVoIP is quiet but for this warning, when a call ends while its sender sends.
        warnings.filterwarnings("ignore", message="RTP Packet failed to send!")
        pyVoIP.DEBUG = False
        own = _own_address(host)
        rtp = _free_port(own)
        super().__init__(host, port, number, "", own, None, _free_port(own), rtp, rtp)
        self._before = set(threading.enumerate())
        self.client = self.sip = _Client(
            host,
            port,
            number,
            "",
            phone=self,
            myIP=own,
            myPort=_free_port(own),
            callCallback=self.callback,
            fatalCallback=self.fatal,
        )

    def dial(self, number: str) -> VoIPCall:
        """Place the call; what comes back waits until pyVoIP knows the call."""
        with self.client.recvLock:
            return self.call(number)

    def stop(self, failed: bool = False) -> None:
        """End everything and wait for the threads."""
        super().stop(failed)
        for thread in set(threading.enumerate()) - self._before:
            if thread.name in ("SIP Receive", "RTP Receiver", "RTP Transmitter"):
                thread.join(5)


def press(call: VoIPCall, keys: str) -> None:
    """Keys as events in the stream of the sound (RFC 4733), a tenth of a second each, one every
    fifth; ends early with the call. pyVoIP can hear them only."""
    time.sleep(_HAND_SECONDS)
    for key in (key for key in keys.upper() if key in _EVENTS):
        stream = call.RTPClients[0]
        stamp = stream.outTimestamp
        for piece in range(1, 6 + _ENDS):
            if not is_up(call):
                return
            ended, duration = piece > 5, min(piece, 5) * _EVENT_SAMPLES
            head = (0x80, _EVENT_TYPE | 0x80 * (piece == 1), stream.outSequence & 0xFFFF, stamp)
            body = (_EVENTS.index(key), 0x80 * ended | _VOLUME, duration)
            with contextlib.suppress(OSError):
                packet = _EVENT.pack(*head, stream.outSSRC, *body)
                stream.sout.sendto(packet, (stream.outIP, stream.outPort))
            stream.outSequence += 1
            time.sleep(0.02)
        time.sleep(0.1)


def is_up(call: VoIPCall) -> bool:
    """Whether both sides are in the call."""
    return bool(call.state == CallState.ANSWERED)


def _own_address(host: str) -> str:
    """The address of ours from which `host` is reached; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


def _free_port(host: str) -> int:
    """An even UDP port that nobody uses (RTP's are even)."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            port = int(probe.getsockname()[1])
        if port % 2 == 0:
            return port

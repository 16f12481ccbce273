"""A telephone written by hand on a UDP socket: sends what it is told, keeps what it hears."""

from __future__ import annotations

import re
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field

from world import wait_for


@dataclass
class Heard:
    """One datagram: its start line, when it came, and itself."""

    line: str
    at: float
    text: str

    def header(self, name: str) -> str:
        """The first header field of that name."""
        found = re.search(rf"^{name}:[ \t]*(.*?)\r$", self.text, re.M | re.I)
        assert found, f"{name} is missing in {self.line}"
        return found[1]


@dataclass
class UdpPeer:
    """One caller. `answers_bye`: whether a BYE of the other side gets its 200."""

    port: int
    answers_bye: bool = True
    extra: str = ""  # header fields of the INVITE
    heard: list[Heard] = field(default_factory=list)
    sound: list[bytes] = field(default_factory=list)  # payloads of RTP packets as they came

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.own = self.socket.getsockname()[1]
        self.call_id, self.tag = uuid.uuid4().hex, uuid.uuid4().hex[:8]
        self._branch = 0
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def invite(self, to: str = "100") -> None:
        """Ring there."""
        self.to = to
        self.send("INVITE", body=self._offer())

    def answered(self) -> None:
        """Wait for the 200 and acknowledge it."""
        ok = wait_for(lambda: self.saw("SIP/2.0 200", "INVITE"), "200 to the INVITE")[0]
        self.remote = ok.header("To")
        self.send("ACK")

    def status(self) -> int:
        """The final answer to the INVITE, acknowledged where it is a refusal."""
        finals = wait_for(
            lambda: [h for h in self.saw("SIP/2.0", "INVITE") if h.line[8] != "1"], "an answer"
        )
        self.final: Heard = finals[0]
        self.remote = self.final.header("To")
        code = int(self.final.line.split()[1])
        if code >= 300:
            self.send("ACK", branch=self._branch)
        return code

    def saw(self, start: str, method: str = "") -> list[Heard]:
        """Datagrams that begin so; answers to `method` only."""
        return [
            h
            for h in list(self.heard)
            if h.line.startswith(start) and (not method or h.header("CSeq").endswith(method))
        ]

    def press(self, key: str) -> None:
        """A key, by INFO."""
        self.send("INFO", body=f"Signal={key}\r\nDuration=160\r\n", kind="dtmf-relay")

    def send(
        self, method: str, *, body: str = "", kind: str = "sdp", branch: int | None = None
    ) -> None:
        """A request of this call."""
        if branch is None:
            self._branch += 1
        number = 1 if method in ("INVITE", "ACK") else self._branch + 1
        type_of = f"Content-Type: application/{kind}\r\n" if body else ""
        remote = getattr(self, "remote", f"<sip:{self.to}@127.0.0.1>")
        text = (
            f"{method} sip:{self.to}@127.0.0.1:{self.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.own};rport;"
            f"branch=z9hG4bK{self.tag}{branch or self._branch}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:+989121234567@127.0.0.1>;tag={self.tag}\r\n"
            f"To: {remote}\r\nCall-ID: {self.call_id}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <sip:caller@127.0.0.1:{self.own}>\r\n"
            f"{self.extra if method == 'INVITE' else ''}{type_of}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.socket.sendto(text.encode(), ("127.0.0.1", self.port))

    def close(self) -> None:
        """Hang the telephone off the wall."""
        self._open = False
        self._thread.join(5)
        self.socket.close()

    def _offer(self) -> str:
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.own} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
        )

    def _listen(self) -> None:
        while self._open:
            try:
                data, source = self.socket.recvfrom(65535)
            except (TimeoutError, ConnectionError):
                continue
            text = data.decode(errors="replace")
            if not re.match(r"SIP/2\.0 |[A-Z]+ \S+ SIP/2\.0", text):
                if len(data) > 12 and data[0] == 0x80 and data[1] & 0x7F == 0:  # RTP, µ-law
                    self.sound.append(data[12:])
                continue
            self.heard.append(Heard(text.split("\r\n", 1)[0], time.monotonic(), text))
            if text.startswith("BYE ") and self.answers_bye:
                self._answer(text, source)

    def _answer(self, request: str, source: tuple[str, int]) -> None:
        kept = re.findall(r"^(?:Via|From|To|Call-ID|CSeq):.*?\r\n", request, re.M | re.I)
        answer = "SIP/2.0 200 OK\r\n" + "".join(kept) + "Content-Length: 0\r\n\r\n"
        self.socket.sendto(answer.encode(), source)

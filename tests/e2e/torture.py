"""Sends the torture set to a listener over real sockets and keeps the score (tools/torture.py).

Each message goes out with a fresh branch and Call-ID; its final answer is judged by `index.tsv`;
then OPTIONS must be answered, and its time is kept: nothing may kill or slow the listener.
Answers without rport go to the port that the top Via names (RFC 3261 18.2.2), so the sender sits
on those ports, at a loopback address of its own. The listener must take it for a trunk.
"""

from __future__ import annotations

import random
import re
import select
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from torture_set import Case, allowed

VIA_PORTS = (5060, 5050, 6050, 19823)
WAIT = 0.6  # seconds for an answer; a message that may get none costs as much
SLOW = 5.0
"""Seconds for a plain OPTIONS after a message, on a machine that may be busy with other tests."""
GOALS = {"rfc4475": (46, 49), "rfc5118": (10, 11), "abuse": (24, 25)}


@dataclass
class Score:
    """What came of a run."""

    good: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GOALS, 0))
    bad: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def reached(self) -> bool:
        """Every goal met, the listener alive and quick after each message."""
        enough = all(self.good[name] >= goal for name, (goal, _) in GOALS.items())
        return enough and not self.dead and self.slowest < SLOW

    def lines(self) -> list[str]:
        """For people."""
        table = [
            f"{name}: {self.good[name]} of {size} as expected (goal {goal})"
            for name, (goal, size) in GOALS.items()
        ]
        dead = ", ".join(self.dead) or "never"
        return [
            *self.bad,
            *table,
            f"listener silent after: {dead}; slowest OPTIONS between: {self.slowest * 1000:.0f} ms",
        ]


class Sender:
    """A trunk's address with the ports that the messages name."""

    def __init__(self, host: str, port: int) -> None:
        self._peer = (host, port)
        self._sockets = _sockets()
        self._earlier: set[bytes] = set()  # Call-IDs: their answers may be repeated for a while
        self.host = self._sockets[0].getsockname()[0]

    def close(self) -> None:
        """Give the ports back."""
        for one in self._sockets:
            one.close()

    def run(self, chosen: list[Case]) -> Score:
        """Every message in a row, OPTIONS between."""
        score = Score()
        for case in chosen:
            status = self.judge(case.data)
            if allowed(status, case.expect):
                score.good[case.set] += 1
            else:
                score.bad.append(f"{case.file}: got {status}, allowed {case.expect}")
            took = self.probe()
            if took is None:
                score.dead.append(case.file)
            score.slowest = max(score.slowest, took or 0.0)
        return score

    def judge(self, data: bytes) -> int | None:
        """Send one message; its final status, or what came instead. No call is left behind."""
        token = uuid.uuid4().hex.encode()
        data = re.sub(rb"(branch\s*=\s*z9hG4bK[^\s;,]+)", rb"\g<1>" + token, data, count=1)
        data = re.sub(rb"(?im)^((?:call-id|i)[ \t]*:[ \t]*\S+)", rb"\g<1>" + token, data)
        # Where nothing of the message is ours, an answer that is no earlier one's is its own.
        answer = self._exchange(data, WAIT, token if token in data else b"")
        self._earlier.add(_call_id(data))
        if data.startswith(b"INVITE") and answer is not None:
            answer = self._finish(data, answer, token)
        return int(answer[8:11]) if answer else None

    def probe(self) -> float | None:
        """Seconds until a plain OPTIONS is answered; None: not at all."""
        begun = time.monotonic()
        for _ in range(3):
            token = uuid.uuid4().hex
            port = self._sockets[-1].getsockname()[1]
            text = (
                f"OPTIONS sip:100@{self._peer[0]} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {self.host}:{port};rport;branch=z9hG4bK{token}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:probe@{self.host}>;tag={token}\r\n"
                f"To: <sip:100@{self._peer[0]}>\r\nCall-ID: {token}\r\nCSeq: 1 OPTIONS\r\n"
                f"Content-Length: 0\r\n\r\n"
            )
            if self._exchange(text.encode(), SLOW, token.encode(), self._sockets[-1]):
                return time.monotonic() - begun
        return None

    def _exchange(
        self, data: bytes, seconds: float, token: bytes, sock: socket.socket | None = None
    ) -> bytes | None:
        """The final answer, else the last provisional one, None for silence."""
        self._drain()
        (sock or self._sockets[0]).sendto(data, self._peer)
        found = None
        for answer in self._answers(seconds, token):
            found = answer
            if answer[8:9] != b"1":
                break
        return found

    def _drain(self) -> None:
        """What still came of the message before."""
        while ready := select.select(self._sockets, [], [], 0)[0]:
            for one in ready:
                one.recv(65535)

    def _answers(self, seconds: float, token: bytes) -> Iterator[bytes]:
        """Answers to the message of that token."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for ready in select.select(self._sockets, [], [], left)[0]:
                data = ready.recv(65535)
                if not re.match(rb"SIP/2\.0 \d{3}", data):
                    continue
                if token in data if token else _call_id(data) not in self._earlier:
                    yield data

    def _finish(self, invite: bytes, answer: bytes, token: bytes) -> bytes:
        """CANCEL what rings, ACK what is final."""
        if answer[8:9] == b"1":
            self._sockets[0].sendto(_follow(b"CANCEL", invite, answer), self._peer)
            for later in self._answers(WAIT, token):
                if re.search(rb"(?im)^CSeq:.*INVITE", later) and later[8:9] != b"1":
                    answer = later
                    break
        if answer[8:9] != b"1":
            self._sockets[0].sendto(_follow(b"ACK", invite, answer), self._peer)
        return answer


def _call_id(message: bytes) -> bytes:
    """The Call-ID as written, empty where there is none."""
    found = re.search(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*(.*?)[ \t]*\r?$", message)
    return found[1] if found else b""


def _follow(method: bytes, invite: bytes, answer: bytes) -> bytes:
    """CANCEL or ACK of a refusal: same Request-URI and branch as the INVITE."""
    uri = b" ".join(invite.split(b"\r\n", 1)[0].split()[1:-1])

    def kept(name: bytes) -> bytes:
        found = re.search(rb"(?im)^%s[ \t]*:[ \t]*(.*?)\r$" % name, answer)
        return found[1] if found else b""

    to = re.sub(rb";tag=[^;>]*$", b"", kept(b"To")) if method == b"CANCEL" else kept(b"To")
    number = kept(b"CSeq").split()[0] if kept(b"CSeq") else b"1"
    lines = (
        method + b" " + uri + b" SIP/2.0",
        b"Via: " + kept(b"Via"),
        b"Max-Forwards: 70",
        b"From: " + kept(b"From"),
        b"To: " + to,
        b"Call-ID: " + kept(b"Call-ID"),
        b"CSeq: " + number + b" " + method,
        b"Content-Length: 0",
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _sockets() -> list[socket.socket]:
    """On the ports of the Vias, and one more, all at one loopback address that is free."""
    for _ in range(50):
        host = f"127.{random.randint(1, 120)}.{random.randint(0, 250)}.{random.randint(2, 250)}"
        made: list[socket.socket] = []
        try:
            for port in (*VIA_PORTS, 0):
                made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                made[-1].bind((host, port))
            return made
        except OSError:
            for one in made:
                one.close()
    raise SystemExit("no loopback address is free; macOS has 127.0.0.1 only (ifconfig lo0 alias)")

"""Ways to customers: one contract for the file, a real SMTP server and a real HTTP gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter import migrations
from callcenter.config import Mail, Sms
from callcenter.crm.messages.models import Message
from callcenter.crm.messages.ports import Messenger, Outgoing
from callcenter.crm.messages.postman import PAUSES, Postman
from callcenter.database import open_database
from callcenter.errors import MessageError, MessageRefused
from callcenter.events import now
from callcenter.ids import new_id
from callcenter.messengers.folder import Folder
from callcenter.messengers.sms_gateway import SmsGateway
from callcenter.messengers.smtp import SmtpMessenger

pytestmark = pytest.mark.integration
BODY = "شکایت شما ثبت شد. کد C-7K3F9XA\nתלונתך נרשמה"


def outgoing(to: str, **changes: Any) -> Outgoing:
    given = {"id": new_id(), "to": to, "language": "fa", "subject": "شکایت شما", "body": BODY}
    return Outgoing(**(given | changes))


@dataclass
class Post:
    """A real peer: what arrived, and what it answers from now on."""

    messenger: Messenger
    to: str
    arrived: Callable[[], list[tuple[str, str]]]  # (to, body)
    answer: Callable[[int], None] | None = None  # status that it refuses with; None: cannot


@dataclass
class MailBox:
    """What aiosmtpd was given."""

    got: list[Envelope] = field(default_factory=list)
    status: str = "250 OK"
    users: list[str] = field(default_factory=list)

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.status.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.status

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.got.append(envelope)
        return "250 taken"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"secret")

    def emails(self) -> list[Any]:
        return [message_from_bytes(e.content, policy=policy.default) for e in self.got]  # type: ignore[arg-type]

    def arrived(self) -> list[tuple[str, str]]:
        bodies = [one.get_content().replace("\r\n", "\n").strip() for one in self.emails()]
        return [(e.rcpt_tos[0], body) for e, body in zip(self.got, bodies, strict=True)]

    def set(self, status: int) -> None:
        self.status = f"{status} no"


class Server(Controller):
    """On a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.fixture
def mailbox() -> MailBox:
    return MailBox()


@pytest.fixture
def smtp(mailbox: MailBox) -> Iterator[Post]:
    server = Server(
        mailbox,
        hostname="127.0.0.1",
        port=0,
        authenticator=mailbox.login,
        auth_require_tls=False,
    )
    server.start()
    try:
        settings = Mail(
            via="smtp",
            host="127.0.0.1",
            port=server.port,
            security="none",
            username="desk",
            password="secret",
            sender="Desk <desk@example.com>",
        )
        yield Post(SmtpMessenger(settings), "sara@example.com", mailbox.arrived, mailbox.set)
    finally:
        server.stop()


@dataclass
class Gateway:
    """What a provider of text messages was asked."""

    asked: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    status: int = 200

    def arrived(self) -> list[tuple[str, str]]:
        taken = [fields for _, _, fields in self.asked]
        return [(fields["to"], fields["text"]) for fields in taken]

    def set(self, status: int) -> None:
        self.status = status


@pytest.fixture(params=["json", "form", "query"])
def sms(request: pytest.FixtureRequest) -> Iterator[Post]:
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._take(parse_qs(urlsplit(self.path).query))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = self.headers["Content-Type"].startswith("application/x-www")
            self._take(parse_qs(body) if form else json.loads(body))

        def _take(self, fields: dict[str, Any]) -> None:
            one = {name: v[0] if isinstance(v, list) else v for name, v in fields.items()}
            if gateway.status < 300:
                gateway.asked.append((self.command, dict(self.headers), one))
            self.send_response(gateway.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings = Sms(
        via="http",
        url=f"http://127.0.0.1:{server.server_port}/send",
        format=request.param,
        extra={"from": "Sepehr"},
        token="Bearer t0ken",
    )
    post = Post(SmsGateway(settings), "+989121234567", gateway.arrived, gateway.set)
    post.gateway = gateway  # type: ignore[attr-defined]
    try:
        yield post
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Post:
    def arrived() -> list[tuple[str, str]]:
        files = sorted((tmp_path / "messages").glob("*.json"))
        kept = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        return [(one["to"], one["body"]) for one in kept]

    return Post(Folder(tmp_path / "messages"), "sara@example.com", arrived)


# --- The contract ------------------------------------------------------------------------------


def takes_what_is_written(post: Post) -> None:
    post.messenger.send(outgoing(post.to))
    assert post.arrived() == [(post.to, BODY)]


def says_what_is_of_no_use(post: Post) -> None:
    if post.answer is None:
        with pytest.raises(MessageRefused):
            post.messenger.send(outgoing("nobody"))
        return
    post.answer(550 if "@" in post.to else 400)
    with pytest.raises(MessageRefused):
        post.messenger.send(outgoing(post.to))
    post.answer(451 if "@" in post.to else 503)
    with pytest.raises(MessageError) as later:
        post.messenger.send(outgoing(post.to))
    assert not isinstance(later.value, MessageRefused)
    assert post.arrived() == []


def test_the_file_keeps_the_contract(folder: Post) -> None:
    takes_what_is_written(folder)
    says_what_is_of_no_use(folder)


def test_mail_keeps_the_contract(smtp: Post) -> None:
    takes_what_is_written(smtp)


def test_a_mail_server_that_refuses_is_told_apart_from_one_that_waits(smtp: Post) -> None:
    says_what_is_of_no_use(smtp)


def test_the_gateway_keeps_the_contract(sms: Post) -> None:
    takes_what_is_written(sms)


def test_a_gateway_that_refuses_is_told_apart_from_one_that_waits(sms: Post) -> None:
    says_what_is_of_no_use(sms)


# --- What each has beside -----------------------------------------------------------------------


def test_a_mail_says_who_it_is_from_and_that_a_machine_wrote_it(
    smtp: Post, mailbox: MailBox
) -> None:
    message = outgoing(smtp.to)
    smtp.messenger.send(message)
    (email,) = mailbox.emails()
    assert email["Message-ID"] == f"<{message.id}@example.com>"
    assert (email["Subject"], email["Auto-Submitted"]) == ("شکایت شما", "auto-generated")
    assert mailbox.users == ["desk"]


def test_a_gateway_gets_token_and_sender(sms: Post) -> None:
    message = outgoing(sms.to)
    sms.messenger.send(message)
    ((_, headers, fields),) = sms.gateway.asked  # type: ignore[attr-defined]
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer t0ken", message.id)
    assert fields["from"] == "Sepehr"


@pytest.mark.parametrize("kind", ["mail", "sms"])
def test_nobody_at_the_other_end_is_worth_another_attempt(kind: str) -> None:
    nobody = Mail(via="smtp", host="127.0.0.1", port=1, security="none", sender="a@b.example")
    ways: dict[str, Messenger] = {
        "mail": SmtpMessenger(nobody),
        "sms": SmsGateway(Sms(via="http", url="http://127.0.0.1:1/")),
    }
    with pytest.raises(MessageError) as later:
        ways[kind].send(outgoing("a@b.example"))
    assert not isinstance(later.value, MessageRefused)


# --- The postman ---------------------------------------------------------------------------------


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'callcenter.db'}")
    migrations.upgrade(engine)
    yield engine
    engine.dispose()


def written(engine: Engine, to: str = "sara@example.com") -> str:
    with Session(engine) as session, session.begin():
        row = Message(channel="mail", kind="receipt", to=to, language="fa", subject="s", body=BODY)
        session.add(row)
        session.flush()
        return row.id


def state(engine: Engine, id_: str) -> tuple[str, int]:
    with Session(engine) as session:
        row = session.get_one(Message, id_)
        return row.state, row.attempts


def test_what_is_written_is_sent_once(engine: Engine, smtp: Post) -> None:
    first = written(engine)
    postman = Postman(engine, {"mail": smtp.messenger})
    assert postman.round() == 1
    assert Postman(engine, {"mail": smtp.messenger}).round() == 0  # after a restart
    assert (state(engine, first), smtp.arrived()) == (("sent", 1), [(smtp.to, BODY)])


def test_what_was_not_taken_is_tried_again_later_and_given_up_at_last(
    engine: Engine, smtp: Post
) -> None:
    assert smtp.answer
    smtp.answer(451)
    row = written(engine)
    postman, moment = Postman(engine, {"mail": smtp.messenger}), now()
    for pause in PAUSES:
        with time_machine.travel(moment, tick=False):
            postman.round()
            assert postman.round() == 0  # not before its time
        assert state(engine, row)[0] == "waiting"
        moment += timedelta(seconds=pause + 1)
    with time_machine.travel(moment, tick=False):
        postman.round()
    assert state(engine, row) == ("failed", len(PAUSES) + 1)


def test_a_refused_message_is_not_tried_again(engine: Engine, smtp: Post) -> None:
    assert smtp.answer
    smtp.answer(550)
    row = written(engine)
    Postman(engine, {"mail": smtp.messenger}).round()
    assert state(engine, row) == ("failed", 1)


def test_a_channel_that_is_off_keeps_its_messages(engine: Engine, smtp: Post) -> None:
    row = written(engine)
    assert Postman(engine, {}).round() == 0
    assert state(engine, row) == ("waiting", 0)
    assert Postman(engine, {"mail": smtp.messenger}).round() == 1

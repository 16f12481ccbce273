"""The real server in a process of its own, with the real bus, and real websockets."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import socketio
from sqlalchemy.orm import Session
from web_world import PASSWORD

from callcenter import config, events
from callcenter.bus import Hub, LocalBus
from callcenter.config import Settings
from callcenter.crm.users import operations as users
from callcenter.crm.users.queries import by_username
from callcenter.database import open_database
from callcenter.ids import new_id
from callcenter.log import EventLog

pytestmark = pytest.mark.integration


def wait_for(condition: Callable[[], Any], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)


RUN = """
import sys
from pathlib import Path
from callcenter import bootstrap, config, logs
from callcenter.errors import StartError
settings = config.load(Path(sys.argv[1]), data_dir=Path(sys.argv[2]), environ={})
logs.setup(settings.log, "web")
try:
    bootstrap.run_web(settings)
except StartError as error:
    sys.exit(f"start: {error}")
"""


class Browser:
    """A signed-in page: cookie, socket, and every event it got, in their order."""

    every: ClassVar[list[Browser]] = []

    def __init__(self, address: str, username: str) -> None:
        self.address = address
        self.sockets: list[socketio.Client] = []
        self.every.append(self)
        self.http = httpx.Client(base_url=address, timeout=20)
        answer = self.http.post(
            "/api/v1/session", json={"username": username, "password": PASSWORD}
        )
        assert answer.status_code == 201, answer.text
        self.csrf = answer.json()["csrf_token"]
        self.cookie = f"callcenter={self.http.cookies['callcenter']}"
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.arrived = threading.Condition()
        self.socket = self.connect()

    def connect(self, **options: Any) -> socketio.Client:
        client = socketio.Client(reconnection=False)
        self.sockets.append(client)
        client.on("*", self._take)
        client.connect(
            self.address, headers={"Cookie": self.cookie}, transports=["websocket"], **options
        )
        return client

    def _take(self, event: str, payload: dict[str, Any]) -> None:
        with self.arrived:
            self.got.append((event, payload))
            self.arrived.notify_all()

    def wait(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        def enough() -> list[dict[str, Any]]:
            found = [payload for name, payload in self.got if name == event]
            return found if len(found) >= count else []

        with self.arrived:
            assert self.arrived.wait_for(enough, 20), f"{event} did not come: {self.got}"
            return enough()

    def close(self) -> None:
        for client in self.sockets:
            end(client)
        self.http.close()


@pytest.fixture(autouse=True)
def _hung_up() -> Iterator[None]:
    """Also where a test fails half-way: a socket that is left is collected in another test."""
    yield
    while Browser.every:
        Browser.every.pop().close()


def end(client: socketio.Client) -> None:
    """Also where the server hung up first: the library leaves the socket open then, and its
    `close` does nothing any more."""
    client.disconnect()
    if client.eio.ws is not None:
        client.eio.ws.close()
        client.eio.ws.shutdown()
    if client.eio.http is not None:
        client.eio.http.close()


def refused(address: str, **options: Any) -> None:
    client = socketio.Client(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(address, **options)
    end(client)


class Running:
    def __init__(self, address: str, settings: Settings, process: subprocess.Popen[bytes]) -> None:
        self.address, self.settings, self.process = address, settings, process
        self.bus = LocalBus(settings.run_dir)
        self.engine = open_database(settings.database_url)
        self.log = EventLog(self.engine)
        self.orders: list[Any] = []
        self.agents: dict[str, dict[str, Any]] = {}
        self.bus.serve(
            "telephony",
            {
                events.AnswerCall: self._take,
                events.UnseatAgent: self._take,
                events.SeatAgent: self._seat,
                events.DescribeFloor: lambda _: {
                    "queues": [],
                    "agents": list(self.agents.values()),
                    "calls": [],
                },
                events.DescribeHealth: lambda _: {"ok": True, "detail": "scripted"},
            },
        )

    def _take(self, order: Any) -> dict[str, Any]:
        self.orders.append(order)
        return {}

    def _seat(self, order: events.SeatAgent) -> dict[str, Any]:
        self.orders.append(order)
        return self.agents.setdefault(order.agent, {"agent": order.agent, "state": "offline"})

    def tell(self, *facts: events.Fact) -> None:
        entries = self.log.append(*facts)
        self.bus.publish(events.LogAdvanced(position=entries[-1].position))

    def agent(self, username: str) -> str:
        with Session(self.engine) as session:
            user = by_username(session, username)
            assert user is not None
            return user.id

    def close(self) -> None:
        """Also the connections of its pool: a server's are collected late, in another test."""
        self.bus.close()
        self.engine.dispose()


def rings(call: str, agent: str) -> list[events.Fact]:
    return [
        events.CallRang(
            call=call,
            from_number="+989121234567",
            from_name=None,
            to_number="100",
            line="100",
            trunk="local",
            region="IR",
            language="en",
            policy="always",
            node="test",
            sip_call_id=call,
        ),
        events.AgentOffered(call=call, agent=agent, queue="support", attempt=1),
    ]


def start(file: Path, data: Path) -> subprocess.Popen[bytes]:
    log = file.with_suffix(".log").open("wb")
    with log:
        return subprocess.Popen([sys.executable, "-c", RUN, str(file), str(data)], stderr=log)


@pytest.fixture(scope="module")
def running(
    peopled: str, databases: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One server for all tests here: starting it is most of the time."""
    home = tmp_path_factory.mktemp("server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file = home / "config.json"
    url = databases.copy(peopled)
    file.write_text(json.dumps({"database_url": url, "web": {"port": port}}))
    settings = config.load(file, data_dir=home / "data", environ={})
    settings.data_dir.mkdir()
    if settings.database_url != url:  # a file goes where the data are
        shutil.move(url.removeprefix("sqlite:///"), settings.data_dir / "callcenter.db")
    hub = Hub(settings.run_dir)
    process = start(file, settings.data_dir)
    address = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            return httpx.get(f"{address}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            assert process.poll() is None
            return False

    wait_for(up, "the web server", seconds=90)
    one = Running(address, settings, process)
    yield one
    one.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    hub.close()
    for thread in threading.enumerate():
        if thread.name.startswith("bus"):
            thread.join(2)


def test_a_call_pops_in_every_tab_and_is_resumed_after_a_cut(running: Running) -> None:
    agent = running.agent("agent")
    browser, other = Browser(running.address, "agent"), Browser(running.address, "other")
    second = browser.connect()
    call = new_id()
    running.tell(*rings(call, agent))
    pops = browser.wait("call.ringing", 2)  # one in each tab
    assert pops[0] == pops[1]
    assert pops[0]["call"]["id"] == call
    assert pops[0]["call"]["from"] == "+989121234567"
    assert pops[0]["seq"] == 1
    assert browser.socket.call("pop.seen", {"seq": 1}, timeout=20) == {"ok": True, "first": True}
    assert second.call("pop.seen", {"seq": 1}, timeout=20) == {"ok": True, "first": False}

    end(browser.socket)
    end(second)
    browser.got.clear()
    running.tell(events.CallEnded(call=call, reason="abandoned", by="customer", seconds=3.0))
    later = new_id()
    running.tell(*rings(later, agent))
    browser.socket = browser.connect()
    answer = browser.socket.call("resume", {"last_seq": 1}, timeout=20)
    assert answer["ok"]
    assert {p["call"] for p in browser.wait("call.ended")} == {call}
    assert browser.wait("call.ringing")[0]["call"]["id"] == later
    seqs = sorted({payload["seq"] for _, payload in browser.got if "seq" in payload})
    assert seqs == list(range(2, len(seqs) + 2)), "none is missing"
    assert seqs[-1] >= answer["seq"], "what was missed came, and what happened since"
    assert [name for name, _ in other.got if name.startswith("call.")] == []
    browser.close()
    other.close()


def test_a_button_in_the_browser_reaches_telephony(running: Running) -> None:
    browser = Browser(running.address, "agent")
    answer = browser.socket.call("call.answer", {"call": "c1"}, timeout=20)
    assert answer["ok"] is True
    orders = [order for order in running.orders if isinstance(order, events.AnswerCall)]
    assert orders == [events.AnswerCall(call="c1", agent=running.agent("agent"))]
    browser.close()


def test_a_revoked_session_loses_its_socket(
    running: Running, wait_until: Callable[..., Any]
) -> None:
    browser, admin = Browser(running.address, "agent"), Browser(running.address, "admin")
    answer = admin.http.patch(
        f"/api/v1/users/{running.agent('agent')}",
        json={"disabled": True},
        headers={"X-CSRF-Token": admin.csrf},
    )
    assert answer.status_code == 200
    wait_until(lambda: not browser.socket.connected, "the socket's end")
    refused(running.address, headers={"Cookie": browser.cookie}, transports=["websocket"])
    browser.close()
    admin.close()
    with Session(running.engine) as session, session.begin():
        users.enable(session, users.get_or_raise(session, running.agent("agent")))


def test_sockets_of_strangers_and_of_foreign_pages_are_refused(running: Running) -> None:
    """A23: without cookie, with a wrong or ended one, from a foreign Origin."""
    browser = Browser(running.address, "agent")
    for headers in (
        {},
        {"Cookie": "callcenter=wrong"},
        {"Cookie": browser.cookie, "Origin": "https://evil.example"},
    ):
        refused(running.address, headers=headers, transports=["websocket"])
    program = socketio.Client()
    token = browser.cookie.removeprefix("callcenter=")
    program.connect(running.address, auth={"token": token})
    assert program.call("resume", {"last_seq": None}, timeout=20)["ok"]
    end(program)
    browser.close()


def test_a_flood_of_events_and_a_huge_one_cost_their_sender_only(running: Running) -> None:
    """A23: 1,000 events at once are limited; 1 MB ends the connection; others go on."""
    browser, other = Browser(running.address, "agent"), Browser(running.address, "other")
    answers: list[Any] = []
    for _ in range(1_000):
        browser.socket.emit("pop.seen", {"seq": 1}, callback=lambda *told: answers.append(told[0]))
    wait_for(lambda: len(answers) == 1_000, "the answers", seconds=30)
    refused_ = [one for one in answers if not one["ok"]]
    assert len(refused_) >= 500
    assert {one["problem"]["status"] for one in refused_} == {429}
    browser.socket.emit("resume", {"last_seq": 0, "text": "x" * 1_000_000})
    wait_for(lambda: not browser.socket.connected, "the end of who sent a megabyte", seconds=20)
    assert other.socket.call("resume", {"last_seq": None}, timeout=20)["ok"]
    assert httpx.get(f"{running.address}/healthz", timeout=5).status_code == 200
    browser.close()
    other.close()


def test_a_socket_dies_within_five_seconds_of_its_account(
    running: Running, wait_until: Callable[..., Any]
) -> None:
    """A23, A27: also where the account is switched off by the command line, behind our back."""
    browser = Browser(running.address, "other")
    with Session(running.engine) as session, session.begin():
        user = by_username(session, "other")
        assert user is not None
        users.disable(session, user)
    begun = time.monotonic()
    wait_until(lambda: not browser.socket.connected, "the socket's end")
    assert time.monotonic() - begun <= 5
    refused(running.address, headers={"Cookie": browser.cookie}, transports=["websocket"])
    browser.close()
    with Session(running.engine) as session, session.begin():
        users.enable(session, users.get_or_raise(session, running.agent("other")))


def test_nobody_joins_the_room_of_another_agent(running: Running) -> None:
    """A23: no event joins a room; another's pop reaches nobody else."""
    browser, other = Browser(running.address, "agent"), Browser(running.address, "other")
    agent = running.agent("agent")
    for event in ("join", "join_room", "subscribe", "enter_room"):
        other.socket.emit(event, {"room": f"agent:{agent}"})
    assert other.socket.call("resume", {"last_seq": None}, timeout=20)["ok"]
    call = new_id()
    running.tell(*rings(call, agent))
    browser.wait("call.ringing")
    assert other.socket.call("resume", {"last_seq": 0}, timeout=20)["ok"]
    assert [name for name, _ in other.got if name.startswith("call.")] == []
    browser.close()
    other.close()


def test_it_is_ready_with_a_line_for_each_part_and_ends_quickly(running: Running) -> None:
    report = httpx.get(f"{running.address}/readyz", timeout=20)
    assert report.status_code == 200
    parts = report.json()
    assert parts["database"]["ok"]
    assert parts["telephony"] == {"ok": True, "detail": "scripted"}
    assert parts["speech"] == {"ok": False, "detail": "speech is not running"}
    browser = Browser(running.address, "agent")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(15) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.settings.web.port), timeout=5)
    browser.close()


def test_a_taken_port_is_one_sentence(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        make_settings(web={"port": port})
        process = start(tmp_path / "config.json", tmp_path / "data")
        assert process.wait(60) == 1
    said = (tmp_path / "config.log").read_text().splitlines()
    assert said[-1] == (
        f"start: web: 127.0.0.1 port {port} cannot be used (Address already in use): "
        "stop what listens there, or set web.port"
    )

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import pytest

from callcenter.bus import Bus, Hub, LocalBus, MemoryBus, _key, socket_path
from callcenter.buses import open_bus
from callcenter.errors import CallcenterError, CallGone, TooManyTries, Unavailable
from callcenter.events import (
    AnswerCall,
    AudioLegChanged,
    BusRejoined,
    DescribeFloor,
    DescribeHealth,
    FloorChanged,
    LogAdvanced,
)
from callcenter.redis_bus import RedisBus

Wait = Callable[..., Any]
Join = Callable[[], Bus]
REDIS = pytest.param("redis", marks=pytest.mark.integration)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Short: the path of a Unix socket may have about a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        yield Path(folder)


@pytest.fixture
def hub(run_dir: Path) -> Iterator[Hub]:
    hub = Hub(run_dir)
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Any]:
    from servers import RedisServer

    server = RedisServer()
    yield server
    server.remove()


@pytest.fixture
def join_local(hub: Hub, run_dir: Path) -> Iterator[Join]:
    yield from _joining(lambda: LocalBus(run_dir))


@pytest.fixture
def join_redis(redis_server: Any) -> Iterator[Join]:
    yield from _joining(lambda: open_bus(redis_server.url, Path()))


def _joining(enter: Callable[[], Bus]) -> Iterator[Join]:
    joined: list[Bus] = []

    def join() -> Bus:
        joined.append(enter())
        return joined[-1]

    yield join
    for bus in joined:
        bus.close()


@pytest.fixture(params=["local", REDIS])
def join(request: pytest.FixtureRequest) -> Join:
    """Call it: another process's place on the bus."""
    found: Join = request.getfixturevalue(f"join_{request.param}")
    return found


@pytest.fixture(params=["memory", "local", REDIS])
def pair(request: pytest.FixtureRequest) -> tuple[Bus, Bus]:
    """(one who serves, one who asks): the same promises whichever bus it is."""
    if request.param == "memory":
        bus = MemoryBus()
        return bus, bus
    join = request.getfixturevalue(f"join_{request.param}")
    return join(), join()


def ask(bus: Bus, wait_until: Wait) -> dict[str, Any]:
    """The health of `telephony`, as soon as the hub knows who that is."""

    def answer() -> dict[str, Any] | None:
        try:
            return bus.request("telephony", DescribeHealth())
        except Unavailable:
            return None

    found: dict[str, Any] = wait_until(answer, "telephony answers")
    return found


def healthy(_: DescribeHealth) -> dict[str, Any]:
    return {"ok": True}


def test_a_command_is_answered_by_the_service(pair: tuple[Bus, Bus], wait_until: Wait) -> None:
    server, client = pair

    def answer(command: AnswerCall) -> dict[str, Any]:
        return {"call": command.call, "agent": command.agent}

    server.serve("telephony", {AnswerCall: answer, DescribeHealth: healthy})
    ask(client, wait_until)
    reply = client.request("telephony", AnswerCall(call="c", agent="a"))
    assert reply == {"call": "c", "agent": "a"}


def test_a_command_without_an_answer_is_answered_empty(
    pair: tuple[Bus, Bus], wait_until: Wait
) -> None:
    server, client = pair
    server.serve("telephony", {DescribeFloor: lambda _: None, DescribeHealth: healthy})
    ask(client, wait_until)
    assert client.request("telephony", DescribeFloor()) == {}


def test_an_error_of_the_service_arrives_as_itself(pair: tuple[Bus, Bus], wait_until: Wait) -> None:
    server, client = pair

    def gone(_: AnswerCall) -> dict[str, Any]:
        raise CallGone("another agent has it")

    server.serve("telephony", {AnswerCall: gone, DescribeHealth: healthy})
    ask(client, wait_until)
    with pytest.raises(CallGone) as refused:
        client.request("telephony", AnswerCall(call="c", agent="a"))
    assert refused.value.detail == "another agent has it"


def test_nobody_serving_or_not_that_command_is_unavailable(
    pair: tuple[Bus, Bus], wait_until: Wait
) -> None:
    server, client = pair
    with pytest.raises(Unavailable, match="not running"):
        client.request("speech", DescribeHealth())
    server.serve("telephony", {DescribeHealth: healthy})
    ask(client, wait_until)
    with pytest.raises(Unavailable, match="DescribeFloor"):
        client.request("telephony", DescribeFloor())


def test_signals_reach_every_listener_of_their_kind_in_order(
    pair: tuple[Bus, Bus], wait_until: Wait
) -> None:
    listener, speaker = pair
    heard: list[int] = []
    floor: list[FloorChanged] = []
    listener.subscribe(LogAdvanced, lambda signal: heard.append(signal.position))
    listener.subscribe(FloorChanged, floor.append)
    for position in range(200):
        speaker.publish(LogAdvanced(position=position))
    speaker.publish(FloorChanged())
    wait_until(lambda: floor, "the last signal")
    assert heard == list(range(200))


def test_a_listener_that_fails_does_not_silence_the_others(
    pair: tuple[Bus, Bus], wait_until: Wait
) -> None:
    listener, speaker = pair
    heard: list[LogAdvanced] = []

    def broken(_: LogAdvanced) -> None:
        raise ValueError("listener")

    listener.subscribe(LogAdvanced, broken)
    listener.subscribe(LogAdvanced, heard.append)
    speaker.publish(LogAdvanced(position=1))
    speaker.publish(LogAdvanced(position=2))
    wait_until(lambda: len(heard) == 2, "both signals")


def test_who_publishes_hears_it_too(join: Join, wait_until: Wait) -> None:
    bus = join()
    heard: list[AudioLegChanged] = []
    bus.subscribe(AudioLegChanged, heard.append)
    bus.publish(AudioLegChanged(agent="a", connected=True))
    assert wait_until(lambda: heard, "the signal") == [AudioLegChanged(agent="a", connected=True)]


def test_a_failure_of_the_programme_tells_no_inner_detail(join: Join, wait_until: Wait) -> None:
    server, client = join(), join()

    def broken(_: DescribeFloor) -> dict[str, Any]:
        raise ZeroDivisionError("secret")

    server.serve("telephony", {DescribeFloor: broken, DescribeHealth: healthy})
    ask(client, wait_until)
    with pytest.raises(CallcenterError) as failed:
        client.request("telephony", DescribeFloor())
    assert "secret" not in failed.value.detail


def test_an_error_that_carries_more_than_a_sentence_crosses_too(
    join: Join, wait_until: Wait
) -> None:
    server, client = join(), join()

    def wait(_: DescribeFloor) -> dict[str, Any]:
        raise TooManyTries("slowly", retry_after=9.0)

    server.serve("telephony", {DescribeFloor: wait, DescribeHealth: healthy})
    ask(client, wait_until)
    with pytest.raises(TooManyTries, match="slowly"):
        client.request("telephony", DescribeFloor())


def test_a_service_that_does_not_answer_in_time_is_unavailable_and_a_late_answer_harmless(
    join: Join, wait_until: Wait
) -> None:
    server, client = join(), join()
    go = threading.Event()

    def slow(_: DescribeFloor) -> dict[str, Any]:
        go.wait(20)
        return {"late": True}

    server.serve("telephony", {DescribeFloor: slow, DescribeHealth: healthy})
    ask(client, wait_until)
    begin = time.monotonic()
    with pytest.raises(Unavailable, match=r"0\.1 s"):
        client.request("telephony", DescribeFloor(), timeout=0.1)
    assert time.monotonic() - begin < 10
    go.set()
    assert client.request("telephony", DescribeHealth()) == {"ok": True}


def test_a_slow_command_does_not_hold_up_another(join: Join, wait_until: Wait) -> None:
    server, client = join(), join()
    go = threading.Event()

    def slow(_: DescribeFloor) -> dict[str, Any]:
        return {"in_time": go.wait(20)}

    server.serve("telephony", {DescribeFloor: slow, DescribeHealth: healthy})
    ask(client, wait_until)
    answers: list[dict[str, Any]] = []
    waiting = threading.Thread(
        target=lambda: answers.append(client.request("telephony", DescribeFloor(), timeout=20))
    )
    waiting.start()
    assert client.request("telephony", DescribeHealth()) == {"ok": True}
    go.set()
    waiting.join()
    assert answers == [{"in_time": True}]


def test_a_handler_may_ask_another_service(join: Join, wait_until: Wait) -> None:
    telephony, speech, client = join(), join(), join()
    speech.serve("speech", {DescribeHealth: lambda _: {"models": 1}})

    def through(_: DescribeHealth) -> dict[str, Any]:
        return {"speech": telephony.request("speech", DescribeHealth())}

    telephony.serve("telephony", {DescribeHealth: through})
    assert ask(client, wait_until) == {"speech": {"models": 1}}


CHILD = """
import sys, time
from pathlib import Path
from callcenter.buses import open_bus
from callcenter.events import DescribeFloor, DescribeHealth, FloorChanged
bus = open_bus(sys.argv[1], Path(sys.argv[2]))

def stall(_):
    bus.publish(FloorChanged())
    time.sleep(60)

bus.serve("telephony", {DescribeFloor: stall, DescribeHealth: lambda _: {"ok": True}})
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_service_killed_in_the_middle_of_a_command_is_told_at_once_and_may_come_back(
    request: pytest.FixtureRequest, join: Join, run_dir: Path, wait_until: Wait
) -> None:
    client = join()
    local = isinstance(client, LocalBus)
    url = "local" if local else request.getfixturevalue("redis_server").url
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(run_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        ask(client, wait_until)
        client.subscribe(FloorChanged, lambda _: child.kill())
        with pytest.raises(Unavailable, match="stopped"):
            client.request("telephony", DescribeFloor(), timeout=50)
    finally:
        child.kill()
        child.communicate()
    with pytest.raises(Unavailable, match="not running"):
        client.request("telephony", DescribeHealth())
    join().serve("telephony", {DescribeHealth: lambda _: {"again": True}})
    assert ask(client, wait_until) == {"again": True}


def test_when_the_hub_restarts_everybody_finds_each_other_again(
    run_dir: Path, wait_until: Wait
) -> None:
    hub = Hub(run_dir)
    server, client = LocalBus(run_dir), LocalBus(run_dir)
    heard: list[LogAdvanced] = []
    client.subscribe(LogAdvanced, heard.append)
    server.serve("telephony", {DescribeHealth: healthy})
    ask(client, wait_until)
    hub.close()
    hub = Hub(run_dir)
    assert ask(client, wait_until) == {"ok": True}

    def told() -> bool:
        server.publish(LogAdvanced(position=1))
        return bool(heard)

    wait_until(told, "a signal through the new hub")
    for part in (server, client, hub):
        part.close()


def test_a_hub_that_goes_away_fails_what_waits(run_dir: Path, wait_until: Wait) -> None:
    hub = Hub(run_dir)
    server, client = LocalBus(run_dir), LocalBus(run_dir)
    go = threading.Event()
    asked = threading.Event()

    def stall(_: DescribeFloor) -> dict[str, Any]:
        asked.set()
        go.wait(30)
        return {}

    server.serve("telephony", {DescribeFloor: stall, DescribeHealth: healthy})
    ask(client, wait_until)

    def end() -> None:
        asked.wait(20)
        hub.close()

    threading.Thread(target=end).start()
    with pytest.raises(Unavailable, match=r"went away|stopped"):
        client.request("telephony", DescribeFloor(), timeout=30)
    go.set()
    client.close()
    server.close()
    with pytest.raises(Unavailable):
        client.request("telephony", DescribeHealth(), timeout=1)


def test_only_the_owner_of_the_data_directory_may_join(run_dir: Path, hub: Hub) -> None:
    assert socket_path(run_dir).stat().st_mode & 0o077 == 0
    assert (run_dir / "bus.key").stat().st_mode & 0o077 == 0
    (run_dir / "bus.key").write_bytes(b"another key")
    with pytest.raises(Unavailable, match="no bus"):
        LocalBus(run_dir, patience=0.2)


def test_without_a_hub_one_sentence_says_what_to_do(run_dir: Path) -> None:
    with pytest.raises(Unavailable, match="callcenter run"):
        LocalBus(run_dir, patience=0.1)
    with pytest.raises(Unavailable, match="bus_url"):
        open_bus("local", run_dir, patience=0.1)


@pytest.mark.integration
def test_a_process_that_stands_still_holds_up_nobody(
    join_local: Join, run_dir: Path, wait_until: Wait
) -> None:
    join = join_local
    talker, listener, heard = join(), join(), list[int]()
    listener.subscribe(LogAdvanced, lambda told: heard.append(told.position))
    frozen = Client(str(socket_path(run_dir)), family="AF_UNIX", authkey=_key(run_dir))
    many = 20_000  # more than the frozen one's socket takes

    def talk() -> None:
        for position in range(many):
            talker.publish(LogAdvanced(position=position))

    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    try:
        wait_until(lambda: len(heard) == many, "everything is heard", seconds=60)
        assert heard == list(range(many))
    finally:
        frozen.close()
        talking.join(60)


def test_a_signal_that_is_not_understood_costs_only_itself(
    join_local: Join, run_dir: Path, wait_until: Wait
) -> None:
    listener, heard = join_local(), list[int]()
    listener.subscribe(LogAdvanced, lambda told: heard.append(told.position))
    stranger = Client(str(socket_path(run_dir)), family="AF_UNIX", authkey=_key(run_dir))
    for position in ('"far"', "7"):
        stranger.send_bytes(b'["signal", "LogAdvanced", {"position": %s}]' % position.encode())
    wait_until(lambda: heard == [7], "the second signal is heard")
    stranger.close()


@pytest.mark.integration
@pytest.mark.parametrize("how", ["restarted", "cut off"])
def test_when_redis_goes_away_everybody_finds_each_other_again_and_is_told(
    redis_server: Any, wait_until: Wait, how: str
) -> None:
    """A20 for the bus: what waits fails at once, what is said meanwhile is lost, both are told."""
    from servers import Proxy

    proxy = Proxy(redis_server.port)
    address = f"redis://127.0.0.1:{proxy.port}/0"
    server, client = open_bus(address, Path()), open_bus(address, Path())
    heard: list[LogAdvanced] = []
    rejoined: list[BusRejoined] = []
    client.subscribe(LogAdvanced, heard.append)
    client.subscribe(BusRejoined, rejoined.append)
    server.serve("telephony", {DescribeHealth: healthy})
    ask(client, wait_until)
    if how == "restarted":
        redis_server.stop()
    else:
        proxy.cut()
    with pytest.raises(Unavailable):
        client.request("telephony", DescribeHealth(), timeout=5)
    server.publish(LogAdvanced(position=1))  # raises nothing
    if how == "restarted":
        redis_server.start()
    else:
        proxy.mend()
    assert ask(client, wait_until) == {"ok": True}
    wait_until(lambda: rejoined, "the client is told")

    def told() -> bool:
        server.publish(LogAdvanced(position=2))
        return bool(heard)

    wait_until(told, "a signal after the reconnection")
    assert heard[0].position == 2
    server.close()
    client.close()
    proxy.close()


@pytest.mark.integration
def test_without_redis_one_sentence_says_so_and_names_no_password() -> None:
    with pytest.raises(Unavailable, match=r"no Redis at 127\.0\.0\.1:1 ") as refused:
        RedisBus("redis://:secret@127.0.0.1:1/0", patience=0.1)
    assert "secret" not in refused.value.detail


@pytest.mark.integration
def test_orders_reach_the_member_they_are_addressed_to(join_redis: Join, wait_until: Wait) -> None:
    nodes = {name: join_redis() for name in ("a", "b")}
    for name, node in nodes.items():
        handlers = {DescribeHealth: lambda _, name=name: {"node": name}}
        node.serve("telephony", handlers)
        node.serve(f"telephony:{name}", handlers)
    client = join_redis()
    assert client.request("telephony:a", DescribeHealth()) == {"node": "a"}
    assert client.request("telephony:b", DescribeHealth()) == {"node": "b"}
    nodes["b"].close()
    assert client.request("telephony", DescribeHealth()) == {"node": "a"}
    with pytest.raises(Unavailable, match="telephony:b is not running"):
        client.request("telephony:b", DescribeHealth())

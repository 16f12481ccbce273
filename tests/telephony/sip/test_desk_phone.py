"""A real baresip as an agent's desk phone: it registers, takes a queue's call, is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from baresip import Baresip, baresip, needs_baresip
from real_stage import RealStage, Telephone

from callcenter.bus import MemoryBus
from callcenter.config import Settings
from callcenter.events import (
    AgentDeclined,
    AnswerCall,
    CallEnded,
    CallHeld,
    CallQualityMeasured,
    CallTransferred,
    HangUpCall,
)
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec

pytestmark = [pytest.mark.integration, needs_baresip]

HOST = "127.0.0.2"  # the phone's; the customer's trunk is 127.0.0.1
COLLEAGUE = "127.0.0.3"  # where the colleague's phone is
SAID = bytes([0x20, 0x21]) * 40  # what the phone says over and over, µ-law
ALSO_SAID = bytes([0x50, 0x51]) * 40  # what the colleague's says
CUSTOMER, RATE = 0x35, 8000
Scene = Callable[[RealStage, Telephone, Baresip], Awaitable[None]]


@pytest.fixture
def site(make_settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Two desk phones, of agents a and b."""
    (tmp_path / "secret").write_text("open-sesame\n")
    password = {"password_file": str(tmp_path / "secret"), "algorithm": "md5"}
    phones = [
        {"extension": "201", "user": "a", "hosts": [f"{HOST}/32"], **password},
        {"extension": "202", "user": "b", "hosts": [f"{COLLEAGUE}/32"], **password},
    ]
    sip: dict[str, Any] = {
        "listen": ["udp://127.0.0.1:0"],
        "trunks": [{"name": "pbx", "hosts": ["127.0.0.1/32"]}],
        "phones": phones,
    }
    return make_settings(
        sip=sip,
        lines=[{"number": "100", "queue": "support", "language": "en"}],
        queues=[{"name": "support"}],
    )


@pytest.fixture
def play(site: Settings, tmp_path: Path) -> Callable[..., None]:
    """Call it with a scene of a caller's telephone and a registered phone of agent a."""

    def run(scene: Scene, **phone: Any) -> None:
        async def whole() -> None:
            async with opened(site) as stage, registered(tmp_path, stage, **phone) as desk:
                await stage.seat("a", device="phone")
                customer = stage.telephone()
                customer.voice.byte = CUSTOMER
                try:
                    await scene(stage, customer, desk)
                finally:
                    customer.close()

        asyncio.run(whole())

    return run


@asynccontextmanager
async def opened(settings: Settings, *node: Any) -> AsyncIterator[RealStage]:
    stage = RealStage(settings, *node)
    await stage.service.start()
    try:
        yield stage
    finally:
        await stage.service.stop(0.0)
        stage.plane.close()
        stage.log.engine.dispose()


@asynccontextmanager
async def registered(
    folder: Path,
    stage: RealStage,
    extension: str = "201",
    host: str = HOST,
    said: bytes = SAID,
    codec: str = "",
    **options: Any,
) -> AsyncIterator[Baresip]:
    there = stage.native.addresses[0]
    account = f"<sip:{extension}@{there.host}:{there.port};transport=udp>"
    account += f";auth_pass=open-sesame;regint=60{codec}"
    async with baresip(folder, account, said * 1000, host=host, **options) as desk:
        await stage.happens(lambda: stage.native.phones.reachable(extension))
        yield desk


async def talking(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
    """The customer calls, the phone rings and is picked up."""
    customer.send("INVITE", 1, customer.offer())
    await desk.event("CALL_INCOMING")
    assert (await customer.answer(180, "INVITE", 1)).status == 180
    await desk.order("accept")
    ok = await customer.answer(200, "INVITE", 1)
    customer.send("ACK", 1, branch="ack")
    customer.connect(ok)
    await stage.until("CallAnswered", "RecordingStarted")


def share(sound: bytes, said: set[int]) -> float:
    """How much of the sound is what somebody said."""
    return sum(byte in said for byte in sound) / max(1, len(sound))


def test_it_takes_a_call_and_both_are_heard_and_recorded(play: Callable[[Scene], None]) -> None:
    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        await talking(stage, customer, desk)
        await stage.happens(lambda: len(customer.voice.heard) > 60)
        said = set(SAID)
        await stage.happens(
            lambda: share(b"".join(data for _, data in customer.voice.heard[-20:]), said) > 0.9
        )
        (level,) = g711.decode(bytes([CUSTOMER]), Codec.PCMU)
        await stage.happens(lambda: bool(np.count_nonzero(desk.heard() == level) > RATE))
        await desk.order("hangup")
        await stage.until("CallEnded", "a wrap_up")
        end = stage.last(CallEnded)
        assert (end.reason, end.by, end.agent) == ("completed", "agent", "a")
        await customer.until(lambda: customer.requests("BYE"), "our BYE")
        agent, caller = stage.recorded("agent"), stage.recorded("customer")
        assert abs(len(agent) - len(caller)) <= RATE // 10
        assert share(agent[RATE // 2 : -RATE // 2], said) > 0.9
        assert share(caller[RATE // 2 : -RATE // 2], {CUSTOMER}) > 0.9
        assert stage.native.active() == 0

    play(scene)


def test_it_holds_and_the_browser_ends_the_call(play: Callable[[Scene], None]) -> None:
    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        await talking(stage, customer, desk)
        await desk.order("hold")
        await stage.until("CallHeld")
        assert stage.last(CallHeld).by == "agent"
        await desk.order("resume")
        await stage.until("CallResumed")
        await stage.order(HangUpCall(call=stage.call, agent="a"))
        await desk.event("CALL_CLOSED")
        await customer.until(lambda: customer.requests("BYE"), "our BYE")

    play(scene)


def test_a_phone_that_has_g722_only_is_heard_and_recorded(play: Callable[..., None]) -> None:
    """Both ways through libav's and spandsp's G.722; the recording is telephone sound."""

    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        await talking(stage, customer, desk)
        await stage.happens(lambda: len(customer.voice.heard) > 150)
        (level,) = g711.decode(bytes([CUSTOMER]), Codec.PCMU)

        def understood() -> bool:
            off = np.abs(desk.heard().astype(np.int32) - int(level))
            return int(np.count_nonzero(off < abs(int(level)) // 10)) > 2 * RATE

        await stage.happens(understood)
        await desk.order("hangup")
        await stage.until("CallEnded")
        said = g711.decode(stage.recorded("agent"), Codec.PCMU).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(said[RATE : 2 * RATE]))
        assert spectrum.argmax() == 1000
        assert said[RATE : 2 * RATE].std() * np.sqrt(2) == pytest.approx(8000, rel=0.1)
        facts = [entry.fact for entry in stage.log.read(limit=500)]
        measured = [one for one in facts if isinstance(one, CallQualityMeasured)]
        assert {one.leg: one.codec for one in measured} == {"customer": "PCMU", "agent": "G722"}
        assert share(stage.recorded("customer")[RATE // 2 : -RATE // 2], {CUSTOMER}) > 0.9

    time = np.arange(960) / 16_000
    tone = g711.encode((8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16))
    play(scene, codec=";audio_codecs=G722/16000/1", said=tone, modules=("g722",), rate=16_000)


def test_it_passes_the_customer_on_by_refer(play: Callable[[Scene], None]) -> None:
    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        await talking(stage, customer, desk)
        await desk.order("hold")
        await stage.until("CallHeld")
        there = stage.native.addresses[0]
        await stage.seat("b")
        await desk.order("transfer", f"sip:support@{there.host}:{there.port}")
        await desk.event("CALL_CLOSED")
        await stage.until("CallTransferred", "b ringing")
        moved = stage.last(CallTransferred)
        assert (moved.from_agent, moved.to_queue) == ("a", "support")
        await stage.order(AnswerCall(call=stage.call, agent="b"))
        await stage.until("CallAnswered", times=2)
        assert customer.requests("BYE") == []

    play(scene)


def test_it_asks_a_colleague_and_hands_the_customer_over(
    play: Callable[[Scene], None], tmp_path: Path
) -> None:
    """Two real phones: hold, a second call to the extension 202, REFER with Replaces."""

    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        said, also = set(SAID), set(ALSO_SAID)

        def customer_hears(voice: set[int]) -> float:
            return share(b"".join(data for _, data in customer.voice.heard[-20:]), voice)

        await talking(stage, customer, desk)
        await stage.happens(lambda: len(customer.voice.heard) > 60 and customer_hears(said) > 0.9)
        await desk.order("hold")
        await stage.until("CallHeld")
        there = stage.native.addresses[0]
        (tmp_path / "b").mkdir()
        async with registered(tmp_path / "b", stage, "202", COLLEAGUE, ALSO_SAID) as other:
            await stage.seat("b", device="phone")
            await desk.order("dial", f"sip:202@{there.host}:{there.port}")
            await other.event("CALL_INCOMING")
            await stage.until("b on_call")
            await other.order("accept")
            await other.event("CALL_ESTABLISHED")
            await desk.event("CALL_ESTABLISHED", times=2)
            (theirs,) = g711.decode(bytes([ALSO_SAID[0]]), Codec.PCMU)
            await stage.happens(lambda: bool(np.count_nonzero(desk.heard() == theirs) > RATE // 2))
            assert customer_hears(said) < 0.5  # music, neither of the two
            assert customer_hears(also) < 0.5
            await desk.order("line", "1")  # the customer's, for the command that follows
            wish = quote(stage.consulted(), safe="")
            await desk.order("transfer", f"<sip:202@{there.host}:{there.port}?Replaces={wish}>")
            await desk.event("CALL_CLOSED", times=2)
            await stage.until("CallTransferred", "a wrap_up")
            await stage.until("CallAnswered", times=2)
            moved = stage.last(CallTransferred)
            assert (moved.from_agent, moved.to_agent) == ("a", "b")
            await stage.happens(lambda: customer_hears(also) > 0.9)
            (level,) = g711.decode(bytes([CUSTOMER]), Codec.PCMU)
            await stage.happens(lambda: bool(np.count_nonzero(other.heard() == level) > RATE // 2))
            assert customer.requests("BYE") == []
            before = len(customer.voice.heard)  # what b said to a alone is not kept
            await stage.happens(lambda: len(customer.voice.heard) > before + 60)
            await other.order("hangup")
            await stage.until("CallEnded", "b wrap_up")
            assert stage.last(CallEnded).agent == "b"
            kept = stage.recorded("agent")
            assert share(kept[-RATE // 2 : -RATE // 8], also) > 0.9  # one recording, both agents
            assert sum(byte in said for byte in kept) > RATE // 4
            assert stage.native.active() == 0

    play(scene)


def test_it_is_told_where_nobody_can_be_reached(play: Callable[[Scene], None]) -> None:
    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        await talking(stage, customer, desk)
        there = stage.native.addresses[0]
        await desk.order("transfer", f"sip:+989120000000@{there.host}:{there.port}")
        await desk.event("TRANSFER_FAILED")
        await stage.until("CallEnded")  # baresip hangs up then, of its own accord
        assert "CallTransferred" not in stage.story()
        await customer.until(lambda: customer.requests("BYE"), "our BYE")

    play(scene)


def test_it_declines_and_leaves(play: Callable[[Scene], None]) -> None:
    async def scene(stage: RealStage, customer: Telephone, desk: Baresip) -> None:
        customer.send("INVITE", 1, customer.offer())
        await desk.event("CALL_INCOMING")
        await desk.order("hangup")
        await stage.until("AgentDeclined")
        assert stage.last(AgentDeclined).reason == "declined"
        customer.send("CANCEL", 1)
        await stage.until("CallEnded")

    play(scene)


def test_a_phone_that_registered_with_another_node_takes_the_call(
    site: Settings, tmp_path: Path, migrated: str, databases: Any
) -> None:
    """Two nodes, one floor: the call stands at the second, the phone is known to the first."""
    url = databases.copy(migrated)
    settings = site.model_copy(update={"database_url": url})

    async def scene() -> None:
        bus = MemoryBus()
        async with (
            opened(settings, "one", bus) as one,
            opened(settings, "two", bus) as two,
            registered(tmp_path, one) as desk,
        ):
            await two.happens(lambda: two.native.phones.reachable("201"))
            await one.seat("a", device="phone")
            customer = two.telephone()
            customer.voice.byte = CUSTOMER
            await talking(two, customer, desk)
            assert two.log.node_of(two.call) == "two"
            await two.happens(lambda: len(two.recorded("agent")) > RATE)
            await two.happens(
                lambda: (
                    share(two.recorded("agent")[-RATE // 2 :], set(SAID)) > 0.9
                    and share(two.recorded("customer")[-RATE // 2 :], {CUSTOMER}) > 0.9
                )
            )
            await two.happens(
                lambda: (
                    share(b"".join(data for _, data in customer.voice.heard[-20:]), set(SAID)) > 0.9
                )
            )
            await desk.order("hangup")
            await two.until("CallEnded", "a wrap_up")
            assert two.last(CallEnded).by == "agent"
            customer.close()

    asyncio.run(scene())
    databases.drop(url)

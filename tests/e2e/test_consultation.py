"""An agent asks a colleague during a real call: who hears whom, what is kept, what is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, expect
from soft_agent import SoftAgent
from sounds import Channel, sealed_sound, tone_share
from world import World, running, wait_for

from callcenter.events import (
    CallAnswered,
    CallRang,
    ConferenceBegan,
    ConsultationAnswered,
    ConsultationEnded,
    ConsultationHeld,
    ConsultationResumed,
    RecordingSealed,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

DANA, OMID = 1000.0, 600.0
"""What the two agents hum, in Hz."""
KAVEH = "+989121234567"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(Path(tmp_path_factory.mktemp("colleagues"))) as started:
        for name in ("dana", "omid"):
            started.add_user(name)
        started.add_user("sara", "supervisor")
        started.api("sara").send(
            "POST",
            "/customers",
            {"name": "Kaveh Ahangar", "phones": [{"number": "0912 123 4567", "region": "IR"}]},
        )
        yield started


@contextmanager
def humming(world: World) -> Iterator[tuple[SoftAgent, SoftAgent]]:
    dana = SoftAgent(world, "dana", frequency=DANA).connect_audio().available()
    omid = SoftAgent(world, "omid", frequency=OMID).connect_audio()
    try:
        yield dana, omid
    finally:
        dana.close()
        omid.close()


def recent(agent: SoftAgent) -> Channel:
    """What the agent heard in the last second, at 48 or 8 kHz as aiortc gives it."""
    heard = [frame[: len(frame) // 2 * 2] for frame in list(agent.heard)[-50:]]
    return np.concatenate(heard) if heard else np.zeros(8000, np.int16)


def hears(agent: SoftAgent, *hums: float) -> bool:
    """Whether the last second holds these hums, and none of the other."""
    sound = recent(agent)
    return all((tone_share(sound, hum) > 0.1) is (hum in hums) for hum in (DANA, OMID))


def span(channel: Channel, begin: float, end: float) -> Channel:
    """Seconds from the answer, well inside."""
    return channel[int((begin + 0.6) * 8000) : int((end - 0.4) * 8000)]


def test_who_hears_whom_and_what_is_kept(world: World) -> None:
    """The caller sends back whatever it hears: its side of the recording says what that was."""
    with humming(world) as (dana, omid):
        caller = world.sipp("uac_echo.xml", "-rtp_echo", seconds=100, caller=KAVEH)
        call = dana.answer_next()
        omid.available()
        dana.order("call.consult", call=call, colleague=omid.id)
        pop = omid.wait("call.ringing", call=call)
        assert pop["asked_by"]["username"] == "dana"
        assert pop["matches"][0]["customer"]["name"] == "Kaveh Ahangar"
        omid.order("call.answer", call=call)
        wait_for(lambda: hears(omid, DANA) and hears(dana, OMID), "the two hear each other")
        before = len(omid.heard)
        wait_for(lambda: len(omid.heard) > before + 150, "they talk for a while")
        dana.order("call.swap", call=call, to="customer")
        wait_for(lambda: omid.saw("call.consultation", state="held"), "omid is told to wait")
        # The customer says back what dana says; omid hears neither of them.
        wait_for(lambda: hears(dana, DANA) and hears(omid), "dana is with the customer")
        before = len(omid.heard)
        wait_for(lambda: len(omid.heard) > before + 150, "the two talk for a while")
        dana.order("call.swap", call=call, to="colleague")
        wait_for(lambda: hears(omid, DANA) and hears(dana, OMID), "the two hear each other again")
        dana.order("call.conference", call=call)
        wait_for(lambda: omid.saw("call.consultation", state="joined"), "omid is told")
        before = len(omid.heard)
        wait_for(lambda: len(omid.heard) > before + 150, "the three talk for a while")
        # Each hears the other, and the customer who says back what both say.
        wait_for(lambda: hears(omid, DANA, OMID) and hears(dana, DANA, OMID), "a conference")
        dana.order("call.transfer", call=call, to_agent=omid.id)
        ended = dana.wait("call.ended", call=call)
        assert ended["reason"] == "transferred"
        assert omid.wait("call.ringing", call=call, count=2)["interaction"]
        before = len(omid.heard)
        wait_for(lambda: len(omid.heard) > before + 250, "the customer and omid talk for a while")
        omid.order("call.hangup", call=call)
        omid.wait("call.ended", call=call, reason="completed")
        caller.communicate(timeout=120)  # its scenario would have hung up itself

        began = world.facts(CallAnswered, call=call)
        at = [
            (world.wait_fact(kind, call=call).at - began[0].at).total_seconds()
            for kind in (ConsultationAnswered, ConferenceBegan, ConsultationEnded)
        ]
        to_customer, back = (
            (world.wait_fact(kind, call=call).at - began[0].at).total_seconds()
            for kind in (ConsultationHeld, ConsultationResumed)
        )
        assert [fact.agent for fact in began] == [dana.id, omid.id]
        end = at[2] + 4.0
        agents, customer, _ = sealed_sound(world, call)
        for begin, stop in ((at[0], to_customer), (back, at[1])):
            private = span(agents, begin, stop)
            assert private.size == 0 or np.abs(private).max() < 200  # what they say alone
        between = span(agents, to_customer, back)
        assert tone_share(between, DANA) > 0.8
        assert tone_share(between, OMID) < 0.05
        joined, heard = span(agents, at[1], at[2]), span(customer, at[1], at[2])
        for sound in (joined, heard):
            assert tone_share(sound, DANA) > 0.15
            assert tone_share(sound, OMID) > 0.15
        assert tone_share(span(customer, at[0], to_customer), DANA) < 0.05
        after = span(agents, at[2], end)
        assert tone_share(after, OMID) > 0.8
        assert tone_share(after, DANA) < 0.05
        record = world.api("omid").interaction(call)
        assert record["agent"]["id"] == omid.id


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def test_on_the_desk(world: World, browser: Browser) -> None:
    """Ask first, all three, hand over: by buttons, with what each of the two sees."""
    dana = AgentPage(browser, world, "dana").start_shift()
    omid = AgentPage(browser, world, "omid").start_shift()
    omid.hook("state-menu").click()
    omid.hook("state-break").click()
    caller = world.sipp("uac_talk.xml", seconds=100, caller=KAVEH)
    dana.answer()
    call = world.facts(CallRang)[-1].call
    omid.hook("state-menu").click()
    omid.hook("state-available").click()
    expect(omid.hook("my-state")).to_have_attribute("data-state", "available")

    dana.hook("call-keypad").click()  # keys for a machine at the other end
    dana.page.keyboard.press("Digit5")
    dana.page.get_by_role("button", name="Hash").click()
    expect(dana.hook("keypad-pressed")).to_have_text("5#")
    dana.page.keyboard.press("Escape")
    expect(dana.hook("keypad")).to_have_count(0)

    dana.hook("call-transfer").click()
    dana.page.get_by_label("To", exact=True).select_option(label="omid – Available")
    dana.hook("transfer-ask").click()
    expect(dana.hook("call-state")).to_contain_text("Ringing at omid")
    expect(omid.hook("pop-why")).to_contain_text("dana asks you")
    expect(omid.hook("pop-name")).to_contain_text("Kaveh Ahangar")
    omid.answer()
    expect(omid.hook("call-state")).to_contain_text("the customer does not hear")
    expect(omid.hook("notes")).to_have_count(0)
    expect(dana.hook("call-state")).to_contain_text("You and omid")
    expect(dana.hook("call-end")).to_have_count(0)

    for page, shown in ((omid, "the customer does not hear"), (dana, "You and omid")):
        page.page.reload()
        expect(page.hook("light-line")).to_have_attribute("data-ok", "true")  # it is online again
        expect(page.hook("call-state")).to_contain_text(shown)

    expect(dana.hook("consult-swap")).to_have_text("To the customer")
    dana.hook("consult-swap").click()
    expect(dana.hook("call-state")).to_contain_text("With the customer; omid hears music")
    expect(omid.hook("call-state")).to_contain_text("dana is with the customer; you hear music")
    expect(dana.hook("call-end")).to_be_visible()
    dana.hook("consult-swap").click()  # now to omid
    expect(dana.hook("call-state")).to_contain_text("You and omid")
    expect(omid.hook("call-state")).to_contain_text("the customer does not hear")

    dana.hook("consult-join").click()
    expect(omid.hook("call-state")).to_contain_text("Conference with dana and the customer")
    dana.hook("consult-hand-over").click()
    expect(dana.hook("wrapup")).to_be_visible()
    expect(omid.hook("call-state")).to_contain_text("In conversation")
    expect(omid.hook("notes")).to_be_visible()
    expect(omid.hook("customer-name").first).to_contain_text("Kaveh Ahangar")
    omid.hook("call-end").click()
    expect(omid.hook("wrapup")).to_be_visible()
    caller.communicate(timeout=120)  # its scenario would have hung up itself
    world.wait_fact(RecordingSealed, call=call)
    dana.close()
    omid.close()

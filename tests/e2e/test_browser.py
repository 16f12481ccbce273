"""A caller on SIPp, an agent at a real Chromium: the whole of one call, seen and heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import BEEP_HERTZ, AgentPage, chromium
from playwright.sync_api import Browser, expect
from sounds import clips, lag_seconds, sealed_sound, tone_share, ulaw_of, word_error_rate
from world import DATA, World, finish, running, wait_for

from callcenter.events import (
    AgentOffered,
    CallAnswered,
    CallEnded,
    CallQualityMeasured,
    CallRang,
    ComplaintOpened,
    TranscriptCompleted,
    UtteranceHeard,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

KAVEH = "+989121234567"
PAUSE = b"\xff" * 12_000
SEALED = "Object.entries(localStorage).filter(([name]) => name.startsWith('callcenter.draft.'))"
"""What the page keeps of drafts, as anybody at this browser can read it."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(Path(tmp_path_factory.mktemp("browser"))) as started:
        started.add_user("dana")
        started.add_user("sara", "supervisor")
        started.api("sara").send(
            "POST",
            "/customers",
            {"name": "Kaveh Ahangar", "phones": [{"number": "0912 123 4567", "region": "IR"}]},
        )
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


@pytest.fixture
def dana(world: World, browser: Browser) -> Iterator[AgentPage]:
    page = AgentPage(browser, world, "dana").start_shift()
    yield page
    page.close()


def test_a_complaint_is_heard_read_registered_and_kept(world: World, dana: AgentPage) -> None:
    spoken = [clips()[name]["text"] for name in ("joe04", "joe05")]
    sound = b"".join(
        ulaw_of(DATA / "speech" / f"{name}.wav") + PAUSE for name in ("joe04", "joe05")
    )
    caller = world.sipp("uac_talk.xml", seconds=40, sound=PAUSE + sound, caller=KAVEH)

    expect(dana.hook("pop-card")).to_be_visible()
    expect(dana.hook("pop-name")).to_contain_text("Kaveh Ahangar")
    call = world.facts(CallRang)[-1].call
    assert world.facts(CallAnswered, call=call) == []  # the pop precedes the answer
    dana.answer()
    expect(dana.hook("pop-card")).to_have_count(0)
    expect(dana.hook("customer-name").first).to_contain_text("Kaveh Ahangar")

    final = dana.page.locator("[data-testid=caption][data-leg=customer][data-kind=final]")
    expect(final.first).to_contain_text("charged twice")
    assert world.facts(CallEnded, call=call) == []  # captions arrive before hang-up

    dana.hook("complaint-open").first.click()
    dana.hook("complaint-quote").first.check()
    dana.hook("complaint-subject").fill("Charged twice for one invoice")
    dana.hook("complaint-save").click()
    saved = dana.hook("complaint-saved")
    expect(saved).to_be_visible()
    code = saved.get_attribute("data-code")
    opened = world.wait_fact(ComplaintOpened, call=call)
    assert opened.code == code
    assert world.facts(CallEnded, call=call) == []  # registered during the call

    dana.hook("notes").fill("Refund promised.")
    finish(caller)
    expect(dana.hook("wrapup")).to_be_visible()
    dana.hook("wrapup-outcome").select_option("complaint")
    dana.hook("wrapup-save").click()
    expect(dana.hook("call-bar")).to_have_attribute("data-state", "idle")

    api = world.api("sara")
    done = world.wait_fact(TranscriptCompleted, call=call, revision=2)
    text = " ".join(
        u.text
        for u in world.facts(UtteranceHeard, call=call)
        if u.revision == 2 and u.leg == "customer"
    )
    assert word_error_rate(" ".join(spoken), text) <= 0.20, text
    assert done.language == "en"
    record = wait_for(
        lambda: (r := api.interaction(call)) and r["transcript_state"] == "done" and r, "the record"
    )
    assert (record["outcome"], record["disposition"]) == ("completed", "complaint")
    assert record["notes"] == "Refund promised."
    assert record["customer"]["name"] == "Kaveh Ahangar"
    (complaint,) = api.get("/complaints", interaction=record["id"])["items"]
    assert complaint["code"] == code
    quotes = api.get(f"/complaints/{complaint['id']}")["quotes"]
    assert len(quotes) == 1
    assert quotes[0]["leg"] == "customer"
    assert 0 <= quotes[0]["t0"] < 40

    dana.page.goto(f"/calls/{record['id']}")
    expect(dana.hook("player")).to_be_visible()
    expect(dana.page.locator("[data-testid=utterance][data-leg=customer]").first).to_contain_text(
        "charged twice"
    )
    dana.hook("player-play").click()
    expect(dana.hook("player")).to_have_attribute("data-playing", "true")


def test_both_really_hear_each_other_and_the_recording_keeps_them_aligned(
    world: World, dana: AgentPage
) -> None:
    caller = world.sipp("uac_echo.xml", "-rtp_echo", seconds=15, caller=KAVEH)
    dana.answer()
    call = world.facts(CallRang)[-1].call
    finish(caller)
    agent, customer, _ = sealed_sound(world, call)
    assert tone_share(agent, BEEP_HERTZ) > 0.5
    assert tone_share(customer, BEEP_HERTZ) > 0.5
    # The caller says back what it hears: the same beeps, later by one way through the bridge
    # and back, and by nothing else.
    assert 0.0 < lag_seconds(agent, customer) < 0.5
    assert world.wait_fact(CallQualityMeasured, call=call, leg="agent").codec == "PCMU"


def test_a_page_that_is_reloaded_during_a_call_takes_it_up_again(
    world: World, dana: AgentPage
) -> None:
    caller = world.sipp("uac_echo.xml", "-rtp_echo", seconds=30, caller=KAVEH)
    dana.answer()
    call = world.facts(CallRang)[-1].call
    dana.page.reload()
    expect(dana.hook("call-bar")).to_have_attribute("data-state", "talking")
    expect(dana.hook("light-line")).to_have_attribute("data-ok", "true")
    back = world.facts(CallEnded, call=call)
    assert back == []
    finish(caller)
    assert world.wait_fact(CallEnded, call=call).reason == "completed"
    agent, _, _ = sealed_sound(world, call)
    assert tone_share(agent[-8000 * 8 :], BEEP_HERTZ) > 0.5  # heard again after the reload


def test_an_unknown_caller_is_created_from_the_pop(world: World, dana: AgentPage) -> None:
    caller = world.sipp("uac_talk.xml", seconds=20, caller="+972541112233", sound=PAUSE)
    expect(dana.hook("pop-card")).to_be_visible()
    dana.answer()
    dana.hook("quick-create-name").first.fill("רחל כהן")
    dana.hook("quick-create-save").first.click()
    expect(dana.hook("customer-name").first).to_contain_text("רחל כהן")
    call = world.facts(CallRang)[-1].call
    finish(caller)
    record = world.api("sara").interaction(call)
    assert record["customer"]["name"] == "רחל כהן"
    found = world.api("sara").get("/customers/lookup", phone="+972-54-111-2233", region="IL")
    assert [item["customer"]["name"] for item in found["items"]] == ["רחל כהן"]


def test_a_pop_of_the_time_without_a_network_comes_with_the_network_once(
    world: World, dana: AgentPage
) -> None:
    calls = len(world.facts(CallRang))
    dana.context.set_offline(True)
    caller = world.sipp("uac_talk.xml", seconds=5, caller=KAVEH, sound=PAUSE)
    world.wait_fact(CallRang, count=calls + 1)
    dana.context.set_offline(False)
    expect(dana.hook("pop-card")).to_have_count(1)
    dana.answer()
    finish(caller)
    expect(dana.hook("wrapup")).to_be_visible()


def test_a_page_that_was_opened_without_a_network_comes_with_the_network(dana: AgentPage) -> None:
    dana.context.set_offline(True)
    # Its part of the application is not here: the first try fails, and it is tried again.
    with dana.page.expect_event("requestfailed", lambda one: "ComplaintsPage" in one.url):
        dana.page.get_by_role("link", name="Complaints").click()
    dana.context.set_offline(False)
    expect(dana.hook("board")).to_be_visible()
    dana.page.get_by_role("link", name="My desk").click()
    expect(dana.hook("my-state")).to_be_visible()


def test_a_declined_call_of_the_only_agent_rings_again_and_a_caller_who_gives_up_is_missed(
    world: World, dana: AgentPage
) -> None:
    caller = world.sipp("uac_talk.xml", seconds=5, caller=KAVEH, sound=PAUSE)
    expect(dana.hook("pop-card")).to_be_visible()
    call = world.facts(CallRang)[-1].call
    dana.hook("pop-decline").click()
    world.wait_fact(AgentOffered, call=call, count=2)  # nobody else is there
    expect(dana.hook("pop-card")).to_be_visible()
    caller.terminate()  # SIPp: no CANCEL on SIGTERM; the call is ended by hand below
    assert world.facts(CallEnded, call=call) == []
    dana.answer()
    dana.hook("call-end").click()
    world.wait_fact(CallEnded, call=call)


def test_what_was_typed_is_for_its_owner_only_when_the_session_ended_by_itself(
    world: World, dana: AgentPage
) -> None:
    """The next person neither reads it, nor is asked about it, nor can discard it."""
    typed = ("Charged twice", "Kaveh")
    caller = world.sipp("uac_talk.xml", seconds=4, caller=KAVEH)
    dana.answer()
    finish(caller)
    expect(dana.hook("wrapup")).to_be_visible()
    dana.hook("complaint-open").first.click()
    dana.hook("complaint-subject").fill("Charged twice")
    dana.page.reload()
    expect(dana.hook("complaint-subject")).to_have_value(
        "Charged twice"
    )  # its owner's key opens it

    world.api("dana").send("DELETE", "/sessions")  # all but the one that asks
    expect(dana.page.locator("input[name=password]")).to_be_visible()  # by itself
    kept = dana.page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    assert not [text for text in typed if text in kept]
    sealed = dana.page.evaluate(SEALED)
    assert len(sealed) == 1

    dana.sign_in("sara")
    dana.hook("my-menu").click()
    dana.hook("sign-out").click()
    expect(dana.page.locator("input[name=password]")).to_be_visible()  # not asked
    assert dana.page.evaluate(SEALED) == sealed

    dana.sign_in("dana")
    dana.hook("my-menu").click()
    dana.hook("sign-out").click()
    expect(dana.hook("sign-out-asks")).to_contain_text("1 draft could not be kept")
    dana.hook("sign-out-anyway").click()
    expect(dana.page.locator("input[name=password]")).to_be_visible()
    assert dana.page.evaluate(SEALED) == []


def test_nothing_that_was_typed_stays_in_the_browser_after_the_sign_out(
    world: World, dana: AgentPage
) -> None:
    """The note goes to the server; of a complaint that is not registered yet the page asks."""
    caller = world.sipp("uac_talk.xml", seconds=4, caller=KAVEH)
    dana.answer()
    call = world.facts(CallRang)[-1].call
    finish(caller)
    expect(dana.hook("wrapup")).to_be_visible()
    dana.hook("complaint-open").first.click()
    dana.hook("complaint-subject").fill("Charged twice")
    dana.hook("notes").fill("Wants a call on Monday")
    dana.hook("my-menu").click()
    dana.hook("sign-out").click()
    expect(dana.hook("sign-out-asks")).to_contain_text("1 draft could not be kept")
    dana.page.keyboard.press("Escape")
    expect(dana.hook("sign-out-asks")).not_to_be_visible()
    expect(dana.hook("complaint-subject")).to_have_value("Charged twice")
    dana.hook("my-menu").click()
    dana.hook("sign-out").click()
    dana.hook("sign-out-anyway").click()
    expect(dana.page.locator("input[name=password]")).to_be_visible()
    kept = dana.page.evaluate("JSON.stringify([localStorage, sessionStorage])")
    assert "Monday" not in kept
    assert "Charged" not in kept
    assert world.api("sara").interaction(call)["draft"] == "Wants a call on Monday"

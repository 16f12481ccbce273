"""Somebody sets a second step up in a real browser and signs in with it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import AgentPage, chromium
from playwright.sync_api import Browser, Page, expect
from world import PASSWORD, World, running, wait_for

from callcenter.web import codes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = Path(tmp_path_factory.mktemp("second-step"))
    silent = {"live": dict.fromkeys(("en", "fa", "he"), "off"), "second_pass": "off"}
    with running(folder, speech=silent, sign_in={"second_factor": ["manager"]}) as started:
        started.add_user("sara", "supervisor")
        started.add_user("mona", "manager")
        started.add_user("reza", "agent")
        started.add_user("dana", "agent")
        yield started


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(Path(tmp_path_factory.mktemp("chromium"))) as started:
        yield started


def step_now() -> int:
    return int(time.time()) // codes.PERIOD


def code_of(secret: str, step: int) -> str:
    return codes.code_at(base64.b32decode(secret), step)


def fill_sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")


def test_an_app_is_set_up_and_asked_for_at_the_next_sign_in(world: World, browser: Browser) -> None:
    boss = AgentPage(browser, world, "sara")
    boss.page.wait_for_url(lambda url: "sign-in" not in url)
    boss.hook("my-menu").click()
    boss.hook("my-security").click()
    boss.hook("add-totp").click()
    boss.hook("proof-name").fill("Work phone")
    boss.hook("proof-password").fill("wrong")
    boss.hook("proof-go").click()
    expect(boss.hook("proof").get_by_role("alert")).to_contain_text("wrong")
    boss.hook("proof-password").fill(PASSWORD)
    boss.hook("proof-go").click()
    secret = boss.hook("enrolment-secret").inner_text()
    assert boss.page.evaluate(
        "document.querySelector('[data-testid=enrolment] img').naturalWidth > 100"
    ), "the picture is drawn under our own Content-Security-Policy"
    used = step_now()
    boss.hook("enrolment-code").fill(code_of(secret, used))
    boss.hook("enrolment-confirm").click()
    expect(boss.hook("recovery-code")).to_have_count(10)
    boss.hook("codes-kept").click()
    expect(boss.hook("factor")).to_contain_text("Work phone")

    other = browser.new_context(base_url=world.base, locale="en-US", java_script_enabled=False)
    page = other.new_page()
    fill_sign_in(page, "sara")
    page.fill("input[name=code]", code_of(secret, used))
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("used before")
    page.fill("input[name=code]", code_of(secret, used + 1))
    page.click("button[type=submit]")
    wait_for(lambda: "sign-in" not in page.url, "the sign-in with a code, without scripts")
    other.close()

    boss.page.reload()
    expect(boss.hook("session")).to_have_count(2)
    boss.hook("sessions-end-others").click()
    expect(boss.hook("session")).to_have_count(1)
    boss.close()


def test_a_role_that_needs_it_sets_it_up_without_scripts(world: World, browser: Browser) -> None:
    context = browser.new_context(base_url=world.base, locale="fa-IR", java_script_enabled=False)
    page = context.new_page()
    fill_sign_in(page, "mona")
    secret = page.get_by_test_id("secret").inner_text()
    page.fill("input[name=code]", code_of(secret, step_now()))
    page.click("button[type=submit]")
    expect(page.locator("code")).to_have_count(10)
    page.click("a.button")
    wait_for(lambda: "sign-in" not in page.url, "the way in")
    context.close()


def test_a_passkey_is_made_and_opens_the_next_sign_in(world: World, browser: Browser) -> None:
    """Chromium's own virtual device; passkeys need a name, so the site is opened by one."""
    by_name = world.base.replace("127.0.0.1", "localhost")
    context = browser.new_context(base_url=by_name, locale="en-US")
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    fill_sign_in(page, "reza")
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.get_by_test_id("my-menu").click()
    page.get_by_test_id("my-security").click()
    page.get_by_test_id("add-passkey").click()
    page.get_by_test_id("proof-name").fill("This laptop")
    page.get_by_test_id("proof-password").fill(PASSWORD)
    page.get_by_test_id("proof-go").click()
    expect(page.get_by_test_id("recovery-code")).to_have_count(10)
    page.get_by_test_id("codes-kept").click()
    expect(page.get_by_test_id("factor")).to_contain_text("This laptop")

    context.clear_cookies()
    fill_sign_in(page, "reza")
    expect(page.get_by_role("button", name="Use my passkey")).to_be_visible()
    verified = {"authenticatorId": device["authenticatorId"], "isUserVerified": False}
    devices.send("WebAuthn.setUserVerified", verified)
    page.click("#passkey button")
    expect(page.get_by_role("alert")).to_contain_text("was not shown")
    devices.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": True})
    page.click("#passkey button")
    page.wait_for_url(lambda url: "sign-in" not in url)
    context.close()
    assert failures == []

    silent = browser.new_context(base_url=by_name, locale="en-US", java_script_enabled=False)
    page = silent.new_page()
    fill_sign_in(page, "reza")
    expect(page.locator("input[name=code]")).to_be_visible()
    expect(page.locator("#passkey")).to_be_hidden()
    silent.close()


def test_people_change_their_own_password(world: World, browser: Browser) -> None:
    fresh = "lamp tuesday gravel"
    context = browser.new_context(base_url=world.base, locale="he-IL")
    page = context.new_page()
    fill_sign_in(page, "dana")
    page.wait_for_url(lambda url: "sign-in" not in url)
    page.get_by_test_id("my-menu").click()
    page.get_by_test_id("my-security").click()
    page.get_by_test_id("change-password").click()
    page.get_by_test_id("proof-password").fill(PASSWORD)
    page.get_by_test_id("proof-fresh").fill("dana12345")
    page.get_by_test_id("proof-go").click()
    expect(page.get_by_test_id("proof").get_by_role("alert")).not_to_be_empty()
    shots = world.folder / "shots"
    page.screenshot(path=shots / "password.png")
    page.get_by_test_id("proof-fresh").fill(fresh)
    page.get_by_test_id("proof-go").click()
    expect(page.get_by_test_id("proof")).to_be_hidden()
    context.close()

    other = browser.new_context(base_url=world.base, locale="en-US", java_script_enabled=False)
    page = other.new_page()
    fill_sign_in(page, "dana")
    expect(page.get_by_role("alert")).to_be_visible()
    fill_sign_in(page, "dana", fresh)
    wait_for(lambda: "sign-in" not in page.url, "the sign-in with the new password")
    other.close()

"""No number, name or spoken word of a call stands in the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from web_world import World

from callcenter import events, logs
from callcenter.config import Log
from callcenter.errors import CallGone

SECRETS = ("9121234567", "Zohreh", "broken samovar", "Rosewater", "correct horse")


@pytest.fixture
def quiet() -> Iterator[None]:
    """The product's own logging for one test."""
    root = logging.getLogger()
    kept = (root.handlers[:], root.level)
    logs.setup(Log(level="debug", format="json"), "web")
    yield
    root.handlers[:] = kept[0]
    root.setLevel(kept[1])
    structlog.reset_defaults()


def test_a_whole_call_with_name_number_words_and_failures_leaves_no_trace(
    world: World, quiet: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, agent = world.client("agent"), world.people["agent"]
    phone = {"number": "0912 123 4567", "region": "IR"}
    browser.post("/customers", {"name": "Zohreh Rosewater", "phones": [phone]})
    tab = world.runtime.socketio.test_client(world.app, flask_test_client=browser.http)
    call = world.call(agent=agent, from_name="Zohreh")
    said = {"leg": "customer", "t0": 1.0, "t1": 2.0, "language": "en", "engine": "vosk"}
    world.happens(
        events.UtteranceHeard(call=call, utterance="u", text="a broken samovar", **said)  # type: ignore[arg-type]
    )
    interaction = world.interaction(call)
    browser.patch(f"/interactions/{interaction}", {"notes": "Zohreh: broken samovar"})
    browser.get("/search?q=Zohreh")
    browser.get("/customers/lookup?phone=%2B989121234567")
    browser.post("/complaints", {"subject": "Zohreh", "interaction": interaction})
    browser.post("/customers", {"name": "Zohreh", "phones": [{"number": "9121234567x"}]})
    world.client().sign_in("Zohreh", "correct horse")
    world.telephony.refuse = CallGone("over")
    tab.emit("call.answer", {"call": call, "name": "Zohreh"}, callback=True)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the parser choked")

    monkeypatch.setattr("callcenter.web.records.customers", fails)
    assert browser.get("/customers?q=Zohreh").status_code == 500
    monkeypatch.setattr(world.runtime.live, "stage", fails)
    world.happens(events.CallEnded(call=call, reason="completed", by="customer", agent=agent))
    text = "".join(capfd.readouterr())
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert any(line["event"] == "request failed" for line in lines)
    assert any(line["event"] == "fact not applied" for line in lines)
    assert [secret for secret in SECRETS if secret in text] == []

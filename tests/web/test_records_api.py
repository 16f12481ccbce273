from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from web_world import Browser, World

from callcenter import events
from callcenter.crm.audit.models import AuditEntry
from callcenter.ids import new_id
from callcenter.telephony.recording import peaks

SOUND = bytes(range(256)) * 40


def ended(world: World, agent: str, **changes: Any) -> str:
    call = world.call(agent=world.people[agent], **changes)
    world.happens(
        events.CallEnded(
            call=call,
            reason="completed",
            by="customer",
            agent=world.people[agent],
            talk_seconds=5.0,
        )
    )
    return call


def recorded(world: World, agent: str, path: str = "2026/11/23/x.opus") -> tuple[str, str]:
    """A call of `agent` with a sealed recording. → (interaction, recording)"""
    call = ended(world, agent)
    file = world.settings.recordings_dir / path
    if ".." not in path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(SOUND)
    recording = new_id()
    world.happens(
        events.RecordingSealed(
            call=call,
            recording=recording,
            path=path,
            format="opus",
            seconds=5.0,
            size=len(SOUND),
            sha256="ab" * 32,
            legs={
                "agent": {"channel": 0, "offset": 0.0, "seconds": 5.0},
                "customer": {"channel": 1, "offset": 0.0, "seconds": 5.0},
            },
        )
    )
    return world.interaction(call), recording


def audited(world: World, what: str) -> list[AuditEntry]:
    with Session(world.engine) as session:
        return list(session.scalars(select(AuditEntry).where(AuditEntry.what == what)))


# --- Problems ------------------------------------------------------------------------------


def problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    assert body["type"] == f"urn:callcenter:problem:{slug}"
    assert body["title"]
    assert body["detail"]
    return body


def test_everything_that_fails_is_one_shape(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, nobody = world.client("agent"), world.client()
    problem(nobody.get("/session"), 401, "not-signed-in")
    problem(agent.get("/audit"), 403, "forbidden")
    problem(agent.get("/customers/none"), 404, "not-found")
    problem(agent.get("/nothing"), 404, "not-found")
    problem(agent.http.get("/nothing.txt"), 404, "not-found")
    wrong = agent.send("PUT", "/customers", {})
    problem(wrong, 405, "method-not-allowed")
    assert "POST" in wrong.headers["Allow"]
    fields = problem(agent.post("/customers", {"kind": "robot"}), 422, "invalid")
    assert {one["field"] for one in fields["errors"]} == {"name", "kind"}
    unknown = problem(agent.post("/customers", {"name": "A", "x": 1}), 422, "invalid")
    assert unknown["errors"][0]["field"] == "x"
    bad = agent.http.post(
        "/api/v1/customers",
        data="{",
        content_type="application/json",
        headers={"X-CSRF-Token": agent.csrf},
    )
    problem(bad, 400, "refused")
    large = agent.post("/customers", {"name": "A", "notes": "x" * 1_100_000})
    problem(large, 413, "too-large")
    problem(agent.get("/customers?limit=0"), 422, "invalid")
    problem(agent.get("/customers?cursor=forged"), 422, "invalid")

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("callcenter.web.records.customers", broken)
    inside = problem(agent.get("/customers"), 500, "error")
    assert "secret" not in str(inside)

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("SELECT secret", {}, Exception("disk I/O error"))

    monkeypatch.setattr("callcenter.web.records.customers", away)
    assert "secret" not in str(problem(agent.get("/customers"), 503, "unavailable"))


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_characters_that_no_database_takes_are_refused_by_name(world: World, text: str) -> None:
    answer = world.client("agent").post("/customers", {"name": text})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "name"


# --- Customers -----------------------------------------------------------------------------


def test_a_customer_is_made_found_by_number_changed_and_listed(world: World) -> None:
    agent = world.client("agent")
    made = agent.post(
        "/customers",
        {
            "name": "سارا احمدی",
            "language": "fa",
            "phones": [{"number": "۰۹۱۲ ۱۲۳ ۴۵۶۷", "region": "IR", "label": "mobile"}],
        },
    )
    assert made.status_code == 201
    customer = made.get_json()
    assert customer["phones"][0]["e164"] == "+989121234567"
    assert customer["created_at"].endswith("Z")
    found = agent.get("/customers/lookup?phone=%2B989121234567&region=IL").get_json()["items"]
    assert [(m["customer"]["id"], m["reason"]) for m in found] == [(customer["id"], "exact")]
    assert agent.get("/customers/lookup?phone=anonymous").get_json() == {"items": []}
    changed = agent.patch(
        f"/customers/{customer['id']}", {"tier": "gold", "version": customer["version"]}
    ).get_json()
    assert (changed["tier"], changed["name"]) == ("gold", "سارا احمدی")
    late = agent.patch(
        f"/customers/{customer['id']}", {"tier": None, "version": customer["version"]}
    )
    problem(late, 409, "conflict")
    listed = agent.get("/customers?q=سارا").get_json()
    assert [one["id"] for one in listed["items"]] == [customer["id"]]
    assert listed["next"] is None


def test_a_phone_that_is_no_number_is_refused_by_its_place(world: World) -> None:
    answer = world.client("agent").post(
        "/customers", {"name": "A", "phones": [{"number": "021-88888888"}, {"number": "hello"}]}
    )
    fields = problem(answer, 422, "invalid")["errors"]
    assert [one["field"] for one in fields] == ["phones.1.number"]


def test_a_list_goes_on_where_the_page_before_ended(world: World) -> None:
    agent = world.client("agent")
    for number in range(5):
        agent.post("/customers", {"name": f"Customer {number}"})
    names, cursor = [], ""
    while cursor is not None:
        page = agent.get(f"/customers?limit=2{cursor and '&cursor=' + cursor}").get_json()
        assert len(page["items"]) <= 2
        names += [one["name"] for one in page["items"]]
        cursor = page["next"]
    assert names == [f"Customer {number}" for number in range(5)]


# --- Interactions --------------------------------------------------------------------------


def test_calls_are_listed_with_who_and_filtered(world: World) -> None:
    call = ended(world, "agent")
    missed = world.call()
    world.happens(events.CallEnded(call=missed, reason="abandoned", by="customer", seconds=9.0))
    agent = world.client("agent")
    everything = agent.get("/interactions").get_json()["items"]
    assert [one["call_id"] for one in everything] == [missed, call]
    one = agent.get(f"/interactions?call_id={call}").get_json()["items"][0]
    assert one["agent"]["username"] == "agent"
    assert (one["outcome"], one["talk_seconds"], one["wait_seconds"]) == ("completed", 5.0, 1.5)
    for query, calls in (
        ("outcome=completed", [call]),
        ("outcome=abandoned,missed", [missed]),
        ("agent=me", [call]),
        (f"agent={world.people['other']}", []),
        ("handled=false", [missed]),
        ("direction=outbound", []),
        ("from=2100-01-01T00:00:00Z", []),
    ):
        items = agent.get(f"/interactions?{query}").get_json()["items"]
        assert [item["call_id"] for item in items] == calls, query
    problem(agent.get("/interactions?outcome=lost"), 422, "invalid")


def test_notes_are_kept_while_typed_and_closing_takes_them(world: World) -> None:
    interaction = world.interaction(ended(world, "agent"))
    agent = world.client("agent")
    address = f"/interactions/{interaction}"
    version = agent.get(address).get_json()["version"]
    one = agent.patch(address, {"draft": "She wants", "version": version}).get_json()
    assert (one["draft"], one["notes"]) == ("She wants", "")
    late = agent.patch(address, {"draft": "from another tab", "version": version})
    problem(late, 409, "conflict")
    two = agent.patch(address, {"draft": "She wants a refund", "version": one["version"]})
    disposition = agent.get("/site").get_json()["dispositions"][0]["id"]
    closed = agent.patch(
        address, {"disposition": disposition, "version": two.get_json()["version"]}
    ).get_json()
    assert (closed["notes"], closed["draft"]) == ("She wants a refund", None)
    assert closed["disposition"] == disposition
    assert closed["closed_at"]
    for old in ({}, {"version": two.get_json()["version"]}):  # of a browser that was left alone
        problem(agent.patch(address, {"draft": "She wants", **old}), 409, "conflict")
    now = agent.get(address).get_json()
    assert (now["notes"], now["draft"]) == ("She wants a refund", None)


def test_a_missed_call_is_handled_by_its_owner_or_by_anybody_when_nobody_owns_it(
    world: World,
) -> None:
    call = world.call()
    world.happens(events.CallEnded(call=call, reason="abandoned", by="customer", seconds=9.0))
    address = f"/interactions/{world.interaction(call)}"
    answer = world.client("other").patch(address, {"handled": True})
    assert answer.get_json()["handled_at"]


def test_an_agent_changes_no_call_of_another(world: World) -> None:
    interaction = world.interaction(ended(world, "agent"))
    problem(
        world.client("other").patch(f"/interactions/{interaction}", {"notes": "x"}),
        404,
        "not-found",
    )
    assert (
        world.client("supervisor").patch(f"/interactions/{interaction}", {"notes": "x"}).status_code
        == 200
    )


# --- Sound and text ------------------------------------------------------------------------


def sources(interaction: str, recording: str) -> list[str]:
    return [
        f"/interactions/{interaction}/transcript",
        f"/interactions/{interaction}/recording",
        f"/recordings/{recording}",
        f"/recordings/{recording}/audio",
    ]


def test_another_agents_sound_and_text_look_like_nothing_at_all(world: World) -> None:
    interaction, recording = recorded(world, "agent")
    other = world.client("other")
    for path in sources(interaction, recording):
        hidden = other.get(path, headers={"Range": "bytes=0-9"})
        problem(hidden, 404, "not-found")
    there = problem(other.get(f"/recordings/{recording}/audio"), 404, "not-found")
    nothing = problem(other.get(f"/recordings/{new_id()}/audio"), 404, "not-found")
    assert there == nothing
    for path in sources(interaction, recording):
        assert world.client("agent").get(path).status_code == 200, path
        assert world.client("supervisor").get(path).status_code == 200, path


@pytest.mark.parametrize("role", ["admin", "auditor"])
def test_who_looks_after_the_system_hears_only_after_giving_a_reason(
    world: World, role: str
) -> None:
    interaction, recording = recorded(world, "agent")
    person = world.client(role)
    for path in sources(interaction, recording):
        problem(person.get(path), 403, "reason-needed")
    problem(person.post(f"/interactions/{interaction}/access", {"reason": ""}), 422, "invalid")
    opened = person.post(f"/interactions/{interaction}/access", {"reason": "court order 12"})
    assert opened.status_code == 201
    for path in sources(interaction, recording):
        assert person.get(path).status_code == 200
    rows = audited(world, "break_glass")
    assert [(row.who, row.object, row.reason) for row in rows] == [
        (world.people[role], interaction, "court order 12")
    ]
    problem(world.client(role).get(sources(interaction, recording)[0]), 403, "reason-needed")


@pytest.mark.parametrize(
    ("range_", "status", "content", "told"),
    [
        (None, 200, SOUND, None),
        ("bytes=0-99", 206, SOUND[:100], f"bytes 0-99/{len(SOUND)}"),
        ("bytes=100-", 206, SOUND[100:], f"bytes 100-{len(SOUND) - 1}/{len(SOUND)}"),
        ("bytes=-10", 206, SOUND[-10:], f"bytes {len(SOUND) - 10}-{len(SOUND) - 1}/{len(SOUND)}"),
        ("bytes=10000-99999", 206, SOUND[10000:], f"bytes 10000-10239/{len(SOUND)}"),
        (f"bytes={len(SOUND)}-", 416, None, f"bytes */{len(SOUND)}"),
    ],
)
def test_the_player_gets_the_part_it_asks_for(
    world: World, range_: str | None, status: int, content: bytes | None, told: str | None
) -> None:
    _, recording = recorded(world, "agent")
    headers = {"Range": range_} if range_ else {}
    answer = world.client("agent").get(f"/recordings/{recording}/audio", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("Content-Range") == told
    assert answer.headers["Cache-Control"] == "no-store"
    if content is not None:
        assert answer.get_data() == content
        assert answer.headers["Content-Type"] == "audio/ogg"
        assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_listening_is_one_row_however_many_parts_are_asked_for(world: World) -> None:
    interaction, recording = recorded(world, "agent")
    for name in ("agent", "supervisor"):
        browser = world.client(name)
        for first in (0, 100, 200):
            headers = {"Range": f"bytes={first}-{first + 99}"}
            browser.get(f"/recordings/{recording}/audio", headers=headers)
    rows = audited(world, "recording.listen")
    assert [(row.who, row.object) for row in rows] == [
        (world.people["agent"], interaction),
        (world.people["supervisor"], interaction),
    ]


def test_the_waveform_is_read_from_beside_the_sound(world: World) -> None:
    _, recording = recorded(world, "agent")
    agent = world.client("agent")
    problem(agent.get(f"/recordings/{recording}/peaks"), 404, "not-found")
    file = world.settings.recordings_dir / "2026/11/23/x.peaks"
    file.write_bytes(peaks.write(peaks.Peaks(bytes([0, 255]), bytes([7, 9]), 50)))
    assert agent.get(f"/recordings/{recording}/peaks").get_json() == {
        "rate": 50,
        "seconds": 5.0,
        "channels": {"agent": [0, 255], "customer": [7, 9]},
    }


def test_an_interaction_tells_how_its_sound_was_carried(world: World) -> None:
    call = ended(world, "agent")
    client = world.client("agent")
    path = f"/interactions/{world.interaction(call)}"
    assert client.get(path).get_json()["quality"] == []
    world.happens(
        events.CallQualityMeasured(
            call=call,
            leg="agent",
            agent=world.people["agent"],
            seconds=30.0,
            codec="PCMU",
            received=1490,
            lost=10,
            late=2,
            jitter_ms=1.5,
            jitter_max_ms=9.0,
            sent=1500,
            mos=4.3,
        )
    )
    (quality,) = client.get(path).get_json()["quality"]
    assert (quality["leg"], quality["part"], quality["mos"]) == ("agent", 1, 4.3)
    assert quality["agent"]["username"] == "agent"
    assert (quality["lost"], quality["remote_mos"]) == (10, None)
    (listed,) = client.get(f"/interactions?call_id={call}").get_json()["items"]
    assert listed["quality"] == []


def test_no_path_leads_out_of_the_recordings(world: World, tmp_path: Path) -> None:
    outside = world.settings.recordings_dir.parent / "outside.opus"
    outside.write_bytes(b"secret")
    (world.settings.recordings_dir / "link.opus").symlink_to(outside)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", lambda *_: 0)
        for path in ("../outside.opus", str(outside), "link.opus", "a/../../outside.opus"):
            call = ended(world, "agent")
            recording = new_id()
            world.happens(
                events.RecordingSealed(
                    call=call,
                    recording=recording,
                    path=path,
                    format="opus",
                    seconds=1.0,
                    size=6,
                    sha256="00",
                    legs={},
                )
            )
            answer = world.client("agent").get(f"/recordings/{recording}/audio")
            problem(answer, 404, "not-found")


def test_the_transcript_comes_in_order_and_is_found_by_its_words(world: World) -> None:
    call = ended(world, "agent")
    for number, (leg, text) in enumerate([("customer", "my parcel is broken"), ("agent", "sorry")]):
        world.happens(
            events.UtteranceHeard(
                call=call,
                utterance=f"u{number}",
                leg=leg,  # type: ignore[arg-type]
                text=text,
                t0=float(number),
                t1=number + 0.5,
                language="en",
                engine="vosk",
            )
        )
    interaction = world.interaction(call)
    agent = world.client("agent")
    shown = agent.get(f"/interactions/{interaction}/transcript").get_json()
    assert shown["state"] == "live"
    assert [(u["leg"], u["text"], u["t0"]) for u in shown["items"]] == [
        ("customer", "my parcel is broken", 0.0),
        ("agent", "sorry", 1.0),
    ]
    assert [i["id"] for i in agent.get("/interactions?q=parcel").get_json()["items"]] == [
        interaction
    ]
    other = world.client("other")
    assert other.get("/interactions?q=parcel").get_json()["items"] == []
    assert other.get("/search?q=parcel").get_json()["interactions"] == []
    quoted = {"subject": "Broken", "interaction": interaction, "quotes": ["u0"]}
    problem(other.post("/complaints", quoted), 404, "not-found")


# --- Complaints ----------------------------------------------------------------------------


def registered(world: World, browser: Browser, **more: Any) -> dict[str, Any]:
    answer = browser.post("/complaints", {"subject": "Broken parcel", **more})
    assert answer.status_code == 201, answer.get_json()
    found: dict[str, Any] = answer.get_json()
    return found


def test_a_complaint_quotes_what_was_said(world: World) -> None:
    call = ended(world, "agent")
    world.happens(
        events.UtteranceHeard(
            call=call,
            utterance="u1",
            leg="customer",
            text="it is broken",
            t0=2.5,
            t1=3.5,
            language="en",
            engine="vosk",
        )
    )
    complaint = registered(
        world,
        world.client("agent"),
        interaction=world.interaction(call),
        severity="high",
        quotes=[{"utterance": "u1", "text": "forged", "leg": "customer", "t0": 0}],
    )
    assert complaint["quotes"] == [
        {
            "utterance": "u1",
            "leg": "customer",
            "text": "it is broken",
            "t0": 2.5,
            "t1": 3.5,
            "interaction": world.interaction(call),
        }
    ]
    assert (complaint["stage"], complaint["severity"]) == ("received", "high")
    assert complaint["owner"]["username"] == "agent"
    assert complaint["history"][0]["to_stage"] == "received"


def test_a_complaint_goes_its_way_and_is_not_closed_before_the_customer_knows(
    world: World,
) -> None:
    boss = world.client("supervisor")
    complaint = registered(world, boss)
    steps = f"/complaints/{complaint['id']}/transitions"
    problem(boss.post(steps, {"to": "closed"}), 409, "decision-not-told")
    problem(world.client("agent").post(steps, {"to": "acknowledged"}), 403, "forbidden")
    for step in (
        {"to": "acknowledged"},
        {"to": "investigating", "note": "asked the carrier"},
        {"to": "responded", "decision": "a new parcel"},
        {"to": "communicated", "channel": "phone"},
        {"to": "closed"},
    ):
        answer = boss.post(steps, step)
        assert answer.status_code == 200, answer.get_json()
    found = boss.get(f"/complaints/{complaint['id']}").get_json()
    assert (found["stage"], found["decision"]) == ("closed", "a new parcel")
    assert [one["to_stage"] for one in found["history"]] == [
        "received",
        "acknowledged",
        "investigating",
        "responded",
        "communicated",
        "closed",
    ]


def test_an_agent_works_on_own_complaints_but_closes_none(world: World) -> None:
    agent = world.client("agent")
    complaint = registered(world, agent)
    address = f"/complaints/{complaint['id']}"
    for step in (
        {"to": "responded", "decision": "refund"},
        {"to": "communicated", "channel": "phone"},
    ):
        assert agent.post(f"{address}/transitions", step).status_code == 200
    problem(agent.post(f"{address}/transitions", {"to": "closed"}), 403, "forbidden")
    problem(world.client("other").patch(address, {"subject": "x"}), 403, "forbidden")
    assert agent.patch(address, {"subject": "Broken parcel, again"}).status_code == 200
    problem(agent.patch(address, {"subject": "x", "version": 1}), 409, "conflict")


def test_the_timeline_merges_calls_and_complaints(world: World) -> None:
    agent = world.client("agent")
    customer = agent.post(
        "/customers", {"name": "Sara", "phones": [{"number": "+989121234567"}]}
    ).get_json()["id"]
    interaction = world.interaction(ended(world, "agent"))
    complaint = registered(world, agent, interaction=interaction)
    agent.post(f"/complaints/{complaint['id']}/transitions", {"to": "acknowledged"})
    items = agent.get(f"/customers/{customer}/timeline").get_json()["items"]
    assert [item["kind"] for item in items] == ["transition", "complaint", "interaction"]
    assert items[2]["interaction"]["id"] == interaction
    assert items[1]["complaint"]["customer"]["open_complaints"] == 1

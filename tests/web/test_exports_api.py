"""Export of one customer (A36): all of theirs, nothing of others, for a day, every step audited."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from test_break_glass import kind
from test_encrypted_recordings import SOUND, encrypted
from test_records_api import ended
from web_world import World

from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.exports.making import Exporter
from callcenter.crm.exports.models import CustomerExport
from callcenter.crm.exports.operations import LASTS, LEASE
from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.crm.interactions.models import Recording
from callcenter.crm.interactions.queries import by_call
from callcenter.events import UtteranceHeard, now
from callcenter.ids import new_id
from callcenter.telephony.adapters.export_files import DiskExports

SHARED = "+989121234567"


def exporter(world: World, **options: Any) -> Exporter:
    settings = world.settings
    files = DiskExports(settings.recordings_dir, settings.exports_dir, KeysOfCalls(world.engine))
    return Exporter(world.engine, files, **{"encrypted": True, **options})


def said(world: World, call: str, text: str) -> None:
    world.happens(
        UtteranceHeard(
            call=call, utterance=new_id(), leg="customer", text=text, t0=1.0, t1=2.0,
            language="en", engine="test", revision=1,
        )
    )  # fmt: skip


def family(world: World) -> tuple[str, str]:
    """Two customers with one number; each called. → the one to export, the recording's call"""
    boss = world.client("supervisor")
    sara, reza = (
        boss.post("/customers", {"name": name, "phones": [{"number": SHARED}]}).get_json()["id"]
        for name in ("Sara Karimi", "Reza Karimi")
    )
    recording = encrypted(world)
    with Session(world.engine) as session:
        call = session.get_one(Recording, recording).call_id
        row = by_call(session, call)
        assert row is not None
        mine = row.id
    other = ended(world, "agent")
    for customer, id_, spoken in ((sara, call, "my fridge hums"), (reza, other, "my secret loan")):
        interaction = world.interaction(id_)
        said(world, id_, spoken)
        boss.patch(f"/interactions/{interaction}", {"customer": customer, "notes": f"{spoken}!"})
        boss.post(f"/interactions/{interaction}/comments", {"text": f"{spoken}?", "t0": 1.0})
        boss.post("/complaints", {"subject": f"{spoken}.", "interaction": interaction})
    (complaint,) = boss.get(f"/complaints?customer={sara}").get_json()["items"]
    boss.post(f"/complaints/{complaint['id']}/calls", {"interaction": world.interaction(other)})
    return sara, mine


def asked(world: World, customer: str) -> str:
    answer = world.client("supervisor").post(f"/customers/{customer}/exports", {"reason": "GDPR"})
    assert answer.status_code == 202
    return str(answer.get_json()["id"])


def audited(world: World) -> list[tuple[str, str | None, str | None]]:
    query = select(AuditEntry).where(AuditEntry.what.startswith("export"))
    with Session(world.engine) as session:
        rows = session.scalars(query.order_by(AuditEntry.number))
        return [(row.what, row.who, row.object) for row in rows]


@pytest.mark.parametrize("sealed", [True, False])
def test_an_archive_holds_all_of_one_customer_and_nothing_of_who_shares_the_number(
    world: World, sealed: bool
) -> None:
    customer, mine = family(world)
    export, boss = asked(world, customer), world.client("supervisor")
    assert kind(boss.get(f"/exports/{export}/archive")) == (409, "conflict")
    assert kind(boss.post(f"/customers/{customer}/exports", {"reason": "x"})) == (409, "conflict")
    exporter(world, encrypted=sealed).round()
    (shown,) = boss.get(f"/customers/{customer}/exports").get_json()["items"]
    assert (shown["state"], shown["done"], shown["total"]) == ("ready", 1, 1)

    answer = boss.get(f"/exports/{export}/archive")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert len(answer.data) == shown["size"]
    with ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert files.pop(f"calls/{mine}/sound.opus") == SOUND
    assert set(files) == {"customer.json", "complaints.json", f"calls/{mine}/call.json"}
    everything = b"".join(files.values()).decode()
    for theirs in ("Sara Karimi", SHARED, "hums.", "hums!", "hums?", "hums"):
        assert theirs in everything
    for others in ("Reza", "secret loan", world.interaction(call_of(world, mine, other=True))):
        assert others not in everything
    call = json.loads(files[f"calls/{mine}/call.json"])
    assert [one["text"] for one in call["transcript"]] == ["my fridge hums"]

    person = world.people["supervisor"]
    assert audited(world) == [
        ("export", person, customer),
        ("export.ready", None, customer),
        ("export.download", person, customer),
    ]
    (file,) = world.settings.exports_dir.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert (SOUND in file.read_bytes()) is not sealed, "stored sound is in a plain archive as it is"


def call_of(world: World, interaction: str, *, other: bool) -> str:
    """The call that is not this contact's."""
    items = world.client("supervisor").get("/interactions").get_json()["items"]
    return str(next(one["call_id"] for one in items if (one["id"] != interaction) is other))


def test_after_a_day_the_archive_is_gone_with_its_key(world: World) -> None:
    customer, _ = family(world)
    export, boss = asked(world, customer), world.client("supervisor")
    exporter(world).round()
    assert KeysOfCalls(world.engine).find(export) is not None
    exporter(world, clock=lambda: now() + LASTS + timedelta(minutes=1)).round()
    assert list(world.settings.exports_dir.iterdir()) == []
    assert KeysOfCalls(world.engine).find(export) is None
    assert kind(boss.get(f"/exports/{export}/archive")) == (410, "expired")
    assert asked(world, customer) != export


def test_an_export_that_was_killed_leaves_nothing_and_begins_anew(world: World) -> None:
    customer, _ = family(world)
    export = asked(world, customer)
    first = exporter(world)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    first._sound = killed  # type: ignore[assignment, method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.round()
    assert list(world.settings.exports_dir.iterdir()) == []
    exporter(world).round()
    assert state_of(world, export) == "waiting", "another process may still be making it"
    exporter(world, clock=lambda: now() + LEASE + timedelta(seconds=1)).round()
    assert state_of(world, export) == "ready"


def test_an_export_that_cannot_be_written_fails_after_three_attempts(world: World) -> None:
    customer, _ = family(world)
    export = asked(world, customer)
    world.settings.exports_dir.write_text("in the way")
    for attempt in range(1, 4):
        assert state_of(world, export) == "waiting"
        later = now() + attempt * (LEASE + timedelta(seconds=1))
        exporter(world, clock=lambda at=later: at).round()
    assert state_of(world, export) == "failed"
    boss = world.client("supervisor")
    assert kind(boss.get(f"/exports/{export}/archive")) == (409, "conflict")


def test_sound_that_was_shredded_is_said_to_be(world: World) -> None:
    customer, mine = family(world)
    for file in world.settings.recordings_dir.rglob("*.opus"):
        file.unlink()
    export = asked(world, customer)
    exporter(world).round()
    data = world.client("supervisor").get(f"/exports/{export}/archive").data
    with ZipFile(io.BytesIO(data)) as archive:
        call = json.loads(archive.read(f"calls/{mine}/call.json"))
    assert (call["sound"], call["sound_problem"]) == (None, "removed")


def test_an_administrator_exports_after_a_reason_for_that_customer(world: World) -> None:
    customer, _ = family(world)
    admin = world.client("admin")
    path = f"/customers/{customer}/exports"
    assert kind(admin.post(path, {"reason": "GDPR"})) == (403, "reason-needed")
    admin.post(f"/customers/{customer}/access", {"reason": "GDPR"})
    assert admin.post(path, {"reason": "GDPR"}).status_code == 202


def state_of(world: World, export: str) -> str:
    with Session(world.engine) as session:
        return session.get_one(CustomerExport, export).state

"""The player's requests over files that are encrypted on the disk."""

from __future__ import annotations

import io
import random

from sqlalchemy.orm import Session
from test_records_api import recorded
from web_world import World

from callcenter.crm.interactions.call_keys import KeysOfCalls
from callcenter.crm.interactions.models import Recording
from callcenter.crm.vault import operations as vault
from callcenter.telephony.recording import peaks
from callcenter.telephony.recording.cipher_file import encrypt

SOUND = random.Random(3).randbytes(30_000)


def encrypted(world: World) -> str:
    """A recording of the agent's whose files are encrypted. → its id"""
    _, recording = recorded(world, "agent")
    with Session(world.engine) as session:
        call = session.get_one(Recording, recording).call_id
    place = f"2026/11/23/{call}.opus"
    with Session(world.engine) as session, session.begin():
        session.get_one(Recording, recording).path = place
    path = world.settings.recordings_dir / place
    key = KeysOfCalls(world.engine).make(call)
    encrypt(io.BytesIO(SOUND), len(SOUND), path, path, key)
    drawn = peaks.write(peaks.Peaks(b"\1\2", b"\3\4", 50))
    path = path.with_suffix(".peaks")
    encrypt(io.BytesIO(drawn), len(drawn), path, path, key)
    return recording


def test_every_range_is_answered_with_the_plain_sound(world: World) -> None:
    address, agent = f"/recordings/{encrypted(world)}/audio", world.client("agent")
    whole = agent.get(address)
    assert (whole.status_code, whole.data) == (200, SOUND)
    assert whole.headers["Content-Length"] == "30000"
    for asked, part, told in (
        ("bytes=0-99", SOUND[:100], "bytes 0-99/30000"),
        ("bytes=4090-4105", SOUND[4090:4106], "bytes 4090-4105/30000"),
        ("bytes=29000-", SOUND[29000:], "bytes 29000-29999/30000"),
        ("bytes=-500", SOUND[-500:], "bytes 29500-29999/30000"),
    ):
        answer = agent.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.data) == (206, part)
        assert answer.headers["Content-Range"] == told
    assert agent.get(address, headers={"Range": "bytes=30000-"}).status_code == 416
    stale = {"Range": "bytes=0-99", "If-Range": '"other"'}
    assert agent.get(address, headers=stale).status_code == 200


def test_the_waveform_of_an_encrypted_recording_is_drawn(world: World) -> None:
    answer = world.client("agent").get(f"/recordings/{encrypted(world)}/peaks").get_json()
    assert answer["channels"] == {"agent": [1, 2], "customer": [3, 4]}


def test_without_its_key_a_recording_is_gone_for_good(world: World) -> None:
    recording = encrypted(world)
    with Session(world.engine) as session, session.begin():
        vault.destroy(session, None, [session.get_one(Recording, recording).call_id])
    answer = world.client("agent").get(f"/recordings/{recording}/audio")
    assert answer.status_code == 410
    assert answer.get_json()["type"].endswith(":recording-erased")

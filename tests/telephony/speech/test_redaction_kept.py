"""Nothing unmasked leaves the speech process: not live, not by the second pass, not on the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from callcenter.bus import MemoryBus
from callcenter.database import open_database
from callcenter.events import (
    CallRang,
    CaptionHeard,
    RecordingSealed,
    SpeechRedacted,
    TranscriptCompleted,
    UtteranceHeard,
    now,
)
from callcenter.log import EventLog
from callcenter.migrations import upgrade
from callcenter.redaction.finding import MASK, Rules
from callcenter.telephony.fakes.speech import Said, ScriptedEngine, ScriptedTranscriber
from callcenter.telephony.ports import Codec
from callcenter.telephony.speech import wire
from callcenter.telephony.speech.roster import Roster
from callcenter.telephony.speech.scribe import Scribe
from callcenter.telephony.speech.second_pass import SecondPass, note
from callcenter.telephony.speech.tasks import Tasks
from callcenter.telephony.speech.worker import Lanes, Live

SCRIPT = [
    Said(0.2, 1.0, "sure it is 4012 8888"),
    Said(2.0, 3.0, "then eight eight eight eight"),
    Said(3.5, 4.5, "eighteen eighty one thanks"),
    Said(5.0, 5.5, "and my phone is 0912 345 6789"),
]
MASKED = [f"sure it is {MASK}", f"then {MASK}", f"{MASK} thanks", "and my phone is 0912 345 6789"]
UNMASKED = (b"is 4012", b"4012 8888", b"eight eight", b"eighteen")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(f"sqlite:///{tmp_path}/data/callcenter.db")
    upgrade(made)
    yield made
    made.dispose()


@pytest.fixture
def partials() -> list[CaptionHeard]:
    return []


@pytest.fixture
def live(
    engine: Engine, tmp_path: Path, fake_model: Any, partials: list[CaptionHeard]
) -> Iterator[Live]:
    fake_model("vosk-model-small-en-us-0.15")
    fake_model("whisper-base")
    bus = MemoryBus()
    bus.subscribe(CaptionHeard, partials.append)
    lanes, scribe = Lanes(vosk=1), Scribe(EventLog(engine), bus)
    scribe.start()
    scripted = ScriptedEngine(SCRIPT)
    roster = Roster(
        {"en": "vosk"},
        tmp_path / "models",
        {"vosk": lambda _model: scripted, "whisper": lambda _model: scripted},
        lambda _model: ScriptedTranscriber(SCRIPT),
    )
    yield Live(roster, lanes, scribe, max_legs=8, rules=Rules(), limit=60.0)
    lanes.stop(5)
    scribe.stop()


def on_disk(folder: Path) -> bytes:
    """Every byte of the data directory: before and after the WAL goes into the database."""
    before = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    with closing(sqlite3.connect(folder / "callcenter.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before + b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def heard(engine: Engine, revision: int) -> list[UtteranceHeard]:
    facts = [entry.fact for entry in EventLog(engine).of_call("c")]
    return [f for f in facts if isinstance(f, UtteranceHeard) and f.revision == revision]


def test_a_number_in_pieces_is_nowhere_on_the_disk(
    live: Live,
    engine: Engine,
    partials: list[CaptionHeard],
    tmp_path: Path,
    wait_until: Callable[..., Any],
) -> None:
    desk = live.desk()
    desk.take(wire.Opened(1, wire.Opening("c", "customer", "en")))
    for batch in range(60):
        desk.take(wire.Sound(1, batch * 800, Codec.PCMU, b"\xff" * 800))
    desk.take(wire.Closed(1))
    log = EventLog(engine)
    wait_until(
        lambda: any(isinstance(e.fact, TranscriptCompleted) for e in log.of_call("c")), "the end"
    )
    said = heard(engine, 1)
    assert [one.text for one in said] == MASKED
    assert [one.masks for one in said] == [["card"], ["card"], ["card"], []]
    facts = [entry.fact for entry in log.of_call("c")]
    redacted = [fact for fact in facts if isinstance(fact, SpeechRedacted)]
    assert [(one.utterance, one.leg, one.kind) for one in redacted] == [
        (one.utterance, "customer", "card") for one in said[:3]
    ]
    assert redacted[1].t0 <= 2.2, "the span lies where it was said"
    assert redacted[1].t1 >= 3.0
    kept = on_disk(tmp_path / "data")
    assert MASK.encode() in kept or MASK.encode("unicode-escape") in kept
    assert not [word for word in UNMASKED if word in kept]
    assert partials, "somebody saw words meanwhile"
    assert not [p.text for p in partials if "8888" in p.text or "eight eight" in p.text]


def test_the_second_pass_masks_too(live: Live, engine: Engine, tmp_path: Path) -> None:
    sealed = RecordingSealed(
        call="c",
        recording="r",
        path="c.wav",
        format="wav",
        seconds=8.0,
        size=1,
        sha256="0" * 64,
        legs={"customer": {"channel": 1, "offset": 1.0, "seconds": 8.0}},
    )
    rang = CallRang(
        call="c",
        line="main",
        trunk="t",
        policy="always",
        sip_call_id="s",
        direction="inbound",
        from_number=None,
        from_name=None,
        to_number="1",
        region="US",
        node="n",
        language="en",
    )
    entries = EventLog(engine).append(rang, sealed)
    with engine.begin() as connection:
        for entry in entries:
            note(connection, entry, always=True)
    run = SecondPass(
        tasks=Tasks(engine, "w"),
        log=EventLog(engine),
        recordings_dir=tmp_path,
        transcriber=live.roster.transcriber,
        read_sound=lambda _path: {1: np.zeros(64_000, np.int16)},
        rules=Rules(),
        clock=now,
    )
    assert run.run_one()[0]
    assert [one.text for one in heard(engine, 2)] == MASKED
    assert not [word for word in UNMASKED if word in on_disk(tmp_path / "data")]

from __future__ import annotations

import pytest
from crm_floor import Counter, Floor, rang
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from callcenter import events, log
from callcenter.crm import subscribers
from callcenter.crm.agents.queries import state_of
from callcenter.crm.customers.operations import PhoneIn, create
from callcenter.crm.interactions import queries
from callcenter.crm.interactions.models import Interaction, Recording, Utterance
from callcenter.crm.search.queries import transcripts
from callcenter.events import (
    AgentOffered,
    AgentStateChanged,
    CallAnswered,
    CallEnded,
    CallQualityMeasured,
    CallQueued,
    CallRang,
    CallTransferred,
    Fact,
    LegName,
    RecordingFailed,
    RecordingSealed,
    RecordingStarted,
    TranscriptCompleted,
    TranscriptPending,
    UtteranceHeard,
    WrapUpEnded,
)
from callcenter.ids import new_id
from callcenter.log import Entry, EventLog


def said(call: str, text_: str, *, t0: float = 1.0, revision: int = 1) -> UtteranceHeard:
    return UtteranceHeard(
        call=call,
        utterance=new_id(),
        leg="customer",
        text=text_,
        t0=t0,
        t1=t0 + 1,
        language="en",
        engine="vosk",
        revision=revision,
    )


def sealed(call: str) -> RecordingSealed:
    return RecordingSealed(
        call=call,
        recording=new_id(),
        path=f"2026/11/23/{call}.opus",
        format="opus",
        seconds=30.0,
        size=99_000,
        sha256="0" * 64,
        legs={"agent": {"channel": 0, "offset": 0.0, "seconds": 30.0}},
    )


def whole_call(call: str) -> list[Fact]:
    return [
        rang(call),
        CallQueued(call=call, queue="support", position=1),
        AgentOffered(call=call, agent="a1", queue="support", attempt=1),
        AgentStateChanged(agent="a1", state="on_call", previous="ringing", call=call),
        CallAnswered(call=call, agent="a1", queue="support", wait_seconds=3.5),
        RecordingStarted(call=call),
        said(call, "my parcel never came"),
        CallEnded(call=call, reason="completed", by="customer", agent="a1", talk_seconds=30.0),
        sealed(call),
        said(call, "My parcel never arrived.", revision=2),
        TranscriptCompleted(call=call, revision=2, engine="whisper", language="en", utterances=1),
        WrapUpEnded(call=call, agent="a1", by="agent"),
    ]


def of(session: Session, call: str) -> Interaction:
    interaction = queries.by_call(session, call)
    assert interaction is not None
    return interaction


def measured(call: str, leg: LegName, part: int = 1, mos: float = 4.3) -> CallQualityMeasured:
    return CallQualityMeasured(
        call=call,
        leg=leg,
        part=part,
        agent="a1" if leg == "agent" else None,
        seconds=30.0,
        codec="PCMU",
        received=1490,
        lost=10,
        late=2,
        jitter_ms=1.5,
        jitter_max_ms=9.0,
        sent=1500,
        round_trip_ms=24.0,
        mos=mos,
    )


def test_the_quality_of_each_part_of_a_call_is_kept_once(session: Session, floor: Floor) -> None:
    call = new_id()
    facts = [measured(call, "agent"), measured(call, "agent", 2), measured(call, "customer")]
    floor.happened(rang(call), *facts)
    for fact in facts:
        subscribers.apply(session, Entry(99, new_id(), fact))
    kept = queries.quality_of(session, of(session, call))
    assert [(one.leg, one.part, one.agent) for one in kept] == [
        ("agent", 1, "a1"), ("agent", 2, "a1"), ("customer", 1, None),
    ]  # fmt: skip
    assert (kept[0].received, kept[0].lost, kept[0].remote_lost) == (1490, 10, None)
    assert kept[0].mos == 4.3


def test_the_table_names_every_fact_there_is() -> None:
    known = {*subscribers.HANDLERS, AgentStateChanged}
    assert known == set(events.FACTS.values())


def test_a_whole_call_becomes_one_row_with_all_that_happened(
    session: Session, floor: Floor
) -> None:
    call = new_id()
    floor.happened(*whole_call(call))
    row = of(session, call)
    assert (row.outcome, row.agent, row.queue, row.ended_by) == (
        "completed", "a1", "support", "customer",
    )  # fmt: skip
    assert (row.wait_seconds, row.talk_seconds) == (3.5, 30.0)
    assert row.started_at <= row.answered_at <= row.ended_at  # type: ignore[operator]
    assert row.started_at.tzinfo is not None
    assert (row.transcript_state, row.recording_state) == ("done", "sealed")
    assert row.wrapped_at is not None
    recording = queries.recording_of(session, row)
    assert recording is not None
    assert recording.legs["agent"]["channel"] == 0
    assert queries.recording(session, recording.id) == (recording, row)


def test_applying_every_fact_twice_changes_nothing(session: Session, engine: Engine) -> None:
    create(session, name="Sara", region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    entries = EventLog(engine).append(*whole_call(new_id()))

    def state() -> list[tuple[object, ...]]:
        tables = ("interactions", "utterances", "recordings", "agent_states", "utterances_fts")
        session.commit()
        return [
            tuple(row)
            for table in tables
            for row in session.execute(text(f"SELECT * FROM {table}"))
        ]

    for entry in entries:
        subscribers.apply(session, entry)
        before = state()
        subscribers.apply(session, entry)
        assert state() == before, entry.kind
    for entry in entries:
        subscribers.apply(session, entry)
    assert state() == before


def test_no_fact_takes_more_than_a_fixed_number_of_statements(
    session: Session, engine: Engine, statements: Counter
) -> None:
    for place in range(20):
        phones = [PhoneIn("09121234567"), PhoneIn(f"0912000{place:04}")]
        create(session, name=f"Person {place}", region="IR", phones=phones)
    session.commit()
    for entry in EventLog(engine).append(*whole_call(new_id())):
        session.expunge_all()
        with statements() as seen:
            subscribers.apply(session, entry)
        # one of them, in a chain without links, is whether retention has cut it
        assert len(seen) <= 13, (entry.kind, seen)


def test_a_single_exact_match_is_the_customer(session: Session, floor: Floor) -> None:
    sara = create(session, name="Sara", region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    call = floor.talk("a1", "+98 912 123 4567")
    assert of(session, call).customer_id == sara.id
    assert of(session, call).candidates == [{"customer": sara.id, "reason": "exact", "score": 1.0}]


def test_of_several_matches_nobody_is_chosen_but_all_are_kept(
    session: Session, floor: Floor
) -> None:
    for name in ("Sara", "Dara"):
        create(session, name=name, region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    call = floor.talk("a1")
    assert of(session, call).customer_id is None
    assert len(of(session, call).candidates) == 2


def test_a_withheld_number_is_nobody(session: Session, floor: Floor) -> None:
    call = floor.talk("a1", None)
    assert (of(session, call).customer_id, of(session, call).candidates) == (None, [])


def test_an_outbound_call_is_of_whom_it_goes_to(session: Session, floor: Floor) -> None:
    sara = create(session, name="Sara", region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    call = floor.talk("a1", "100", direction="outbound", to_number="09121234567")
    assert of(session, call).customer_id == sara.id


@pytest.mark.parametrize("reason", ["abandoned", "missed"])
def test_a_missed_call_belongs_to_whom_it_rang_at_last(
    session: Session, floor: Floor, reason: events.Outcome
) -> None:
    call = new_id()
    floor.happened(
        rang(call),
        AgentOffered(call=call, agent="a1", queue="support", attempt=1),
        AgentOffered(call=call, agent="a2", queue="support", attempt=2),
        CallEnded(call=call, reason=reason, by="customer", seconds=12.0),
    )
    row = of(session, call)
    assert (row.outcome, row.owner, row.wait_seconds) == (reason, "a2", 12.0)
    assert row in queries.missed(session, agent="a2").items
    assert row not in queries.missed(session, agent="a1").items


def test_a_call_missed_before_any_offer_belongs_to_who_knows_the_customer(
    session: Session, floor: Floor
) -> None:
    create(session, name="Sara", region="IR", phones=[PhoneIn("09121234567")])
    session.commit()
    floor.talk("a1")
    floor.talk("a7")
    call = new_id()
    floor.happened(rang(call), CallEnded(call=call, reason="abandoned", by="customer", seconds=3))
    assert of(session, call).owner == "a7"


def test_a_call_missed_by_everybody_belongs_to_the_team(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(rang(call), CallEnded(call=call, reason="missed", by="system", seconds=3))
    assert of(session, call).owner is None
    assert of(session, call) in queries.missed(session, agent="anybody").items
    assert queries.missed_count(session, "anybody") == 1


@pytest.mark.parametrize("reason", ["completed", "rejected", "interrupted", "failed"])
def test_every_other_end_is_not_in_the_missed_list(
    session: Session, floor: Floor, reason: events.Outcome
) -> None:
    call = new_id()
    floor.happened(rang(call), CallEnded(call=call, reason=reason, by="system"))
    assert of(session, call).outcome == reason
    assert queries.missed_count(session) == 0


def test_a_call_has_one_end_the_first(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(
        rang(call),
        CallEnded(call=call, reason="completed", by="customer", talk_seconds=5.0),
        CallEnded(call=call, reason="interrupted", by="system"),
    )
    assert (of(session, call).outcome, of(session, call).talk_seconds) == ("completed", 5.0)


def test_the_second_pass_replaces_what_was_heard_live(session: Session, floor: Floor) -> None:
    call = new_id()
    live, better = said(call, "parsel"), said(call, "parcel", revision=2)
    floor.happened(rang(call), live, better)
    assert of(session, call).transcript_state == "live"
    assert [one.text for one in queries.transcript(session, of(session, call))] == ["parsel"]
    floor.happened(
        TranscriptCompleted(call=call, revision=2, engine="whisper", language="en", utterances=1)
    )
    session.expire_all()
    assert of(session, call).transcript_state == "done"
    assert [one.text for one in queries.transcript(session, of(session, call))] == ["parcel"]
    assert transcripts(session, "parsel").items == []
    assert [hit.utterance.id for hit in transcripts(session, "parcel").items] == [better.utterance]


def test_what_was_said_is_listed_in_the_order_of_time(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(rang(call), said(call, "second", t0=5.0), said(call, "first", t0=1.0))
    shown = queries.transcript(session, of(session, call))
    assert [one.text for one in shown] == ["first", "second"]


@pytest.mark.parametrize("late", [False, True])
def test_a_transcript_waits_until_it_is_done(session: Session, floor: Floor, late: bool) -> None:
    call = new_id()
    pending = TranscriptPending(call=call, reason="no_model")
    done = TranscriptCompleted(call=call, revision=2, engine="whisper", language="en", utterances=0)
    floor.happened(rang(call), *([done, pending] if late else [pending]))
    assert of(session, call).transcript_state == ("done" if late else "pending")


def test_a_failed_recording_is_told_and_a_sealed_one_stays_sealed(
    session: Session, floor: Floor
) -> None:
    one, other = new_id(), new_id()

    def failed(call: str) -> RecordingFailed:
        return RecordingFailed(call=call, reason="disk")

    floor.happened(rang(one), RecordingStarted(call=one), failed(one))
    floor.happened(rang(other), sealed(other), failed(other))
    assert of(session, one).recording_state == "failed"
    assert of(session, other).recording_state == "sealed"
    assert len(session.scalars(select(Recording)).all()) == 1


def test_a_transfer_gives_the_call_to_the_next_agent(session: Session, floor: Floor) -> None:
    call = new_id()
    answer = CallAnswered(call=call, agent="a1", queue="support", wait_seconds=2.0)
    again = CallAnswered(call=call, agent="a2", queue="sales", wait_seconds=9.0)
    transfer = CallTransferred(call=call, from_agent="a1", to_queue="sales")
    floor.happened(rang(call), answer, transfer, again)
    row = of(session, call)
    assert (row.agent, row.queue, row.wait_seconds) == ("a2", "sales", 2.0)


def test_wrap_up_that_ran_out_of_time_gets_the_systems_disposition(
    session: Session, floor: Floor
) -> None:
    call = floor.talk("a1")
    floor.happened(WrapUpEnded(call=call, agent="a1", by="timeout"))
    assert of(session, call).disposition == "wrap_up_timeout"
    assert "wrap_up_timeout" not in [one.id for one in queries.dispositions(session)]


def test_the_last_state_in_the_log_is_the_agents_state(session: Session, engine: Engine) -> None:
    early, late = EventLog(engine).append(
        AgentStateChanged(agent="a1", state="available", previous="offline"),
        AgentStateChanged(agent="a1", state="break", previous="available", reason="lunch"),
    )
    for entry in (late, early):
        subscribers.apply(session, entry)
    state = state_of(session, "a1")
    assert state is not None
    assert (state.state, state.reason) == ("break", "lunch")


def test_a_fact_of_an_unknown_call_is_noted_and_stops_nothing(
    session: Session, floor: Floor
) -> None:
    call = new_id()
    floor.happened(CallAnswered(call="lost", agent="a1", queue="q", wait_seconds=0.0), rang(call))
    assert of(session, call) is not None
    assert session.execute(select(log.failures)).one().position == 1


def test_a_handler_is_given_facts_of_its_own_kind_only(session: Session) -> None:
    opened = events.ComplaintOpened(
        complaint="c", code="C-1", customer=None, interaction=None, by="u"
    )
    subscribers.apply(session, Entry(1, new_id(), opened))
    assert session.scalars(select(Interaction)).all() == []
    assert session.scalars(select(Utterance)).all() == []
    assert CallRang in subscribers.HANDLERS

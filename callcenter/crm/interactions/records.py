"""From facts to the records of a call. Applying a fact twice changes nothing."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.crm import fts
from callcenter.crm.customers.queries import match
from callcenter.crm.interactions import sealed
from callcenter.crm.interactions.models import (
    CallQuality,
    Interaction,
    Participant,
    Recording,
    Redaction,
    Utterance,
)
from callcenter.crm.interactions.operations import MISSED
from callcenter.crm.interactions.queries import by_call, last_agent_of
from callcenter.crm.vault import operations as vault
from callcenter.errors import NotFound


def rang(session: Session, fact: events.CallRang) -> None:
    """The call's one row, with whoever it may be; a single exact match is the customer."""
    if by_call(session, fact.call) is not None:
        return
    other = fact.from_number if fact.direction == "inbound" else fact.to_number
    matches = match(session, other, fact.region)
    exact = [one for one in matches if one.reason == "exact"]
    dialled_by = [_participant(fact.agent, fact.at, fact.at)] if fact.agent else []
    session.add(
        Interaction(
            call_id=fact.call,
            direction=fact.direction,
            agent=fact.agent,
            participants=dialled_by,
            line=fact.line,
            queue=fact.queue,
            from_number=_cut(fact.from_number, 128),
            from_name=_cut(fact.from_name, 200),
            to_number=_cut(fact.to_number, 128),
            diverted_from=_cut(fact.diverted_from, 128),
            verstat=fact.verstat,
            region=fact.region,
            language=fact.language,
            policy=fact.policy,
            started_at=fact.at,
            customer_id=exact[0].customer.id if len(exact) == 1 else None,
            candidates=[_candidate(one) for one in matches],
        )
    )


def queued(session: Session, fact: events.CallQueued) -> None:
    """The queue it waits in; the last one counts."""
    _of(session, fact.call).queue = fact.queue


def offered(session: Session, fact: events.AgentOffered) -> None:
    """Whom it rang at last: the first choice for owning it when it is missed."""
    interaction = _of(session, fact.call)
    interaction.last_offered = fact.agent
    interaction.queue = fact.queue


def answered(session: Session, fact: events.CallAnswered) -> None:
    """Who talks; the first answer ends the wait."""
    interaction = _of(session, fact.call)
    interaction.agent = fact.agent
    interaction.queue = fact.queue
    if interaction.answered_at is None:
        interaction.answered_at = fact.at
        interaction.wait_seconds = fact.wait_seconds
    if fact.agent not in {one.agent for one in interaction.participants}:
        interaction.participants.append(_participant(fact.agent, fact.at, interaction.started_at))


def transferred(session: Session, fact: events.CallTransferred) -> None:
    """The next agent or queue has it."""
    interaction = _of(session, fact.call)
    interaction.agent = fact.to_agent or interaction.agent
    interaction.queue = fact.to_queue or interaction.queue


def replaced(session: Session, fact: events.CallerReplaced) -> None:
    """Who talks now. A customer whom somebody chose stays; a single exact match becomes it."""
    row = _of(session, fact.call)
    row.from_number = _cut(fact.from_number, 128)
    row.from_name = _cut(fact.from_name, 200)
    row.diverted_from = _cut(fact.diverted_from, 128)
    row.verstat = fact.verstat
    if row.customer_id is None and row.region:
        matches = match(session, fact.from_number, row.region)
        exact = [one for one in matches if one.reason == "exact"]
        row.customer_id = exact[0].customer.id if len(exact) == 1 else None
        row.candidates = [_candidate(one) for one in matches]


def ended(session: Session, fact: events.CallEnded) -> None:
    """The outcome; a missed call gets the one who is to call back."""
    interaction = _of(session, fact.call)
    if interaction.ended_at is not None:
        return
    interaction.outcome = fact.reason
    interaction.ended_at = fact.at
    interaction.ended_by = fact.by
    interaction.detail = fact.detail
    interaction.talk_seconds = fact.talk_seconds
    if interaction.agent is None:
        interaction.agent = fact.agent
    if interaction.answered_at is None:
        interaction.wait_seconds = fact.seconds
    if fact.reason in MISSED:
        interaction.owner = _owner(session, interaction)


def heard(session: Session, fact: events.UtteranceHeard) -> None:
    """One utterance, indexed for search; the first makes the transcript live."""
    known = select(Utterance.number).where(Utterance.id == fact.utterance)
    if session.scalar(known) is not None:
        return
    utterance = Utterance(
        id=fact.utterance,
        call_id=fact.call,
        leg=fact.leg,
        text=fact.text,
        t0=fact.t0,
        t1=fact.t1,
        language=fact.language,
        engine=fact.engine,
        revision=fact.revision,
        masks=fact.masks,
    )
    session.add(utterance)
    session.flush()
    fts.add(session, utterance.number, fact.text)
    interaction = _of(session, fact.call)
    if interaction.transcript_state == "none":
        interaction.transcript_state = "live"


def transcript_pending(session: Session, fact: events.TranscriptPending) -> None:
    """The text comes later."""
    interaction = _of(session, fact.call)
    if interaction.transcript_state != "done":
        interaction.transcript_state = "pending"


def transcript_completed(session: Session, fact: events.TranscriptCompleted) -> None:
    """From now on this revision is shown and found; an older one is not."""
    interaction = _of(session, fact.call)
    interaction.transcript_state = "done"
    interaction.transcript_revision = max(interaction.transcript_revision, fact.revision)


def recording_started(session: Session, fact: events.RecordingStarted) -> None:
    """Sound is being written."""
    interaction = _of(session, fact.call)
    if interaction.recording_state == "none":
        interaction.recording_state = "running"
        if fact.position > 0:
            interaction.pauses = [[0.0, fact.position]]


def consent_settled(session: Session, fact: events.ConsentSettled) -> None:
    """What the caller said to being recorded; a later word counts."""
    _of(session, fact.call).consent = fact.consent


def recording_paused(session: Session, fact: events.RecordingPaused) -> None:
    """A span begins of which nothing is kept, or it lasts longer than it was to."""
    interaction = _of(session, fact.call)
    if fact.position not in [start for start, _ in interaction.pauses]:
        interaction.pauses = [*interaction.pauses, [fact.position, None]]
    if interaction.pauses[-1] == [fact.position, None]:
        interaction.resumes_at = fact.resumes_at


def recording_resumed(session: Session, fact: events.RecordingResumed) -> None:
    """The span that lasts ends here; an older fact ends none."""
    interaction = _of(session, fact.call)
    start, end = interaction.pauses[-1] if interaction.pauses else (None, None)
    if start is not None and end is None and fact.position > start:
        interaction.pauses = [*interaction.pauses[:-1], [start, fact.position]]
        interaction.resumes_at = None


def recording_sealed(session: Session, fact: events.RecordingSealed) -> None:
    """The recording can be heard."""
    interaction = _of(session, fact.call)
    interaction.recording_state = "sealed"
    interaction.recorded_seconds = fact.seconds
    known = select(Recording.id).where(Recording.call_id == fact.call)
    if session.scalar(known) is not None:
        return
    sealed.keep(
        session,
        Recording(
            id=fact.recording,
            call_id=fact.call,
            path=fact.path,
            format=fact.format,
            seconds=fact.seconds,
            size=fact.size,
            sha256=fact.sha256,
            legs=fact.legs,
            interrupted=fact.interrupted,
            problem=_cut(fact.problem, 200),
            sealed_at=fact.at,
        ),
    )
    vault.relink(session, fact.call, interaction.customer_id)  # its key was made before it was read


def recording_redacted(session: Session, fact: events.RecordingRedacted) -> None:
    """The file is another one; what it was when it was sealed stays written down."""
    if session.get(Redaction, fact.redaction) is None:
        sealed.keep_redaction(
            session,
            Redaction(
                id=fact.redaction,
                recording_id=fact.recording,
                sha256=fact.sha256,
                size=fact.size,
                silences=[list(one) for one in fact.silences],
                redacted_at=fact.at,
            ),
        )


def recording_failed(session: Session, fact: events.RecordingFailed) -> None:
    """There will be no sound."""
    interaction = _of(session, fact.call)
    if interaction.recording_state != "sealed":
        interaction.recording_state = "failed"


def quality_measured(session: Session, fact: events.CallQualityMeasured) -> None:
    """How the sound of one party was carried."""
    if session.get(CallQuality, (fact.call, fact.leg, fact.part)) is not None:
        return
    values = {f.name: getattr(fact, f.name) for f in dataclasses.fields(fact)}
    call, at = values.pop("call"), values.pop("at")
    session.add(CallQuality(call_id=call, measured_at=at, **values))


def wrapped_up(session: Session, fact: events.WrapUpEnded) -> None:
    """The work after the call is over; on timeout the system notes a disposition."""
    interaction = _of(session, fact.call)
    if interaction.wrapped_at is not None:
        return
    interaction.wrapped_at = fact.at
    if fact.by == "timeout" and interaction.disposition is None:
        interaction.disposition = "wrap_up_timeout"


def _of(session: Session, call: str) -> Interaction:
    interaction = by_call(session, call)
    if interaction is None:
        raise NotFound("no interaction belongs to this call: its CallRang is missing")
    return interaction


def _participant(agent: str, at: datetime, started_at: datetime) -> Participant:
    return Participant(agent=agent, at=at, started_at=started_at)


def _owner(session: Session, interaction: Interaction) -> str | None:
    if interaction.last_offered is not None:
        return interaction.last_offered
    if interaction.customer_id is not None:
        return last_agent_of(session, interaction.customer_id)
    return None


def _candidate(one: Any) -> dict[str, Any]:
    return {"customer": one.customer.id, "reason": one.reason, "score": one.score}


def _cut(text: str | None, most: int) -> str | None:
    return text[:most].replace("\0", "") if text is not None else None

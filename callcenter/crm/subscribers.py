"""Which fact becomes which record: the one table, read top to bottom.

`apply` is what the consumer "crm" runs, in the transaction that moves its cursor. Every
handler may be given the same fact twice and changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from callcenter import events
from callcenter.crm.agents.operations import note_state
from callcenter.crm.complaints import operations as complaints
from callcenter.crm.interactions import records
from callcenter.crm.phrases import marking, watching
from callcenter.crm.review import asking
from callcenter.events import Fact
from callcenter.log import Entry

HANDLERS: dict[type[Fact], tuple[Callable[[Session, Any], None], ...]] = {
    events.CallRang: (records.rang,),
    events.CallQueued: (records.queued,),
    events.AgentOffered: (records.offered,),
    events.CallAnswered: (records.answered,),
    events.CallTransferred: (records.transferred,),
    events.CallerReplaced: (records.replaced,),
    events.CallQualityMeasured: (records.quality_measured,),
    events.CallEnded: (records.ended, asking.ended),
    events.WrapUpEnded: (records.wrapped_up,),
    events.UtteranceHeard: (records.heard, marking.said),
    events.SpeechRedacted: (asking.redacted,),
    events.TranscriptPending: (records.transcript_pending,),
    events.TranscriptCompleted: (records.transcript_completed, asking.transcribed),
    events.ConsentSettled: (records.consent_settled,),
    events.RecordingStarted: (records.recording_started,),
    events.RecordingPaused: (records.recording_paused,),
    events.RecordingResumed: (records.recording_resumed,),
    events.RecordingSealed: (records.recording_sealed, asking.sealed),
    events.RecordingRedacted: (records.recording_redacted, asking.redacted),
    events.RecordingFailed: (records.recording_failed,),
    events.ComplaintCodeRead: (complaints.code_read,),
    events.PhraseListChanged: (watching.changed,),
    # Known from the log alone; no record comes of them yet:
    events.AgentDeclined: (),
    events.CalleeAlerted: (),
    events.CallHeld: (),
    events.CallResumed: (),
    events.ConsultationOffered: (),
    events.ConsultationAnswered: (),
    events.ConsultationHeld: (),
    events.ConsultationResumed: (),
    events.ConferenceBegan: (),
    events.ConsultationEnded: (),
    events.RecordingTruncated: (),
    events.ComplaintOpened: (),
    events.ComplaintMoved: (),
    events.ComplaintEscalated: (),
    events.IncidentOpened: (),
    events.IncidentClosed: (),
    events.PhraseHeard: (),
}


def apply(session: Session, entry: Entry) -> None:
    """Write the records of one fact."""
    if isinstance(entry.fact, events.AgentStateChanged):
        note_state(session, entry.position, entry.fact)
    for handler in HANDLERS.get(type(entry.fact), ()):
        handler(session, entry.fact)
    session.flush()

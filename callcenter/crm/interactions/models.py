"""Tables of interactions: the contact, its utterances, its recording, the dispositions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from callcenter.crm.db import ID, Base
from callcenter.events import Consent, LegName, Outcome, RecordingState, Verstat, now
from callcenter.ids import new_id

Channel = Literal["phone", "mail", "chat", "portal", "visit"]
TranscriptState = Literal["none", "live", "pending", "done"]
SealingState = Literal["none", "running", "sealed", "failed"]


class Interaction(Base):
    """One contact with a customer; a call has exactly one, from its first ring on."""

    __tablename__ = "interactions"
    __table_args__ = (
        Index("ix_interactions_started", "started_at", "id"),
        Index("ix_interactions_customer", "customer_id", "started_at"),
        Index("ix_interactions_agent", "agent", "started_at"),
        Index("ix_interactions_outcome", "outcome", "started_at"),
        Index("ix_interactions_owner", "owner", "handled_at"),
        # All that the list of recordings is narrowed to: rows that don't match are never read.
        Index(
            "ix_interactions_recorded",
            "started_at",
            "id",
            "queue",
            "line",
            "language",
            "outcome",
            "recorded_seconds",
            sqlite_where=text("recorded_seconds IS NOT NULL"),
            postgresql_where=text("recorded_seconds IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    call_id: Mapped[str | None] = mapped_column(ID, unique=True)
    channel: Mapped[Channel] = mapped_column(String(16), default="phone")
    direction: Mapped[Literal["inbound", "outbound"]] = mapped_column(String(16))
    line: Mapped[str | None] = mapped_column(String(64))
    queue: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str | None] = mapped_column(ID)
    last_offered: Mapped[str | None] = mapped_column(ID)
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"))
    from_number: Mapped[str | None] = mapped_column(String(128))  # None when withheld
    from_name: Mapped[str | None] = mapped_column(String(200))
    to_number: Mapped[str | None] = mapped_column(String(128))
    diverted_from: Mapped[str | None] = mapped_column(String(128))  # the first that diverted
    verstat: Mapped[Verstat | None] = mapped_column(String(16))  # of from_number, by the network
    region: Mapped[str | None] = mapped_column(String(2))
    language: Mapped[str | None] = mapped_column(String(8))
    policy: Mapped[str | None] = mapped_column(String(16))
    consent: Mapped[Consent | None] = mapped_column(String(16))  # where the policy is to ask
    candidates: Mapped[list[dict[str, Any]]] = mapped_column(default=list)

    started_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    wait_seconds: Mapped[float | None]
    talk_seconds: Mapped[float | None]
    ended_by: Mapped[str | None] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text, default="")

    outcome: Mapped[Outcome | None] = mapped_column(String(16))  # None while it lasts
    disposition: Mapped[str | None] = mapped_column(ForeignKey("dispositions.id"))
    notes: Mapped[str] = mapped_column(Text, default="")
    draft: Mapped[str | None] = mapped_column(Text)  # notes not yet saved by the agent
    version: Mapped[int] = mapped_column(default=1)  # of notes, draft and disposition
    wrapped_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(ID)

    owner: Mapped[str | None] = mapped_column(ID)  # of a missed call; None: the whole team
    handled_at: Mapped[datetime | None]
    handled_by: Mapped[str | None] = mapped_column(ID)

    transcript_state: Mapped[TranscriptState] = mapped_column(String(16), default="none")
    transcript_revision: Mapped[int] = mapped_column(default=1)  # the one to show
    recording_state: Mapped[SealingState] = mapped_column(String(16), default="none")
    recorded_seconds: Mapped[float | None]  # of the sealed recording, None until there is one
    pauses: Mapped[list[list[float | None]]] = mapped_column(JSON, default=list)
    """Spans of which nothing was kept: seconds from the answer; the last end may be None."""
    resumes_at: Mapped[datetime | None]  # when the pause ends by itself

    participants: Mapped[list[Participant]] = relationship(
        order_by="Participant.at", lazy="selectin"
    )

    @property
    def recording_now(self) -> RecordingState:
        """Whether the sound of a call in progress is being kept."""
        if self.ended_at is not None or self.recording_state not in ("running", "failed"):
            return "off"
        if self.pauses and self.pauses[-1][1] is None:
            return "paused"
        return self.recording_state

    @property
    def talked(self) -> set[str]:
        """Agents whose call it was: everybody who answered it, and whoever has it now."""
        return {one.agent for one in self.participants} | ({self.agent} if self.agent else set())


class Participant(Base):
    """An agent who talked in a call; after a transfer there is more than one."""

    __tablename__ = "interaction_participants"
    __table_args__ = (
        Index("ix_interaction_participants_agent", "agent", "started_at", "interaction_id"),
    )

    interaction_id: Mapped[str] = mapped_column(ForeignKey("interactions.id"), primary_key=True)
    agent: Mapped[str] = mapped_column(ID, primary_key=True)
    at: Mapped[datetime]
    started_at: Mapped[datetime]  # of the interaction: an agent's calls in their order


class Utterance(Base):
    """Something that was said. Shown when its revision is the interaction's."""

    __tablename__ = "utterances"
    __table_args__ = (Index("ix_utterances_call", "call_id", "revision", "t0"),)

    number: Mapped[int] = mapped_column(Integer, primary_key=True)  # key of the text index
    id: Mapped[str] = mapped_column(String(64), unique=True)
    call_id: Mapped[str] = mapped_column(ID)
    leg: Mapped[LegName] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    t0: Mapped[float] = mapped_column(Float)  # seconds from the answer
    t1: Mapped[float] = mapped_column(Float)
    language: Mapped[str] = mapped_column(String(8))
    engine: Mapped[str] = mapped_column(String(32))
    revision: Mapped[int]
    masks: Mapped[list[str]] = mapped_column(JSON, default=list)  # as in UtteranceHeard


class Recording(Base):
    """What is known of a sealed recording; the sound is in the file at `path`."""

    __tablename__ = "recordings"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    call_id: Mapped[str] = mapped_column(ID, unique=True)
    path: Mapped[str] = mapped_column(String(400))  # relative to recordings_dir
    format: Mapped[str] = mapped_column(String(8))
    seconds: Mapped[float]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    legs: Mapped[dict[str, Any]] = mapped_column(JSON)
    interrupted: Mapped[bool]
    problem: Mapped[str | None] = mapped_column(String(200))  # "truncated: no space", …
    sealed_at: Mapped[datetime] = mapped_column(default=now)

    redactions: Mapped[list[Redaction]] = relationship(order_by="Redaction.id", lazy="selectin")

    @property
    def file_sha256(self) -> str:
        """Of the file as it is to be now."""
        return self.redactions[-1].sha256 if self.redactions else self.sha256

    @property
    def file_size(self) -> int:
        """Bytes of the file as it is to be now."""
        return self.redactions[-1].size if self.redactions else self.size


class Redaction(Base):
    """A sealed file was replaced by one that is silent at further places; the last one counts."""

    __tablename__ = "recording_redactions"
    __table_args__ = (Index("ix_recording_redactions_recording", "recording_id", "id"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    silences: Mapped[list[list[Any]]] = mapped_column(JSON)  # as in RecordingRedacted
    redacted_at: Mapped[datetime]


class CallQuality(Base):
    """How one party's sound was carried during its part of a call; as `CallQualityMeasured`."""

    __tablename__ = "call_quality"

    call_id: Mapped[str] = mapped_column(ID, primary_key=True)
    leg: Mapped[LegName] = mapped_column(String(16), primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    agent: Mapped[str | None] = mapped_column(ID)
    measured_at: Mapped[datetime]
    seconds: Mapped[float]
    codec: Mapped[str] = mapped_column(String(16))
    received: Mapped[int]
    lost: Mapped[int]
    late: Mapped[int]
    jitter_ms: Mapped[float]
    jitter_max_ms: Mapped[float]
    sent: Mapped[int]
    remote_lost: Mapped[int | None]
    remote_jitter_ms: Mapped[float | None]
    round_trip_ms: Mapped[float | None]
    mos: Mapped[float | None]
    remote_mos: Mapped[float | None]


class Disposition(Base):
    """What became of a contact, chosen by the agent; `system` ones are never offered."""

    __tablename__ = "dispositions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    label_en: Mapped[str] = mapped_column(String(100))
    label_fa: Mapped[str] = mapped_column(String(100))
    label_he: Mapped[str] = mapped_column(String(100))
    position: Mapped[int]
    system: Mapped[bool] = mapped_column(default=False)
    retired_at: Mapped[datetime | None]

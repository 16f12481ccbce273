"""Tables of quality: scorecards, evaluations, which calls are drawn, what agents work on."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from callcenter.crm.db import ID, Base
from callcenter.crm.quality.drawing import Method
from callcenter.events import now
from callcenter.ids import new_id

EvaluationState = Literal["draft", "submitted"]
NoteKind = Literal["reply", "answer", "acknowledged"]
TaskState = Literal["open", "done", "checked"]
StepKind = Literal["given", "done", "checked", "returned"]
SampledMark = Literal["talk_over", "dead_air", "long_hold", "phrase"]


class Scorecard(Base):
    """By what calls are judged. Its questions stand in its versions."""

    __tablename__ = "scorecards"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(default=now)
    retired_by: Mapped[str | None] = mapped_column(ID)
    retired_at: Mapped[datetime | None]


class ScorecardVersion(Base):
    """Sections and questions (`scoring.Section`), as they stand from one publication to the next.

    Once published it never changes: evaluations keep the version they were scored by.
    """

    __tablename__ = "scorecard_versions"
    __table_args__ = (UniqueConstraint("scorecard_id", "number"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    scorecard_id: Mapped[str] = mapped_column(ForeignKey("scorecards.id"))
    number: Mapped[int]
    sections: Mapped[list[dict[str, Any]]]
    edited_by: Mapped[str] = mapped_column(ID)
    edited_at: Mapped[datetime] = mapped_column(default=now)
    published_by: Mapped[str | None] = mapped_column(ID)
    published_at: Mapped[datetime | None]


class Evaluation(Base):
    """One agent's part of one call, judged by one person. Frozen once it is submitted."""

    __tablename__ = "evaluations"
    __table_args__ = (
        Index("ix_evaluations_created", "created_at", "id"),
        Index("ix_evaluations_agent", "agent", "created_at"),
        Index("ix_evaluations_evaluator", "evaluator", "created_at"),
        Index("ix_evaluations_interaction", "interaction_id"),
        Index("ix_evaluations_calibration", "calibration_id"),
        Index("ix_evaluations_trend", "scorecard_id", "state", "call_at"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    interaction_id: Mapped[str] = mapped_column(ForeignKey("interactions.id"))
    scorecard_id: Mapped[str] = mapped_column(ForeignKey("scorecards.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("scorecard_versions.id"))
    agent: Mapped[str] = mapped_column(ID)  # who is judged
    evaluator: Mapped[str] = mapped_column(ID)
    calibration_id: Mapped[str | None] = mapped_column(ID)  # nothing for the agent or trends
    call_at: Mapped[datetime]  # when the call began, for trends
    state: Mapped[EvaluationState] = mapped_column(String(16), default="draft")
    score: Mapped[float | None]
    knocked_out: Mapped[bool] = mapped_column(default=False)
    summary: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(default=1)  # of the draft
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    submitted_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]

    answers: Mapped[list[EvaluationAnswer]] = relationship(
        order_by="EvaluationAnswer.question", cascade="all, delete-orphan"
    )
    notes: Mapped[list[EvaluationNote]] = relationship(
        order_by="EvaluationNote.at, EvaluationNote.id"
    )


class Calibration(Base):
    """One call judged blind by several people; their evaluations carry its id.

    `agreed_id`: the evaluation that they agreed on, also while it is a draft.
    """

    __tablename__ = "calibrations"
    __table_args__ = (Index("ix_calibrations_created", "created_at", "id"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    interaction_id: Mapped[str] = mapped_column(ForeignKey("interactions.id"))
    version_id: Mapped[str] = mapped_column(ForeignKey("scorecard_versions.id"))
    agent: Mapped[str] = mapped_column(ID)
    call_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(default=now)
    closed_by: Mapped[str | None] = mapped_column(ID)
    closed_at: Mapped[datetime | None]
    agreed_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"))


class EvaluationAnswer(Base):
    """The answer to one question: `value` 0 to its scale, None where it does not apply.

    `t0`: the moment of the call that shows it, in seconds from the answer.
    """

    __tablename__ = "evaluation_answers"

    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id"), primary_key=True)
    question: Mapped[str] = mapped_column(ID, primary_key=True)
    value: Mapped[int | None]
    share: Mapped[float | None]  # value ÷ scale, for trends
    t0: Mapped[float | None]
    remark: Mapped[str] = mapped_column(Text, default="")


class EvaluationNote(Base):
    """What is said about a submitted evaluation. Never changed, never removed."""

    __tablename__ = "evaluation_notes"
    __table_args__ = (Index("ix_evaluation_notes_evaluation", "evaluation_id", "at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id"))
    kind: Mapped[NoteKind] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)
    text: Mapped[str] = mapped_column(Text, default="")


class SamplingRule(Base):
    """Which calls of each agent and week are to be evaluated, by whom, by which scorecard.

    `amount`: a number of calls or a share of them. The `seed` makes a draw reproducible.
    """

    __tablename__ = "sampling_rules"

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    scorecard_id: Mapped[str] = mapped_column(ForeignKey("scorecards.id"))
    evaluator: Mapped[str] = mapped_column(ID)
    method: Mapped[Method] = mapped_column(String(16))
    amount: Mapped[float]
    mark: Mapped[SampledMark | None] = mapped_column(String(16))
    queue: Mapped[str | None] = mapped_column(String(64))
    least_seconds: Mapped[float] = mapped_column(default=0.0)
    seed: Mapped[int]
    created_by: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_by: Mapped[str | None] = mapped_column(ID)
    ended_at: Mapped[datetime | None]


class SamplingDraw(Base):
    """A week that was drawn by a rule, also where it held nothing. `week`: its first day."""

    __tablename__ = "sampling_draws"

    rule_id: Mapped[str] = mapped_column(ForeignKey("sampling_rules.id"), primary_key=True)
    week: Mapped[date] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class SampledCall(Base):
    """A call that was drawn for somebody to evaluate, or to pass over with a reason."""

    __tablename__ = "sampled_calls"
    __table_args__ = (
        UniqueConstraint("rule_id", "interaction_id", "agent"),
        Index("ix_sampled_calls_evaluator", "evaluator", "passed_at", "drawn_at"),
        Index("ix_sampled_calls_interaction", "interaction_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    rule_id: Mapped[str] = mapped_column(ForeignKey("sampling_rules.id"))
    interaction_id: Mapped[str] = mapped_column(ForeignKey("interactions.id"))
    scorecard_id: Mapped[str] = mapped_column(ForeignKey("scorecards.id"))
    agent: Mapped[str] = mapped_column(ID)
    evaluator: Mapped[str] = mapped_column(ID)
    week: Mapped[date]
    drawn_at: Mapped[datetime] = mapped_column(default=now)
    evaluation_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"))
    passed_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(Text, default="")


class CoachingTask(Base):
    """What an agent is to work on; `moments`: [{"interaction", "t0"}], seconds from the answer."""

    __tablename__ = "coaching_tasks"
    __table_args__ = (
        Index("ix_coaching_tasks_created", "created_at", "id"),
        Index("ix_coaching_tasks_agent", "agent", "created_at"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    agent: Mapped[str] = mapped_column(ID)
    evaluation_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"))
    text: Mapped[str] = mapped_column(Text)
    moments: Mapped[list[dict[str, Any]]]
    due: Mapped[date | None]
    state: Mapped[TaskState] = mapped_column(String(16), default="open")
    created_by: Mapped[str] = mapped_column(ID)
    created_at: Mapped[datetime] = mapped_column(default=now)

    steps: Mapped[list[CoachingStep]] = relationship(
        order_by="CoachingStep.at, CoachingStep.id", lazy="selectin"
    )


class CoachingStep(Base):
    """A step of a coaching task. Never changed, never removed."""

    __tablename__ = "coaching_steps"
    __table_args__ = (Index("ix_coaching_steps_task", "task_id", "at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True, default=new_id)
    task_id: Mapped[str] = mapped_column(ForeignKey("coaching_tasks.id"))
    kind: Mapped[StepKind] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(default=now)
    note: Mapped[str] = mapped_column(Text, default="")

"""Evaluations: begun, answered, submitted, talked about. Nothing submitted changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.quality import scorecards
from callcenter.crm.quality.models import (
    Calibration,
    Evaluation,
    EvaluationAnswer,
    EvaluationNote,
    NoteKind,
    ScorecardVersion,
)
from callcenter.crm.quality.scoring import Question, Score, Section, check_answer, score
from callcenter.crm.review.operations import check_moment
from callcenter.crm.text import checked
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound
from callcenter.events import now

MOST_TEXT = 4_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """An answer as it is given; `value` None: does not apply. `t0`: where the call shows it."""

    question: str
    value: int | None
    t0: float | None = None
    remark: str = ""


def get_or_raise(session: Session, evaluation: str) -> Evaluation:
    """The evaluation with that id, else NotFound."""
    found = session.get(Evaluation, evaluation)
    if found is None:
        raise NotFound("there is no such evaluation")
    return found


def begin(
    session: Session, interaction: Interaction, *, scorecard: str, agent: str, by: str
) -> Evaluation:
    """Judge the part of `agent` in that call; `by` goes on with an own draft of it."""
    may_be_judged(interaction, agent, by)
    card = scorecards.get_or_raise(session, scorecard)
    version = scorecards.in_force(session, card)
    begun = select(Evaluation).where(
        Evaluation.interaction_id == interaction.id,
        Evaluation.scorecard_id == card.id,
        Evaluation.agent == agent,
        Evaluation.evaluator == by,
        Evaluation.state == "draft",
        Evaluation.calibration_id.is_(None),
    )
    if found := session.scalars(begun.limit(1)).first():
        return found
    return new(session, interaction, version, agent, by)


def save(
    session: Session,
    evaluation: Evaluation,
    *,
    by: str,
    answers: Sequence[Given],
    summary: str | None = None,
    version: int | None = None,
) -> Score:
    """Keep the draft: `answers` are all that are given so far. → the score so far"""
    _own_draft(session, evaluation, by)
    if version is not None and version != evaluation.version:
        raise Conflict("this evaluation was changed in another window: load it again")
    sections = sections_of(session, evaluation)
    asked = {one.id: one for section in sections for one in section.questions}
    evaluation.answers = [_answer(asked, given) for given in _once(answers)]
    if summary is not None:
        evaluation.summary = checked("summary", summary, most=MOST_TEXT)
    found = score(sections, values(evaluation))
    evaluation.score, evaluation.knocked_out = found.total, bool(found.knocked_out)
    evaluation.version += 1
    evaluation.updated_at = now()
    session.flush()
    return found


def submit(session: Session, evaluation: Evaluation, *, by: str) -> Evaluation:
    """Freeze it; from now on the agent reads it. Every question needs its answer."""
    _own_draft(session, evaluation, by)
    found = score(sections_of(session, evaluation), values(evaluation))
    if found.missing:
        wrong = dict.fromkeys(found.missing, "has no answer")
        raise Invalid(f"{len(found.missing)} questions have no answer yet", wrong)
    if _is_agreed(session, evaluation) and not evaluation.summary:
        raise Invalid("write down why you agree on this", {"summary": "is needed"})
    evaluation.score, evaluation.knocked_out = found.total, bool(found.knocked_out)
    evaluation.state = "submitted"
    evaluation.submitted_at = evaluation.updated_at = now()
    session.flush()
    return evaluation


def say(session: Session, evaluation: Evaluation, *, by: str, text: str) -> EvaluationNote:
    """The agent replies to an evaluation, or somebody answers the agent."""
    kind: NoteKind = "reply" if by == evaluation.agent else "answer"
    text = checked("text", text, most=MOST_TEXT, needed=True)
    return _note(session, evaluation, kind, by, text)


def acknowledge(
    session: Session, evaluation: Evaluation, *, by: str, text: str = ""
) -> EvaluationNote:
    """The agent has read it, which is not to agree with it; once."""
    if by != evaluation.agent:
        raise Forbidden("only who was evaluated may acknowledge")
    if evaluation.acknowledged_at:
        raise Conflict("this evaluation is acknowledged already")
    text = checked("text", text, most=MOST_TEXT)
    made = _note(session, evaluation, "acknowledged", by, text)
    evaluation.acknowledged_at = made.at
    session.flush()
    return made


def sections_of(session: Session, evaluation: Evaluation) -> Sequence[Section]:
    """What was asked, in the version that this evaluation is scored by."""
    version = session.get_one(ScorecardVersion, evaluation.version_id)
    return scorecards.sections_of(version)


def values(evaluation: Evaluation) -> dict[str, int | None]:
    """The answers, as the arithmetic takes them."""
    return {one.question: one.value for one in evaluation.answers}


def may_be_judged(interaction: Interaction, agent: str, by: str) -> None:
    """Raises where `by` cannot judge the part of `agent` in that call."""
    if interaction.ended_at is None:
        raise Conflict("the call still lasts: it can be evaluated when it is over")
    if agent not in interaction.talked:
        raise Invalid("this agent did not talk in the call", {"agent": "did not talk in the call"})
    if agent == by:
        raise Forbidden("nobody evaluates their own calls")


def new(
    session: Session,
    interaction: Interaction,
    version: ScorecardVersion,
    agent: str,
    by: str,
    calibration: str | None = None,
) -> Evaluation:
    """An empty draft."""
    made = Evaluation(
        interaction_id=interaction.id,
        scorecard_id=version.scorecard_id,
        version_id=version.id,
        agent=agent,
        evaluator=by,
        calibration_id=calibration,
        call_at=interaction.started_at,
    )
    session.add(made)
    session.flush()
    return made


def _own_draft(session: Session, evaluation: Evaluation, by: str) -> None:
    if evaluation.evaluator != by:
        raise Forbidden("only who began an evaluation may change it")
    if evaluation.state != "draft":
        raise Conflict("this evaluation is submitted and stays as it is: answer to it instead")
    around = _calibration(session, evaluation)
    if around and around.closed_at and around.agreed_id != evaluation.id:
        raise Conflict("the calibration is closed: what was not submitted stays out of it")


def _calibration(session: Session, evaluation: Evaluation) -> Calibration | None:
    wanted = evaluation.calibration_id
    return session.get_one(Calibration, wanted) if wanted else None


def _is_agreed(session: Session, evaluation: Evaluation) -> bool:
    around = _calibration(session, evaluation)
    return around is not None and around.agreed_id == evaluation.id


def _once(answers: Sequence[Given]) -> Sequence[Given]:
    return list({given.question: given for given in answers}.values())


def _answer(asked: dict[str, Question], given: Given) -> EvaluationAnswer:
    question = asked.get(given.question)
    if question is None:
        raise Invalid("there is no such question", {given.question: "is not on this scorecard"})
    check_answer(question, given.value)
    if given.t0 is not None:
        check_moment("t0", given.t0)
    return EvaluationAnswer(
        question=question.id,
        value=given.value,
        share=None if given.value is None else given.value / question.scale,
        t0=given.t0,
        remark=checked("remark", given.remark, most=MOST_TEXT),
    )


def _note(
    session: Session, evaluation: Evaluation, kind: NoteKind, by: str, text: str
) -> EvaluationNote:
    if evaluation.state != "submitted":
        raise Conflict("this evaluation is still a draft: submit it first")
    if evaluation.calibration_id:
        raise Conflict("this evaluation belongs to a calibration: the agent does not read it")
    made = EvaluationNote(evaluation_id=evaluation.id, kind=kind, by=by, text=text)
    session.add(made)
    session.flush()
    session.refresh(evaluation, ["notes"])
    return made

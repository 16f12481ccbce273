"""Coaching: what an agent is to work on, set by a supervisor, done by the agent, checked again.

    open ─ done (agent) ─► done ─ checked (supervisor) ─► checked
      ▲                     │
      └── returned (supervisor)

Every step has who, when and a note. Nothing here deletes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from callcenter.crm.interactions.queries import by_ids, may_hear
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.crm.quality.evaluations import get_or_raise as evaluation_or_raise
from callcenter.crm.quality.models import CoachingStep, CoachingTask, StepKind, TaskState
from callcenter.crm.review.operations import check_moment
from callcenter.crm.text import checked
from callcenter.crm.users.queries import by_id
from callcenter.errors import Conflict, Forbidden, Invalid, NotFound

MOST_TEXT = 4_000
MOST_MOMENTS = 20
STEPS: dict[TaskState, dict[StepKind, TaskState]] = {
    "open": {"done": "done"},
    "done": {"checked": "checked", "returned": "open"},
    "checked": {},
}


@dataclass(frozen=True, slots=True)
class MomentOfCall:
    """Second `t0` of a contact, counted from the answer."""

    interaction: str
    t0: float


def readable(session: Session, task: str, *, among: Sequence[str] | None = None) -> CoachingTask:
    """The task, for somebody who reads those of the agents `among`, None: of all; else NotFound."""
    found = session.get(CoachingTask, task, with_for_update=True)  # two steps at once: one
    if found is None or (among is not None and found.agent not in among):
        raise NotFound("there is no such coaching task")
    return found


def give(
    session: Session,
    *,
    by: str,
    agent: str,
    text: str,
    due: date | None = None,
    evaluation: str | None = None,
    moments: Sequence[MomentOfCall] = (),
) -> CoachingTask:
    """A task for an agent, free or born from a submitted evaluation of that agent's call."""
    person = by_id(session, agent)
    if person is None or person.disabled_at:
        raise Invalid("there is no such agent", {"agent": "is nobody who works here"})
    if agent == by:
        raise Forbidden("nobody coaches themselves")
    if evaluation is not None:
        _check_evaluation(session, evaluation, agent)
    _check_moments(session, moments, agent)
    made = CoachingTask(
        agent=agent,
        evaluation_id=evaluation,
        text=checked("text", text, most=MOST_TEXT, needed=True),
        moments=[asdict(one) for one in moments],
        due=due,
        created_by=by,
        steps=[CoachingStep(kind="given", by=by)],
    )
    session.add(made)
    session.flush()
    return made


def take(
    session: Session, task: CoachingTask, kind: StepKind, *, by: str, note: str = ""
) -> CoachingTask:
    """One step: the agent is done; a supervisor has checked it, or gives it back with a reason."""
    then = STEPS[task.state].get(kind)
    if then is None:
        raise Conflict(f"a task that is {task.state} cannot be {kind}")
    if (kind == "done") != (by == task.agent):
        raise Forbidden("the agent says that it is done, somebody else checks it")
    note = checked("note", note, most=MOST_TEXT, needed=kind == "returned")
    task.steps.append(CoachingStep(kind=kind, by=by, note=note))
    task.state = then
    session.flush()
    return task


def page(
    session: Session,
    *,
    agent: str | None = None,
    among: Sequence[str] | None = None,
    state: TaskState | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[CoachingTask]:
    """Tasks, of one agent, of the agents `among` or of all, the newest first."""
    query = select(CoachingTask)
    if among is not None:
        query = query.where(CoachingTask.agent.in_(among))
    if agent is not None:
        query = query.where(CoachingTask.agent == agent)
    if state is not None:
        query = query.where(CoachingTask.state == state)
    if cursor:
        moment, id_ = moment_and_id(cursor)
        same = and_(CoachingTask.created_at == moment, CoachingTask.id < id_)
        query = query.where(or_(CoachingTask.created_at < moment, same))
    count = limited(limit)
    query = query.order_by(CoachingTask.created_at.desc(), CoachingTask.id.desc())
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.created_at, last.id) if last else None)


def _check_evaluation(session: Session, evaluation: str, agent: str) -> None:
    found = evaluation_or_raise(session, evaluation)
    if found.state != "submitted":
        raise Conflict("this evaluation is still a draft: submit it first")
    if found.calibration_id:
        raise Conflict("this evaluation belongs to a calibration: the agent does not read it")
    if found.agent != agent:
        raise Invalid("this evaluation is about somebody else", {"agent": "was not evaluated"})


def _check_moments(session: Session, moments: Sequence[MomentOfCall], agent: str) -> None:
    """Links lead only where the agent may hear: the own calls."""
    if len(moments) > MOST_MOMENTS:
        raise Invalid(f"at most {MOST_MOMENTS} moments", {"moments": "are too many"})
    for one in moments:
        check_moment("moments", one.t0)
    wanted = {one.interaction for one in moments}
    heard = {row.id for row in by_ids(session, wanted) if may_hear(row, agent)}
    if wanted - heard:
        raise Invalid("a moment is of no call of this agent", {"moments": "are of another's call"})

"""Calibration: several people judge one call blind, compare, and write down what they agree on.

Each scores an evaluation of their own, by the same version of the scorecard. Nobody reads another's
before all are submitted or the calibration is closed. What they agree on is an evaluation too; its
summary is the reason. None of them is shown to the agent or counts in a trend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, selectinload

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.crm.quality import evaluations, scorecards
from callcenter.crm.quality.comparison import Difference, compare, unanimous
from callcenter.crm.quality.evaluations import Given
from callcenter.crm.quality.models import Calibration, Evaluation, ScorecardVersion
from callcenter.crm.users import queries as users
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.events import now

LEAST_JUDGES, MOST_JUDGES = 2, 10


def get_or_raise(
    session: Session,
    calibration: str,
    *,
    among: Sequence[str] | None = None,
    lock: bool = False,
) -> Calibration:
    """The calibration with that id, else NotFound. `lock`: it is about to change.

    `among`: one of these agents is judged in it; None: anybody.
    """
    found = session.get(Calibration, calibration, with_for_update=lock)
    if found is None or (among is not None and found.agent not in among):
        raise NotFound("there is no such calibration")
    return found


def start(
    session: Session,
    interaction: Interaction,
    *,
    scorecard: str,
    agent: str,
    judges: Iterable[str],
    by: str,
) -> Calibration:
    """Give the part of `agent` in that call to these supervisors, each with an empty evaluation."""
    wanted = sorted(set(judges))
    _check_judges(session, wanted)
    for judge in wanted:
        evaluations.may_be_judged(interaction, agent, judge)
    version = scorecards.in_force(session, scorecards.get_or_raise(session, scorecard))
    made = Calibration(
        interaction_id=interaction.id,
        version_id=version.id,
        agent=agent,
        call_at=interaction.started_at,
        created_by=by,
    )
    session.add(made)
    session.flush()
    for judge in wanted:
        evaluations.new(session, interaction, version, agent, judge, calibration=made.id)
    return made


def close(session: Session, calibration: Calibration, *, by: str) -> Calibration:
    """End the scoring: who has not submitted is left out, the rest is shown."""
    if calibration.closed_at:
        raise Conflict("this calibration is closed already")
    calibration.closed_by, calibration.closed_at = by, now()
    session.flush()
    return calibration


def agree(session: Session, calibration: Calibration, *, by: str) -> Evaluation:
    """Begin what they agree on, with the answers that everybody gave; `by` goes on with it."""
    judged = judgements(session, [calibration])[calibration.id]
    if not revealed(calibration, judged):
        raise Conflict("not everybody has submitted yet: wait, or close the calibration")
    if calibration.agreed_id:
        found = evaluations.get_or_raise(session, calibration.agreed_id)
        if found.evaluator != by:
            raise Conflict("somebody else is writing down what was agreed on")
        return found
    call = session.get_one(Interaction, calibration.interaction_id)
    version = session.get_one(ScorecardVersion, calibration.version_id)
    made = evaluations.new(session, call, version, calibration.agent, by, calibration.id)
    calibration.agreed_id = made.id
    same = unanimous(differences(session, calibration, judged))
    answers = [Given(question=key, value=value) for key, value in same.items()]
    evaluations.save(session, made, by=by, answers=answers)
    return made


def judgements(
    session: Session, calibrations: Sequence[Calibration]
) -> dict[str, list[Evaluation]]:
    """Calibration → its judges' evaluations with their answers, without what is agreed on."""
    agreed = {one.agreed_id for one in calibrations}
    found: dict[str, list[Evaluation]] = {one.id: [] for one in calibrations}
    query = (
        select(Evaluation)
        .where(Evaluation.calibration_id.in_(list(found)))
        .order_by(Evaluation.evaluator)
        .options(selectinload(Evaluation.answers))
    )
    for row in session.scalars(query):
        if row.id not in agreed and row.calibration_id:
            found[row.calibration_id].append(row)
    return found


def revealed(calibration: Calibration, judged: Sequence[Evaluation]) -> bool:
    """Whether everybody may see everybody's answers."""
    return bool(calibration.closed_at) or all(one.state == "submitted" for one in judged)


def differences(
    session: Session, calibration: Calibration, judged: Sequence[Evaluation]
) -> Sequence[Difference]:
    """Question by question, the largest difference first; keys are the judges' ids."""
    version = session.get_one(ScorecardVersion, calibration.version_id)
    given = {one.evaluator: evaluations.values(one) for one in judged if one.state == "submitted"}
    return compare(scorecards.sections_of(version), given)


def page(
    session: Session,
    *,
    among: Sequence[str] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Calibration]:
    """Calibrations, of the agents `among` or of all, the newest first."""
    query = select(Calibration)
    if among is not None:
        query = query.where(Calibration.agent.in_(among))
    if cursor:
        moment, id_ = moment_and_id(cursor)
        same = and_(Calibration.created_at == moment, Calibration.id < id_)
        query = query.where(or_(Calibration.created_at < moment, same))
    count = limited(limit)
    query = query.order_by(Calibration.created_at.desc(), Calibration.id.desc())
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.created_at, last.id) if last else None)


def _check_judges(session: Session, judges: Sequence[str]) -> None:
    if not LEAST_JUDGES <= len(judges) <= MOST_JUDGES:
        sentence = f"{LEAST_JUDGES} to {MOST_JUDGES} supervisors calibrate together"
        raise Invalid(sentence, {"judges": "are too few or too many"})
    found = users.by_ids(session, judges)
    able = {one.id for one in found if one.role == "supervisor" and not one.disabled_at}
    if able != set(judges):
        raise Invalid("only supervisors calibrate", {"judges": "are not all supervisors"})

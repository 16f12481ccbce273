"""From the rows of calibrations to the shapes of the API. What is blind does not leave here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.quality import calibrations, queries
from callcenter.crm.quality.comparison import Difference
from callcenter.crm.quality.models import Calibration, Evaluation
from callcenter.web.context import who
from callcenter.web.records import people

Row = dict[str, Any]
Named = dict[str | None, Row]


def rows(session: Session, found: Sequence[Calibration]) -> list[Row]:
    """These calibrations, as much as a list needs."""
    judged = calibrations.judgements(session, found)
    agreed = _agreed(session, found)
    cards = queries.cards_of(session, [one.version_id for one in found])
    named = _named(session, found, judged, agreed)
    return [
        {
            **{key: getattr(one, key) for key in ("id", "call_at", "created_at", "closed_at")},
            "interaction": one.interaction_id,
            "scorecard_name": cards[one.version_id][1].name,
            "number": cards[one.version_id][0].number,
            **{key: named.get(getattr(one, key)) for key in ("agent", "created_by", "closed_by")},
            **_judged(one, judged[one.id], agreed.get(one.agreed_id or ""), named),
        }
        for one in found
    ]


def calibration(session: Session, found: Calibration) -> Row:
    """One calibration with the differences, once they may be seen."""
    judged = calibrations.judgements(session, [found])[found.id]
    agreed = _agreed(session, [found]).get(found.agreed_id or "")
    final = agreed if agreed and agreed.state == "submitted" else None
    seen = calibrations.revealed(found, judged)
    listed = calibrations.differences(session, found, judged) if seen else []
    return {
        **rows(session, [found])[0],
        "differences": [_difference(one, judged, final) for one in listed],
        "reason": final.summary if final else "",
    }


def _agreed(session: Session, found: Sequence[Calibration]) -> dict[str, Evaluation]:
    wanted = [one.agreed_id for one in found if one.agreed_id]
    query = select(Evaluation).where(Evaluation.id.in_(wanted))
    return {one.id: one for one in session.scalars(query)}


def _named(
    session: Session,
    found: Sequence[Calibration],
    judged: dict[str, list[Evaluation]],
    agreed: dict[str, Evaluation],
) -> Named:
    judges = [one.evaluator for listed in judged.values() for one in listed]
    judges += [one.evaluator for one in agreed.values()]
    others = [who for one in found for who in (one.agent, one.created_by, one.closed_by)]
    return people(session, [*judges, *others])


def _judged(
    row: Calibration, judged: Sequence[Evaluation], agreed: Evaluation | None, named: Named
) -> Row:
    seen = calibrations.revealed(row, judged)
    return {
        "revealed": seen,
        "judgements": [_judgement(one, named, seen=seen) for one in judged],
        "agreed": _judgement(agreed, named, seen=seen) if agreed else None,
    }


def _judgement(one: Evaluation, named: Named, *, seen: bool) -> Row:
    shown = one.evaluator == who().id or (seen and one.state == "submitted")
    return {
        "judge": named.get(one.evaluator),
        "state": one.state,
        "evaluation": one.id if shown else None,
        "score": one.score if shown else None,
        "knocked_out": one.knocked_out if shown else False,
    }


def _difference(one: Difference, judged: Sequence[Evaluation], final: Evaluation | None) -> Row:
    question = one.question
    done = [row for row in judged if row.state == "submitted"]
    return {
        "question": question.id,
        "text": question.text,
        "scale": question.scale,
        "size": one.size,
        "answers": [given for row in done for given in _given(row, question.id)],
        "agreed": next(iter(_given(final, question.id)), None) if final else None,
    }


def _given(row: Evaluation, question: str) -> list[Row]:
    return [
        {"judge": row.evaluator, "value": one.value, "remark": one.remark}
        for one in row.answers
        if one.question == question
    ]

"""What the tests of quality share: a scorecard, a call, an evaluation of it."""

from __future__ import annotations

from typing import Any

from crm_floor import Floor
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.interactions.queries import by_call
from callcenter.crm.quality import evaluations, scorecards
from callcenter.crm.quality.evaluations import Given
from callcenter.crm.quality.models import Evaluation, Scorecard
from callcenter.crm.quality.scoring import Question, Section

BOSS, AGENT = "boss", "ann"


def sections(*, weight: int = 1) -> list[Section]:
    return [
        Section(
            id="greeting",
            title="Greeting",
            weight=weight,
            questions=[Question(id="name", text="Says own name?")],
        ),
        Section(
            id="care",
            title="Care",
            weight=3,
            questions=[
                Question(id="tone", text="Tone", scale=4),
                Question(id="identity", text="Identity checked?", knock_out=True),
            ],
        ),
    ]


def published(session: Session, name: str = "Support") -> Scorecard:
    card = scorecards.create(session, by=BOSS, name=name, sections=sections())
    scorecards.publish(session, card, by=BOSS)
    session.commit()
    return card


def talked(floor: Floor, agent: str = AGENT, **fields: Any) -> Interaction:
    found = by_call(floor.session, floor.talk(agent, **fields))
    assert found is not None
    return found


def given(**values: int | None) -> list[Given]:
    return [Given(question=name, value=value) for name, value in values.items()]


def judged(
    session: Session, call: Interaction, card: Scorecard, *, by: str = BOSS, **values: int | None
) -> Evaluation:
    """A submitted evaluation; what is not named is answered as well as possible."""
    made = evaluations.begin(session, call, scorecard=card.id, agent=call.agent or "", by=by)
    answers = given(**({"name": 1, "tone": 4, "identity": 1} | values))
    evaluations.save(session, made, by=by, answers=answers)
    evaluations.submit(session, made, by=by)
    session.commit()
    return made

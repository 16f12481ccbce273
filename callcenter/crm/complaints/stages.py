"""The stages of a complaint (ISO 10002:2018, clause 8) and what each step needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from callcenter.errors import Conflict, DecisionNotTold, Invalid

Stage = Literal[
    "received",
    "acknowledged",
    "assessing",
    "investigating",
    "responded",
    "communicated",
    "closed",
    "appealed",
    "reopened",
]
STAGES: tuple[Stage, ...] = get_args(Stage)
OPEN_STAGES: tuple[Stage, ...] = tuple(stage for stage in STAGES if stage != "closed")
WAITING_STAGES: tuple[Stage, ...] = tuple(
    stage for stage in OPEN_STAGES if stage != "communicated"
)  # the customer still waits for an answer

BEGIN_ANEW: tuple[Stage, ...] = ("appealed", "reopened")  # the clock starts again

# A stage may be skipped forwards (a small matter is decided on the phone), never backwards.
_WORK: frozenset[Stage] = frozenset({"assessing", "investigating", "responded"})
_FIRST: frozenset[Stage] = frozenset({"acknowledged"})
STEPS: dict[Stage, frozenset[Stage]] = {
    "received": _FIRST | _WORK,
    "acknowledged": _WORK,
    "assessing": frozenset({"investigating", "responded"}),
    "investigating": frozenset({"responded"}),
    "responded": frozenset({"communicated", "investigating"}),
    "communicated": frozenset({"closed", "appealed", "reopened"}),
    "closed": frozenset({"appealed", "reopened"}),
    "appealed": _WORK,
    "reopened": _WORK,
}


@dataclass(frozen=True, slots=True)
class Step:
    """A wish to go to `to`. `decision` is the answer, `channel` how the customer was told.

    `accepted`: whether the customer takes the decision, where closing it is known.
    """

    to: Stage
    note: str = ""
    decision: str = ""
    channel: str = ""
    accepted: bool | None = None


def check(stage: Stage, step: Step) -> None:
    """Silent when the step may be taken from `stage`.

    Raises DecisionNotTold for closing before the customer was told, Conflict for any other
    step that is no step from here, Invalid for a step that lacks what it needs.
    """
    if step.to not in STEPS:
        raise Invalid(f"there is no stage {step.to!r}", {"to": "must be a stage"})
    if step.to not in STEPS[stage]:
        if step.to == "closed" and stage != "closed":
            raise DecisionNotTold("tell the customer the decision first, then close the complaint")
        raise Conflict(f"a complaint goes from {stage} to {_listed(stage)}, not to {step.to}")
    if step.to == "responded" and not step.decision.strip():
        raise Invalid("a response needs the decision", {"decision": "must say what was decided"})
    if step.to == "communicated" and not step.channel.strip():
        raise Invalid("say how the customer was told", {"channel": "must name the channel"})


def _listed(stage: Stage) -> str:
    return " or ".join(one for one in STAGES if one in STEPS[stage])

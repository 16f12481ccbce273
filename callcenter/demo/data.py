"""Sample data for a trial: customers, a month of calls, complaints in several stages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from callcenter.crm.complaints import operations as complaints
from callcenter.crm.complaints.stages import Stage, Step
from callcenter.crm.customers import operations as customers
from callcenter.crm.customers.models import Customer
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.users.models import User
from callcenter.demo.people import SEED, Invented, invent
from callcenter.events import Outcome, now
from callcenter.ids import new_id

DAYS = 30
CALLS = 160
_SPEECH = Path(__file__).parent / "speech"
_OUTCOMES: tuple[Outcome, ...] = ("completed",) * 8 + ("abandoned", "missed")


@dataclass(frozen=True, slots=True)
class Caller:
    """A simulated customer who phones: the number shown and what is said."""

    number: str
    name: str
    language: str
    speech: Path


CALLERS = (
    Caller("+447700900999", "Margaret Whitfield", "en", _SPEECH / "customer_en.wav"),
    Caller("+989129876543", "مریم تهرانی", "fa", _SPEECH / "customer_fa.wav"),
    Caller("+972549876543", "יעל ברנע", "he", _SPEECH / "customer_he.wav"),
)
_REGIONS = {"en": "GB", "fa": "IR", "he": "IL"}


@dataclass(frozen=True, slots=True)
class Matter:
    """A complaint to invent: what about, and the stages it went through."""

    language: str
    subject: str
    description: str
    severity: str
    steps: tuple[Stage, ...]


MATTERS = (
    Matter("en", "Late delivery", "The parcel is a week late.", "high", ()),
    Matter("fa", "تأخیر در ارسال", "کالا پس از ده روز نرسیده است.", "normal", ("acknowledged",)),
    Matter("he", "מוצר פגום", "המכשיר לא נדלק.", "high", ("acknowledged", "investigating")),
    Matter("en", "Wrong invoice", "Charged twice.", "normal", ("acknowledged", "responded")),
    Matter(
        "fa",
        "رفتار نامناسب",
        "مشتری از پاسخ‌گویی ناراضی است.",
        "low",
        ("acknowledged", "assessing", "responded", "communicated", "closed"),
    ),
)


def fill(session: Session) -> int:
    """Make the sample customers with their history; how many, 0 where there are customers."""
    if session.scalar(select(func.count()).select_from(Customer)):
        return 0
    random = Random(SEED + 1)  # noqa: S311 - sample data
    moment = now()
    agent = session.scalar(select(User.id).order_by(User.created_at).limit(1))
    invented = invent()[: -len(CALLERS)] + [_as_invented(caller) for caller in CALLERS]
    made = [_customer(session, one) for one in invented]
    for _ in range(CALLS):
        session.add(_call(random, random.choice(made), moment, agent))
    session.flush()
    for matter in MATTERS:
        _complaint(session, matter, made, agent or new_id())
    return len(made)


def _as_invented(caller: Caller) -> Invented:
    region = _REGIONS[caller.language]
    phones = ((caller.number, region, "mobile"),)
    return Invented(caller.name, "person", caller.language, region, phones, (), "")  # type: ignore[arg-type]


def _customer(session: Session, one: Invented) -> Customer:
    return customers.create(
        session,
        name=one.name,
        region=one.region,
        kind=one.kind,
        language=one.language,
        emails=list(one.emails),
        address=one.address,
        phones=[customers.PhoneIn(*phone) for phone in one.phones],
    )


def _call(random: Random, customer: Customer, moment: datetime, agent: str | None) -> Interaction:
    outcome = random.choice(_OUTCOMES)
    started = moment - timedelta(
        days=random.randint(1, DAYS), minutes=random.randint(0, 600), seconds=random.randint(0, 59)
    )
    wait = float(random.randint(3, 90))
    talk = float(random.randint(30, 900)) if outcome == "completed" else None
    ended = started + timedelta(seconds=wait + (talk or 0.0))
    phone = customer.phones[0]
    return Interaction(
        call_id=new_id(),
        channel="phone",
        direction="inbound",
        line="100",
        queue="support",
        agent=agent if talk else None,
        customer_id=customer.id,
        from_number=phone.e164,
        to_number="100",
        region=phone.region,
        language=customer.language,
        policy="never",
        candidates=[],
        started_at=started,
        answered_at=started + timedelta(seconds=wait) if talk else None,
        ended_at=ended,
        wait_seconds=wait,
        talk_seconds=talk,
        ended_by="customer",
        outcome=outcome,
        wrapped_at=ended if talk else None,
        closed_at=ended if talk else None,
        closed_by=agent if talk else None,
        handled_at=None if talk else ended + timedelta(hours=2),
        handled_by=None if talk else agent,
    )


def _complaint(session: Session, matter: Matter, made: list[Customer], by: str) -> None:
    # Not the callers' own: their first complaint is registered in the trial.
    customer = next(one for one in made if one.language == matter.language)
    complaint = complaints.open_complaint(
        session,
        by=by,
        subject=matter.subject,
        description=matter.description,
        severity=matter.severity,
        customer=customer.id,
    )
    for stage in matter.steps:
        step = Step(stage, decision=matter.subject, channel="phone")
        complaints.transition(session, complaint, step, by=by)

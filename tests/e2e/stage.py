"""What stands on the screens that are checked and photographed, in each of three languages.

Everything goes in by the doors that the product has: records by the CRM's own operations, what is
said in a call as facts in the event log. Names are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session
from world import PASSWORD, World

from callcenter.crm.complaints import incidents
from callcenter.crm.complaints import operations as complaints
from callcenter.crm.complaints.models import Complaint
from callcenter.crm.complaints.stages import Stage, Step
from callcenter.crm.customers import operations as customers
from callcenter.crm.customers.models import Customer
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.models import metadata
from callcenter.crm.users import operations as users
from callcenter.database import open_database
from callcenter.demo.people import invent
from callcenter.events import LegName, TranscriptCompleted, UtteranceHeard, now
from callcenter.ids import new_id
from callcenter.log import EventLog
from callcenter.web.passwords import hashed

SITE = "Sepehr"
PEOPLE = 40
CAUSES = ("damage", "billing", "delivery", "behaviour", "system", "delivery", "delivery")
CLEARED = {
    "customers",
    "customer_phones",
    "customer_words",
    "interactions",
    "interaction_participants",
    "recordings",
    "complaints",
    "complaint_quotes",
    "complaint_transitions",
    "complaint_changes",
    "complaint_calls",
    "incidents",
    "messages",
    "conversations",
    "review_comments",
    "moment_links",
    "phrase_lists",
    "phrase_marks",
    "scorecards",
    "scorecard_versions",
    "evaluations",
    "evaluation_answers",
    "evaluation_notes",
    "sampling_rules",
    "sampling_draws",
    "sampled_calls",
}


@dataclass(frozen=True)
class Matter:
    """A complaint that is there already: what about, how grave, the steps it has taken."""

    subject: str
    description: str
    severity: str
    steps: tuple[Stage, ...] = ()
    decision: str = ""


@dataclass(frozen=True)
class Cast:
    """One language: the people, the caller, what the two say, what is written down."""

    language: str
    locale: str
    region: str
    line: str
    queue: str
    agent: tuple[str, str]
    supervisor: tuple[str, str]
    caller: tuple[str, str]
    address: str
    talk: tuple[tuple[LegName, str], ...]
    complaint: tuple[str, str]
    notes: str
    old_notes: tuple[str, ...]
    matters: tuple[Matter, ...]
    trouble: tuple[str, str, str]  # product, title, what agents say


def settings() -> dict[str, Any]:
    """Sections of the configuration: a line and a queue a language."""
    lines = [
        {"number": c.line, "queue": c.queue, "language": c.language, "region": c.region}
        for c in CASTS
    ]
    patient = {"ring_seconds": 300, "wrap_up_seconds": 600}
    form = {"name": "پرداخت با کارت", "url": "https://pay.example.com/form"}
    return {
        "site": {"name": SITE},
        "recording": {"forms": [form]},
        "lines": lines,
        "queues": [{"name": c.queue, "agents": [c.agent[0]], **patient} for c in CASTS],
    }


def fill(world: World, cast: Cast) -> None:
    """Users, customers, some days of calls, complaints; the records of another language go."""
    engine = open_database(world.settings.database_url)
    try:
        with Session(engine) as session, session.begin():
            guards = _without_guards(session)
            for table in reversed(metadata.sorted_tables):
                if table.name in CLEARED:
                    session.execute(delete(table))
            people = [_user(session, cast, *who) for who in _people(cast)]
            _records(session, cast, *people)
            session.flush()
            for guard in guards:
                session.connection().exec_driver_sql(guard)
    finally:
        engine.dispose()


def _without_guards(session: Session) -> list[str]:
    """The stage is set in a past that was not: what refuses that is put back afterwards."""
    guards = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%append-only%'"
    )
    triggers = session.execute(text(guards)).all()
    for name, _ in triggers:
        session.execute(text(f"DROP TRIGGER {name}"))
    return [sql for _, sql in triggers]


def _people(cast: Cast) -> tuple[tuple[str, str, str], ...]:
    return (*cast.agent, "agent"), (*cast.supervisor, "supervisor")


def _user(session: Session, cast: Cast, username: str, name: str, role: Any) -> str:
    return users.create(
        session,
        username=username,
        name=name,
        role=role,
        language=cast.language,
        password_hash=hashed(PASSWORD),
    ).id


def _records(session: Session, cast: Cast, agent: str, supervisor: str) -> None:
    region = cast.region
    people = [one for one in invent() if one.language == cast.language][:PEOPLE]
    made = [
        customers.create(
            session,
            name=one.name,
            region=one.region,
            kind=one.kind,
            language=one.language,
            emails=list(one.emails),
            address=one.address,
            phones=[customers.PhoneIn(*phone) for phone in one.phones],
        )
        for one in people
    ]
    name, number = cast.caller
    caller = customers.create(
        session,
        name=name,
        region=region,
        language=cast.language,
        tier="gold",
        emails=["customer@example.com"],
        address=cast.address,
        phones=[customers.PhoneIn(number, region, "mobile")],
    )
    random = Random(7)
    for place in range(60):
        session.add(_call(random, cast, made[place % len(made)], place, agent, supervisor))
    for place, notes in enumerate(cast.old_notes):
        past = _call(random, cast, caller, 31 + 40 * place, agent, supervisor, "completed")
        past.notes, past.disposition = notes, ("follow_up", "information")[place % 2]
        session.add(past)
    session.flush()
    for place, matter in enumerate(cast.matters):
        customer = caller if place == 0 else made[place]
        by = supervisor if place % 2 else agent
        made_of = _complaint(session, matter, customer, by, place)
        made_of.product = cast.trouble[0] if place % 3 == 0 else ""
        made_of.queue = cast.queue
        made_of.cause = CAUSES[place % len(CAUSES)]
        made_of.remedy_cents = 45_000_000 if place == 4 else None
    product, title, advice = cast.trouble
    trouble = incidents.open_incident(
        session, cause="delivery", product=product, title=title, advice=advice, by=supervisor
    )
    for one in session.scalars(select(Complaint).where(Complaint.cause == "delivery")):
        incidents.join(session, one, trouble, by=supervisor)


def _call(
    random: Random,
    cast: Cast,
    customer: Customer,
    place: int,
    agent: str,
    supervisor: str,
    outcome: str = "",
) -> Interaction:
    outcome = outcome or random.choice(("completed",) * 9 + ("abandoned", "missed"))
    started = now() - timedelta(minutes=9 + 23 * place + random.randint(0, 9))
    wait = float(random.randint(3, 90))
    talk = float(random.randint(40, 700)) if outcome == "completed" else None
    answered = started + timedelta(seconds=wait) if talk else None
    ended = started + timedelta(seconds=wait + (talk or 0.0))
    who = random.choice((agent, supervisor)) if talk else None
    waits = not talk and place < 12
    return Interaction(
        call_id=new_id(),
        channel="phone",
        direction="inbound",
        line=cast.line,
        queue=cast.queue,
        agent=who,
        customer_id=customer.id,
        from_number=customer.phones[0].e164,
        to_number=cast.line,
        region=cast.region,
        language=cast.language,
        policy="always",
        candidates=[],
        started_at=started,
        answered_at=answered,
        ended_at=ended,
        wait_seconds=wait,
        talk_seconds=talk,
        ended_by="customer",
        outcome=outcome,
        disposition=random.choice(("resolved", "information", "follow_up")) if talk else None,
        wrapped_at=ended if talk else None,
        closed_at=ended if talk else None,
        closed_by=who,
        handled_at=None if waits else ended,
        handled_by=None if waits else agent,
    )


def _complaint(
    session: Session, matter: Matter, customer: Customer, by: str, place: int
) -> Complaint:
    complaint = complaints.open_complaint(
        session,
        by=by,
        subject=matter.subject,
        description=matter.description,
        severity=matter.severity,
        customer=customer.id,
    )
    for stage in matter.steps:
        step = Step(stage, decision=matter.decision, channel="phone")
        complaints.transition(session, complaint, step, by=by)
    days = timedelta(days=1 + 2 * place, hours=place)
    complaint.created_at -= days
    complaint.due_at -= days
    if complaint.acknowledge_due_at:
        complaint.acknowledge_due_at -= days
    for moment in ("clock_from", "acknowledged_at", "decided_at"):
        if at := getattr(complaint, moment):
            setattr(complaint, moment, at - days + timedelta(hours=5 * (moment != "clock_from")))
    session.flush()
    for hours, change in enumerate(complaint.transitions):
        change.at += timedelta(hours=5 * hours) - days
    return complaint


def speak(world: World, call: str, cast: Cast) -> float:
    """The conversation as a recogniser hears it: facts, one after the other; when it ends (s).

    In place of one because the words on pictures shall be right whatever model is installed.
    Real recognisers are heard in test_browser and test_languages.
    """
    t0, said = 0.6, []
    for leg, line in cast.talk:
        t1 = t0 + 0.035 * len(line)
        words: dict[str, Any] = {"leg": leg, "text": line, "t0": round(t0, 2), "t1": round(t1, 2)}
        said.append(
            UtteranceHeard(
                call=call, utterance=new_id(), language=cast.language, engine="script", **words
            )
        )
        t0 = t1 + 0.25
    _append(world, *said)
    return t0


def transcribed(world: World, call: str, cast: Cast) -> None:
    """The text of that call is final."""
    done = TranscriptCompleted(
        call=call,
        revision=1,
        engine="script",
        language=cast.language,
        utterances=len(cast.talk),
    )
    _append(world, done)


def _append(world: World, *facts: Any) -> None:
    engine = open_database(world.settings.database_url)
    try:
        EventLog(engine).append(*facts)
    finally:
        engine.dispose()


PERSIAN = Cast(
    language="fa",
    locale="fa-IR",
    region="IR",
    line="100",
    queue="پشتیبانی",
    agent=("sara", "سارا محمدی"),
    supervisor=("reza", "رضا کاظمی"),
    caller=("مریم تهرانی", "+989129876543"),
    address="تهران، خیابان ولیعصر، پلاک ۴۲",
    talk=(
        ("agent", "سلام، وقتتان بخیر. سارا محمدی هستم، بفرمایید."),
        ("customer", "سلام. سفارش من هنوز نرسیده است."),
        ("agent", "متأسفم. شمارهٔ سفارش را می‌فرمایید؟"),
        ("customer", "بله، ۴۸۲۱۷. قرار بود دوشنبه برسد."),
        ("agent", "سفارش شما در انبار تهران مانده است. همین امروز ارسال می‌شود."),
        ("customer", "این دومین بار است. می‌خواهم شکایت ثبت کنم."),
        ("agent", "حتماً، همین حالا ثبت می‌کنم و کد آن را برایتان می‌فرستم."),
    ),
    complaint=("تأخیر در ارسال سفارش ۴۸۲۱۷", "سفارش باید دوشنبه می‌رسید و در انبار مانده است."),
    notes="ارسال امروز با پیک. فردا پیگیری شود.",
    old_notes=("نشانی تازه ثبت شد.", "دربارهٔ شرایط بازگرداندن کالا پرسید."),
    matters=(
        Matter(
            "کالای آسیب‌دیده تحویل داده شد",
            "بسته‌بندی پاره بود و درِ دستگاه ترک داشت.",
            "high",
            ("acknowledged", "investigating"),
        ),
        Matter("مبلغ فاکتور دو بار برداشت شد", "", "critical", ("acknowledged",)),
        Matter("پیک پیش از رسیدن تماس نگرفت", "", "low"),
        Matter("پاسخ‌گویی نامناسب در تماس پیشین", "", "normal", ("acknowledged", "assessing")),
        Matter("کد تخفیف پذیرفته نشد", "", "normal", ("responded",), "کد تازه فرستاده شد."),
        Matter("زمان تعمیر بیش از وعده طول کشید", "", "high", ("acknowledged",)),
        Matter("قطعهٔ اشتباه فرستاده شد", "", "normal"),
    ),
    trouble=("کتری برقی", "تأخیر پست در غرب کشور", "به‌سبب برف، مرسوله‌ها دو روز دیرتر می‌رسند."),
)

HEBREW = Cast(
    language="he",
    locale="he-IL",
    region="IL",
    line="200",
    queue="שירות",
    agent=("noa", "נועה ברק"),
    supervisor=("yoni", "יונתן שפירא"),
    caller=("יעל ברנע", "+972549876543"),
    address="תל אביב, דיזנגוף 42",
    talk=(
        ("agent", "שלום, מדברת נועה. במה אפשר לעזור?"),
        ("customer", "שלום. ההזמנה שלי עדיין לא הגיעה."),
        ("agent", "אני מצטערת לשמוע. מה מספר ההזמנה?"),
        ("customer", "48217. הבטיחו לי משלוח ביום שני."),
        ("agent", "החבילה נשארה במחסן. היא יוצאת אלייך עוד היום."),
        ("customer", "זו כבר הפעם השנייה. אני רוצה להגיש תלונה."),
        ("agent", "בוודאי. אני רושמת אותה עכשיו, ומספר התלונה יישלח אלייך במסרון."),
    ),
    complaint=("איחור במשלוח של הזמנה 48217", "המשלוח הובטח ליום שני ונשאר במחסן."),
    notes="יוצא היום עם שליח. לחזור אליה מחר.",
    old_notes=("הכתובת עודכנה.", "שאלה על תנאי ההחזרה."),
    matters=(
        Matter(
            "המוצר הגיע פגום",
            "האריזה הייתה קרועה ובמכסה המכשיר היה סדק.",
            "high",
            ("acknowledged", "investigating"),
        ),
        Matter("חיוב כפול בחשבונית", "", "critical", ("acknowledged",)),
        Matter("השליח לא התקשר לפני ההגעה", "", "low"),
        Matter("יחס לא ראוי בשיחה קודמת", "", "normal", ("acknowledged", "assessing")),
        Matter("קוד ההנחה לא התקבל", "", "normal", ("responded",), "נשלח קוד חדש."),
        Matter("התיקון נמשך יותר מהמובטח", "", "high", ("acknowledged",)),
        Matter("נשלח חלק לא נכון", "", "normal"),
    ),
    trouble=("קומקום חשמלי", "עיכובי דואר בצפון", "בגלל השלג החבילות מגיעות באיחור של יומיים."),
)

ENGLISH = Cast(
    language="en",
    locale="en-GB",
    region="GB",
    line="300",
    queue="support",
    agent=("grace", "Grace Turner"),
    supervisor=("daniel", "Daniel Hughes"),
    caller=("Margaret Whitfield", "+447700900999"),
    address="42 Park Row, Leeds",
    talk=(
        ("agent", "Good morning, Grace speaking. How can I help?"),
        ("customer", "Good morning. I am calling about an order that has not arrived."),
        ("agent", "I am sorry. May I have the order number?"),
        ("customer", "48217. You promised me delivery last Monday."),
        ("agent", "It is still in our warehouse. It leaves today."),
        ("customer", "That is the second time. I would like to make a complaint."),
        ("agent", "Of course. I am registering it now and will text you its number."),
    ),
    complaint=("Order 48217 is late", "Promised for Monday, still in the warehouse."),
    notes="Leaves today by courier. Call her back tomorrow.",
    old_notes=("New address taken down.", "Asked how to return goods."),
    matters=(
        Matter(
            "The goods arrived damaged",
            "The parcel was torn and the lid of the appliance is cracked.",
            "high",
            ("acknowledged", "investigating"),
        ),
        Matter("One invoice was charged twice", "", "critical", ("acknowledged",)),
        Matter("The courier did not ring before he came", "", "low"),
        Matter("Unfriendly answer in an earlier call", "", "normal", ("acknowledged", "assessing")),
        Matter("A discount code was refused", "", "normal", ("responded",), "A new code was sent."),
        Matter("The repair took longer than promised", "", "high", ("acknowledged",)),
        Matter("A wrong part was sent", "", "normal"),
    ),
    trouble=(
        "Kettle",
        "Post delayed in the north",
        "Because of the snow parcels are two days late.",
    ),
)

CASTS = (PERSIAN, HEBREW, ENGLISH)

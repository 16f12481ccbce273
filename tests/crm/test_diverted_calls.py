"""Who diverted a call, what the network found of its number, and who took a caller's place."""

from __future__ import annotations

from crm_floor import Floor, rang
from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.customers.operations import PhoneIn, create
from callcenter.crm.interactions.models import Interaction
from callcenter.events import CallerReplaced
from callcenter.ids import new_id

SARA = "+989127654321"


def row(session: Session, call: str) -> Interaction:
    session.expire_all()
    return session.scalars(select(Interaction).where(Interaction.call_id == call)).one()


def replaced(call: str, number: str | None = SARA) -> CallerReplaced:
    return CallerReplaced(
        call=call, from_number=number, from_name="Sara", trunk="local", sip_call_id="s2"
    )


def test_the_record_keeps_who_diverted_and_the_verdict(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(rang(call, diverted_from="+982112345", verstat="failed"))
    kept = row(session, call)
    assert (kept.diverted_from, kept.verstat) == ("+982112345", "failed")


def test_a_number_too_long_for_the_record_is_cut(session: Session, floor: Floor) -> None:
    call = new_id()
    floor.happened(rang(call, diverted_from="9" * 200))
    assert row(session, call).diverted_from == "9" * 128


def test_whoever_takes_the_callers_place_is_matched_anew(session: Session, floor: Floor) -> None:
    sara = create(session, name="Sara", region="IR", phones=[PhoneIn(SARA)])
    session.commit()
    call = new_id()
    floor.happened(rang(call, verstat="passed"), replaced(call), replaced(call))
    kept = row(session, call)
    assert (kept.from_number, kept.from_name, kept.verstat) == (SARA, "Sara", None)
    assert kept.customer_id == sara.id


def test_a_withheld_number_that_takes_the_place_matches_nobody(
    session: Session, floor: Floor
) -> None:
    create(session, name="Sara", region="IR", phones=[PhoneIn(SARA)])
    session.commit()
    call = new_id()
    floor.happened(rang(call, None), replaced(call, None))
    kept = row(session, call)
    assert (kept.from_number, kept.customer_id, kept.candidates) == (None, None, [])


def test_the_customer_of_the_call_stays_when_another_phone_takes_over(
    session: Session, floor: Floor
) -> None:
    ali = create(session, name="Ali", region="IR", phones=[PhoneIn("09121234567")])
    create(session, name="Sara", region="IR", phones=[PhoneIn(SARA)])
    session.commit()
    call = new_id()
    floor.happened(rang(call), replaced(call))
    assert row(session, call).customer_id == ali.id

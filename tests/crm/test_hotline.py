"""The status of a complaint by the keys of a telephone."""

from __future__ import annotations

import time_machine
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from callcenter.crm.complaints.hotline import Hotline
from callcenter.crm.complaints.keypad import pressed
from callcenter.crm.complaints.operations import open_complaint
from callcenter.crm.customers.operations import PhoneIn, create

NUMBER = "+989121234567"


def opened(session: Session, number: str = NUMBER, keys: str | None = None) -> str:
    """The keys of a new complaint's code; `keys` in place of its own."""
    phones = [PhoneIn(number, "IR", "mobile")]
    customer = create(session, name="Sara", region="IR", language="fa", emails=[], phones=phones)
    complaint = open_complaint(session, subject="Broken lid", customer=customer.id, by="u1")
    complaint.keys = keys or pressed(complaint.code)
    found = complaint.keys
    session.commit()  # a transaction that stays open would keep the hotline waiting
    return found


def test_letters_stand_on_their_keys() -> None:
    assert pressed("C-7K3F9XA") == "7533992"
    assert pressed("C-0189STV") == "0189788"


def test_the_number_that_calls_is_enough_where_it_is_the_customers(
    engine: Engine, session: Session
) -> None:
    keys = opened(session)
    hotline = Hotline(engine)
    assert hotline.stage(keys, "", "09121234567") == "received"
    assert hotline.stage(keys, "", "+982188776655") == "digits"
    assert hotline.stage(keys, "", None) == "digits"
    assert hotline.stage("0000000", "", None) == "digits", "nobody learns which codes there are"
    assert hotline.stage(keys, "4567", None) == "received"
    assert hotline.stage(keys, "4568", None) == "unknown"
    assert hotline.stage("0000000", "4567", None) == "unknown"


def test_two_complaints_with_the_same_keys_are_told_apart_by_the_number(
    engine: Engine, session: Session
) -> None:
    keys = opened(session)
    opened(session, "+989129990000", keys)
    hotline = Hotline(engine)
    assert hotline.stage(keys, "4567", None) == "received"
    opened(session, "+982170004567", keys)
    assert hotline.stage(keys, "4567", None) == "unknown", "who knows which one"


def test_guessing_is_slowed_down_per_code(engine: Engine, session: Session) -> None:
    keys = opened(session)
    hotline = Hotline(engine)
    with time_machine.travel("2026-11-26T10:00:00Z", tick=False) as clock:
        tried = [hotline.stage(keys, f"{at:04}", None) for at in range(7)]
        assert tried == ["unknown"] * 5 + ["later"] * 2
        assert hotline.stage(keys, "4567", None) == "later"
        assert hotline.stage("1234567", "4567", None) == "unknown", "another code may be tried"
        clock.shift(3600)
        assert hotline.stage(keys, "4567", None) == "received"

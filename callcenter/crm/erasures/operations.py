"""Asking for an erasure, running it, withdrawing it; each with its line in the audit."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.customers.models import Customer
from callcenter.crm.customers.operations import get_or_raise as customer_or_raise
from callcenter.crm.erasures.erasing import held, open_complaints
from callcenter.crm.erasures.models import Erasure
from callcenter.crm.text import checked
from callcenter.errors import AnswerOwed, Conflict, Held, NotFound, SecondPersonNeeded
from callcenter.events import now


def ask(session: Session, customer: str, *, reason: str, by: str, address: str | None) -> Erasure:
    """An erasure that somebody else is to run.

    Raises NotFound, Erased, Invalid, Conflict where it was asked already, Held, AnswerOwed.
    """
    customer_or_raise(session, customer)
    waiting = select(Erasure.id).where(Erasure.customer_id == customer, Erasure.state == "asked")
    if session.scalar(waiting.limit(1)) is not None:
        raise Conflict("it was asked for already: an administrator has to run it")
    may_be_erased_or_raise(session, customer)
    erasure = Erasure(
        customer_id=customer,
        reason=checked("reason", reason, most=200, needed=True),
        asked_by=by,
    )
    session.add(erasure)
    session.flush()
    audit.record(session, by, "erase.ask", "customer", customer, address=address)
    return erasure


def run(session: Session, id: str, *, by: str, address: str | None) -> Erasure:
    """Let the jobs process do it; there is no way back.

    Raises NotFound, Conflict as `ask`, SecondPersonNeeded for who asked for it.
    """
    erasure = _asked_or_raise(session, id)
    if erasure.asked_by == by:
        raise SecondPersonNeeded("somebody else than who asked for it has to run it")
    may_be_erased_or_raise(session, str(erasure.customer_id))
    _start(session, erasure, by)
    merged = select(Customer.id).where(
        Customer.merged_into == erasure.customer_id, Customer.erased_at.is_(None)
    )
    for other in session.scalars(merged).all():  # the same person under another id
        also = Erasure(customer_id=other, reason=erasure.reason, asked_by=erasure.asked_by)
        session.add(also)
        _start(session, also, by)
    session.flush()
    audit.record(session, by, "erase.run", "customer", erasure.customer_id, address=address)
    return erasure


def withdraw(session: Session, id: str, *, reason: str, by: str, address: str | None) -> Erasure:
    """It is not to be done. Raises NotFound, Invalid, Conflict where it runs already."""
    erasure = _asked_or_raise(session, id)
    why = checked("reason", reason, most=200, needed=True)
    erasure.state = "withdrawn"
    audit.record(
        session, by, "erase.withdraw", "customer", erasure.customer_id, reason=why, address=address
    )
    session.flush()
    return erasure


def may_be_erased_or_raise(session: Session, customer: str) -> None:
    """Raises Held, AnswerOwed."""
    if held(session, customer):
        raise Held("a legal hold lies on this customer or on a call: it has to be released first")
    if open_complaints(session, customer):
        raise AnswerOwed("a complaint of this customer is open: it has to be closed first")


def _asked_or_raise(session: Session, id: str) -> Erasure:
    found = session.get(Erasure, id)
    if found is None:
        raise NotFound("there is no such erasure")
    if found.state != "asked":
        raise Conflict("this erasure was run or withdrawn already: load the page again")
    return found


def _start(session: Session, erasure: Erasure, by: str) -> None:
    erasure.state, erasure.run_by, erasure.run_at = "running", by, now()

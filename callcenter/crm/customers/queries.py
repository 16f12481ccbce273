"""Finding customers: by the number that calls, and by the beginning of their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Select, and_, or_, select, tuple_
from sqlalchemy.orm import Session

from callcenter.crm.customers import phones as numbers
from callcenter.crm.customers.models import Customer, CustomerWord, Phone
from callcenter.crm.customers.operations import get_or_raise
from callcenter.crm.paging import Page, after, key_of, limited
from callcenter.crm.text import words

Reason = Literal["exact", "national"]
SCORES: dict[Reason, float] = {"exact": 1.0, "national": 0.7}
MOST_MATCHES = 20

get = get_or_raise


@dataclass(frozen=True, slots=True)
class Match:
    """A customer who may be the caller, and why.

    `exact`: the same E.164 number. `national`: the same number within a country, where one of
    both was written without its country code. `score` 1.0 is certain.
    """

    customer: Customer
    phone: Phone
    reason: Reason
    score: float


def match(session: Session, phone: str | None, region: str) -> list[Match]:
    """Everybody with that number, best first, each once; [] for a withheld number.

    One query over two indexes, and one for the customers' other phones. Extensions do not
    count. Order: score, then the customer who was changed last.
    """
    number = numbers.keys(phone, region)
    if number is None:
        return []
    query = (
        select(Phone, Customer)
        .join(Customer, Customer.id == Phone.customer_id)
        .where(_same(number), *_there())
        .limit(MOST_MATCHES * 5)
    )
    best: dict[str, Match] = {}
    for found, customer in session.execute(query):
        reason: Reason = "exact" if found.e164 == number.e164 else "national"
        new = Match(customer, found, reason, SCORES[reason])
        if customer.id not in best or best[customer.id].score < new.score:
            best[customer.id] = new
    ranked = sorted(best.values(), key=lambda m: m.customer.updated_at, reverse=True)
    return sorted(ranked, key=lambda m: -m.score)[:MOST_MATCHES]


def by_ids(session: Session, customers: Iterable[str]) -> dict[str, Customer]:
    """Id → customer, in one query and one for their phones."""
    query = select(Customer).where(Customer.id.in_(set(customers)))
    return {customer.id: customer for customer in session.scalars(query)}


def names(session: Session, customers: Iterable[str]) -> dict[str, str]:
    """Id → name, in one query."""
    query = select(Customer.id, Customer.name).where(Customer.id.in_(set(customers)))
    return {row.id: row.name for row in session.execute(query)}


def page(
    session: Session,
    *,
    q: str | None = None,
    region: str = "IR",
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Customer]:
    """Customers by name. `q`: beginnings of words of the name or e-mail, or a whole number."""
    query = select(Customer).where(*_there())
    if q and q.strip():
        query = query.where(Customer.id.in_(_searched(q, region)))
    if cursor:
        query = query.where(tuple_(Customer.sort_name, Customer.id) > tuple_(*key_of(cursor, 2)))
    count = limited(limit)
    query = query.order_by(Customer.sort_name, Customer.id).limit(count + 1)
    rows = session.scalars(query).all()
    more = len(rows) > count
    last = rows[count - 1] if more else None
    return Page(rows[:count], after(last.sort_name, last.id) if last else None)


def phones_of(session: Session, customer: str) -> list[Phone]:
    """The customer's phones in their order."""
    query = select(Phone).where(Phone.customer_id == customer).order_by(Phone.position)
    return list(session.scalars(query))


def _there() -> tuple[ColumnElement[bool], ...]:
    """Neither merged into another nor erased."""
    return Customer.merged_into.is_(None), Customer.erased_at.is_(None)


def _searched(q: str, region: str) -> Select[str]:
    number = numbers.keys(q, region)
    if number is not None and number.national:
        return select(Phone.customer_id).where(_same(number))
    terms = words(q)[:8]
    query = select(CustomerWord.customer_id).where(_begins(terms[0] if terms else "\U0010ffff"))
    for term in terms[1:]:
        others = select(CustomerWord.customer_id).where(_begins(term))
        query = query.where(CustomerWord.customer_id.in_(others))
    return query


def _same(number: numbers.Keys) -> ColumnElement[bool]:
    """Two countries' numbers are one only where a country was guessed."""
    national = Phone.national == number.national
    if number.international:
        national = and_(national, Phone.international.is_(False))
    if number.e164 is None:
        return national
    return (
        or_(Phone.e164 == number.e164, national) if number.national else (Phone.e164 == number.e164)
    )


def _begins(term: str) -> ColumnElement[bool]:
    """A range of the index, not LIKE: it is used whatever the collation of LIKE."""
    return and_(CustomerWord.word >= term, CustomerWord.word < term + "\U0010ffff")

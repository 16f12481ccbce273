"""Making and changing customers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from callcenter.crm.customers import phones as numbers
from callcenter.crm.customers.models import Customer, CustomerWord, Phone
from callcenter.crm.text import checked, normalize, words
from callcenter.errors import Conflict, Erased, Invalid, NotFound
from callcenter.events import now

KINDS = ("person", "company")


@dataclass(frozen=True, slots=True)
class PhoneIn:
    """A phone as somebody typed it; without a region the site's is taken."""

    number: str
    region: str | None = None
    label: str = ""


def create(
    session: Session,
    *,
    name: str,
    region: str,
    kind: str = "person",
    phones: Iterable[PhoneIn] = (),
    by: str | None = None,
    **fields: Any,
) -> Customer:
    """A new customer. `region` is the country of numbers that name none.

    `fields`: language, emails, address, tier, notes, custom. Invalid names each bad field
    by its path (`phones.0.number`).
    """
    customer = Customer(created_by=by, emails=[], custom={}, address="", notes="")
    _set(customer, {"name": name, "kind": kind, **fields})
    customer.phones = _phones(phones, region)
    session.add(customer)
    session.flush()
    _index(session, customer)
    return customer


def change(
    session: Session,
    customer: Customer,
    *,
    region: str,
    version: int | None = None,
    phones: Sequence[PhoneIn] | None = None,
    **fields: Any,
) -> Customer:
    """Set the given fields; `phones` replaces all phones. Conflict when `version` is old."""
    if version is not None and version != customer.version:
        raise Conflict("somebody changed this customer meanwhile: load it again")
    _set(customer, fields)
    if phones is not None:
        customer.phones = _phones(phones, region)
    customer.version += 1
    customer.updated_at = now()
    session.flush()
    if {"name", "emails"} & fields.keys():
        _index(session, customer)
    return customer


def add_phone(session: Session, customer: Customer, phone: PhoneIn, *, region: str) -> Phone:
    """One more phone; the same number twice is one."""
    (new,) = _phones([phone], region)
    for known in customer.phones:
        if (known.e164, known.extension) == (new.e164, new.extension):
            return known
    new.position = len(customer.phones)
    customer.phones.append(new)
    customer.updated_at = now()
    session.flush()
    return new


def get_or_raise(session: Session, customer: str) -> Customer:
    """The customer with that id, also a merged one. Raises NotFound, and Erased where it was."""
    found = session.get(Customer, customer)
    if found is None:
        raise NotFound("there is no such customer")
    if found.erased_at is not None:
        raise Erased("what was kept of this customer was erased")
    return found


def _set(customer: Customer, fields: dict[str, Any]) -> None:
    problems: dict[str, str] = {}
    for field, value in fields.items():
        try:
            if field not in _CHECKS:
                raise Invalid(f"{field} is no field of a customer", {field: "is no field"})
            setattr(customer, field, _CHECKS[field](value))
        except Invalid as error:
            problems |= error.fields
    if problems:
        raise Invalid("some fields of the customer cannot be taken", problems)
    if "name" in fields:
        customer.sort_name = normalize(customer.name)[:400]


def _phones(typed: Iterable[PhoneIn], region: str) -> list[Phone]:
    made: dict[tuple[str, str | None], Phone] = {}
    problems: dict[str, str] = {}
    for place, phone in enumerate(typed):
        path = f"phones.{place}"
        try:
            new = _phone(phone, phone.region or region, path)
        except Invalid as error:
            problems |= error.fields
            continue
        new.position = len(made)
        made.setdefault((new.e164, new.extension), new)
    if problems:
        raise Invalid("a phone cannot be taken", problems)
    return list(made.values())


def _phone(phone: PhoneIn, region: str, path: str) -> Phone:
    typed = checked(f"{path}.number", phone.number, most=64, needed=True)
    if len(region) != 2 or not region.isascii() or not region.isalpha():
        raise Invalid("a region has two letters", {f"{path}.region": "must have two letters"})
    number = numbers.required(typed, region.upper(), field=f"{path}.number")
    return Phone(
        number=typed,
        region=region.upper(),
        label=checked(f"{path}.label", phone.label, most=64),
        e164=number.e164,
        national=number.national,
        extension=number.extension,
        international=number.international,
    )


def _index(session: Session, customer: Customer) -> None:
    found = words(" ".join([customer.name, *customer.emails]))
    session.execute(delete(CustomerWord).where(CustomerWord.customer_id == customer.id))
    rows = [{"word": word[:100], "customer_id": customer.id} for word in set(found)]
    unique = {row["word"]: row for row in rows}
    if unique:
        session.execute(insert(CustomerWord), list(unique.values()))


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise Invalid("a customer is a person or a company", {"kind": "is no kind"})
    return kind


def _language(language: str | None) -> str | None:
    if language not in (None, "fa", "he", "en"):
        raise Invalid("a language is one of fa, he, en", {"language": "is none of fa, he, en"})
    return language


def _emails(emails: Sequence[str]) -> list[str]:
    taken = [checked("emails", email, most=254) for email in emails]
    for place, email in enumerate(taken):
        if email.count("@") != 1 or email.startswith("@") or email.endswith("@") or " " in email:
            raise Invalid("this is no e-mail address", {f"emails.{place}": "is no address"})
    return list(dict.fromkeys(taken))


def _custom(custom: dict[str, Any]) -> dict[str, Any]:
    if len(str(custom)) > 20_000 or "\0" in str(custom) or "\\x00" in repr(custom):
        raise Invalid("custom fields are too much", {"custom": "is too long or no text"})
    return custom


_CHECKS: dict[str, Any] = {
    "name": lambda value: checked("name", value, most=200, needed=True),
    "kind": _kind,
    "language": _language,
    "emails": _emails,
    "address": lambda value: checked("address", value, most=2_000),
    "tier": lambda value: value and checked("tier", value, most=32),
    "notes": lambda value: checked("notes", value, most=200_000),
    "custom": _custom,
}

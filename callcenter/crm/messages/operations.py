"""Writing messages into the outbox, in the language of the customer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy.orm import Session

from callcenter.config import Settings
from callcenter.crm.customers.models import Customer
from callcenter.crm.messages.models import Channel, Message

_NO_MOBILE = ("fax", "home", "work", "office")  # labels of numbers that take no text message


@dataclass(frozen=True, slots=True)
class Post:
    """Which channels are on, and what stands in every message."""

    channels: tuple[Channel, ...]
    site: str
    default_language: str
    portal: str  # address of the page with the status; "" where there is none


def post_of(settings: Settings) -> Post:
    """As the settings say."""
    on: list[Channel] = []
    if settings.messages.mail.via != "off":
        on.append("mail")
    if settings.messages.sms.via != "off":
        on.append("sms")
    public = settings.complaints.portal_url or settings.web.public_url
    portal = f"{public}/portal" if public and settings.complaints.portal else ""
    return Post(tuple(on), settings.site.name, settings.site.default_language, portal)


def address(customer: Customer, channel: Channel) -> str | None:
    """Where that customer is reached on that channel; None where nowhere."""
    if channel == "mail":
        return customer.emails[0] if customer.emails else None
    usable = [phone for phone in customer.phones if phone.label not in _NO_MOBILE]
    mobile = [phone for phone in usable if phone.label == "mobile"]
    return next((phone.e164 for phone in [*mobile, *usable] if phone.e164), None)


def write(
    session: Session,
    post: Post,
    customer: Customer,
    kind: str,
    *,
    channels: Sequence[Channel] | None = None,
    complaint: str | None = None,
    **values: str,
) -> list[Message]:
    """Put the message of that `kind` into the outbox, for every channel that is on and reaches.

    Sent after the caller's commit; never where that is rolled back.
    """
    language = customer.language or post.default_language
    words = texts(language)
    filled = {"site": post.site, "name": customer.name, **values}
    filled["link"] = words["link"].format(portal=post.portal) if post.portal else ""
    made = []
    for channel in post.channels if channels is None else channels:
        to = address(customer, channel) if channel in post.channels else None
        if to is None:
            continue
        subject = words[f"{kind}.subject"].format_map(filled) if channel == "mail" else ""
        form = f"{kind}.{channel}"
        made.append(
            Message(
                channel=channel,
                kind=kind,
                to=to,
                language=language,
                subject=" ".join(subject.split()),
                body=words[form].format_map(filled).strip(),
                customer_id=customer.id,
                complaint_id=complaint,
            )
        )
    session.add_all(made)
    session.flush()
    return made


@cache
def texts(language: str) -> Mapping[str, str]:
    """The words of messages, from `locale/*.json`."""
    file = Path(__file__).with_name("locale") / f"{language}.json"
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found

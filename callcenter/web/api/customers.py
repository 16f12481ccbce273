"""Customers: records, look-up by phone, timeline."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from flask import request
from pydantic import Field

from callcenter.web import auth, records, timeline_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.prose import Prose, Reason
from callcenter.web.shapes import (
    AccessView,
    CleanLongText,
    CleanText,
    ComplaintView,
    CustomerView,
    In,
    InteractionView,
    LanguageName,
    MatchView,
    Moment,
    Named,
    Page,
    PageQuery,
    StageChangeView,
    View,
)

blueprint = APIBlueprint("customers", __name__, tag="Customers")
RegionCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class PhoneIn(In):
    """A number as a person writes it; `region` says whose national form it is."""

    number: str = Field(min_length=1, max_length=64)
    region: RegionCode | None = None
    label: CleanText = ""


class CustomerIn(In):
    """A new customer."""

    name: Named
    kind: Literal["person", "company"] = "person"
    language: LanguageName | None = None
    phones: list[PhoneIn] = Field(default=[], max_length=50)
    emails: list[CleanText] = Field(default=[], max_length=50)
    address: CleanLongText = ""
    tier: CleanText | None = None
    notes: Prose = ""


class CustomerPatch(In):
    """What changes; `version` is the one that was shown."""

    name: Named | None = None
    kind: Literal["person", "company"] | None = None
    language: LanguageName | None = None
    phones: list[PhoneIn] | None = Field(default=None, max_length=50)
    emails: list[CleanText] | None = Field(default=None, max_length=50)
    address: CleanLongText | None = None
    tier: CleanText | None = None
    notes: Prose | None = None
    version: int | None = None


class CustomersQuery(PageQuery):
    """`?q=` finds by name, number or e-mail address."""

    q: str | None = Field(None, max_length=200)


class LookupQuery(In):
    """A number as it came; without `region` the site's."""

    phone: str = Field(min_length=1, max_length=128)
    region: RegionCode | None = None


class Matches(View):
    """Who may be calling, best first."""

    items: list[MatchView]


class TimelineItem(View):
    """One thing that happened with the customer."""

    kind: Literal["interaction", "complaint", "transition"]
    at: Moment
    interaction: InteractionView | None = None
    complaint: ComplaintView | None = None
    change: StageChangeView | None = None


@blueprint.get("/customers")
@blueprint.input(CustomersQuery, location="query", arg_name="query")
@blueprint.output(Page[CustomerView])
@auth.requires(Permission.CUSTOMERS_READ)
def index(query: CustomersQuery) -> Any:
    """Customers by name."""
    auth.every(Permission.CUSTOMERS_READ)
    with services().reading() as session:
        return records.customers(session, query.q, query.limit, query.cursor)


@blueprint.post("/customers")
@blueprint.input(CustomerIn, location="json", arg_name="body")
@blueprint.output(CustomerView, status_code=201)
@auth.requires(Permission.CUSTOMERS_WRITE)
def create(body: CustomerIn) -> Any:
    """A new customer; a phone that is no number → 422."""
    with services().writing() as session:
        return records.create_customer(session, body.model_dump(), who().id)


@blueprint.get("/customers/lookup")
@blueprint.input(LookupQuery, location="query", arg_name="query")
@blueprint.output(Matches)
@auth.requires(Permission.CUSTOMERS_READ)
def lookup(query: LookupQuery) -> Any:
    """Ranked matches for a number, each with its reason."""
    auth.every(Permission.CUSTOMERS_READ)
    region = query.region or services().settings.site.region
    with services().reading() as session:
        return {"items": records.matches(session, query.phone, region)}


@blueprint.get("/customers/<id>")
@blueprint.output(CustomerView)
@auth.requires(Permission.CUSTOMERS_READ)
def show(id: str) -> Any:
    """One customer."""
    services().access.open_customer(id, request.remote_addr)
    with services().reading() as session:
        return records.customer(session, id)


@blueprint.patch("/customers/<id>")
@blueprint.input(CustomerPatch, location="json", arg_name="body")
@blueprint.output(CustomerView)
@auth.requires(Permission.CUSTOMERS_WRITE)
def change(id: str, body: CustomerPatch) -> Any:
    """Change a customer; 409 when somebody else did meanwhile."""
    changes = body.model_dump(exclude_unset=True)
    version = changes.pop("version", None)
    with services().writing() as session:
        return records.change_customer(session, id, changes, version, who().id)


@blueprint.get("/customers/<id>/timeline")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[TimelineItem])
@auth.requires(Permission.CUSTOMERS_READ)
def timeline(id: str, query: PageQuery) -> Any:
    """Everything that happened with the customer, newest first."""
    services().access.open_customer(id, request.remote_addr)
    with services().reading() as session:
        return timeline_records.timeline(session, id, query.limit, query.cursor)


@blueprint.post("/customers/<id>/access")
@blueprint.input(Reason, location="json", arg_name="body")
@blueprint.output(AccessView, status_code=201)
@auth.requires(Permission.CUSTOMERS_READ)
def access(id: str, body: Reason) -> Any:
    """Break-glass: open one customer's record for 30 minutes; the reason is kept in the audit."""
    with services().reading() as session:
        records.customer(session, id)
    glass = services().access
    return {"until": glass.break_glass(who(), "customer", id, body.reason, request.remote_addr)}

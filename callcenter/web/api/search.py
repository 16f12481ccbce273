"""One search over customers and what was said."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.web import auth, records
from callcenter.web.context import services
from callcenter.web.permissions import Permission, Scope
from callcenter.web.shapes import CustomerBrief, In, InteractionView, View

blueprint = APIBlueprint("search", __name__, tag="Search")


class SearchQuery(In):
    """What to look for."""

    q: str = Field(min_length=1, max_length=200)
    limit: int = Field(10, ge=1, le=50)


class Found(View):
    """What was found, best first."""

    customers: list[CustomerBrief]
    interactions: list[InteractionView]


@blueprint.get("/search")
@blueprint.input(SearchQuery, location="query", arg_name="query")
@blueprint.output(Found)
@auth.requires(Permission.CONVERSATION_SEARCH)
def search(query: SearchQuery) -> Any:
    """Customers by name or number, interactions by what was said."""
    person, scope = auth.allow(Permission.CONVERSATION_SEARCH)
    filters: dict[str, Any] = {"q": query.q}
    if scope is Scope.OWN:
        filters["agent"] = person.id
    with services().reading() as session:
        return {
            "customers": records.customers(session, query.q, query.limit, None)["items"],
            "interactions": records.interactions(session, filters, query.limit, None)["items"],
        }

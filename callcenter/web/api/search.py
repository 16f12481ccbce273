"""Search: customers and calls by a word, sentences by what was said in them."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from pydantic import Field

from callcenter.events import LegName
from callcenter.web import auth, records, search_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.search_shapes import SentencesView
from callcenter.web.shapes import (
    CustomerBrief,
    Id,
    In,
    InteractionView,
    LanguageName,
    Moment,
    PageQuery,
    View,
)

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
    filters: dict[str, Any] = {
        "q": query.q,
        "agents": auth.reach(Permission.CONVERSATION_SEARCH),
    }
    with services().reading() as session:
        return {
            "customers": records.customers(session, query.q, query.limit, None)["items"],
            "interactions": records.interactions(session, filters, query.limit, None)["items"],
        }


class SentencesQuery(PageQuery):
    """What was said, where, by whom and when."""

    q: str = Field(
        min_length=1,
        max_length=200,
        description='words, "a phrase", `one ~5 other`, `-without`, `beginning*`',
    )
    leg: LegName | None = Field(None, description="who said it")
    agent: Id | None = Field(None, description="whose call: a user's id, or `me`")
    queue: str | None = Field(None, max_length=64)
    language: LanguageName | None = None
    mark: Id | None = Field(None, description="a phrase list whose phrase was said in the call")
    from_: Moment | None = Field(None, alias="from", description="the call began at or after")
    to: Moment | None = Field(None, description="the call began before")


@blueprint.get("/sentences")
@blueprint.input(SentencesQuery, location="query", arg_name="query")
@blueprint.output(SentencesView)
@auth.requires(Permission.CONVERSATION_SEARCH)
def sentences(query: SentencesQuery) -> Any:
    """Sentences that hold what is looked for, the last heard first."""
    visible_to = auth.reach(Permission.CONVERSATION_SEARCH)
    narrowing: dict[str, Any] = query.model_dump(
        include={"leg", "agent", "queue", "language", "mark"}, exclude_none=True
    )
    narrowing |= {"since": query.from_, "until": query.to}
    if query.agent == "me":
        narrowing["agent"] = who().id
    with services().reading() as session:
        return search_records.sentences(
            session, query.q, narrowing, visible_to, query.limit, query.cursor
        )

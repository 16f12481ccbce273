"""Break-glass: what was opened for a while, by whom and why."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint

from callcenter.web import auth, records
from callcenter.web.context import services
from callcenter.web.permissions import Permission
from callcenter.web.shapes import Moment, Page, PageQuery, PersonView, View

blueprint = APIBlueprint("disclosures", __name__, tag="Administration")


class DisclosureView(View):
    """Somebody opened one call or one customer with a reason."""

    id: str
    who: PersonView | None
    kind: Literal["interaction", "customer"]
    object: str
    reason: str
    opened_at: Moment
    until: Moment


@blueprint.get("/disclosures")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[DisclosureView])
@auth.requires(Permission.DISCLOSURES_READ)
def index(query: PageQuery) -> Any:
    """What was opened with a reason, newest first."""
    with services().reading() as session:
        return records.disclosures(session, query.limit, query.cursor)

"""Sampling: rules by which calls are drawn, and the drawn calls of a supervisor."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.crm.quality import sampling
from callcenter.web import auth, sampling_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.quality_shapes import (
    PassIn,
    SampledCallView,
    SamplingRuleIn,
    SamplingRulesView,
    SamplingRuleView,
)
from callcenter.web.shapes import Page, PageQuery

blueprint = APIBlueprint("sampling", __name__, tag="Quality")


@blueprint.get("/sampling-rules")
@blueprint.output(SamplingRulesView)
@auth.requires(Permission.QUALITY_MANAGE)
def rules() -> Any:
    """All rules, those in force first; 200 at most."""
    with services().reading() as session:
        return {"items": sampling_records.rules(session, sampling.rules(session))}


@blueprint.post("/sampling-rules")
@blueprint.input(SamplingRuleIn, location="json", arg_name="body")
@blueprint.output(SamplingRuleView, status_code=201)
@auth.requires(Permission.QUALITY_MANAGE)
def add(body: SamplingRuleIn) -> Any:
    """Draw by this from the last finished week on."""
    with services().writing() as session:
        made = sampling.add_rule(session, by=who().id, **body.model_dump())
        return sampling_records.rules(session, [made])[0]


@blueprint.post("/sampling-rules/<id>/end")
@blueprint.output(SamplingRuleView)
@auth.requires(Permission.QUALITY_MANAGE)
def end(id: str) -> Any:
    """Draw by it no more; what was drawn stays."""
    with services().writing() as session:
        return sampling_records.rules(session, [sampling.end_rule(session, id, by=who().id)])[0]


@blueprint.get("/sampled-calls")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[SampledCallView])
@auth.requires(Permission.QUALITY_EVALUATE)
def to_evaluate(query: PageQuery) -> Any:
    """The drawn calls that wait for this person, the newest first."""
    with services().reading() as session:
        page = sampling.to_evaluate(
            session,
            who().id,
            among=auth.reach(Permission.QUALITY_EVALUATE),
            limit=query.limit,
            cursor=query.cursor,
        )
        return {"items": sampling_records.calls(session, page.items), "next": page.next}


@blueprint.post("/sampled-calls/<id>/pass")
@blueprint.input(PassIn, location="json", arg_name="body")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.QUALITY_EVALUATE)
def pass_over(id: str, body: PassIn) -> Any:
    """This call is not evaluated; the reason is kept."""
    with services().writing() as session:
        sampling.pass_over(session, id, by=who().id, why=body.why)
    return ""

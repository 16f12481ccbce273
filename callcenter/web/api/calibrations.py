"""Calibrations: one call judged blind by several supervisors, compared, agreed on."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from callcenter.crm.quality import calibrations
from callcenter.web import auth, calibration_records, records
from callcenter.web import quality_records as quality
from callcenter.web.calibration_shapes import CalibrationBriefView, CalibrationIn, CalibrationView
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.quality_shapes import EvaluationView
from callcenter.web.shapes import Page, PageQuery

blueprint = APIBlueprint("calibrations", __name__, tag="Quality")


@blueprint.get("/calibrations")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[CalibrationBriefView])
@auth.requires(Permission.CALIBRATION_READ)
def index(query: PageQuery) -> Any:
    """Calibrations, the newest first."""
    with services().reading() as session:
        page = calibrations.page(
            session,
            among=auth.reach(Permission.CALIBRATION_READ),
            limit=query.limit,
            cursor=query.cursor,
        )
        return {"items": calibration_records.rows(session, page.items), "next": page.next}


@blueprint.post("/calibrations")
@blueprint.input(CalibrationIn, location="json", arg_name="body")
@blueprint.output(CalibrationView, status_code=201)
@auth.requires(Permission.QUALITY_EVALUATE)
def start(body: CalibrationIn) -> Any:
    """Give a call to several supervisors; each finds an evaluation of their own."""
    with services().reading() as session:
        call = records.interaction_row(session, body.interaction)
        services().access.open_conversation(call, None, request.remote_addr)
    agent = quality.judged(body.agent, call.talked)
    services().access.demand_hearing(body.judges, call.talked)
    with services().writing() as session:
        made = calibrations.start(
            session,
            call,
            scorecard=body.scorecard,
            agent=agent,
            judges=body.judges,
            by=who().id,
        )
        return calibration_records.calibration(session, made)


@blueprint.get("/calibrations/<id>")
@blueprint.output(CalibrationView)
@auth.requires(Permission.CALIBRATION_READ)
def show(id: str) -> Any:
    """One calibration; answers and scores only when it is blind no more."""
    with services().reading() as session:
        among = auth.reach(Permission.CALIBRATION_READ)
        found = calibrations.get_or_raise(session, id, among=among)
        return calibration_records.calibration(session, found)


@blueprint.post("/calibrations/<id>/closing")
@blueprint.output(CalibrationView)
@auth.requires(Permission.QUALITY_EVALUATE)
def close(id: str) -> Any:
    """End the scoring and show what there is."""
    with services().writing() as session:
        among = auth.reach(Permission.QUALITY_EVALUATE)
        found = calibrations.get_or_raise(session, id, among=among, lock=True)
        calibrations.close(session, found, by=who().id)
        return calibration_records.calibration(session, found)


@blueprint.post("/calibrations/<id>/agreement")
@blueprint.output(EvaluationView, status_code=201)
@auth.requires(Permission.QUALITY_EVALUATE)
def agree(id: str) -> Any:
    """Begin the evaluation that they agree on; it is answered and submitted as any other."""
    with services().writing() as session:
        among = auth.reach(Permission.QUALITY_EVALUATE)
        found = calibrations.get_or_raise(session, id, among=among, lock=True)
        return quality.evaluation(session, calibrations.agree(session, found, by=who().id))

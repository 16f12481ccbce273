"""Review: what a conversation was like, comments at its moments, links to them."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request
from sqlalchemy.orm import Session

from callcenter.crm.interactions.models import Interaction
from callcenter.crm.review import corrections, operations
from callcenter.web import auth, records, review_records
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.review_shapes import (
    CommentIn,
    CommentsView,
    CommentView,
    ConversationView,
    CorrectionIn,
    CorrectionsView,
    MomentIn,
    MomentLinkView,
    MomentView,
)

blueprint = APIBlueprint("review", __name__, tag="Review")


@blueprint.get("/interactions/<id>/conversation")
@blueprint.output(ConversationView)
@auth.requires(Permission.CONVERSATION)
def conversation(id: str) -> Any:
    """Who spoke how much, talk-over, silence and marks; seconds from the answer."""
    with services().reading() as session:
        return review_records.conversation(session, _heard(session, id))


@blueprint.get("/interactions/<id>/comments")
@blueprint.output(CommentsView)
@auth.requires(Permission.CONVERSATION)
def comments(id: str) -> Any:
    """What people remarked on this call."""
    with services().reading() as session:
        return review_records.comments(session, _heard(session, id), who().id)


@blueprint.post("/interactions/<id>/comments")
@blueprint.input(CommentIn, location="json", arg_name="body")
@blueprint.output(CommentView, status_code=201)
@auth.requires(Permission.CONVERSATION)
def remark(id: str, body: CommentIn) -> Any:
    """A comment at a moment or on a span; who may hear the call reads it."""
    with services().reading() as session:
        row = _heard(session, id)
    with services().writing() as session:
        made = operations.comment(session, row, by=who().id, text=body.text, t0=body.t0, t1=body.t1)
        return review_records.comment(session, made, who().id)


@blueprint.post("/interactions/<id>/comments/<comment>/retraction")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.CONVERSATION)
def take_back(id: str, comment: str) -> Any:
    """Take an own comment back."""
    with services().reading() as session:
        row = _heard(session, id)
    with services().writing() as session:
        operations.take_back(session, row, comment, by=who().id)
    return ""


@blueprint.get("/interactions/<id>/corrections")
@blueprint.output(CorrectionsView)
@auth.requires(Permission.CONVERSATION)
def corrected(id: str) -> Any:
    """What people put right in the transcript: who, when, and what stood there before."""
    with services().reading() as session:
        return review_records.corrections_of(session, _heard(session, id))


@blueprint.post("/interactions/<id>/utterances/<utterance>/correction")
@blueprint.input(CorrectionIn, location="json", arg_name="body")
@blueprint.output(CorrectionsView, status_code=201)
@auth.requires(Permission.CONVERSATION_CORRECT)
def correct(id: str, utterance: str, body: CorrectionIn) -> Any:
    """Put a sentence right; 409 where it was changed meanwhile. What stood there is kept."""
    with services().reading() as session:
        row = _heard(session, id, "transcript.correct")
        auth.own_only(Permission.CONVERSATION_CORRECT, *row.talked)
    with services().writing() as session:
        corrections.correct(
            session,
            row,
            utterance,
            by=who().id,
            text=body.text,
            was=body.was,
            rules=services().rules,
        )
        return review_records.corrections_of(session, row)


@blueprint.post("/interactions/<id>/moments")
@blueprint.input(MomentIn, location="json", arg_name="body")
@blueprint.output(MomentLinkView, status_code=201)
@auth.requires(Permission.CONVERSATION)
def share(id: str, body: MomentIn) -> Any:
    """A link to a moment. It expires, and opens only for who may hear the call anyway."""
    with services().reading() as session:
        row = _heard(session, id)
    with services().writing() as session:
        token, made = operations.link(session, row, by=who().id, t0=body.t0, days=body.days)
        return {"path": f"/moments/{token}", "expires_at": made.expires_at}


@blueprint.get("/moments/<token>")
@blueprint.output(MomentView)
@auth.requires(Permission.CONVERSATION)
def moment(token: str) -> Any:
    """Where a link leads: 410 once it has expired, 404 for a call that is not this person's."""
    with services().reading() as session:
        found = operations.open_link(session, token)
        _heard(session, found.interaction_id, "moment.open")
        return {
            "interaction": found.interaction_id,
            "t0": found.t0,
            "expires_at": found.expires_at,
        }


def _heard(session: Session, id: str, what: str | None = None) -> Interaction:
    """The interaction, for somebody who may hear it; `what` goes to the audit."""
    row = records.interaction_row(session, id)
    services().access.open_conversation(row, what, request.remote_addr)
    return row

"""Review: what a conversation was like."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request

from callcenter.web import auth, records, review_records
from callcenter.web.context import services
from callcenter.web.permissions import Permission
from callcenter.web.review_shapes import ConversationView

blueprint = APIBlueprint("review", __name__, tag="Review")


@blueprint.get("/interactions/<id>/conversation")
@blueprint.output(ConversationView)
@auth.requires(Permission.CONVERSATION)
def conversation(id: str) -> Any:
    """Who spoke how much, talk-over, silence and marks; seconds from the answer."""
    with services().reading() as session:
        row = records.interaction_row(session, id)
        services().access.open_conversation(row, None, request.remote_addr)
        return review_records.conversation(session, row)

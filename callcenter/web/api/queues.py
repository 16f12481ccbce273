"""Queues as they are now."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.web import auth, floor
from callcenter.web.context import services
from callcenter.web.permissions import Permission
from callcenter.web.shapes import QueueView, View

blueprint = APIBlueprint("queues", __name__, tag="Floor")


class Queues(View):
    """Every queue of the settings."""

    items: list[QueueView]


@blueprint.get("/queues")
@blueprint.output(Queues)
@auth.requires(Permission.FLOOR_READ)
def index() -> Any:
    """Who waits where; the counts are zero while telephony does not answer."""
    return {"items": floor.queues(services(), floor.ask(services()))}

"""Desk phones as they are now."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.web import auth, floor
from callcenter.web.context import services
from callcenter.web.permissions import Permission
from callcenter.web.shapes import DeskPhoneView, View

blueprint = APIBlueprint("phones", __name__, tag="Floor")


class DeskPhones(View):
    """Every desk phone of the settings."""

    items: list[DeskPhoneView]


@blueprint.get("/phones")
@blueprint.output(DeskPhones)
@auth.requires(Permission.FLOOR_READ)
def index() -> Any:
    """Which desk phones are registered, and for how long."""
    return {"items": floor.phones(services())}

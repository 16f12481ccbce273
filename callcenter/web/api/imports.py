"""Imports of records from files: promised addresses that say they are not built yet."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.errors import NotBuilt
from callcenter.web import auth
from callcenter.web.permissions import Permission

blueprint = APIBlueprint("imports", __name__, tag="Imports")


@blueprint.post("/imports")
@auth.any_body
@auth.requires(Permission.IMPORT)
def create() -> Any:
    """Read records from a file: not built yet, 501 `not-built`."""
    raise NotBuilt("importing files is not built yet; add customers with POST /customers")


@blueprint.get("/imports/<id>")
@auth.requires(Permission.IMPORT)
def show(id: str) -> Any:
    """How far an import is: not built yet, 501 `not-built`."""
    raise NotBuilt("importing files is not built yet; add customers with POST /customers")

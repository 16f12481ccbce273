"""The OpenAPI 3.1 document: made from the routes, tidied, served, and written to a file.

`python -m callcenter.web.openapi FILE` writes it (`make openapi`): the front end generates
its types from there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from apiflask import APIFlask
from flask import Response

from callcenter.web import auth

_REF = "#/components/schemas/"


def install(app: APIFlask, prefix: str) -> None:
    """Register `/api/v1/openapi.json`."""
    made: dict[str, Any] = {}

    @app.get(f"{prefix}/openapi.json")
    @app.doc(hide=True)
    @auth.public
    def openapi() -> Response:
        if not made:
            made.update(document(app))
        return Response(json.dumps(made), content_type="application/json")


def document(app: APIFlask) -> dict[str, Any]:
    """The document of the application's API."""
    raw: dict[str, Any] = json.loads(json.dumps(app._generate_spec().to_dict()))
    raw["paths"] = {
        path: operations for path, operations in raw["paths"].items() if path.startswith("/api/")
    }
    tidy = _tidy(raw)
    schemas = tidy["components"]["schemas"]
    for unused in ("HTTPError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _problem()
    for operations in tidy["paths"].values():
        for method, operation in operations.items():
            _answers(method, operation)
    tidy["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "callcenter"},
        "csrf": {"type": "apiKey", "in": "header", "name": auth.CSRF_HEADER},
    }
    tidy["components"]["schemas"] = dict(sorted(schemas.items()))
    tidy["paths"] = dict(sorted(tidy["paths"].items()))
    return tidy


def _answers(method: str, operation: dict[str, Any]) -> None:
    """Every operation may fail, and says so in one shape."""
    for status in [code for code in operation["responses"] if code[0] in "45"]:
        del operation["responses"][status]
    operation["responses"]["default"] = {
        "description": "What went wrong (RFC 9457)",
        "content": {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}},
    }
    operation["security"] = [{"session": []} if method == "get" else {"session": [], "csrf": []}]


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    fields = {"field": text, "detail": text}
    errors = {
        "type": "array",
        "items": {"type": "object", "properties": fields, "required": list(fields)},
    }
    properties = {"type": text, "title": text, "status": {"type": "integer"}, "detail": text}
    return {
        "type": "object",
        "properties": {**properties, "errors": errors},
        "required": [*properties, "errors"],
    }


def _tidy(raw: dict[str, Any]) -> dict[str, Any]:
    """`Outer.Inner` is called `Inner`, and a page of things `ThingPage`, everywhere."""
    text = json.dumps(raw)
    for name in raw["components"]["schemas"]:
        text = text.replace(f'"{_REF}{name}"', f'"{_REF}{_short(name)}"')
    tidy: dict[str, Any] = json.loads(text)
    schemas: dict[str, Any] = {}
    for name, schema in tidy["components"]["schemas"].items():
        short = _short(name)
        schema.pop("$defs", None)
        schema["title"] = short
        for field in schema.get("properties", {}).values():
            _bare(field)
        assert schemas.get(short, schema) == schema, f"two shapes are called {short}"
        schemas[short] = schema
    tidy["components"]["schemas"] = schemas
    return tidy


def _bare(field: dict[str, Any]) -> None:
    """Titles repeat the name; a default would make generated types demand the field."""
    for key in ("title", "default"):
        field.pop(key, None)


def _short(name: str) -> str:
    last = name.rsplit(".", 1)[-1]
    page = re.fullmatch(r"Page_?\[?(\w+?)(?:View)?\]?_?", last)
    return f"{page[1]}Page" if page else last.removesuffix("View")


def write(file: Path) -> None:
    """Write the document; changes nothing when it is current."""
    text = render()
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def render() -> str:
    """The document as it stands in the repository."""
    from callcenter.bus import MemoryBus
    from callcenter.config import Settings
    from callcenter.database import open_database
    from callcenter.web.app import create_app

    app = create_app(Settings(), open_database("sqlite://"), MemoryBus())
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "frontend/openapi.json"))

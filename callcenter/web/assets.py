"""The built front end: what Vite's manifest says to load, and its files."""

from __future__ import annotations

import gzip
import json
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Request, Response, send_file

from callcenter.errors import NotFound
from callcenter.web.audio import place

HERE = Path(__file__).parent
DIST = HERE / "dist"
OWN = HERE / "static"
ENTRY = "src/main.ts"
ADDRESS = "/static/"
_PACKED = (("br", ".br"), ("gzip", ".gz"))
_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Assets:
    """Addresses of the page's script, of its styles, and of what to load with it."""

    script: str
    styles: list[str]
    preloads: list[str]


def find(dist: Path = DIST) -> Assets | None:
    """What the page loads; None while the front end is not built."""
    try:
        manifest: dict[str, Any] = json.loads((dist / ".vite" / "manifest.json").read_text())
        entry = manifest[ENTRY]
    except (OSError, ValueError, KeyError):
        return None
    chunks = _imports(manifest, entry)
    styles = [css for chunk in [entry, *chunks] for css in chunk.get("css", [])]
    return Assets(
        script=ADDRESS + entry["file"],
        styles=[ADDRESS + css for css in dict.fromkeys(styles)],
        preloads=[ADDRESS + chunk["file"] for chunk in chunks],
    )


def _imports(manifest: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    todo = list(entry.get("imports", []))
    while todo:
        name = todo.pop(0)
        if name not in found:
            found[name] = manifest[name]
            todo += manifest[name].get("imports", [])
    return list(found.values())


def send(asked: Request, path: str, roots: tuple[Path, ...] = (DIST, OWN)) -> Response:
    """A file of the front end, packed where the browser takes it. Raises NotFound."""
    if any(part.startswith(".") for part in path.split("/")):
        raise NotFound("no such thing")
    for root in roots:
        try:
            file = place(root, path)
        except NotFound:
            continue
        return _respond(asked, file, path)
    raise NotFound("no such thing")


def _respond(asked: Request, file: Path, path: str) -> Response:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    response = _packed(asked, file, kind) or send_file(file, mimetype=kind, conditional=True)
    response.headers["Vary"] = "Accept-Encoding"
    hashed = path.startswith("assets/")
    response.headers["Cache-Control"] = _YEAR if hashed else "no-cache"
    return response


def _packed(asked: Request, file: Path, kind: str) -> Response | None:
    """What the build packed, else packed here once; None where packing gains nothing."""
    for name, suffix in _PACKED:
        packed = file.with_name(file.name + suffix)
        if asked.accept_encodings.best_match([name]) and packed.is_file():
            response = send_file(packed, mimetype=kind, conditional=True)
            response.headers["Content-Encoding"] = name
            return response
    text = kind.startswith("text/") or kind.endswith(("javascript", "json", "xml"))
    if not text or not asked.accept_encodings.best_match(["gzip"]):
        return None
    response = Response(_gzipped(file, file.stat().st_mtime_ns), mimetype=kind)
    response.headers["Content-Encoding"] = "gzip"
    return response


@lru_cache(maxsize=256)
def _gzipped(file: Path, _changed: int) -> bytes:
    return gzip.compress(file.read_bytes(), mtime=0)

"""The words of the server's own pages, per language, from `locale/*.json`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from flask import Request

from callcenter.config import Site

RIGHT_TO_LEFT = ("fa", "he")


@cache
def texts(language: str) -> dict[str, str]:
    """Every text of that language."""
    file = Path(__file__).with_name("locale") / f"{language}.json"
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


def direction(language: str) -> str:
    """rtl or ltr."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def choose(asked: Request, site: Site, own: str | None = None) -> str:
    """`?lang=`, then the user's own, then the browser's, then the site's."""
    wanted = asked.args.get("lang")
    for language in (wanted, own):
        if language in site.languages:
            return str(language)
    found = asked.accept_languages.best_match(site.languages)
    return found or site.default_language

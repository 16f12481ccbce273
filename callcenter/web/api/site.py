"""What the pages need to know about this system."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from callcenter.web import auth, records
from callcenter.web.context import Services, services
from callcenter.web.permissions import Permission
from callcenter.web.shapes import LanguageName, View

blueprint = APIBlueprint("site", __name__, tag="Site")


class DispositionView(View):
    """What may become of a contact."""

    id: str
    label_en: str
    label_fa: str
    label_he: str


class SpeechView(View):
    """Captions of one language: the engine in use, or why there is none."""

    language: str
    engine: str | None = None
    missing: str | None = None


class LineView(View):
    """A number that people call."""

    number: str
    queue: str
    language: str
    record: str


class FormView(View):
    """A page for card data; opened from a call it pauses the recording."""

    name: str
    url: str


class SiteView(View):
    """This system."""

    name: str
    region: str
    timezone: str
    languages: list[LanguageName]
    default_language: LanguageName
    queues: list[str]
    lines: list[LineView]
    wrap_up_seconds: dict[str, float]
    dispositions: list[DispositionView]
    severities: list[str]
    break_reasons: list[str]
    currency: str
    recording_forms: list[FormView]
    speech: list[SpeechView]


class Dispositions(View):
    """In the order in which they are offered."""

    items: list[DispositionView]


@blueprint.get("/dispositions")
@blueprint.output(Dispositions)
@auth.requires(Permission.SITE_READ)
def dispositions() -> Any:
    """What may become of a contact."""
    with services().reading() as session:
        return {"items": records.dispositions(session)}


@blueprint.get("/site")
@blueprint.output(SiteView)
@auth.requires(Permission.SITE_READ)
def show() -> Any:
    """Name, languages, queues, dispositions, and what speech can do."""
    return view(services())


def view(parts: Services) -> dict[str, Any]:
    """This system, as the pages see it."""
    site = parts.settings.site
    with parts.reading() as session:
        dispositions = records.dispositions(session)
    return {
        "name": site.name,
        "region": site.region,
        "timezone": site.timezone,
        "languages": site.languages,
        "default_language": site.default_language,
        "queues": [queue.name for queue in parts.settings.queues],
        "lines": _lines(parts),
        "wrap_up_seconds": {q.name: q.wrap_up_seconds for q in parts.settings.queues},
        "dispositions": [DispositionView.model_validate(one).model_dump() for one in dispositions],
        "severities": ["low", "normal", "high", "critical"],
        "break_reasons": ["lunch", "coffee", "personal", "meeting"],
        "currency": parts.settings.complaints.currency,
        "recording_forms": [one.model_dump() for one in parts.settings.recording.forms],
        "speech": speech(parts),
    }


def _lines(parts: Services) -> list[dict[str, Any]]:
    return [
        {
            "number": line.number,
            "queue": line.queue,
            "language": line.language or parts.settings.site.default_language,
            "record": parts.settings.queue(line.queue).record or line.record,
        }
        for line in parts.settings.lines
    ]


def speech(parts: Services) -> list[dict[str, Any]]:
    """Per language: the engine in use as the speech process last said, or the reason."""
    status = parts.speech_status()
    found = []
    for language in parts.settings.site.languages:
        engine = status.engines.get(language) if status else None
        missing = status.missing.get(language) if status else "the speech process is not up"
        found.append(
            {"language": language, "engine": engine, "missing": None if engine else missing}
        )
    return found

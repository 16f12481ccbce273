"""What is wrong with the settings, as sentences: `key: found X, allowed: Y`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

Location = tuple[int | str, ...]
_ALLOWED = {
    "string_type": 'text; write it in quotes, such as "100"',
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a map",
    "model_type": "a map of settings",
    "model_attributes_type": "a map of settings",
}


def sentences(item: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """One finding of pydantic, as one sentence (several for rules across sections)."""
    place, kind = item["loc"], item["type"]
    message = item["msg"].removeprefix("Value error, ")
    if not place:
        return message.splitlines()
    key = _key(place)
    if kind == "extra_forbidden":
        return [f"{key}: unknown key; {_near(place, model)}"]
    if kind == "missing":
        return [f"{key}: found nothing, allowed: {_description(place, model)}"]
    if kind == "string_pattern_mismatch":
        message = f"{_description(place, model)} (pattern {item['ctx']['pattern']})"
    allowed = _ALLOWED.get(kind, re.sub(r"^(Input|\w+) should (be )?", "", message))
    found = "something else" if place[-1] == "password" else _shown(item["input"])
    return [f"{key}: found {found}, allowed: {allowed}"]


def across(values: Mapping[str, Any]) -> list[str]:
    """Mistakes between settings; parts of the wrong shape are passed over here."""
    lines, queues = _maps(values, "lines"), _maps(values, "queues")
    names = [queue["name"] for queue in queues if "name" in queue]
    known = ", ".join(map(str, names))
    problems = [
        f"lines[{index}].queue: found {_shown(line['queue'])}, allowed: {known}"
        for index, line in enumerate(lines)
        if names and "queue" in line and line["queue"] not in names
    ]
    trunks = _maps(values.get("sip"), "trunks")
    accounts = _maps(values.get("sip"), "registrations")
    for what, key, rows in (
        ("queues", "name", queues),
        ("lines", "number", lines),
        ("sip.trunks", "name", trunks),
        ("sip.registrations", "name", accounts),
        ("sip.phones", "extension", _maps(values.get("sip"), "phones")),
        ("sip.phones", "user", _maps(values.get("sip"), "phones")),
    ):
        problems += _twice(what, key, rows)
    problems += _outbound(values.get("sip"), trunks, accounts, names)
    return [*problems, *_oidc(values.get("sign_in"), values.get("web"))]


def _oidc(sign_in: Any, web: Any) -> list[str]:
    """A provider sends people back to an address that it knows."""
    wanted = isinstance(sign_in, Mapping) and sign_in.get("oidc") is not None
    if not wanted or (isinstance(web, Mapping) and web.get("public_url")):
        return []
    return ["web.public_url: found nothing, allowed: our address, where sign_in.oidc sends people"]


def _outbound(sip: Any, trunks: Any, accounts: Any, queues: list[Any]) -> list[str]:
    """Calls out need a way out, and a queue that there is."""
    outbound = sip.get("outbound") if isinstance(sip, Mapping) else None
    if not isinstance(outbound, Mapping):
        return []
    ways = [trunk["name"] for trunk in trunks if trunk.get("server") and "name" in trunk]
    ways += [account["name"] for account in accounts if "name" in account]
    problems = []
    if "trunk" in outbound and outbound["trunk"] not in ways:
        known = ", ".join(map(str, ways)) or "a trunk with a server, or a registration"
        problems.append(f"sip.outbound.trunk: found {_shown(outbound['trunk'])}, allowed: {known}")
    queue = outbound.get("queue")
    if queue is not None and queues and queue not in queues:
        known = ", ".join(map(str, queues))
        problems.append(f"sip.outbound.queue: found {_shown(queue)}, allowed: {known}")
    return problems


def _maps(values: Any, key: str) -> list[dict[str, Any]]:
    rows = values.get(key) if isinstance(values, Mapping) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _twice(what: str, key: str, rows: list[dict[str, Any]]) -> list[str]:
    seen: list[Any] = []
    problems = []
    for index, row in enumerate(rows):
        value = row.get(key)
        if value is not None and value in seen:
            problems.append(f"{what}[{index}].{key}: found {_shown(value)} twice, allowed: once")
        seen.append(value)
    return problems


def _key(place: Location) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _shown(found: Any) -> str:
    """What was found, short; a password inside an address stays hidden."""
    if isinstance(found, Mapping):
        return "a map"
    text = re.sub(r"(://[^:/@\s]*:)[^@\s]*@", r"\1***@", repr(found))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _near(place: Location, model: type[BaseModel]) -> str:
    section = _section(place, model)
    known = sorted(section.model_fields) if section else []
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{hint}allowed here: {', '.join(known)}"


def _description(place: Location, model: type[BaseModel]) -> str:
    section = _section(place, model)
    field = section.model_fields.get(str(place[-1])) if section else None
    return (field.description if field else None) or "a value"


def _section(place: Location, model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that holds the key at `place`."""
    here: type[BaseModel] | None = model
    for part in place[:-1]:
        if isinstance(part, str) and here is not None:
            field = here.model_fields.get(part)
            here = inner_model(field.annotation) if field else None
    return here


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation is, or is a list of."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None

"""/healthz: this process is up. /readyz: every part answers, a line each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from callcenter.errors import CallcenterError
from callcenter.events import DescribeHealth
from callcenter.web import auth
from callcenter.web.context import Services
from callcenter.web.leaked import LeakedPasswords

PATIENCE = 1.5  # seconds for each part
NEEDED = ("database", "telephony")  # without these nobody can be served; the rest can wait
ASKED = ("telephony", "speech", "jobs")


def install(app: Flask, parts: Services) -> None:
    """Register the two addresses."""

    @app.get("/healthz")
    @auth.public
    def healthz() -> Response:
        return jsonify({"ok": True})

    @app.get("/readyz")
    @auth.public
    def readyz() -> tuple[Response, int]:
        report = ready(parts)
        return jsonify(report), 200 if report["ok"] else 503


def ready(parts: Services) -> dict[str, Any]:
    """{"ok": bool, "database": {"ok", "detail"}, "telephony": …, "speech": …, "jobs": …}.

    Where there is a list of leaked passwords, "leaked_passwords" too.
    """
    with ThreadPoolExecutor(len(ASKED)) as pool:
        answers = pool.map(lambda service: _ask(parts, service), ASKED)
        report: dict[str, Any] = {"database": _database(parts)}
        report |= dict(zip(ASKED, answers, strict=True))
    report["resources"] = _resources(report["telephony"])
    if parts.leaked is not None:
        report["leaked_passwords"] = _leaked(parts.leaked)
    ok = all(report[name]["ok"] for name in NEEDED)
    return {"ok": ok, **report}


def _ask(parts: Services, service: str) -> dict[str, Any]:
    try:
        answer = parts.bus.request(service, DescribeHealth(), timeout=PATIENCE)
    except CallcenterError as error:
        return {"ok": False, "detail": error.detail}
    answer = {**answer, **_without_names(answer)}
    return {"ok": bool(answer.get("ok")), "detail": str(answer.get("detail", "")), **answer}


def _without_names(answer: dict[str, Any]) -> dict[str, Any]:
    """Anybody may ask: desk phones are counted, whose they are is for people signed in."""
    sip = answer.get("sip")
    if not isinstance(sip, dict) or "phones" not in sip:
        return {}
    phones = sip["phones"].values()
    registered = sum(bool(phone["places"]) for phone in phones)
    return {"sip": {**sip, "phones": {"registered": registered, "of": len(phones)}}}


def _resources(telephony: dict[str, Any]) -> dict[str, Any]:
    """What runs short there; an alarm is told before anything is full, so it stops nobody."""
    alarms: dict[str, float] = telephony.get("alarms", {})
    short = ", ".join(f"{name} {share:.0%}" for name, share in sorted(alarms.items()))
    return {
        "ok": not alarms,
        "detail": f"short: {short}" if alarms else "enough of everything",
        "shares": telephony.get("resources", {}),
    }


def _leaked(known: LeakedPasswords) -> dict[str, Any]:
    """Without it nobody can choose a password; everything else goes on."""
    problem = known.problem()
    return {"ok": problem is None, "detail": f"the list {problem}" if problem else "is there"}


def _database(parts: Services) -> dict[str, Any]:
    """Given up after PATIENCE: a server that vanished answers nothing for long."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(_ask_database, parts).result(PATIENCE)
    except TimeoutError:
        return {"ok": False, "detail": "the database does not answer in time"}
    finally:
        pool.shutdown(wait=False)


def _ask_database(parts: Services) -> dict[str, Any]:
    try:
        with parts.reader.connect() as connection:
            connection.execute(text("SELECT count(*) FROM users"))
    except SQLAlchemyError as error:
        return {"ok": False, "detail": f"the database does not answer: {type(error).__name__}"}
    return {"ok": True, "detail": "answers"}

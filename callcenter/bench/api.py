"""`callcenter bench api`: how fast the HTTP API answers over the sample data."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy.orm import Session

from callcenter.bench import processor
from callcenter.bench.figures import Report
from callcenter.bench.trial import Trial, running
from callcenter.config import Settings
from callcenter.database import open_database
from callcenter.demo import data
from callcenter.errors import CallcenterError

READS = {
    "who am I": "/session",
    "customer by phone number": "/customers/lookup?phone=%2B989121234567&region=IR",
    "first page of customers": "/customers?limit=50",
    "first page of calls": "/interactions?limit=50",
    "search over everything": "/search?q=order",
}


def measure(base: Settings, *, requests: int, folder: Path | None = None) -> Report:
    """Figures of `requests` of each kind, one after the other over one connection."""
    report = Report(f"bench api: {requests} requests of each kind", processor.machine())
    with running(base, folder=folder) as trial:
        made = _fill(trial)
        (name,) = trial.add_agents(1)
        with httpx.Client(base_url=trial.base + "/api/v1", timeout=60, trust_env=False) as http:
            http.headers["Origin"] = trial.base
            words = {"username": name, "password": trial.password}
            signed_in = _checked(http.post("/session", json=words))
            http.headers["X-CSRF-Token"] = signed_in.json()["csrf_token"]
            for what, path in READS.items():
                report.add(f"GET {what}", "ms", _times(requests, partial(http.get, path)))
            customer = {"name": "Measured", "kind": "person"}
            report.add(
                "POST a customer",
                "ms",
                _times(requests, lambda: http.post("/customers", json=customer)),
            )
    report.notes.append(
        f"sample data: {made} customers with a month of history; one agent, one connection; "
        "the first request of each kind is not counted"
    )
    return report


def _fill(trial: Trial) -> int:
    engine = open_database(trial.settings.database_url)
    try:
        with Session(engine) as session, session.begin():
            return data.fill(session)
    finally:
        engine.dispose()


def _times(count: int, ask: Callable[[], httpx.Response]) -> list[float]:
    """Milliseconds of each answer."""
    _checked(ask())
    found = []
    for _ in range(count):
        began = time.perf_counter()
        answer = ask()
        found.append(1000 * (time.perf_counter() - began))
        _checked(answer)
    return found


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise CallcenterError(f"{answer.request.url.path} answered {answer.status_code}")
    return answer

"""`callcenter retention` over the audit: what it says, and a kill in the middle of a removal."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from callcenter import bootstrap, migrations
from callcenter.cli import app
from callcenter.config import Settings
from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains import operations as chains
from callcenter.crm.chains.models import ChainCheckpoint, ChainLink
from callcenter.database import reading
from callcenter.errors import ConfigError

WaitUntil = Callable[..., object]


def words(settings: Settings, *more: str) -> list[str]:
    places = ["--config", str(settings.data_dir.parent / "config.json")]
    return [*more, *places, "--data-dir", str(settings.data_dir)]


def run(settings: Settings, *more: str) -> Result:
    return CliRunner().invoke(app, words(settings, *more))


def filled(engine: Engine, count: int, days: float) -> None:
    """So many lines of the audit that are so many days old, in one transaction."""
    at = datetime.now(UTC) - timedelta(days=days)
    with Session(engine) as session, session.begin():
        end = chains.lock(session, audit.AUDIT)
        before = session.scalar(select(AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1))
        rows = []
        for place in range(count):
            parts = ["u1", "listen", "interaction", f"i{place}", "", None, "ok"]
            row = AuditEntry(
                at=at, who="u1", what="listen", kind="interaction", object=f"i{place}", reason="",
                address=None, result="ok", hash=audit.chained(before, at, parts),
            )  # fmt: skip
            before = row.hash
            rows.append(row)
        session.add_all(rows)
        session.flush()
        end.add_all(audit.AUDIT.some(session, [str(row.number) for row in rows]))


@pytest.fixture
def old(make_settings: Callable[..., Settings]) -> Settings:
    """Three lines of the audit that are old, two that are not."""
    settings = make_settings(retention={"audit_days": 730, "shred_after_days": 0})
    engine = bootstrap.open_records(settings)
    migrations.upgrade(engine)
    for days in (800, 10):
        filled(engine, 3 if days == 800 else 2, days)
    engine.dispose()
    return settings


def test_it_says_what_it_would_do_and_what_it_did(old: Settings) -> None:
    dry = run(old, "retention", "--dry-run")
    assert dry.output == "Audit: would be marked 3, would be shredded 0, held 0\n"
    done = run(old, "retention")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (
        0,
        "Audit: marked 3, shredded 3, held 0",
    )
    verified = run(old, "recordings", "verify")
    assert verified.exit_code == 0, verified.output
    assert "audit 4;" in verified.stdout
    assert "Retention has cut the audit: it begins behind link 3." in verified.stdout


def test_a_beginning_that_was_changed_is_a_sentence_and_a_failure(old: Settings) -> None:
    engine = bootstrap.open_records(old)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER no_update_audit"))
        connection.execute(text("UPDATE audit SET who = 'u2' WHERE number = 2"))
    engine.dispose()
    shown = run(old, "retention")
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[-2:] == [
        "Audit: marked 3, shredded 0, held 0",
        "Nothing more is taken from the audit, run callcenter recordings verify: "
        "changed: audit link 2 (2): its row is not as it was written",
    ]


def test_less_than_two_years_is_refused(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match=r"retention.audit_days: found 729, allowed: .*730"):
        make_settings(retention={"audit_days": 729})


@pytest.mark.integration
def test_a_process_that_was_killed_in_the_middle_leaves_a_whole_chain(
    make_settings: Callable[..., Settings], database_url: str, wait_until: WaitUntil
) -> None:
    wanted = {"audit_days": 730, "shred_after_days": 0}
    settings = make_settings(retention=wanted, database_url=database_url)
    engine = bootstrap.open_records(settings)
    migrations.upgrade(engine)
    filled(engine, 6_000, 800)

    def taken() -> int:
        with Session(reading(engine)) as session:
            return session.scalar(select(ChainCheckpoint.number)) or 0

    begun = [sys.executable, "-m", "callcenter", *words(settings, "retention")]
    process = subprocess.Popen(begun, stdout=subprocess.DEVNULL)
    try:
        wait_until(taken, "the first batch")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    where = taken()
    assert 0 < where < 6_000, "it was killed in the middle"
    verified = run(settings, "recordings", "verify")
    assert verified.exit_code == 0, verified.output
    again = run(settings, "retention")
    assert again.stdout.splitlines()[-1] == f"Audit: marked 0, shredded {6_000 - where}, held 0"
    verified = run(settings, "recordings", "verify")
    assert verified.exit_code == 0, verified.output
    with Session(engine) as session:
        links = select(func.count()).where(ChainLink.chain == "audit")
        rows = session.scalar(select(func.count()).select_from(AuditEntry))
        # a line a batch, one of the round, two of verify: nothing else is left
        assert (session.scalar(links), taken()) == (rows, 6_000)
    engine.dispose()

"""`callcenter doctor`: where does a call get to, and why did a past one (not) pop?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from callcenter.bench.doctor import Hop
    from callcenter.crm.diagnosis import Diagnosis, Standing, Step

REASONS = {
    "offered": "the call rang here",
    "available": "free; the call had no offer yet",
    "less_idle": "free, but somebody else was so for longer",
    "tried": "did not take the call in this round",
    "no_audio": "free, but the browser has no audio connection",
    "not_in_queue": "free, but does not serve this queue",
    "reserved": "free, but the call was transferred to somebody else",
    "not_signed_in": "not signed in",
    "ringing": "another call rang",
    "on_call": "on a call",
    "wrap_up": "in the work after a call",
    "break": "on a break",
    "training": "in training",
    "back_office": "in the back office",
    "not_answering": "set to not answering after unanswered calls",
    "offline": "signed in, but offline",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=example("callcenter doctor --call 01931f6e-…"))(doctor)


def doctor(
    call: Annotated[
        str | None, typer.Option(metavar="ID", help="Explain this past call; places none.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="LINE", help="The line to call; else the first one.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=120, help="How long each hop is waited for.")
    ] = 10,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Follow one call to one agent's browser, hop by hop; or say why a past call (not) popped.

    The running system is called: it rings at whoever is next, for the blink of an eye, and needs a
    signed-in, available agent. Exit status 0: the pop was seen; 1: it was not, and why.
    """
    from sqlalchemy.orm import Session

    from callcenter.bench.doctor import SENTENCES, examine
    from callcenter.crm.diagnosis import diagnose
    from callcenter.database import open_database
    from callcenter.log import EventLog

    settings = settings_of(config, data_dir)
    engine = open_database(settings.database_url)
    try:
        if call is not None:
            with Session(engine) as session:
                found = diagnose(session, EventLog(engine), settings, call)
            _show(found, engine, SENTENCES[found.verdict])
            well = found.verdict == "seen"
        else:
            line = to or next((one.number for one in settings.lines if one.number != "*"), "100")
            seen = examine(settings, engine, to=line, patience=seconds)
            for hop in seen.hops:
                say(_hop(hop))
            well = seen.well
            if seen.diagnosis and not well:
                _show(seen.diagnosis, engine, SENTENCES[seen.diagnosis.verdict])
            say("All hops were reached." if well else "Not all hops were reached.")
    finally:
        engine.dispose()
    if not well:
        raise typer.Exit(1)


def _hop(hop: Hop) -> str:
    ms = "       -   " if hop.ms is None else f"{hop.ms:8.1f} ms"
    return f"{'ok  ' if hop.ok else 'FAIL'}  {ms}  {hop.name}{': ' + hop.said if hop.said else ''}"


def _show(found: Diagnosis, engine: Engine, sentence: str) -> None:
    names = _names(engine, found)
    say(f"Call {found.call}, queue {found.queue or '-'}")
    say(sentence)
    for step in found.steps:
        say(_step(step, names))
    for one in found.agents:
        say(_standing(one, names))


def _step(step: Step, names: dict[str, str]) -> str:
    who = f" {names.get(step.agent, step.agent)}" if step.agent else ""
    return f"  {step.ms:10.1f} ms  {step.code}{who}{f' ({step.detail})' if step.detail else ''}"


def _standing(one: Standing, names: dict[str, str]) -> str:
    text = f"  {names.get(one.agent, one.agent)}: {REASONS.get(one.reason, one.reason)}"
    if one.seq is None:
        return text
    seen = "not seen" if one.seen_ms is None else f"seen after {one.seen_ms:.1f} ms"
    return f"{text}; pop {one.seq} sent after {one.sent_ms:.1f} ms, {seen}"


def _names(engine: Engine, found: Diagnosis) -> dict[str, str]:
    from sqlalchemy.orm import Session

    from callcenter.crm.users.queries import by_ids

    with Session(engine) as session:
        return {user.id: user.username for user in by_ids(session, found.people)}

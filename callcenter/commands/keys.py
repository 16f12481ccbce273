"""`keys`: the master key of encrypted recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of

if TYPE_CHECKING:
    from sqlalchemy import Engine


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="The master key of encrypted recordings.", no_args_is_help=True)
    group.command("list", epilog=example("callcenter keys list"))(list_keys)
    group.command("rotate", epilog=example("callcenter keys rotate"))(rotate)
    app.add_typer(group, name="keys")


def list_keys(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show the names of the master keys, newest first, and how many keys each one wraps."""
    from sqlalchemy.orm import Session

    from callcenter.crm.vault.operations import counts, master_of
    from callcenter.database import reading

    engine = _records(config, data_dir)
    try:
        with Session(reading(engine)) as session:
            names, held = list(master_of(session).load()), counts(session)
    finally:
        engine.dispose()
    for number, name in enumerate(names):
        say(f"{name}: wraps {held.pop(name, 0)} keys{'' if number else ', the newest'}")
    for name, count in held.items():
        say(f"{name}: MISSING, wraps {count} keys: their recordings cannot be heard")


def rotate(
    rewrap_only: Annotated[
        bool,
        typer.Option("--rewrap-only", help="Make no new key: the first one there is the new one."),
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a new master key, wrap every key with it anew, then throw the old one away.

    The system may be running. What was cut off goes on where it was. No recording is written anew.
    """
    from sqlalchemy.orm import Session

    from callcenter.crm.audit import operations as audit
    from callcenter.crm.vault import operations as vault

    engine = _records(config, data_dir)
    try:
        name, moved = vault.rotate(engine, fresh=not rewrap_only)
        with Session(engine) as session, session.begin():
            audit.record(session, None, "rotate", "master_key", name)
    finally:
        engine.dispose()
    say(f"The master key is {name} now; it wraps {moved} keys anew. Back it up, apart from the")
    say("database. Backups of before need the key of before: keep one of it as long as them.")


def _records(config: ConfigFile, data_dir: DataDir) -> Engine:
    from callcenter import bootstrap

    return bootstrap.open_records(settings_of(config, data_dir))

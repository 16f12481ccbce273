"""`retention`: how long things are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(epilog=example("callcenter retention --dry-run"))(retention)


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many it would be.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Mark what is too old, shred what was marked long enough ago.

    `jobs` does it every night. The system may be running.
    """
    from callcenter import bootstrap

    settings = settings_of(config, data_dir)
    engine = bootstrap.open_records(settings)
    try:
        keeper = bootstrap.retention_of(settings, engine)
        found = keeper.dry_run() if dry_run else keeper.run()
    finally:
        engine.dispose()
    if not found:
        say("Everything is kept for ever: see `retention` in the settings.")
    would = "would be " if dry_run else ""
    for kind, counts in found.items():
        say(
            f"{kind}: {would}marked {counts.marked}, {would}shredded {counts.shredded}, "
            f"held {counts.held}".capitalize()
        )
    problems = [counts.problem for counts in found.values() if counts.problem]
    for problem in problems:
        say(f"{problem[0].upper()}{problem[1:]}")
    raise typer.Exit(1 if problems else 0)

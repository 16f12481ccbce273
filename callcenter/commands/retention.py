"""`retention`: how long recordings are kept."""

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
    """Mark the recordings that are too old, shred those marked long enough ago.

    `jobs` does it every night. The system may be running.
    """
    from callcenter import bootstrap

    settings = settings_of(config, data_dir)
    engine = bootstrap.open_records(settings)
    try:
        keeper = bootstrap.retention_of(settings, engine)
        counts = keeper.dry_run() if dry_run else keeper.run()
    finally:
        engine.dispose()
    would = "would be " if dry_run else ""
    say(f"{would}marked: {counts.marked}".capitalize())
    say(f"{would}shredded: {counts.shredded}".capitalize())
    say(f"Held: {counts.held}")

"""`recordings verify`: whether recordings and audit are as they were written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of

if TYPE_CHECKING:
    from callcenter.crm.trust.verify import Report


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Sealed recordings.", no_args_is_help=True)
    group.command(
        "verify", epilog=example("callcenter recordings verify --heads /mnt/safe/heads.jsonl")
    )(verify)
    group.callback()(lambda: None)
    app.add_typer(group, name="recordings")


def verify(
    heads: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Daily heads that were kept elsewhere; else our own."),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Look whether every recording and every line of the audit is as it was written.

    The system may be running. Exit status 0: all is well; 1: something was changed, taken out of
    the middle (missing), cut off the end (cut) or off the beginning (checkpoint), or added, and the
    first such thing is named.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from callcenter import bootstrap

    settings = settings_of(config, data_dir)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        report = bootstrap.verify_recordings(
            settings,
            heads,
            lambda what, done, total: bar.update(
                task, completed=done, total=total, description=what
            ),
        )
    _show(report)
    raise typer.Exit(1 if report.wrong else 0)


def _show(report: Report) -> None:
    counts = ", ".join(f"{name} {count}" for name, count in report.counts.items())
    heads = "no daily heads" if report.heads is None else f"daily heads {report.heads}"
    say(f"Looked at: {counts}; files {report.bytes / 2**20:.1f} MiB; {heads}.")
    for name, number in report.cuts.items():
        say(f"Retention has cut the {name}: it begins behind link {number}.")
    if report.shredded:
        say(f"Shredded because their time was over, as the audit says: {report.shredded}.")
    if report.heads is None:
        say("Without daily heads nobody can see what was cut off the end together with its traces.")
    if not report.wrong:
        say("Everything is as it was written.")
        return
    say(f"First bad item: {report.findings[0]}")
    for finding in report.findings[1:]:
        say(f"           also: {finding}")
    if report.wrong > len(report.findings):
        say(f"           and {report.wrong - len(report.findings)} more.")

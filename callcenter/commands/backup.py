"""`backup` and `restore`: everything that cannot be made again, into one file and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of

if TYPE_CHECKING:
    from callcenter.backups.making import Progress

Target = Annotated[Path, typer.Argument(metavar="FILE", help="Where to; must not be there yet.")]
Source = Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` made.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=example("callcenter backup /mnt/safe/callcenter.tar"))(backup)
    app.command(epilog=example("callcenter restore /mnt/safe/callcenter.tar"))(restore)


def backup(
    file: Target,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the keys go; else beside FILE (….keys.tar)."),
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave the keys out: they are kept elsewhere.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Copy database, recordings and keys; the system may be running.

    The keys go into a file of their own: keep it apart from the other one.
    """
    from callcenter import bootstrap
    from callcenter.backups.making import keys_beside

    settings = settings_of(config, data_dir)
    place = None if without_keys else keys or keys_beside(file)
    with _bar() as progress:
        made = bootstrap.make_backup(settings, file, place, progress)
    say(f"{file}: {made.files} files, {made.bytes / 2**20:.1f} MiB.")
    if place is not None:
        say(f"{place}: {made.keys} files of keys. Keep it at another place than {file.name}:")
        say("whoever has both can read and hear everything.")
    for name in bootstrap.keys_elsewhere(settings):
        say(f"Not in it, because your settings keep it elsewhere: {name}. Back it up, too.")


def restore(
    file: Source,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the keys are; else beside FILE (….keys.tar)."),
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Bring back what can be read without keys.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Bring a backup back into an installation that has no records yet; it must not be running.

    Every byte is compared with what was written. Nothing that is there is written over.
    """
    from callcenter import bootstrap
    from callcenter.supervisor import only_one

    settings = settings_of(config, data_dir)
    with only_one(settings.run_dir), _bar() as progress:
        done, missing = bootstrap.restore_backup(
            settings, file, keys, progress, without_keys=without_keys
        )
    say(f"Brought back {done.files} files of {done.description.made}, {done.keys} files of keys.")
    for name, count in missing.items():
        say(f"MISSING: master key {name}; {count} keys hang at it, their recordings stay closed.")
    say("Look at it with `callcenter recordings verify`, then start.")


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, completed=done, total=total or None, description=what
        )

"""Looking after an installation: settings, certificate, database, models."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of


class Language(str, Enum):  # noqa: UP042 - typer shows the values of a str enum
    """Languages that are spoken to us."""

    fa = "fa"
    he = "he"
    en = "en"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=example("callcenter check-config --config config.yaml"))(check_config)
    app.command(epilog=example("callcenter settings > docs/operations/settings.md"))(settings)
    app.command(epilog=example("callcenter openapi > openapi.json"))(openapi)
    app.command(epilog=example("callcenter tls --name calls.example.com"))(tls)
    database = typer.Typer(help="The database.", no_args_is_help=True)
    database.command(epilog=example("callcenter db upgrade --data-dir data"))(upgrade)
    app.add_typer(database, name="db")
    models = typer.Typer(help="Speech models.", no_args_is_help=True)
    models.command("list", epilog=example("callcenter models list"))(list_models)
    models.command("fetch", epilog=example("callcenter models fetch en"))(fetch_models)
    app.add_typer(models, name="models")


def check_config(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Read the settings and name every mistake."""
    from callcenter.commands.system import check_files

    check_files(settings_of(config, data_dir))
    say("The settings are in order.")


def settings() -> None:
    """Print the reference of all settings (Markdown)."""
    from callcenter.config_reference import markdown

    typer.echo(markdown(), nl=False)


def openapi() -> None:
    """Print the description of the HTTP API (OpenAPI 3.1, JSON)."""
    from callcenter.web.openapi import render

    typer.echo(render(), nl=False)


def tls(
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Another host name or address; repeatable.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a local authority and a certificate, so that browsers give the microphone."""
    from callcenter import tls as maker

    current = settings_of(config, data_dir)
    made = maker.make(current, name)
    say(f"Certificate for {', '.join(maker.names(current, name or []))}:")
    say(f"  in config.yaml → web: {{tls: {{certificate: {made.certificate}, key: {made.key}}}}}")
    say("To trust it on each agent's computer, once:")
    say(f"  1. Copy {made.authority} there (never the .key files).")
    say("  2. Chrome, Edge: Settings → Security → Manage certificates → Authorities → Import.")
    say("  3. Firefox: Settings → Certificates → View → Authorities → Import, trust for websites.")


def upgrade(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Bring the database into its newest shape; a copy of a SQLite file is kept."""
    from callcenter import bootstrap
    from callcenter.migrations import head
    from callcenter.migrations import upgrade as run

    engine = bootstrap.open_records(settings_of(config, data_dir))
    try:
        run(engine)
        bootstrap.chain_old_rows(engine)
    finally:
        engine.dispose()
    say(f"The database has shape {head()}.")


def list_models(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show the speech models that are on this machine."""
    from callcenter import bootstrap

    for language, models in bootstrap.list_models(settings_of(config, data_dir)).items():
        say(f"{language}: {', '.join(models) or f'none (callcenter models fetch {language})'}")


def fetch_models(
    language: Annotated[Language, typer.Argument(metavar="LANG", help="fa, he or en.")],
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing where one for LANG is here.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Fetch a language's speech models, checked against their pinned sha256."""
    from callcenter import bootstrap

    current = settings_of(config, data_dir)
    if if_missing and bootstrap.list_models(current).get(language.value):
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("models", total=None)
        made = bootstrap.fetch_models(
            current,
            language.value,
            lambda done, total, text: bar.update(
                task, completed=done, total=total or None, description=text
            ),
        )
    say(f"{language.value} is served by {', '.join(made)}.")

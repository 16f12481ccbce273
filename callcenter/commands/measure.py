"""`callcenter bench …`: measure a trial system on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callcenter.commands.options import ConfigFile, example, say, settings_of
from callcenter.errors import Invalid, StartError

if TYPE_CHECKING:
    from callcenter.bench.figures import Report

Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write every single value there, as JSON."),
]
Folder = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Keep the trial systems' files in a new folder in here."),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    bench = typer.Typer(
        help="Measure this machine. Each starts trial systems of its own; a running one is not "
        "touched, but takes its share of the processor.",
        no_args_is_help=True,
    )
    bench.command(epilog=example("callcenter bench calls --calls 20 --seconds 30"))(calls)
    bench.command(epilog=example("callcenter bench pop --calls 50 --json pop.json"))(pop)
    bench.command(epilog=example("callcenter bench captions --calls 2"))(captions)
    bench.command(epilog=example("callcenter bench api --requests 200"))(api)
    bench.command(epilog=example("callcenter bench review --calls 100000"))(review)
    app.add_typer(bench, name="bench")


def pop(
    number: Annotated[int, typer.Option("--calls", min=1, max=1000, help="How many in all.")] = 50,
    browser: Annotated[
        bool, typer.Option(help="A real Chromium where there is one; else a plain socket.")
    ] = True,
    json_file: Json = None,
    config: ConfigFile = None,
    data_dir: Folder = None,
) -> None:
    """Measure INVITE to the event at the agent's browser, and the click to two-way sound."""
    _needs_socketio()
    from callcenter.bench import pop as bench

    settings = settings_of(config, None)
    _show(bench.measure(settings, calls=number, real_browser=browser, folder=data_dir), json_file)


def calls(
    number: Annotated[int, typer.Option("--calls", min=1, max=500, help="How many at once.")] = 10,
    seconds: Annotated[
        float, typer.Option(min=1, max=600, help="How long processor time is measured.")
    ] = 20,
    with_captions: Annotated[
        bool, typer.Option("--captions/--no-captions", help="A second round with live captions.")
    ] = True,
    json_file: Json = None,
    config: ConfigFile = None,
    data_dir: Folder = None,
) -> None:
    """Measure INVITE to 180 and the processor time per recorded call with a WebRTC agent."""
    _needs_socketio()
    from callcenter.bench import calls as bench

    settings = settings_of(config, None)
    made = bench.measure(
        settings, calls=number, seconds=seconds, captions=with_captions, folder=data_dir
    )
    _show(made, json_file)


def captions(
    number: Annotated[int, typer.Option("--calls", min=1, max=100, help="How many at once.")] = 1,
    seconds: Annotated[
        float, typer.Option(min=5, max=600, help="How long each of them speaks.")
    ] = 30,
    json_file: Json = None,
    config: ConfigFile = None,
    data_dir: Folder = None,
) -> None:
    """Measure from the spoken word to its caption at the agent."""
    _needs_socketio()
    from callcenter.bench import captions as bench

    settings = settings_of(config, None)
    _show(bench.measure(settings, calls=number, seconds=seconds, folder=data_dir), json_file)


def api(
    number: Annotated[
        int, typer.Option("--requests", min=1, max=100_000, help="How many of each.")
    ] = 200,
    json_file: Json = None,
    config: ConfigFile = None,
    data_dir: Folder = None,
) -> None:
    """Measure the HTTP API over the sample data of 200 customers."""
    from callcenter.bench import api as bench

    settings = settings_of(config, None)
    _show(bench.measure(settings, requests=number, folder=data_dir), json_file)


def review(
    number: Annotated[
        int, typer.Option("--calls", min=50, max=10_000_000, help="How many in the database.")
    ] = 1_000_000,
    requests: Annotated[int, typer.Option(min=1, max=10_000, help="How many of each.")] = 50,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A database for it, such as postgresql+psycopg://…; one with calls in it is "
            "measured as it is.",
        ),
    ] = None,
    json_file: Json = None,
    config: ConfigFile = None,
    data_dir: Folder = None,
) -> None:
    """Measure the list of recordings, search and opening a call among a million."""
    from tempfile import TemporaryDirectory

    from callcenter import logs
    from callcenter.bench import review as bench
    from callcenter.config import Log

    settings = settings_of(config, None)
    logs.setup(Log(level="warning"), "bench")
    with TemporaryDirectory(prefix="callcenter-bench-") as temporary:
        folder = data_dir or Path(temporary)
        _show(
            bench.measure(
                settings, calls=number, requests=requests, folder=folder, database=database
            ),
            json_file,
        )


def _needs_socketio() -> None:
    """The agents of a measurement are Socket.IO clients. Raises StartError."""
    from importlib.util import find_spec

    if find_spec("socketio") is None or find_spec("websocket") is None:
        raise StartError("agents of a measurement need more: pip install 'callcenter[test]'")


def _show(report: Report, json_file: Path | None) -> None:
    from rich.console import Console

    report.show(Console())
    if json_file is None:
        return
    try:
        report.write(json_file)
    except OSError as error:
        raise Invalid(f"{json_file} cannot be written: {error.strerror}") from error
    say(f"Every value is in {json_file}.")

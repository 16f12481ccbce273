"""The command line: `callcenter …`. Exit status 0 done, 1 failed with one sentence, 2 usage."""

from __future__ import annotations

import sys

import typer

from callcenter.commands import (
    backup,
    doctor,
    keys,
    measure,
    people,
    recordings,
    retention,
    system,
    trial,
    unbuilt,
    upkeep,
)
from callcenter.errors import CallcenterError, ConfigError

app = typer.Typer(
    name="callcenter",
    help="Self-hosted call-centre CRM with VoIP. Options stand after the command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
system.add_to(app)
trial.add_to(app)
measure.add_to(app)
doctor.add_to(app)
people.add_to(app)
upkeep.add_to(app)
recordings.add_to(app)
keys.add_to(app)
retention.add_to(app)
backup.add_to(app)
unbuilt.add_to(app)


def main() -> None:
    """Run the command that was typed; what fails ends in one plain sentence."""
    try:
        app()
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(f"callcenter: {problem}", err=True)
        sys.exit(1)
    except CallcenterError as error:
        typer.echo(f"callcenter: {error.detail}", err=True)
        sys.exit(1)
    except NotImplementedError:
        typer.echo("callcenter: this part is not built yet.", err=True)
        sys.exit(1)
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        typer.echo(f"callcenter: the database refused: {reason}", err=True)
        sys.exit(1)

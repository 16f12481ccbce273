"""Options that every command takes, and how a command reads the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callcenter.config import Settings

DEFAULT_FILE = Path("config.yaml")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="CALLCENTER_CONFIG",
        help="Settings; config.yaml where it is there, else the defaults.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Put database, keys and recordings of this run here."),
]


def settings_of(config: Path | None, data_dir: Path | None) -> Settings:
    """The settings in force. Raises ConfigError."""
    from callcenter.config import load

    file = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    return load(file, data_dir=data_dir)


def same_options(config: Path | None, data_dir: Path | None) -> list[str]:
    """The words that give a child process the same settings."""
    words = []
    if config is not None:
        words += ["--config", str(config)]
    if data_dir is not None:
        words += ["--data-dir", str(data_dir)]
    return words


def example(text: str) -> str:
    """The epilogue of a command's help."""
    return f"Example: {text}"


def say(text: str = "") -> None:
    """A line for the person at the terminal."""
    typer.echo(text)


def later(what: str) -> None:
    """Say plainly that a command is not built yet; exit status 1."""
    typer.echo(f"callcenter: `{what}` is not built yet; CHANGELOG.md says what is.", err=True)
    raise typer.Exit(1)

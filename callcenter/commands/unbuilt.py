"""Commands whose names are promised and that are not built yet: they say so, exit status 1."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, later

File = Annotated[Path, typer.Argument(metavar="FILE", help="A file.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    imports = typer.Typer(help="Records from files (not built yet).", no_args_is_help=True)
    imports.command("customers", epilog=example("callcenter import customers customers.xlsx"))(
        import_customers
    )
    imports.callback()(lambda: None)
    app.add_typer(imports, name="import")


def import_customers(file: File, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Read customers from a spreadsheet (not built yet)."""
    later("import customers")

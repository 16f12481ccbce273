"""Trying the system out: `call` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, say, settings_of
from callcenter.errors import ConfigError, Invalid


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=example("callcenter call --to 100 --from +989121234567 --play hello.wav"))(
        call
    )
    app.command(epilog=example("callcenter demo --data-dir /tmp/demo"))(demo)


def call(
    to: Annotated[str, typer.Option("--to", help="The line to call.")] = "100",
    caller: Annotated[
        str | None, typer.Option("--from", help="The caller's number; withheld without.")
    ] = None,
    play: Annotated[
        Path | None, typer.Option(help="WAV file that the caller says; a tone without.")
    ] = None,
    dtmf: Annotated[str, typer.Option(help="Keys to press after the answer.")] = "",
    seconds: Annotated[
        float | None, typer.Option(min=1, max=3600, help="Hang up after this long in the call.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Phone the running system with a real SIP telephone (pyVoIP)."""
    if play is not None and not play.is_file():
        raise Invalid(f"{play} is no file")
    from callcenter.demo.phone import place_call

    host, port = sip_address(settings_of(config, data_dir).sip.listen)
    report = place_call(
        to=to,
        caller=caller,
        host=host,
        port=port,
        play=play,
        dtmf=dtmf,
        seconds=seconds,
        on_progress=lambda what: say(f"{what} …"),
    )
    say(str(report))


def demo(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    caller_only: Annotated[bool, typer.Option("--caller-only", hidden=True)] = False,
) -> None:
    """Like `run`, with sample data and a customer who phones when an agent is available."""
    from callcenter.commands import system

    if not caller_only:
        raise typer.Exit(system.run_system(config, data_dir, demo=True))
    from callcenter import process
    from callcenter.demo import caller

    settings = settings_of(config, data_dir)
    process.begin(settings, "demo")
    host, port = sip_address(settings.sip.listen)
    caller.run(settings, host, port, process.stop_event())


def sip_address(listen: list[str]) -> tuple[str, int]:
    """Where this machine reaches the SIP listener over UDP. Raises ConfigError."""
    for url in listen:
        if url.startswith("udp://"):
            host, _, port = url.removeprefix("udp://").rpartition(":")
            everywhere = host in ("0.0.0.0", "[::]")  # noqa: S104 - compared, not bound
            return ("127.0.0.1" if everywhere else host.strip("[]")), int(port)
    raise ConfigError(["sip.listen: the telephone of `callcenter call` needs a udp:// address"])

"""`run` and the single processes."""

from __future__ import annotations

import os
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callcenter.commands.options import ConfigFile, DataDir, example, same_options, say, settings_of
from callcenter.errors import ConfigError, StartError

if TYPE_CHECKING:
    from callcenter.config import Settings
    from callcenter.supervisor import Program

PROCESSES = ("telephony", "speech", "web", "jobs")
_READY_SECONDS = 120.0


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(epilog=example("callcenter run --data-dir /tmp/trial"))(run)
    app.command(epilog=example("callcenter web --config config.yaml"))(web)
    app.command(epilog=example("callcenter telephony --config config.yaml"))(telephony)
    app.command(epilog=example("callcenter speech --index 1"))(speech)
    app.command(epilog=example("callcenter jobs --config config.yaml"))(jobs)


def run(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Start the whole system and watch over it; Ctrl-C ends it within 20 s."""
    raise typer.Exit(run_system(config, data_dir))


def run_system(config: Path | None, data_dir: Path | None, demo: bool = False) -> int:
    """Everything from the settings to the exit status; `demo` adds a caller's process."""
    from callcenter import logs
    from callcenter.bus import Hub
    from callcenter.supervisor import Supervisor, only_one

    settings = settings_of(config, data_dir)
    check_files(settings)
    logs.setup(settings.log, "supervisor")
    with only_one(settings.run_dir) as lock:
        made = prepare(settings, demo=demo)
        hub = Hub(settings.run_dir) if settings.bus_url == "local" else None
        try:
            _greet_when_ready(settings, made)
            return Supervisor(programs(settings, config, data_dir, demo=demo), lock=lock).run()
        finally:
            if hub is not None:
                hub.close()


def programs(
    settings: Settings, config: Path | None, data_dir: Path | None, *, demo: bool = False
) -> list[Program]:
    """What the supervisor keeps running."""
    from callcenter.supervisor import Program

    options = same_options(config, data_dir)

    def program(name: str, *words: str, **more: Any) -> Program:
        command = [sys.executable, "-m", "callcenter", *words, *options]
        return Program(name, command, **more)

    found = [program("telephony", "telephony", drain_first=True)]
    found += [
        program(f"speech-{index}", "speech", "--index", str(index))
        for index in range(settings.speech.workers)
    ]
    found += [program("web", "web"), program("jobs", "jobs")]
    found = [one for one in found if one.command[3] in settings.processes]
    if demo:
        found.append(program("demo", "demo", "--caller-only"))
    return found


def prepare(settings: Settings, *, demo: bool = False) -> dict[str, str]:
    """The database in its newest shape; names and passwords of the users made now."""
    from callcenter import bootstrap
    from callcenter.commands import people
    from callcenter.migrations import upgrade

    engine = bootstrap.open_records(settings)
    try:
        upgrade(engine)
        bootstrap.chain_old_rows(engine)
        bootstrap.eraser_of(settings, engine).obey()
        made = {people.FIRST_ADMIN: people.first_admin(engine, settings)}
        if demo:
            made[people.DEMO_AGENT] = people.demo_agent(engine, settings)
    finally:
        engine.dispose()
    return {name: password for name, password in made.items() if password is not None}


def check_files(settings: Settings) -> None:
    """Secret files that others can read stop the start, and a broken list of leaked passwords.

    Raises ConfigError.
    """
    from callcenter.web.leaked import LeakedPasswords

    problems = []
    if leaked := LeakedPasswords.of(settings):
        try:
            leaked.check()
        except ConfigError as error:
            problems += error.problems
    keys = [("web.tls.key", settings.web.tls.key), ("bus key", settings.run_dir / "bus.key")]
    keys.append(("trust.key_file", settings.trust.key_file))
    keys.append(("keys.master_file", settings.keys.master_file))
    for name, path in keys:
        if path is None or not path.exists():
            if path is not None and name == "web.tls.key":
                problems.append(f"{name}: found {str(path)!r}, allowed: a PEM file that exists")
            if path is not None and name in ("trust.key_file", "keys.master_file"):
                problems.append(f"{name}: found {str(path)!r}, allowed: a file that exists")
            continue
        if path.stat().st_mode & 0o077:
            problems.append(f"{name}: {path} can be read by others; run: chmod 600 {path}")
    if problems:
        raise ConfigError(problems)


def address(settings: Settings) -> str:
    """What a person types into the browser."""
    if settings.web.public_url:
        return settings.web.public_url
    scheme = "https" if settings.web.tls.certificate else "http"
    everywhere = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
    host = "localhost" if settings.web.host in everywhere else settings.web.host
    return f"{scheme}://{host}:{settings.web.port}"


def is_ready(settings: Settings) -> bool:
    """Whether /readyz says yes; asked over loopback."""
    import httpx

    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound
    host = everywhere.get(settings.web.host, settings.web.host)
    scheme, trust = "http", ssl.create_default_context()
    if settings.web.tls.certificate:
        scheme = "https"
        trust.check_hostname = False  # our own process; its name may be a public one
        trust.verify_mode = ssl.CERT_NONE
    try:
        answer = httpx.get(
            f"{scheme}://{host}:{settings.web.port}/readyz",
            verify=trust,
            timeout=5,
            trust_env=False,
        )
    except (httpx.HTTPError, OSError):
        return False
    return answer.status_code == 200


def _greet_when_ready(settings: Settings, made: dict[str, str]) -> None:
    """Print the first sign-in at once and the address when the system answers."""
    from callcenter.supervisor import when_ready

    for name, password in made.items():
        say(f"First sign-in: user {name}, password {password}   (shown only now)")

    if "web" not in settings.processes:
        return

    def greet() -> None:
        if when_ready(lambda: is_ready(settings), seconds=_READY_SECONDS):
            say(f"callcenter is ready: {address(settings)}   (Ctrl-C ends it)")
        else:
            say(f"callcenter is not ready yet: {address(settings)}/readyz says why")
        sys.stdout.flush()

    sys.stdout.flush()
    threading.Thread(target=greet, name="greeting", daemon=True).start()


def web(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Pages, API and sockets alone."""
    _process("web", config, data_dir)


def telephony(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """SIP, sound and queues alone."""
    _process("telephony", config, data_dir)


def speech(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    index: Annotated[int, typer.Option(min=0, help="Which of the speech processes.")] = 0,
) -> None:
    """One process of captions and transcripts alone."""
    _process("speech", config, data_dir, index=index)


def jobs(config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Sealing of recordings and other long work alone."""
    _process("jobs", config, data_dir)


def _process(name: str, config: Path | None, data_dir: Path | None, **more: Any) -> None:
    """Run one process; a supervisor learns from the exit status that starting is no use."""
    from callcenter import bootstrap, process

    settings = settings_of(config, data_dir)
    supervised = process.is_supervised()
    process.begin(settings, f"{name}-{more['index']}" if more else name)
    try:
        getattr(bootstrap, f"run_{name}")(settings, **more)
    except StartError as error:
        typer.echo(f"callcenter {name}: {error.detail}", err=True)
        sys.stderr.flush()
        os._exit(process.REFUSED_TO_START if supervised else 1)  # threads may hold an exit up

"""Kamailio in front of two telephony nodes: dispatcher, Record-Route, OPTIONS, BYE both ways."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from house import HOST, SPEECH, House, house, sipp_errors, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("kamailio") is None or shutil.which("sipp") is None,
        reason="kamailio or sipp is not installed (apt: kamailio sip-tester)",
    ),
]
_MODULES = next(Path("/usr/lib").glob("*/kamailio/modules"), None)
_HERE = Path(__file__).parent


def test_calls_are_spread_and_end_from_either_side(tmp_path: Path) -> None:
    async def calls() -> None:
        async with house() as one, house() as other, kamailio(tmp_path, one, other) as proxy:
            await until(lambda: _both_answer(proxy), "both nodes answer Kamailio's OPTIONS")
            # The caller hangs up: its BYE goes the recorded route to the right node.
            await _caller(tmp_path, proxy.port, "caller_hangs_up", calls=4)
            homes = (one, other)
            await until(
                lambda: [guest.end for home in homes for guest in home.guests] == ["bye"] * 4,
                "every call was ended by its caller",
            )
            assert {len(home.guests) for home in homes} == {2}
            assert all(len(guest.numbers()) > 20 for home in homes for guest in home.guests)
            # We hang up: our BYE goes through Kamailio (loose routing), not to the caller.
            scenario = asyncio.create_task(
                _caller(tmp_path, proxy.port, "callee_hangs_up", calls=1)
            )
            await until(lambda: len(one.guests) + len(other.guests) == 5, "the fifth call came")
            home = one if len(one.guests) == 3 else other
            guest = home.guests[-1]
            await until(lambda: guest.seconds_heard > 0.5, "they talk")
            guest.inbound.hang_up()
            await scenario
            await until(lambda: guest.end == "hung_up", "our BYE was answered")
            assert one.backend.active() == other.backend.active() == 0
            assert proxy.relayed("BYE") == 5

    asyncio.run(calls())


def _both_answer(proxy: Kamailio) -> bool:
    """Dispatcher's ping (OPTIONS) was answered by both: Active and Probing."""
    return len(re.findall(r"FLAGS: AP", proxy.destinations())) == 2


class Kamailio:
    """The running program."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self._folder = port, folder

    def destinations(self) -> str:
        """What `kamcmd dispatcher.list` says."""
        control = f"unix:{self._folder / 'ctl'}"
        words = ["kamcmd", "-s", control, "dispatcher.list"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    def relayed(self, method: str) -> int:
        """How many requests of that method went through with the route that was recorded."""
        return self.log().count(f"loose-routed {method}")

    def log(self) -> str:
        return (self._folder / "kamailio.log").read_text(errors="replace")


@asynccontextmanager
async def kamailio(folder: Path, *homes: House) -> AsyncIterator[Kamailio]:
    """Started on a free port, with settings of its own."""
    port = _free()
    nodes = "".join(f"1 sip:{home.address.host}:{home.address.port} 0\n" for home in homes)
    (folder / "dispatcher.list").write_text(nodes)
    text = (_HERE / "kamailio.cfg").read_text()
    for name, value in (("PORT", port), ("FOLDER", folder), ("MODULES", _MODULES)):
        text = text.replace(f"@{name}@", str(value))
    (folder / "kamailio.cfg").write_text(text)
    log = (folder / "kamailio.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *("kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4"),
        *("-w", str(folder), "-Y", str(folder)),
        stdout=log,
        stderr=log,
    )
    proxy = Kamailio(port, folder)
    try:
        yield proxy
    except BaseException:
        print(proxy.log()[-6000:])  # noqa: T201
        raise
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()


async def _caller(folder: Path, port: int, scenario: str, calls: int) -> None:
    """SIPp, which follows the route that Kamailio recorded."""
    (folder / "frames.ulaw").write_bytes(SPEECH)
    process = await asyncio.create_subprocess_exec(
        *("sipp", f"{HOST}:{port}", "-sf", str(_HERE / f"{scenario}.xml"), "-s", "100"),
        *("-i", HOST, "-p", str(_free()), "-mi", HOST, "-mp", str(_free()), "-nostdin"),
        *("-m", str(calls), "-r", "2", "-timeout", "60", "-timeout_error", "-trace_err"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode(errors="replace")[-800:] + sipp_errors(folder)


def _free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

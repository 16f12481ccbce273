"""The fourteen SIPp scenarios against the real adapter: SIPp is the caller, exit code 0 = behaves."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest
from sip_bench import RingThenAnswer, backend

SCENARIOS = Path(__file__).parents[2] / "data" / "sipp"
NAMES = sorted(path.stem for path in SCENARIOS.glob("f*.xml"))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (sip-tester)"),
]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_all_fourteen_scenarios_are_here():
    assert len(NAMES) == 14


@pytest.mark.parametrize("name", NAMES)
def test_sipp_scenario(name: str, tmp_path: Path):
    code, output, ends, open_calls = asyncio.run(run(name, tmp_path))
    assert code == 0, output
    assert open_calls == 0
    assert len(ends) <= 1


async def run(name: str, folder: Path) -> tuple[int, str, list[str], int]:
    app = RingThenAnswer(1.0)
    native, address = await backend(app)
    sipp = await asyncio.create_subprocess_exec(
        *("sipp", f"{address.host}:{address.port}", "-sf", str(SCENARIOS / f"{name}.xml")),
        *("-i", "127.0.0.1", "-p", str(free_port()), "-mi", "127.0.0.1", "-mp", str(free_port())),
        *("-s", "600", "-m", "1", "-r", "1", "-aa", "-nostdin", "-recv_timeout", "20000"),
        *("-timeout", "90", "-timeout_error", "-trace_err", "-trace_msg"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await sipp.communicate()
    while app.tasks:
        await asyncio.wait(set(app.tasks), timeout=5)
        break
    open_calls = native.active()
    await native.stop()
    log = "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
    return sipp.returncode or 0, out.decode(errors="replace")[-500:] + log[-6000:], app.ends, open_calls

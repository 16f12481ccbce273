"""The twenty SIPp scenarios: SIPp calls the real adapters, exit code 0 = it behaves."""

from __future__ import annotations

import asyncio
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from sip_bench import RingThenAnswer, backend, pyvoip_backend

from callcenter.config import Trunk

SCENARIOS = Path(__file__).parents[2] / "data" / "sipp"
NAMES = sorted(path.stem for path in SCENARIOS.glob("f*.xml"))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed (sip-tester)"),
]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


TRUSTED = [Trunk(name="pbx", hosts=["127.0.0.0/8"], may_transfer=True)]
CALLS = {"f17_session_timer": 1, "f20_replaces": 2}


def test_all_scenarios_are_here() -> None:
    assert len(NAMES) == 20


@pytest.mark.parametrize("name", NAMES)
def test_sipp_scenario(name: str, tmp_path: Path) -> None:
    run = asyncio.run(play(name, tmp_path))
    log = "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
    assert run.code == 0, run.output[-500:] + log[-6000:]
    assert run.open_calls == 0
    assert run.calls <= CALLS.get(name, 1)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name < "f16" and name != "f08_late_offer"]
)
def test_sipp_scenario_with_pyvoip(name: str, tmp_path: Path) -> None:
    """f08 is what pyVoIP cannot do, nor f16 and above: CANNOT in test_sip_backend_contract.py."""
    run = asyncio.run(play(name, tmp_path, with_pyvoip=True))
    log = "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
    assert run.code == 0, run.output[-500:] + log[-6000:]
    assert run.open_calls == 0
    assert run.calls <= 1


@pytest.mark.parametrize("name", ["f01_basic", "f03_cancel", "f06_hold_resume"])
def test_sipp_scenario_over_tcp(name: str, tmp_path: Path) -> None:
    run = asyncio.run(play(name, tmp_path, "tcp", "-t", "t1"))
    log = "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log"))
    assert run.code == 0, run.output[-500:] + log[-6000:]
    assert (run.open_calls, run.calls) == (0, 1)


@dataclass
class Run:
    code: int
    output: str
    calls: int
    open_calls: int


async def play(
    name: str, folder: Path, transport: str = "udp", *more: str, with_pyvoip: bool = False
) -> Run:
    """One scenario; the application rings for a second, then answers."""
    app = RingThenAnswer(1.0, early=name == "f21_early_media")
    start = pyvoip_backend if with_pyvoip else backend
    more_settings = {} if with_pyvoip else {"trunks": TRUSTED}
    native, address = await start(app, listen=[f"{transport}://127.0.0.1:0"], **more_settings)
    sipp = await asyncio.create_subprocess_exec(
        *("sipp", f"{address.host}:{address.port}", "-sf", str(SCENARIOS / f"{name}.xml")),
        *("-i", "127.0.0.1", "-p", str(free_port()), "-mi", "127.0.0.1", "-mp", str(free_port())),
        *("-s", "600", "-m", "1", "-r", "1", "-aa", "-nostdin", "-recv_timeout", "20000"),
        *more,
        *("-timeout", "90", "-timeout_error", "-trace_err", "-trace_msg"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await sipp.communicate()
    if app.tasks:
        await asyncio.wait(set(app.tasks), timeout=10)
    open_calls = native.active()
    await native.stop()
    return Run(sipp.returncode or 0, output.decode(errors="replace"), len(app.ends), open_calls)

"""Disks that are full, for real: small tmpfs file systems, filled to the last byte (A15, A16)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from soft_agent import SoftAgent
from sounds import frames_found, sealed_sound
from target import NO_SPEECH
from udp_peer import UdpPeer
from world import World, running, wait_for

from callcenter.events import CallAnswered, CallEnded, CallRang, RecordingSealed, RecordingTruncated

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="NOT RUN: mounting a small tmpfs needs root"),
]
QUEUE = [{"name": "support", "wrap_up_seconds": 0, "ring_seconds": 60}]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Filler]:
    """`folder` on a disk of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield Filler(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class Filler:
    """Takes the room of a disk, and gives it back."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "filler"
        self._folder = folder

    def fill(self, share: float = 1.0) -> None:
        """Write until that share of the disk is taken; 1: to the last byte."""
        with self._file.open("ab", buffering=0) as file, suppress(OSError):
            while self._taken() < share:
                file.write(bytes(4096))

    def empty(self) -> None:
        """Make room."""
        self._file.unlink()

    def _taken(self) -> float:
        disk = os.statvfs(self._folder)
        return 2.0 if disk.f_blocks == 0 else 1 - disk.f_bavail / disk.f_blocks - 1e-9


def alarms(agent: SoftAgent) -> set[str]:
    """What the newest notice says runs short."""
    told = agent.saw("notice", kind="resources")
    return {one["resource"] for one in told[-1]["alarms"]} if told else set()


def readyz(world: World) -> Any:
    """The whole report."""
    return httpx.get(world.base + "/readyz", timeout=10, trust_env=False).json()


def test_a_full_disk_of_recordings_costs_no_call_and_is_told_before(tmp_path: Path) -> None:
    """A15: alarm at 90 %; full: the call goes on, `truncated: no space`; then all is as before."""
    data = tmp_path / "data"
    sections = {"recording": {"format": "wav"}, "queues": QUEUE, "speech": NO_SPEECH}
    with small_disk(data / "recordings", "2m") as disk, running(tmp_path, **sections) as world:
        world.add_user("dana")
        world.add_user("sara", "supervisor")
        sara = SoftAgent(world, "sara")
        dana = SoftAgent(world, "dana").connect_audio().available()
        world.sipp("uac_record.xml", seconds=300)
        call = dana.answer_next()
        journal = data / "recordings" / ".journal" / call / "customer.pcmu"
        wait_for(lambda: journal.exists() and journal.stat().st_size > 24_000, "three seconds")
        disk.fill(0.91)
        wait_for(lambda: alarms(sara) == {"recordings_disk"}, "the supervisor is told")
        assert alarms(dana) == set()
        report = readyz(world)["resources"]
        assert (report["ok"], "recordings_disk" in report["detail"]) == (False, True)
        metrics = httpx.get(world.base + "/metrics", trust_env=False).text
        assert 'callcenter_resource_alarm{node="local",resource="recordings_disk"} 1.0' in metrics
        disk.fill()
        wait_for(lambda: "recording not written" in "".join(world.log_lines()), "the disk is full")
        assert dana.loudness() > 1000, "the two talk on"
        dana.order("call.hangup", call=call)
        assert world.wait_fact(CallEnded, call=call).reason == "completed"
        assert world.wait_fact(RecordingTruncated, call=call).reason == "no space"
        assert world.facts(RecordingSealed) == []
        disk.empty()
        sealed = world.wait_fact(RecordingSealed, call=call)
        assert sealed.problem == "truncated: no space"
        _, customer, meta = sealed_sound(world, call)
        assert meta["problem"] == "truncated: no space"
        assert frames_found(customer, 3 * 50, tmp_path) >= 0.99
        wait_for(lambda: alarms(sara) == set(), "all is well again")
        again = world.sipp("uac_record.xml", seconds=4)
        second = dana.answer_next()
        again.wait(60)
        assert world.wait_fact(RecordingSealed, call=second).problem is None
        _, customer, _ = sealed_sound(world, second)
        assert frames_found(customer, 4 * 50, tmp_path) >= 0.99
        for agent in (dana, sara):
            agent.close()


def test_a_full_disk_of_the_database_costs_no_caller_and_no_fact(tmp_path: Path) -> None:
    """A16: calls are answered, facts come later, and nobody is told "saved" who was not."""
    data = tmp_path / "data"
    lines = [
        {"number": "100", "queue": "support", "record": "never"},
        {"number": "400", "queue": "support", "record": "never", "answer": "early"},
    ]
    sections = {"queues": QUEUE, "speech": NO_SPEECH, "lines": lines}
    with small_disk(data, "80m") as disk, running(tmp_path, **sections) as world:
        world.add_user("dana")
        dana = SoftAgent(world, "dana").connect_audio().available()
        reserve = data / "callcenter.db.reserve"
        wait_for(reserve.exists, "the reserve")
        disk.fill()
        saved = save_until_full(dana)
        world.sipp("uac_record.xml", seconds=300)
        call = dana.answer_next()  # the reserve makes room for the pop and all that follows
        wait_for(lambda: dana.loudness() > 1000, "the two talk")
        assert not reserve.exists()
        disk.fill()
        saved += save_until_full(dana)
        peer = UdpPeer(world.sip_port)
        peer.invite(to="400")
        peer.answered()  # with nothing left at all
        disk.empty()
        world.wait_fact(CallRang, count=2)
        assert len(world.facts(CallAnswered, call=call)) == 1
        dana.order("call.hangup", call=call)
        assert world.wait_fact(CallEnded, call=call).reason == "completed"
        peer.send("BYE")
        world.wait_fact(CallEnded, count=2)
        for customer in saved:
            assert dana.api.get(f"/customers/{customer}")["id"] == customer
        api = dana.api
        wait_for(lambda: len(api.get("/interactions")["items"]) >= 1, "the rows are there")
        wait_for(reserve.exists, "the reserve is held again")
        peer.close()
        dana.close()


def save_until_full(agent: SoftAgent) -> list[str]:
    """Register customers until the server says that it cannot; those that it said it saved."""
    saved: list[str] = []
    for number in range(20_000):
        answer = agent.api.http.post(
            "/customers", json={"name": f"Customer {number}", "address": "x" * 2000}
        )
        if answer.status_code != 201:
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"].endswith(":storage-full"), answer.text
            return saved
        saved.append(answer.json()["id"])
    raise AssertionError("the disk never was full")

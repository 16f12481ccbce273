"""`callcenter bench …`: the statistics are right, and a small real run fills every row."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from callcenter.bench import archive, captions, processor, sound
from callcenter.bench.caller import count_lost
from callcenter.bench.figures import Figure, Report, percentile
from callcenter.bench.helper import Helper
from callcenter.errors import CallcenterError

HAS_BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


# --- Statistics ------------------------------------------------------------------------------


def test_percentiles_are_those_of_numpy() -> None:
    source = random.Random(7)
    for count in (1, 2, 3, 20, 101):
        values = [source.uniform(-5, 500) for _ in range(count)]
        for share in (0.0, 0.5, 0.95, 1.0):
            assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share))


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.5))


@pytest.mark.parametrize(
    ("values", "aim", "verdict"),
    [
        ((1.0, 2.0, 9.0), 10.0, "met"),
        ((1.0, 2.0, 90.0), 10.0, "median only"),
        ((11.0, 12.0, 90.0), 10.0, "missed"),
        ((1.0,), None, ""),
        ((), 10.0, ""),
    ],
)
def test_an_aim_is_met_by_p95_by_the_median_or_not(
    values: tuple[float, ...], aim: float | None, verdict: str
) -> None:
    assert Figure("x", "ms", values, aim).verdict == verdict


def test_a_report_shows_and_writes_each_figure(tmp_path: Path) -> None:
    report = Report("bench", {"cores": 2, "load": "0.1 0.2 0.3"}, notes=["a remark"])
    report.add("INVITE → 180", "ms", [1.0, 2.0, 3.0], 10)
    report.add("nothing came", "ms", [])
    console = Console(record=True, width=120)
    report.show(console)
    shown = console.export_text()
    for part in ("cores 2", "load 0.1 0.2 0.3", "INVITE → 180", "2.00", "2.90", "≤ 10", "a remark"):
        assert part in shown
    report.write(tmp_path / "x.json")
    kept = json.loads((tmp_path / "x.json").read_text())
    assert [row["p50"] for row in kept["figures"]] == [2.0, None]
    assert kept["figures"][0]["values"] == [1.0, 2.0, 3.0]
    assert kept["machine"]["cores"] == 2


# --- Sound and packets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequences", "got", "lost"),
    [
        ([], 0, 0),
        ([7], 1, 0),
        ([7, 8, 9], 3, 0),
        ([7, 9, 8, 10], 4, 0),
        ([7, 8, 8, 9], 3, 0),
        ([7, 8, 11], 3, 2),
        ([65534, 65535, 0, 2], 4, 1),
        ([8, 7, 9], 3, 0),
    ],
)
def test_lost_packets_are_the_holes_in_the_numbers(
    sequences: list[int], got: int, lost: int
) -> None:
    assert count_lost(sequences) == (got, lost)


def test_every_frame_of_the_warble_is_sound_and_silence_is_none() -> None:
    frames = sound.frames()
    assert len(frames) == 50
    assert all(len(frame) == 160 and sound.is_sound(frame) for frame in frames)
    assert not sound.is_sound(b"\xff" * 160)
    assert not sound.is_sound(b"\x7f\xfe" * 80)
    assert not sound.is_sound(b"")


def test_captions_are_measured_from_what_they_are_captions_of() -> None:
    answered = "2026-01-01T00:00:00+00:00"
    base = 1767225600.0
    one = {"call": "c", "leg": "customer", "id": "u", "t0": 1.0, "t1": 3.0, "answered_at": answered}
    heard: list[dict[str, Any]] = [
        {**one, "kind": "partial", "at": base + 1.5},
        {**one, "kind": "partial", "at": base + 2.5},
        {**one, "kind": "final", "at": base + 3.25},
        {**one, "kind": "final", "at": base + 9, "answered_at": None},
    ]
    partials, finals = captions.delays(heard)
    assert partials == pytest.approx([500])
    assert finals == pytest.approx([250])


# --- Processes -------------------------------------------------------------------------------


def test_processor_time_is_read_also_behind_a_strange_name() -> None:
    stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 5 0 0 0 17 25 3 4 20 0 1 0 5 0 0"
    assert processor.ticks_of(stat) == 42


@pytest.mark.skipif(not processor.can_measure(), reason="/proc is Linux's")
def test_a_meter_sees_the_work_of_a_process() -> None:
    meter = processor.Meter({"we": [os.getpid()], "nobody": []})
    before = processor.seconds_used([os.getpid()])
    while processor.seconds_used([os.getpid()]) < before + 0.1:
        sum(range(10_000))
    shares = meter.shares()
    assert 0 < shares["we"] <= 100 * (os.cpu_count() or 1)
    assert shares["nobody"] == 0


def test_a_helper_that_ends_is_a_plain_sentence() -> None:
    helper = Helper("callcenter.bench.caller", "127.0.0.1", "no-port")
    try:
        with pytest.raises(CallcenterError, match=r"callcenter\.bench\.caller ended while"):
            helper.ask("report")
    finally:
        helper.close()


def test_a_helper_tells_what_it_cannot_do() -> None:
    helper = Helper("callcenter.bench.caller", "127.0.0.1", "5060")
    try:
        assert helper.ask("report") == []
        with pytest.raises(CallcenterError, match="callers cannot fly"):
            helper.ask("fly")
    finally:
        helper.close()


# --- A small real run ------------------------------------------------------------------------


def _bench(tmp_path: Path, *words: str) -> dict[str, dict[str, Any]]:
    """Run `callcenter bench …`; its figures by name, each of which was printed."""
    file = tmp_path / "figures.json"
    clean = {key: value for key, value in os.environ.items() if "CALLCENTER" not in key}
    said = subprocess.run(
        [sys.executable, "-m", "callcenter", "bench", *words, "--json", str(file)],
        cwd=tmp_path,
        env={**clean, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert said.returncode == 0, said.stderr[-3000:]
    figures = {row["name"]: row for row in json.loads(file.read_text())["figures"]}
    for row in figures.values():
        line = next(line for line in said.stdout.splitlines() if row["name"] in line)
        assert (row["aim"] is None) == ("≤" not in line)
    assert "load" in said.stdout
    return figures


def _sane(row: dict[str, Any], count: int) -> None:
    assert row["count"] == count
    assert 0 < min(row["values"]) <= row["p50"] <= row["p95"] <= max(row["values"]) < 60_000


@pytest.mark.integration
def test_bench_calls_prints_all_its_figures(tmp_path: Path) -> None:
    figures = _bench(tmp_path, "calls", "--calls", "2", "--seconds", "3", "--no-captions")
    for name in (
        "INVITE → 180",
        "INVITE → event at the agent's socket",
        "order to answer → two-way sound",
    ):
        _sane(figures[name], 2)
    assert 0 <= figures["packets lost on the way to a caller"]["p95"] < 100
    if processor.can_measure():
        cost = figures["telephony per call, captions off"]
        assert 0 < cost["p50"] < 100
        assert cost["aim"] == 1
        for name in ("web", "speech", "jobs"):
            assert -100 < figures[f"{name} per call, captions off"]["p50"] < 100


@pytest.mark.integration
def test_bench_pop_prints_all_its_figures(tmp_path: Path) -> None:
    browser = HAS_BROWSER and importlib.util.find_spec("playwright")
    figures = _bench(tmp_path, "pop", "--calls", "2", *([] if browser else ["--no-browser"]))
    place, click = ("at the agent's socket", "order to answer")
    if browser:
        place, click = ("at the browser", "click on Answer")
        _sane(figures["INVITE → pop painted"], 2)
        assert figures["INVITE → pop painted"]["p50"] > figures[f"INVITE → event {place}"]["p50"]
    for name in ("INVITE → 180", f"INVITE → event {place}", f"{click} → two-way sound"):
        _sane(figures[name], 2)
    aims = [figures[name]["aim"] for name in figures if figures[name]["aim"] is not None]
    assert aims == ([10, 100, 100, 200] if browser else [10, 100, 200])
    one, other = (f"{click} → sound at the {who}" for who in ("caller", "agent"))
    both = zip(figures[one]["values"], figures[other]["values"], strict=True)
    assert [max(pair) for pair in both] == figures[f"{click} → two-way sound"]["values"]


@pytest.mark.integration
def test_bench_api_prints_all_its_figures(tmp_path: Path) -> None:
    figures = _bench(tmp_path, "api", "--requests", "3")
    assert len(figures) == 6
    for row in figures.values():
        _sane(row, 3)


@pytest.mark.integration
def test_bench_review_prints_all_its_figures(tmp_path: Path) -> None:
    figures = _bench(tmp_path, "review", "--calls", "300", "--requests", "2")
    assert len([name for name in figures if name.startswith("list: ")]) == 16
    assert len([name for name in figures if name.startswith("search: ")]) == 6
    assert figures["open a call of an hour"]["aim"] == 1000
    for row in figures.values():
        _sane(row, 2)


def test_an_archive_says_its_known_words_as_often_as_it_promises() -> None:
    for language, known in archive.KNOWN.items():
        made = archive.sentences(random.Random(3), language)
        for word, share in known:
            found = sum(word in one.split() for one in made) / len(made)
            assert found == pytest.approx(share, rel=0.1)

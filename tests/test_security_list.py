"""docs/security.md names every requirement once, and only tests that are there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
LINES = [line.split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d", line)]
IDS = [id_ for line in LINES for id_ in re.findall(r"\d+\.\d+\.\d+", line[0])]
LEVEL_2 = (27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7)
"""How many requirements of levels 1 and 2 each chapter of ASVS 5.0 has."""


def test_every_requirement_stands_there_once() -> None:
    chapters = Counter(int(id_.split(".")[0]) for id_ in IDS)
    assert tuple(chapters[number] for number in range(1, 18)) == LEVEL_2
    assert len(set(IDS)) == len(IDS)


def test_every_line_has_a_test_or_a_reason() -> None:
    for line in LINES:
        assert len(line) == 3, line
        assert len(line[2].strip(" |")) > 5, line


def test_every_named_test_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) >= 80
    for file, test in named:
        path = ROOT / file
        assert path.exists(), file
        if test:
            assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"

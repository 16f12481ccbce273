"""The documentation points at things that are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer

from callcenter.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} is not there"


def test_the_readme_begins_with_the_two_commands() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:6]
    assert [line.split("#")[0].strip() for line in head[3:5]] == ["make run", "make test"]


def test_every_named_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        named = re.findall(r"`make (\w+)|^make (\w+)", page.read_text(encoding="utf-8"), re.M)
        assert {one or other for one, other in named} <= targets, page.name


def test_every_named_command_exists() -> None:
    root: Any = typer.main.get_command(app)
    commands = set(root.commands)
    for page in PAGES:
        named = re.findall(r"`callcenter ([a-z-]+)", page.read_text(encoding="utf-8"))
        assert set(named) <= commands, page.name


def test_the_picture_is_well_formed_and_described() -> None:
    picture = ElementTree.parse(ROOT / "docs/images/architecture.svg").getroot()
    names = [child.tag.rpartition("}")[2] for child in picture]
    assert {"title", "desc"} <= set(names)

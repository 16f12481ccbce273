"""The lock files: complete, hashed, current, and without the name of any host."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("bootstrap", "runtime", "test")


def _locked(name: str) -> dict[str, list[str]]:
    """Package → versions (several where they differ by platform)."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", text, re.M):
        found.setdefault(canonicalize_name(package), []).append(version)
    return found


def _declared(*parts: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = list(project["dependencies"])
    for part in parts:
        rows += project["optional-dependencies"][part]
    return [Requirement(row) for row in rows]


@pytest.mark.parametrize(("lock", "parts"), [("runtime", ()), ("test", ("test",))])
def test_everything_declared_is_locked_at_a_version_that_fits(
    lock: str, parts: tuple[str, ...]
) -> None:
    locked = _locked(lock)
    for requirement in _declared(*parts):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in {lock}.lock: run `make lock`"
        fitting = [v for v in versions if requirement.specifier.contains(v, prereleases=True)]
        assert fitting, f"{requirement} against {versions}: run `make lock`"


def test_the_tests_run_with_the_versions_of_the_product() -> None:
    runtime, test = _locked("runtime"), _locked("test")
    assert {name: test.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_no_host_is_named(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[\w.-]+(?:\[[\w,-]+\])?==)", text, flags=re.M)[1:]
    assert entries
    for entry in entries:
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "--index" not in text


def test_the_front_ends_lock_names_no_host_but_has_integrity() -> None:
    text = (ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity"') > 100


def test_every_dependency_has_its_line_with_licence_and_reason() -> None:
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ")][1:]
    named = {name.strip().lower() for row in rows for name in row[0].split(",")}
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in rows)
    for requirement in _declared("test"):
        assert requirement.name.lower() in named, f"{requirement.name} has no reason"

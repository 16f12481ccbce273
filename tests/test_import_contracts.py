"""Who may import whom: the contracts hold, and each of them notices a wrong import."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# contract → (file, the wrong import that is planted there)
WRONG = {
    "layers": ("callcenter/bus.py", "import callcenter.web"),
    "layers: telephony does not know the crm": (
        "callcenter/telephony/call.py",
        "import callcenter.crm.users.models",
    ),
    "layers: the crm does not know telephony": (
        "callcenter/crm/users/models.py",
        "from callcenter.telephony import ports",
    ),
    "telephony": ("callcenter/telephony/session.py", "import callcenter.telephony.adapters"),
    "telephony: sip does not know sound": (
        "callcenter/telephony/sip/__init__.py",
        "import callcenter.telephony.media",
    ),
    "crm": ("callcenter/crm/customers/models.py", "import callcenter.crm.complaints.models"),
    "adapters": ("callcenter/supervisor.py", "import callcenter.telephony.adapters"),
    "adapters: ways to customers": ("callcenter/jobs.py", "import callcenter.messengers.smtp"),
    "libraries": ("callcenter/telephony/media/g711.py", "import av"),
    "flask": ("callcenter/crm/users/models.py", "import flask"),
    "pure": ("callcenter/telephony/acd/routing.py", "import asyncio"),
    "cycles": ("callcenter/crm/text.py", "import callcenter.crm.fts"),
}


def _contracts() -> dict[str, str]:
    """Id → name of every contract in .importlinter."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    prefix = "importlinter:contract:"
    return {
        section.removeprefix(prefix): parser[section]["name"]
        for section in parser.sections()
        if section.startswith(prefix)
    }


def _lint(folder: Path) -> str:
    """What import-linter says about the copy; its exit status as the first line."""
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [program, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{run.returncode}\n{run.stdout}{run.stderr}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", "dist", "static")
    shutil.copytree(ROOT / "callcenter", tmp_path / "callcenter", ignore=ignore)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


@pytest.mark.integration
def test_the_contracts_hold(copy: Path) -> None:
    said = _lint(copy)
    assert said.startswith("0\n"), said
    for name in _contracts().values():
        assert f"{name} KEPT" in said


def test_every_contract_has_a_wrong_import_below() -> None:
    assert {key.partition(":")[0] for key in WRONG} == set(_contracts())


@pytest.mark.integration
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_import_breaks_its_contract(copy: Path, case: str) -> None:
    file, statement = WRONG[case]
    path = copy / file
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{statement}\n", encoding="utf-8")
    said = _lint(copy)
    name = _contracts()[case.partition(":")[0]]
    assert said.startswith("1\n"), said
    assert f"{name} BROKEN" in said


@pytest.mark.integration
def test_a_module_without_a_layer_is_noticed(copy: Path) -> None:
    (copy / "callcenter" / "elsewhere.py").write_text('"""New."""\n', encoding="utf-8")
    said = _lint(copy)
    assert not said.startswith("0\n")
    assert "elsewhere" in said

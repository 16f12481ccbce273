"""Compiled functions: kept where they can be kept, and where they are is said by the sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from callcenter.telephony.media import compiled as module

SCRIPT = """
from callcenter.telephony.media.compiled import compiled
from callcenter.telephony.media import compiled as module
import numba
print(numba.config.CACHE_DIR)
"""


def test_what_is_compiled_lies_apart_for_each_state_of_the_sources(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    place = Path(found.stdout.strip())
    assert place.parent == tmp_path
    assert place.name.startswith("compiled-")
    assert len(place.name) == len("compiled-") + 16
    names = {path.name for path in module._SOURCES}
    assert {"ports.py", "batch.py", "timeline.py", "rows.py", "leg.py"} <= names


def test_without_a_place_to_keep_it_a_function_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jit, asked = module._jit, []

    def refuse(function: Any, **options: Any) -> Any:
        asked.append(options)
        if options["cache"]:
            raise RuntimeError("cannot cache function: no locator available")
        return jit(function, **options)

    monkeypatch.setattr(module, "_jit", refuse)

    @module.compiled
    def double(number: int) -> int:
        return 2 * number

    assert double(21) == 42
    assert asked == [{"cache": True}, {"cache": False}]

"""Functions that are compiled to machine code: the few that touch every packet of every call.

They are ordinary Python over numpy arrays; with NUMBA_DISABLE_JIT=1 they run as such. What was
compiled is kept in `__pycache__` beside this file, or under NUMBA_CACHE_DIR, so that only the
first start after an installation waits for it (`tools/install.sh` makes that start). Where
neither can be written and there is no home, each start compiles anew: some ten seconds.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba
import structlog

Given = ParamSpec("Given")
Result = TypeVar("Result")

_LOGGER = structlog.get_logger()
_HERE = Path(__file__).parent
_SOURCES = (*sorted(_HERE.glob("*.py")), _HERE.parent / "ports.py")


def compiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The same function as machine code, made when it is first called.

    No error is raised for an index beyond an array: callers see to that.
    """
    try:
        return _jit(function, cache=True)
    except RuntimeError as error:  # numba's word for "no place to keep it"
        _LOGGER.warning("compiled code is not kept", function=function.__name__, error=str(error))
        return _jit(function, cache=False)


def _jit(function: Callable[Given, Result], **options: Any) -> Callable[Given, Result]:
    made: Callable[Given, Result] = numba.njit(error_model="numpy", **options)(function)
    return made


def is_kept() -> bool:
    """Whether something was compiled from these sources before."""
    return _PLACE.is_dir()


def _place() -> Path:
    """A folder for each state of the sources: numba looks only at the file of a function, but the
    constants of other modules are compiled into it."""
    state = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()[:16]
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or _HERE / "__pycache__")
    return base / f"compiled-{state}"


_PLACE = _place()
setattr(numba.config, "CACHE_DIR", str(_PLACE))  # noqa: B010 - numba makes its settings at run time

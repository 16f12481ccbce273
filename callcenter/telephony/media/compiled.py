"""Functions that are compiled to machine code: the few that touch every packet of every call.

They are ordinary Python over numpy arrays, and NUMBA_DISABLE_JIT=1 runs them as such. What was
compiled is kept beside the source, or in NUMBA_CACHE_DIR, so that only the first start after an
installation waits for it (`tools/install.sh` makes that start); where neither can be written,
each start compiles anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import structlog

Given = ParamSpec("Given")
Result = TypeVar("Result")
_LOGGER = structlog.get_logger()


def compiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The same function as machine code, made when it is first called.

    No error is raised for an index beyond an array: callers see to that.
    """
    try:
        return _jit(function, cache=True)
    except RuntimeError as error:  # numba's word for "no place for the cache"
        _LOGGER.warning("compiled code is not kept", function=function.__name__, error=str(error))
        return _jit(function, cache=False)


def _jit(function: Callable[Given, Result], **options: Any) -> Callable[Given, Result]:
    made: Callable[Given, Result] = numba.njit(error_model="numpy", **options)(function)
    return made

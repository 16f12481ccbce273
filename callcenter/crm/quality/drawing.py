"""Which of a week's calls are drawn for evaluation. Pure: the same seed draws the same calls."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Literal

Method = Literal["number", "share"]


def drawn(calls: Iterable[str], method: Method, amount: float, seed: int) -> Sequence[str]:
    """At random, and reproducible: in the order of SHA-256 of seed and id.

    `amount`: so many calls, or that share of them (0 to 1), rounded up so that nobody is left out.
    """
    ordered = sorted(set(calls), key=lambda call: _place(seed, call))
    wanted = amount if method == "number" else math.ceil(round(amount * len(ordered), 6))
    return ordered[: int(wanted)]


def _place(seed: int, call: str) -> bytes:
    return hashlib.sha256(f"{seed}:{call}".encode()).digest()

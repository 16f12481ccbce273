"""The torture messages (RFC 4475, RFC 5118, our own) and what is made of them by chance.

`index.tsv` says which answers each message allows: `none`, a status, a class such as `4xx`, or
`proc` for "treated as well formed".
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "torture"


@dataclass(frozen=True)
class Case:
    """A row of the index."""

    file: str
    set: str
    expect: str

    @property
    def data(self) -> bytes:
        """The octets as filed."""
        return (FOLDER / "msgs" / self.file).read_bytes()


def cases() -> list[Case]:
    """All 85."""
    with (FOLDER / "index.tsv").open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Case(row["file"], row["set"], row["expect"]) for row in rows]


def allowed(status: int | None, expect: str) -> bool:
    """Whether the index allows that status (None: no answer)."""
    for word in expect.split(","):
        if status is None:
            if word == "none":
                return True
        elif word == "proc":
            if status not in (400, 416, 420) and not 500 <= status < 600:
                return True
        elif word == str(status) or (word.endswith("xx") and word[0] == str(status)[0]):
            return True
    return False


def mutant(data: bytes, chance: random.Random) -> bytes:
    """The message with a few octets, lines or pieces replaced, doubled or gone."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(changed) + 1)
        piece = changed[at : at + chance.randint(0, 40)]
        other = chance.choice(
            [b"", bytes(piece) * 2, bytes([chance.randrange(256)]), b"\r\n", b'"', b"<", b";", b","]
        )
        changed[at : at + len(piece)] = other
    return bytes(changed)

"""The chain itself, pure: how a link is made, and what a walk along the links finds.

    digest = HMAC(key, "row" ‖ chain ‖ item ‖ the row in one fixed spelling)
    mac    = HMAC(key, "link" ‖ chain ‖ number ‖ item ‖ digest ‖ mac of the link before ‖ key id)

Numbers begin with 1 and have no gaps. A link keeps the mac before it, so that one that is missing
does not make all that follow unreadable. What was cut off the end leaves a perfect chain: only
heads that were written down elsewhere tell of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from callcenter.crm.chains.keys import Key

START = "0" * 64
"""What stands before the first link."""

Kind = Literal["changed", "missing", "cut", "added", "key"]
_encode = msgspec.json.Encoder(order="sorted").encode


def spelled(*values: Any) -> bytes:
    """One fixed spelling of values: JSON, keys in order."""
    return _encode(values)


@dataclass(frozen=True, slots=True)
class Link:
    """One link of `chain`, for the row whose id is `item`."""

    chain: str
    number: int
    item: str
    digest: str
    previous: str
    key: str
    mac: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain as somebody saw it: so many links, the last with this mac."""

    count: int
    mac: str
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is not as it was written.

    changed: a byte differs. missing: it was taken out between others. cut: it was taken off the
    end. added: nobody of ours wrote it. key: the key that made it is not here.
    """

    kind: Kind
    chain: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.chain} {self.place}: {self.text}"


def digest_of(key: Key, chain: str, item: str, content: bytes) -> str:
    """What a link keeps of its row."""
    return key.mac(b"row\0" + spelled(chain, item) + content)


def mac_of(key: Key, chain: str, number: int, item: str, digest: str, previous: str) -> str:
    """What makes a link ours, and ties it to the one before."""
    return key.mac(b"link\0" + spelled(chain, number, item, digest, previous, key.id))


def make(key: Key, chain: str, end: Head, item: str, content: bytes) -> Link:
    """The link that follows `end`."""
    digest = digest_of(key, chain, item, content)
    number = end.count + 1
    mac = mac_of(key, chain, number, item, digest, end.mac)
    return Link(chain, number, item, digest, end.mac, key.id, mac)


class Walk:
    """Goes along one chain, link by link. `heads`: what was written down of it elsewhere."""

    def __init__(self, chain: str, keys: Mapping[str, Key], heads: Iterable[Head] = ()) -> None:
        self._chain, self._keys = chain, keys
        self._heads: dict[int, list[Head]] = {}
        for head in heads:
            self._heads.setdefault(head.count, []).append(head)
        self._number, self._item = 0, ""
        self._ends = {START}

    def step(self, link: Link, content: bytes | None) -> list[Finding]:
        """The next link with its row as it is now; None where there is none."""
        found: list[Finding] = []
        gap = link.number - self._number - 1
        if gap:
            found.append(self._gap(link, gap))
        key = self._keys.get(link.key)
        if key is None:
            found.append(
                self._at("key", link, f"made with key {link.key or '?'}, which is not here")
            )
        else:
            found += self._compare(key, link, content, follows=gap == 0)
        found += self._against_heads(link) if not found else []
        self._number, self._item = link.number, link.item
        self._ends = {link.mac} if key is None else {link.mac, _mac(key, link)}
        return found

    def end(self, stored: Head) -> list[Finding]:
        """After the last link: `stored` is the end that the database speaks of."""
        later = [
            head for count in self._heads if count > self._number for head in self._heads[count]
        ]
        if later:
            first = min(later, key=lambda head: head.count)
            return [self._cut(max(head.count for head in later), f"the head of {first.seen}")]
        if stored.count > self._number:
            return [self._cut(stored.count, "the chain's end in the database")]
        if stored.count != self._number or stored.mac not in self._ends:
            text = "the end in the database is not that of the last link"
            return [Finding("changed", self._chain, f"link {self._number}", text)]
        return []

    def _compare(
        self, key: Key, link: Link, content: bytes | None, *, follows: bool
    ) -> list[Finding]:
        if _mac(key, link) != link.mac:
            return [self._at("changed", link, "the link is not as it was written")]
        if follows and link.previous not in self._ends:
            return [self._at("changed", link, "the link does not follow the one before")]
        if content is None:
            return [self._at("missing", link, "its row is not there")]
        if digest_of(key, self._chain, link.item, content) != link.digest:
            return [self._at("changed", link, "its row is not as it was written")]
        return []

    def _gap(self, link: Link, gap: int) -> Finding:
        if gap < 0:
            return self._at("changed", link, "the link's number stands there twice")
        first, last = self._number + 1, link.number - 1
        place = f"link {first}" if gap == 1 else f"links {first} to {last}"
        before = f"between {self._item} and {link.item}" if self._item else f"before {link.item}"
        return Finding("missing", self._chain, place, f"{gap} taken out {before}")

    def _against_heads(self, link: Link) -> list[Finding]:
        for head in self._heads.get(link.number, ()):
            if head.mac != link.mac:
                text = f"since the head of {head.seen} the end was cut off and has grown anew"
                return [self._at("cut", link, text)]
        return []

    def _cut(self, count: int, witness: str) -> Finding:
        gone = count - self._number
        place = f"link {count}" if gone == 1 else f"links {self._number + 1} to {count}"
        text = f"{gone} cut off the end after {self._item or 'the beginning'}: {witness} knows more"
        return Finding("cut", self._chain, place, text)

    def _at(self, kind: Kind, link: Link, text: str) -> Finding:
        return Finding(kind, self._chain, f"link {link.number} ({link.item})", text)


def _mac(key: Key, link: Link) -> str:
    return mac_of(key, link.chain, link.number, link.item, link.digest, link.previous)

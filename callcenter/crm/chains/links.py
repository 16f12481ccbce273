"""The chain itself, pure: how a link is made, and what a walk along the links finds.

    digest = HMAC(key, "row" ‖ chain ‖ item ‖ the row in one fixed spelling)
    mac    = HMAC(key, "link" ‖ chain ‖ number ‖ item ‖ digest ‖ mac of the link before ‖ key id)

Numbers begin with 1 and have no gaps. A link keeps the mac before it, so that one that is missing
does not make all that follow unreadable. What was cut off the end leaves a perfect chain: only
heads that were written down elsewhere tell of it.

Retention may take links off the beginning. Where it did, a checkpoint says which was the last:

    proof = HMAC(key, "checkpoint" ‖ chain ‖ number ‖ its mac ‖ item ‖ hash ‖ when ‖ key id)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec

from callcenter.crm.chains.keys import Key

START = "0" * 64
"""What stands before the first link."""

Kind = Literal["changed", "missing", "cut", "added", "key", "checkpoint"]
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
class Checkpoint:
    """Where a chain begins since retention took what was before: behind link `number`.

    `item`: the newest row that was ever taken, `hash`: its hash where rows have one (the audit).
    `at`: when it was set, in UTC, as ISO 8601. `proof`: made with `key`.
    """

    chain: str
    number: int
    mac: str
    item: str
    hash: str
    at: str
    key: str
    proof: str = ""

    def content(self) -> bytes:
        """What the proof is made of."""
        parts = (self.chain, self.number, self.mac, self.item, self.hash, self.at, self.key)
        return b"checkpoint\0" + spelled(*parts)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is not as it was written.

    changed: a byte differs. missing: it was taken out between others. cut: it was taken off the
    end. added: nobody of ours wrote it. key: the key that made it is not here. checkpoint: it was
    taken off the beginning, and not by retention.
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


def proven(key: Key, checkpoint: Checkpoint) -> Checkpoint:
    """The same, ours."""
    named = replace(checkpoint, key=key.id)
    return replace(named, proof=key.mac(named.content()))


def is_ours(checkpoint: Checkpoint, keys: Mapping[str, Key]) -> bool:
    """Whether one of these keys made it, and nobody changed it."""
    key = keys.get(checkpoint.key)
    return key is not None and key.mac(checkpoint.content()) == checkpoint.proof


def judged(
    chain: str,
    checkpoint: Checkpoint | None,
    keys: Mapping[str, Key],
    heads: Iterable[Head] = (),
    cuts: Iterable[Head] = (),
    least_days: int = 0,
    today: date | None = None,
) -> list[Finding]:
    """What is wrong with a checkpoint, or with its absence: one finding or none.

    `heads`: ends of the chain, `cuts`: its checkpoints, both as somebody wrote them down elsewhere,
    with the day. Nothing younger than `least_days` may be gone: also who has the key cannot pass
    off as retention's what was taken before its time, nor who set the clock forward for it.
    """
    number, mac = (checkpoint.number, checkpoint.mac) if checkpoint else (0, START)
    if checkpoint is not None and checkpoint.key not in keys:
        text = f"made with key {checkpoint.key or '?'}, which is not here"
        return [Finding("key", chain, f"checkpoint behind link {number}", text)]
    if checkpoint is not None and not is_ours(checkpoint, keys):
        return [_of_checkpoint(chain, number, "the checkpoint is not as it was written")]
    for cut in cuts:
        if cut.count > number or (cut.count == number and cut.mac != mac):
            text = f"the head of {cut.seen} knows another one, behind link {cut.count}"
            return [_of_checkpoint(chain, number, text)]
    if checkpoint is None:
        return []
    day = datetime.fromisoformat(checkpoint.at).date()
    if today is not None and day > today + timedelta(days=1):
        return [_of_checkpoint(chain, number, f"it says that it was set on {day}, which will be")]
    last = day - timedelta(days=least_days - 1)  # a day more: heads have the date of the site
    for head in heads:
        if head.count == number and head.mac != mac:
            text = f"the head of {head.seen} saw another link {number}"
            return [_of_checkpoint(chain, number, text)]
        if head.count < number and date.fromisoformat(head.seen) > last:
            text = (
                f"at the head of {head.seen} there were only {head.count} links: "
                f"what is gone was not {least_days} days old"
            )
            return [_of_checkpoint(chain, number, text)]
    return []


def _of_checkpoint(chain: str, number: int, text: str) -> Finding:
    return Finding("checkpoint", chain, f"behind link {number}", text)


class Walk:
    """Goes along one chain, link by link. `heads`: what was written down of it elsewhere;
    `checkpoint`: where it begins, if that is ours (see `judged`). `begin`: behind this number."""

    def __init__(
        self,
        chain: str,
        keys: Mapping[str, Key],
        heads: Iterable[Head] = (),
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._chain, self._keys = chain, keys
        begin = checkpoint if checkpoint and is_ours(checkpoint, keys) else None
        self.begin = begin.number if begin else 0
        self._heads: dict[int, list[Head]] = {}
        for head in heads:
            self._heads.setdefault(head.count, []).append(head)
        self._number, self._item = self.begin, ""
        self._ends = {begin.mac if begin else START}

    def step(self, link: Link, content: bytes | None) -> list[Finding]:
        """The next link with its row as it is now; None where there is none."""
        found: list[Finding] = []
        if 0 < link.number <= self.begin:
            return [self._at("added", link, "it was taken before, and is there again")]
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
        if self._number == 0:
            text = f"{gap} taken off the beginning, and no checkpoint says that it was their time"
            return Finding("checkpoint", self._chain, place, text)
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

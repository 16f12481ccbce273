"""The chain alone: whatever single thing is changed, the walk finds it; its keys."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callcenter.crm.chains import keys, links
from callcenter.crm.chains.keys import Key, KeyRing
from callcenter.crm.chains.links import START, Checkpoint, Finding, Head, Link, Walk
from callcenter.errors import ConfigError

KEY = Key(b"k" * 32)
Rows = dict[str, bytes]


NOTHING = Head(0, START)


def chained(contents: list[bytes], key: Key = KEY, end: Head = NOTHING) -> tuple[list[Link], Rows]:
    made: list[Link] = []
    for number, content in enumerate(contents, end.count + 1):
        made.append(links.make(key, "audit", end, f"item-{number}", content))
        end = Head(made[-1].number, made[-1].mac)
    return made, {link.item: text for link, text in zip(made, contents, strict=True)}


def head(made: list[Link]) -> Head:
    return Head(made[-1].number, made[-1].mac, "2026-11-25") if made else Head(0, START)


def walked(
    made: list[Link], rows: Rows, end: Head, heads: list[Head] | None = None, *known: Key
) -> list[Finding]:
    ring = {key.id: key for key in known or (KEY,)}
    walk = Walk("audit", ring, heads or [])
    in_order = sorted(made, key=lambda link: link.number)
    found = [one for link in in_order for one in walk.step(link, rows.get(link.item))]
    return found + walk.end(end)


contents = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=8)


@given(contents)
def test_a_whole_chain_is_whole(texts: list[bytes]) -> None:
    made, rows = chained(texts)
    assert (
        walked(made, rows, head(made), [head(made[:one]) for one in range(1, len(made) + 1)]) == []
    )


def _other(text: str, at: int) -> str:
    at %= len(text)
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


@given(contents, st.data())
def test_one_flipped_byte_is_found_where_it_is(texts: list[bytes], data: st.DataObject) -> None:
    made, rows = chained(texts)
    end = head(made)
    which = data.draw(st.integers(0, len(made) - 1))
    link, at = made[which], data.draw(st.integers(0, 63))
    what = data.draw(st.sampled_from(["row", "item", "digest", "previous", "mac"]))
    if what == "row":
        row = bytearray(rows[link.item])
        row[at % len(row)] ^= 1 << at % 8
        rows[link.item] = bytes(row)
    else:
        changed: dict[str, Any] = {what: _other(getattr(link, what), at)}
        made[which] = dataclasses.replace(link, **changed)
    first = walked(made, rows, end)[0]
    assert (first.kind, first.place.split(" (")[0]) == ("changed", f"link {which + 1}")


@given(contents, st.data())
def test_one_row_taken_out_of_the_middle_is_found(texts: list[bytes], data: st.DataObject) -> None:
    made, rows = chained([b"first", *texts, b"last"])
    end = head(made)
    gone = made[data.draw(st.integers(0, len(made) - 2))]
    how = data.draw(st.sampled_from(["row and link", "row", "link"]))
    if "row" in how:
        del rows[gone.item]
    if "link" in how:
        made.remove(gone)
    (finding,) = walked(made, rows, end)
    kind = "checkpoint" if gone.number == 1 and "link" in how else "missing"
    assert (finding.kind, finding.place.split(" (")[0]) == (kind, f"link {gone.number}")


@given(contents, st.integers(1, 8), st.lists(st.binary(), max_size=12))
def test_a_cut_tail_is_found_by_heads_also_when_the_chain_has_grown_anew(
    texts: list[bytes], cut: int, newer: list[bytes]
) -> None:
    whole, _ = chained(texts)
    kept = max(0, len(whole) - cut)
    made, rows = chained(texts[:kept])
    more, new_rows = chained(newer, end=head(made))
    assume((made + more)[: len(whole)] != whole)  # what was cut off is not put back
    (finding,) = walked(made + more, rows | new_rows, head(made + more), [head(whole)])
    assert finding.kind == "cut"
    assert "2026-11-25" in finding.text
    assert walked(made + more, rows | new_rows, head(made + more)) == []  # nobody else can tell


@given(contents, st.integers(1, 8))
def test_a_tail_that_was_cut_clumsily_needs_no_heads(texts: list[bytes], cut: int) -> None:
    made, rows = chained(texts)
    (finding,) = walked(made[: max(0, len(made) - cut)], rows, head(made))
    assert finding.kind == "cut"


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=8, unique=True), st.data())
def test_two_rows_that_changed_places_are_found(texts: list[bytes], data: st.DataObject) -> None:
    made, rows = chained(texts)
    one, two = data.draw(st.lists(st.sampled_from(made), min_size=2, max_size=2, unique=True))
    rows[one.item], rows[two.item] = rows[two.item], rows[one.item]
    assert {finding.kind for finding in walked(made, rows, head(made))} == {"changed"}
    made[one.number - 1] = dataclasses.replace(two, number=one.number)
    made[two.number - 1] = dataclasses.replace(one, number=two.number)
    found = walked(made, rows | dict(zip([one.item, two.item], texts, strict=False)), head(made))
    assert found[0].kind == "changed"


def test_an_end_that_is_not_that_of_the_last_link_is_found() -> None:
    made, rows = chained([b"a", b"b"])
    assert [one.kind for one in walked(made, rows, Head(1, made[0].mac))] == ["changed"]
    assert [one.kind for one in walked(made, rows, Head(2, START))] == ["changed"]


def test_a_link_of_a_key_that_is_not_here_is_no_link_of_ours() -> None:
    made, rows = chained([b"a", b"b"])
    stranger = Key(b"s" * 32)
    more, new = chained([b"c"], stranger, head(made))
    (finding,) = walked(made + more, rows | new, head(more))
    assert (finding.kind, stranger.id in finding.text) == ("key", True)
    assert walked(made + more, rows | new, head(more), [], KEY, stranger) == []


# --- a chain that retention has cut --------------------------------------------------------------


def checkpoint(made: list[Link], at: str = "2026-11-25T02:00:00+00:00") -> Checkpoint:
    """The one behind the last of these links."""
    last = made[-1]
    bare = Checkpoint("audit", last.number, last.mac, last.item, "h" * 64, at, "")
    return links.proven(KEY, bare)


def cut_walked(
    made: list[Link], rows: Rows, end: Head, begin: Checkpoint, *heads: Head
) -> list[Finding]:
    walk = Walk("audit", {KEY.id: KEY}, heads, begin)
    found = [one for link in made for one in walk.step(link, rows.get(link.item))]
    return found + walk.end(end)


@given(contents, contents)
def test_a_chain_is_whole_behind_its_checkpoint(old: list[bytes], new: list[bytes]) -> None:
    gone, _ = chained(old)
    made, rows = chained(new, end=head(gone))
    heads = [head((gone + made)[:one]) for one in range(1, len(gone + made) + 1)]
    begin = checkpoint(gone)
    assert links.judged("audit", begin, {KEY.id: KEY}, heads, [head(gone)]) == []
    assert cut_walked(made, rows, head(made), begin, *heads) == []
    (finding,) = walked(made, rows, head(made), heads)
    assert (finding.kind, "no checkpoint" in finding.text) == ("checkpoint", True)


@given(contents, contents, st.data())
def test_damage_behind_a_checkpoint_is_found_as_before(
    old: list[bytes], new: list[bytes], data: st.DataObject
) -> None:
    gone, old_rows = chained(old)
    made, rows = chained([*new, b"last"], end=head(gone))
    end, begin = head(made), checkpoint(gone)
    link = made[data.draw(st.integers(0, len(made) - 2))]
    found = cut_walked(made, rows | {link.item: rows[link.item] + b"x"}, end, begin)
    assert (found[0].kind, f"link {link.number} " in found[0].place) == ("changed", True)
    found = cut_walked([one for one in made if one is not link], rows, end, begin)
    assert [(one.kind, one.place) for one in found] == [("missing", f"link {link.number}")]
    (finding,) = cut_walked(made[:-1], rows, end, begin)
    assert (finding.kind, finding.place) == ("cut", f"link {end.count}")
    found = cut_walked([gone[-1], *made], rows | old_rows, end, begin)
    assert [one.kind for one in found] == ["added"]  # what was taken is there again
    other, _ = chained([b"other", *old])
    moved = dataclasses.replace(checkpoint(other[: len(gone)]), number=len(gone))
    assert cut_walked(made, rows, end, links.proven(KEY, moved))[0].kind == "changed"


@given(contents, st.data())
def test_one_flipped_byte_of_a_checkpoint_is_found(old: list[bytes], data: st.DataObject) -> None:
    gone, _ = chained(old)
    begin, ring = checkpoint(gone), {KEY.id: KEY}
    what = data.draw(st.sampled_from(["mac", "item", "hash", "at", "proof"]))
    changed: dict[str, Any] = {what: _other(getattr(begin, what), data.draw(st.integers(0, 63)))}
    forged = dataclasses.replace(begin, **changed)
    (finding,) = links.judged("audit", forged, ring)
    assert (finding.kind, finding.text) == ("checkpoint", "the checkpoint is not as it was written")
    higher = dataclasses.replace(begin, number=begin.number + 1)
    assert [one.kind for one in links.judged("audit", higher, ring)] == ["checkpoint"]
    assert [one.kind for one in links.judged("audit", begin, {})] == ["key"]


def test_heads_tell_of_a_checkpoint_that_was_set_back_or_is_gone() -> None:
    made, _ = chained([b"a", b"b", b"c", b"d"])
    ring = {KEY.id: KEY}
    for left in (None, checkpoint(made[:2])):
        (finding,) = links.judged("audit", left, ring, (), [head(made[:3])])
        assert (finding.kind, "2026-11-25" in finding.text) == ("checkpoint", True)
    assert links.judged("audit", checkpoint(made), ring, (), [head(made[:3])]) == []
    other = Head(3, START, "2026-11-25")
    for heads, cuts in (([other], []), ([], [other])):
        (finding,) = links.judged("audit", checkpoint(made[:3]), ring, heads, cuts)
        assert finding.kind == "checkpoint"


@pytest.mark.parametrize(("day", "found"), [("2024-11-26", []), ("2024-11-27", ["checkpoint"])])
def test_who_has_the_key_cannot_cut_what_heads_know_to_be_young(day: str, found: list[str]) -> None:
    """730 days before the checkpoint was 2024-11-25; sites are up to a day ahead."""
    made, _ = chained([b"a", b"b", b"c"])
    known = Head(2, made[1].mac, day)  # of that day: the third link is younger
    said = links.judged("audit", checkpoint(made), {KEY.id: KEY}, [known], (), 730)
    assert [one.kind for one in said] == found


@pytest.mark.parametrize(("today", "found"), [("2026-11-24", []), ("2026-11-23", ["checkpoint"])])
def test_a_checkpoint_of_a_day_that_will_be_is_none(today: str, found: list[str]) -> None:
    """Sites are up to a day ahead; who sets the clock forward to cut leaves this."""
    begin = checkpoint(chained([b"a"])[0])  # of 2026-11-25
    said = links.judged("audit", begin, {KEY.id: KEY}, today=date.fromisoformat(today))
    assert [one.kind for one in said] == found


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "keys"
    rings = [keys.ring(folder) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda ring: ring.signing, rings))
    assert len(made) == 1
    (file,) = folder.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("chain.key", 0o600)
    assert folder.stat().st_mode & 0o077 == 0
    assert keys.ring(folder).signing == made.pop()
    assert file.read_text().strip() not in repr(keys.read(file))


def test_a_key_may_lie_elsewhere_and_older_ones_stay_known(tmp_path: Path) -> None:
    older = keys.ring(tmp_path / "keys").signing
    file = tmp_path / "secret"
    file.write_bytes(b"n" * 40 + b"\n")
    file.chmod(0o600)
    ring = keys.ring(tmp_path / "keys", file)
    assert ring.signing == Key(b"n" * 40)
    assert set(ring.known) == {older.id, ring.signing.id}


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (b"k" * 40, 0o640, "can be read by others; run: chmod 600"),
        (b"short", 0o600, "found 5 bytes, allowed: 32 or more"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_key_that_is_no_use_is_said_in_a_sentence(
    tmp_path: Path, content: bytes | None, mode: int, problem: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(ConfigError, match=problem):
        KeyRing(lambda: keys.read(file)).known  # noqa: B018

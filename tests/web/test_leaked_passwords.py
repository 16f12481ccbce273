"""The list of leaked passwords: found in the file, broken ones told, nothing kept in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from web_world import PASSWORD, World

from callcenter.config import Settings
from callcenter.errors import ConfigError, PasswordLeaked, Unavailable
from callcenter.web import leaked, passwords
from callcenter.web.app import create_app
from callcenter.web.leaked import LeakedPasswords

LEAKED = "lamp tuesday gravel"
"""Not guessed by anything but a list."""


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


def lines_of(*words: str) -> list[str]:
    return sorted(f"{sha1(word)}:{number + 1}" for number, word in enumerate(words))


def written(folder: Path, content: str) -> LeakedPasswords:
    file = folder / "leaked.txt"
    file.write_text(content, encoding="ascii", newline="")
    return LeakedPasswords(file)


MANY = [f"word {number}" for number in range(3000)]


@pytest.mark.parametrize(
    "shape",
    [
        lambda lines: "".join(f"{line}\n" for line in lines),
        lambda lines: "\n".join(lines),
        lambda lines: "".join(f"{line}\r\n" for line in lines),
        lambda lines: "".join(f"{line.lower()}\n" for line in lines),
        lambda lines: "".join(f"{line[:40]}\n" for line in lines),
        lambda lines: "".join(f"{line[:40]}:{10**19}\n" for line in lines),
    ],
    ids=["lf", "no end", "crlf", "lower case", "no count", "long counts"],
)
def test_each_line_is_found_and_nothing_else(
    tmp_path: Path, shape: Callable[[list[str]], str]
) -> None:
    known = written(tmp_path, shape(lines_of(*MANY)))
    known.check()
    assert [word for word in MANY if not known.holds(word)] == []
    assert [word for word in MANY if known.holds(f"{word}!")] == []


@pytest.mark.parametrize("count", [1, 2, 90, 91, 92])
def test_short_lists_too(tmp_path: Path, count: int) -> None:
    known = written(tmp_path, "".join(f"{line}\n" for line in lines_of(*MANY[:count])))
    known.check()
    assert [known.holds(word) for word in MANY[: count + 1]] == [True] * count + [False]


def test_it_is_looked_up_as_it_was_typed(tmp_path: Path) -> None:
    known = written(tmp_path, "".join(f"{line}\n" for line in lines_of("گل سرخ ", "Rose")))
    assert known.holds("گل سرخ ")
    assert not known.holds("گل سرخ")
    assert not known.holds("rose")


def test_tens_of_gigabytes_cost_some_thirty_reads_and_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of 10⁹ lines that is made up where it is read: line n has the hash n · 2¹²⁰."""
    lines, width = 10**9, 46
    sizes: list[int] = []

    def line(number: int) -> bytes:
        return b"%040X:%04d\n" % (number << 120, number % 10_000)

    def pread(_: int, length: int, at: int) -> bytes:
        sizes.append(length)
        length = min(length, lines * width - at)
        first, skipped = divmod(at, width)
        text = b"".join(line(n) for n in range(first, first + length // width + 2))
        return text[skipped : skipped + length]

    monkeypatch.setattr("callcenter.web.leaked.os.pread", pread)
    size = SimpleNamespace(st_size=lines * width)
    monkeypatch.setattr("callcenter.web.leaked.os.fstat", lambda _: size)
    known = written(tmp_path, "x")
    known.check()
    for number in (0, 1, 123_456_789, lines - 1):
        sizes.clear()
        hashed = b"%040X" % (number << 120)
        assert leaked._finds(0, lines * width, hashed)
        assert len(sizes) < 60
        assert sum(sizes) < 10_000
    assert not leaked._finds(0, lines * width, b"%040X" % ((123 << 120) + 1))


HEAD = lines_of(*MANY)
BROKEN: dict[str, tuple[str, str]] = {
    "empty": ("", "is empty"),
    "by count": ("\n".join(sorted(HEAD, key=lambda line: int(line[41:]))), "is not sorted by hash"),
    "backwards": ("\n".join(HEAD[::-1]), "is not sorted by hash"),
    "one line at the end": ("\n".join([*HEAD[1:], HEAD[0]]) + "\n", "is not sorted by hash"),
    "cut off": ("\n".join(HEAD)[:-10], "has no line such as"),
    "plain words": ("\n".join(sorted(MANY)), "has no line such as"),
    "another hash": ("\n".join(line[:32] for line in HEAD), "has no line such as"),
    "one long line": (HEAD[0] * 200, "has no line such as"),
    "empty lines behind": ("\n".join(HEAD) + "\n\n", "has no line such as"),
    "packed": ("PK\x03\x04" + "\x00" * 9000, "has no line such as"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_list_is_one_sentence_before_the_start(
    tmp_path: Path, content: tuple[str, str]
) -> None:
    text, sentence = content
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, text).check()
    (problem,) = caught.value.problems
    assert problem.startswith(f"sign_in.leaked_passwords: {tmp_path}/leaked.txt {sentence}")


def test_a_missing_list_and_a_folder_are_told(tmp_path: Path) -> None:
    for file, sentence in (
        (tmp_path / "none", "cannot be read (No such file or directory)"),
        (tmp_path, "is no file"),
    ):
        with pytest.raises(ConfigError, match="leaked_passwords") as caught:
            LeakedPasswords(file).check()
        assert caught.value.problems[0].endswith(sentence)


def test_what_broke_since_the_start_lets_no_password_through(tmp_path: Path) -> None:
    known = written(tmp_path, "\n".join(HEAD))
    known.check()
    for text in ("", "\n".join(HEAD[::-1]), "x" * 9000):
        written(tmp_path, text)
        with pytest.raises(Unavailable, match="no password can be set"):
            known.holds("anything")
    (tmp_path / "leaked.txt").unlink()
    with pytest.raises(Unavailable):
        passwords.chosen("anything else", leaked=known)


def test_a_newer_list_holds_at_once(tmp_path: Path) -> None:
    known = written(tmp_path, "\n".join(HEAD))
    assert not known.holds(LEAKED)
    (tmp_path / "new").write_text("\n".join(lines_of(LEAKED)), encoding="ascii")
    (tmp_path / "new").replace(tmp_path / "leaked.txt")
    assert known.holds(LEAKED)


def test_only_what_a_person_chose_is_judged(tmp_path: Path) -> None:
    known = written(tmp_path, "\n".join(lines_of(LEAKED)))
    with pytest.raises(PasswordLeaked, match="in a list of leaked ones"):
        passwords.chosen(LEAKED, leaked=known)
    for made in (LEAKED, "password", "short"):
        assert passwords.matches(passwords.hashed(made), made)
    assert passwords.matches(passwords.chosen(f"{LEAKED}!", leaked=known), f"{LEAKED}!")


# --- Where people set one --------------------------------------------------------------------


@pytest.fixture
def listed(world: World, make_settings: Callable[..., Settings], tmp_path: Path) -> Any:
    """A client of the application with a list, signed in as the agent; its CSRF token is set."""
    written(tmp_path, "\n".join(lines_of(LEAKED)))
    made = make_settings(sign_in={"leaked_passwords": str(tmp_path / "leaked.txt")})
    client = create_app(made, world.engine, world.bus).test_client()
    words = {"username": "agent", "password": PASSWORD}
    token = client.post("/api/v1/session", json=words).get_json()["csrf_token"]
    client.environ_base["HTTP_X_CSRF_TOKEN"] = token
    return client


def changed(client: Any, fresh: str) -> Any:
    body = {"password": PASSWORD, "new_password": fresh}
    return client.post("/api/v1/session/password", json=body)


def test_nobody_changes_to_a_leaked_password(listed: Any, world: World) -> None:
    answer = changed(listed, LEAKED)
    assert answer.status_code == 422
    problem = answer.get_json()
    assert problem["type"] == "urn:callcenter:problem:password-leaked"
    assert [one["field"] for one in problem["errors"]] == ["new_password"]
    assert world.client().sign_in("agent").status_code == 201
    assert changed(listed, f"{LEAKED} 7").status_code == 204


def test_while_the_list_is_broken_no_password_is_changed(
    listed: Any, world: World, tmp_path: Path
) -> None:
    assert listed.get("/readyz").get_json()["leaked_passwords"] == {
        "ok": True,
        "detail": "is there",
    }
    (tmp_path / "leaked.txt").unlink()
    answer = changed(listed, f"{LEAKED} 7")
    assert answer.status_code == 503
    assert answer.get_json()["detail"] == (
        "the list of leaked passwords cannot be used, so no password can be set: see to "
        "sign_in.leaked_passwords"
    )
    assert world.client().sign_in("agent").status_code == 201
    ready = listed.get("/readyz")
    assert ready.status_code == 200  # everything else goes on
    assert ready.get_json()["leaked_passwords"] == {
        "ok": False,
        "detail": "the list cannot be read (No such file or directory)",
    }

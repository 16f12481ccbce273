"""Search in what was said, through the API."""

from __future__ import annotations

from typing import Any

from test_contract import problem, says, talked
from web_world import Browser, World


def found(browser: Browser, q: str, **query: Any) -> dict[str, Any]:
    answer = browser.get("/sentences", query_string={"q": q, **query})
    assert answer.status_code == 200, answer.get_json()
    body: dict[str, Any] = answer.get_json()
    return body


def text(sentence: dict[str, Any]) -> str:
    return "".join(piece["text"] for piece in sentence["pieces"])


def test_a_sentence_comes_with_its_marks_its_speaker_its_second_and_its_call(world: World) -> None:
    call = talked(world, "agent")
    says(world, call, "please cancel my contract today")
    (one,) = found(world.client("supervisor"), '"cancel my contract"')["items"]
    assert one["pieces"] == [
        {"text": "please ", "hit": False},
        {"text": "cancel my contract", "hit": True},
        {"text": " today", "hit": False},
    ]
    assert (one["leg"], one["t0"], one["t1"], one["language"]) == ("customer", 1.0, 2.0, "fa")
    assert one["interaction"]["id"] == world.interaction(call)
    assert one["interaction"]["agent"]["username"] == "agent"


def test_what_nobody_said_is_looked_for_as_what_was_meant(world: World) -> None:
    says(world, talked(world, "agent"), "می\u200cخواهم قراردادم را لغو کنم")
    body = found(world.client("supervisor"), "قرردادم")
    assert [text(one) for one in body["items"]] == ["می\u200cخواهم قراردادم را لغو کنم"]
    assert body["also"] == [{"typed": "قرردادم", "words": ["قراردادم"]}]


def test_filters_and_pages(world: World) -> None:
    for number in range(3):
        says(world, talked(world, "agent"), f"parcel {number}", f"a{number}")
    says(world, talked(world, "other"), "parcel of other", "b")
    supervisor = world.client("supervisor")
    first = found(supervisor, "parcel", limit=2)
    rest = found(supervisor, "parcel", limit=2, cursor=first["next"])
    shown = [text(one) for one in [*first["items"], *rest["items"]]]
    assert shown == ["parcel of other", "parcel 2", "parcel 1", "parcel 0"]
    assert rest["next"] is None
    others = world.people["other"]
    for narrowing, count in (
        ({"agent": others}, 1),
        ({"leg": "agent"}, 0),
        ({"leg": "customer"}, 4),
        ({"queue": "support"}, 4),
        ({"queue": "sales"}, 0),
        ({"language": "he"}, 0),
        ({"to": "2020-01-01T00:00:00Z"}, 0),
        ({"from": "2020-01-01T00:00:00Z"}, 4),
    ):
        assert len(found(supervisor, "parcel", **narrowing)["items"]) == count, narrowing


def test_an_agent_finds_what_was_said_in_own_calls_only(world: World) -> None:
    says(world, talked(world, "agent"), "my secret parcel")
    assert len(found(world.client("agent"), "parcel")["items"]) == 1
    other = world.client("other")
    assert found(other, "parcel")["items"] == []
    assert found(other, "parcel", agent=world.people["agent"])["items"] == []
    assert found(other, "parcle") == {"items": [], "next": None, "also": []}
    problem(world.client("admin").get("/sentences?q=parcel"), 403, "forbidden")
    problem(world.client().get("/sentences?q=parcel"), 401, "not-signed-in")


def test_a_question_without_a_word_finds_nothing_and_is_no_error(world: World) -> None:
    says(world, talked(world, "agent"), "parcel")
    for q in ("-parcel", '"', "~", "* ~5 -", "'"):
        assert found(world.client("supervisor"), q)["items"] == [], q

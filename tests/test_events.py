from __future__ import annotations

import dataclasses
import json
import types
import typing
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter import events
from callcenter.events import CallEnded, CallRang, Fact, pack, unpack
from callcenter.ids import new_id

KINDS = {**events.FACTS, **events.SIGNALS, **events.COMMANDS}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Anything a field of that type may hold."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return st.one_of(*(values(one) for one in get_args(hint)))
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    if origin is dict:
        key, value = get_args(hint)
        return st.dictionaries(values(key), values(value), max_size=3)
    if origin is tuple and ... not in get_args(hint):
        return st.tuples(*(values(one) for one in get_args(hint)))
    if origin in (list, tuple):
        return st.lists(values(get_args(hint)[0]), max_size=3)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        int: st.integers(-(2**53), 2**53),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        type(None): st.none(),
        datetime: st.datetimes(timezones=st.just(UTC)),
        Any: TEXT,
    }
    return simple[hint]


def messages(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives_the_wire(kind: str) -> None:
    @given(messages(KINDS[kind]))
    def round_trip(message: Any) -> None:
        wire = json.loads(json.dumps(pack(message)))
        assert unpack(kind, wire) == message

    round_trip()


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_cannot_be_changed(kind: str) -> None:
    @given(messages(KINDS[kind]))
    @settings(max_examples=1)
    def cannot_change(message: Any) -> None:
        for field in dataclasses.fields(message):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(message, field.name, None)
        assert not hasattr(message, "__dict__")

    cannot_change()


def test_facts_signals_and_commands_share_no_name() -> None:
    assert len(KINDS) == len(events.FACTS) + len(events.SIGNALS) + len(events.COMMANDS)


def test_a_fact_written_before_a_field_was_added_takes_its_default() -> None:
    old = {"at": "2026-01-01T00:00:00Z", "call": "c", "reason": "completed", "by": "agent"}
    fact = unpack("CallEnded", old)
    assert isinstance(fact, CallEnded)
    assert (fact.detail, fact.agent, fact.talk_seconds) == ("", None, 0.0)
    assert fact.at == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_unknown_kind_and_a_bad_field_are_refused() -> None:
    with pytest.raises(KeyError):
        unpack("CallTeleported", {})
    with pytest.raises(msgspec.ValidationError):
        unpack("CallEnded", {"call": "c", "reason": "vanished", "by": "agent"})
    with pytest.raises(msgspec.ValidationError):
        unpack("CallEnded", {"call": "c"})


def test_the_subject_of_a_fact_is_its_call() -> None:
    assert events.CallHeld(call="c1", by="agent").subject == "c1"
    state = events.AgentStateChanged(agent="a", state="available", previous="offline")
    assert state.subject is None


def test_every_time_is_utc() -> None:
    assert typing.get_type_hints(Fact)["at"] is datetime
    assert events.now().tzinfo is UTC
    assert "from_number" in {field.name for field in dataclasses.fields(CallRang)}


def test_ids_are_uuid_version_7_and_sort_by_birth() -> None:
    ids = [new_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert {one[14] for one in ids} == {"7"}
    assert {one[19] for one in ids} <= set("89ab")
    stamps = [int(one.replace("-", "")[:12], 16) for one in ids]
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] / 1000 - events.now().timestamp()) < 60

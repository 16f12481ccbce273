"""The agent's state machine, with the time written in."""

import pytest

from callcenter.errors import Conflict, Invalid
from callcenter.events import AgentStateName
from callcenter.telephony.acd import agent as machine
from callcenter.telephony.acd.agent import AgentState

AVAILABLE = machine.choose(AgentState(), "available", None, 10.0)


def on_call(now: float = 20.0) -> AgentState:
    return machine.answer(machine.ring(AVAILABLE, "c1", now - 1), now)


def test_a_call_rings_only_at_an_available_agent() -> None:
    assert machine.ring(AVAILABLE, "c1", 11.0).name == "ringing"
    for name in ("break", "training", "back_office", "offline"):
        with pytest.raises(Conflict):
            machine.ring(machine.choose(AVAILABLE, name, None, 11.0), "c1", 12.0)


@pytest.mark.parametrize("name", ["ringing", "on_call", "wrap_up", "not_answering"])
def test_states_of_the_system_cannot_be_chosen(name: AgentStateName) -> None:
    with pytest.raises(Invalid):
        machine.choose(AVAILABLE, name, None, 11.0)


def test_a_choice_during_a_call_is_the_state_after_the_work_after_it() -> None:
    chosen = machine.choose(on_call(), "break", "lunch", 25.0)
    assert (chosen.name, chosen.next, chosen.call) == ("on_call", "break", "c1")
    wrapping = machine.finish_call(chosen, 30.0, wrap_up=60)
    assert (wrapping.name, wrapping.until, wrapping.call) == ("wrap_up", 90.0, "c1")
    rested = machine.end_wrap_up(wrapping, 90.0)
    assert (rested.name, rested.reason, rested.call, rested.next) == ("break", "lunch", None, None)


def test_without_time_for_wrap_up_the_agent_is_available_at_once() -> None:
    after = machine.finish_call(on_call(), 30.0, wrap_up=0)
    assert (after.name, after.idle_since, after.until) == ("available", 30.0, None)


def test_choosing_available_ends_the_wrap_up() -> None:
    wrapping = machine.finish_call(on_call(), 30.0, wrap_up=60)
    assert machine.choose(wrapping, "available", None, 40.0).name == "available"


def test_more_time_after_the_call_moves_its_end() -> None:
    wrapping = machine.finish_call(on_call(), 30.0, wrap_up=60)
    assert machine.extend_wrap_up(wrapping, 30).until == 120.0
    with pytest.raises(Conflict):
        machine.extend_wrap_up(AVAILABLE, 30)


def test_three_unanswered_offers_in_a_row_are_the_limit_and_a_declined_one_does_not_count() -> None:
    state = AVAILABLE
    for unanswered, expected in (
        (True, "available"),
        (False, "available"),
        (True, "available"),
        (True, "not_answering"),
    ):
        state = machine.stop_ringing(
            machine.ring(state, "c", 1.0), 2.0, unanswered=unanswered, limit=3
        )
        assert state.name == expected


def test_an_answered_call_forgives_unanswered_ones() -> None:
    once = machine.stop_ringing(machine.ring(AVAILABLE, "c", 1.0), 2.0, unanswered=True, limit=3)
    talked = machine.answer(machine.ring(once, "d", 3.0), 4.0)
    assert once.unanswered == 1
    assert machine.finish_call(talked, 9.0, wrap_up=0).unanswered == 0


def test_idle_time_starts_at_the_end_of_the_last_call_and_survives_a_declined_offer() -> None:
    declined = machine.stop_ringing(
        machine.ring(AVAILABLE, "c", 50.0), 60.0, unanswered=False, limit=3
    )
    assert declined.idle_since == 10.0
    assert machine.finish_call(on_call(20.0), 30.0, wrap_up=60).idle_since == 30.0


def test_going_offline_and_coming_back_starts_idle_time_anew() -> None:
    back = machine.choose(machine.choose(AVAILABLE, "offline", None, 70.0), "available", None, 80.0)
    assert back.idle_since == 80.0

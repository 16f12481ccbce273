"""Who may hear a call, live or recorded: the one rule, role by role."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from callcenter import web
from callcenter.web.permissions import ROLES, Permission, Role, may_hear, reach, reaches

TEAMS = {"north": ("ann", "bob"), "south": ("cid",)}
TALKED = {"ann"}


@dataclass
class Somebody:
    id: str
    role: str
    team: str | None = None


def members(team: str) -> tuple[str, ...]:
    return TEAMS[team]


@pytest.mark.parametrize(
    ("role", "team", "heard"),
    [
        ("agent", None, False),
        ("agent", "north", False),  # a team is the supervisor's matter
        ("supervisor", None, True),
        ("supervisor", "north", True),
        ("supervisor", "south", False),
        ("manager", None, True),
        ("manager", "south", True),
        ("admin", "south", True),  # after a reason
        ("auditor", "south", True),  # after a reason
        ("visitor", None, False),
    ],
)
def test_who_did_not_talk_hears_by_role_and_team(role: str, team: str | None, heard: bool) -> None:
    assert may_hear(Somebody("zoe", role, team), TALKED, members) is heard


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("team", [None, "north"])
def test_who_talked_hears_it(role: Role, team: str | None) -> None:
    assert may_hear(Somebody("ann", role, team), TALKED, members)


def test_a_call_in_which_nobody_talked_is_no_teams() -> None:
    assert not may_hear(Somebody("zoe", "supervisor", "north"), set(), members)
    assert not may_hear(Somebody("ann", "agent"), set(), members)
    assert may_hear(Somebody("zoe", "supervisor"), set(), members)


def test_what_is_denied_reaches_nobody() -> None:
    agent = Somebody("ann", "agent", "north")
    assert reach(agent, Permission.USERS_MANAGE, members) == ()
    assert not reaches(agent, Permission.USERS_MANAGE, {"ann"}, members)
    assert reach(agent, Permission.CONVERSATION, members) == ("ann",)
    assert reach(Somebody("zoe", "supervisor", "north"), Permission.CONVERSATION, members) == (
        "ann",
        "bob",
    )
    assert reach(Somebody("zoe", "manager", "north"), Permission.CONVERSATION, members) is None


def test_the_rule_stands_in_one_place() -> None:
    """Nothing else in the web process looks up a team's members to decide it."""
    root = Path(web.__file__).parent
    asks = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"queries\.members\(|users\.members\(|access\.members\(", path.read_text())
    ]
    assert sorted(asks) == ["access.py"], "Access.members, which the rule is given"

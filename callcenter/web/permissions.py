"""Who may do what: the one table. What does not stand here is denied.

A route states its permission with `auth.requires(Permission.X)`; one that states none stops
the start of the application. The scope says how far a permission reaches for a role.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Literal, Protocol, get_args

Role = Literal["agent", "supervisor", "manager", "admin", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)


class Scope(StrEnum):
    """How far a permission reaches."""

    OWN = "own"  # only what the person took part in
    TEAM = "team"  # what somebody of the person's team took part in; all for who is in no team
    ALL = "all"
    REASON = "reason"  # one call or one customer at a time, after a reason that the audit keeps


class Permission(StrEnum):
    """What can be allowed."""

    SESSION = "session"
    SITE_READ = "site.read"
    CUSTOMERS_READ = "customers.read"
    CUSTOMERS_WRITE = "customers.write"
    CUSTOMERS_EXPORT = "customers.export"  # all that is kept of one, with the sound
    INTERACTIONS_READ = "interactions.read"
    INTERACTIONS_WRITE = "interactions.write"
    CONVERSATION = "conversation"  # sound and text of what was said
    CONVERSATION_SEARCH = "conversation.search"
    VIEWS_SHARE = "views.share"  # saved filters for everybody
    CONVERSATION_CORRECT = "conversation.correct"  # put right what was misheard
    COMPLAINTS_READ = "complaints.read"
    COMPLAINTS_CREATE = "complaints.create"
    COMPLAINTS_WORK = "complaints.work"
    COMPLAINTS_CLOSE = "complaints.close"
    INCIDENTS_MANAGE = "incidents.manage"
    QUALITY_READ = "quality.read"  # evaluations, and what they are made by
    QUALITY_EVALUATE = "quality.evaluate"
    QUALITY_REPLY = "quality.reply"
    CALIBRATION_READ = "calibration.read"
    QUALITY_MANAGE = "quality.manage"  # scorecards and which calls are drawn
    PHRASES_MANAGE = "phrases.manage"  # what is listened for, and being told of it
    FLOOR_READ = "floor.read"
    CALLS_TAKE = "calls.take"
    CALLS_PLACE = "calls.place"
    OUTBOUND_WATCH = "outbound.watch"  # told when half of a limit for calls out is used
    CALLS_DIAGNOSE = "calls.diagnose"  # why a call popped or did not
    IMPORT = "import"
    USERS_READ = "users.read"
    USERS_MANAGE = "users.manage"
    AUDIT_READ = "audit.read"
    HOLDS_READ = "holds.read"
    HOLDS_MANAGE = "holds.manage"  # keep from retention and erasure, and let go
    ERASURES_READ = "erasures.read"
    ERASURES_ASK = "erasures.ask"  # that a customer is erased; somebody else runs it
    ERASURES_RUN = "erasures.run"
    ERASURES_WITHDRAW = "erasures.withdraw"
    DISCLOSURES_READ = "disclosures.read"  # who opened what with a reason
    ALARMS_READ = "alarms.read"


_EVERYONE = dict.fromkeys(ROLES, Scope.ALL)
_STAFF: dict[Role, Scope] = dict.fromkeys(("agent", "supervisor", "manager"), Scope.ALL)
_LEAD: dict[Role, Scope] = dict.fromkeys(("supervisor", "manager"), Scope.ALL)

TABLE: dict[Permission, dict[Role, Scope]] = {
    Permission.SESSION: _EVERYONE,
    Permission.SITE_READ: _EVERYONE,
    Permission.CUSTOMERS_READ: {**_STAFF, "admin": Scope.REASON, "auditor": Scope.ALL},
    Permission.CUSTOMERS_WRITE: _STAFF,
    Permission.CUSTOMERS_EXPORT: {
        **_LEAD,
        "supervisor": Scope.TEAM,
        "admin": Scope.REASON,
    },
    Permission.INTERACTIONS_READ: {**_STAFF, "admin": Scope.REASON, "auditor": Scope.ALL},
    Permission.INTERACTIONS_WRITE: {**_LEAD, "supervisor": Scope.TEAM, "agent": Scope.OWN},
    Permission.CONVERSATION: {
        **_LEAD,
        "supervisor": Scope.TEAM,
        "agent": Scope.OWN,
        "admin": Scope.REASON,
        "auditor": Scope.REASON,
    },
    Permission.CONVERSATION_SEARCH: {
        **_LEAD,
        "supervisor": Scope.TEAM,
        "agent": Scope.OWN,
        "auditor": Scope.ALL,
    },
    Permission.VIEWS_SHARE: _LEAD,
    Permission.CONVERSATION_CORRECT: {"supervisor": Scope.TEAM, "agent": Scope.OWN},
    Permission.COMPLAINTS_READ: {**_STAFF, "auditor": Scope.ALL},
    Permission.COMPLAINTS_CREATE: _STAFF,
    Permission.COMPLAINTS_WORK: {**_LEAD, "supervisor": Scope.TEAM, "agent": Scope.OWN},
    Permission.COMPLAINTS_CLOSE: _LEAD,
    Permission.INCIDENTS_MANAGE: _LEAD,
    Permission.QUALITY_READ: {
        **_LEAD,
        "supervisor": Scope.TEAM,
        "agent": Scope.OWN,
        "auditor": Scope.ALL,
    },
    Permission.QUALITY_EVALUATE: {"supervisor": Scope.TEAM},
    Permission.QUALITY_REPLY: {"agent": Scope.OWN, "supervisor": Scope.TEAM},
    Permission.CALIBRATION_READ: {**_LEAD, "supervisor": Scope.TEAM, "auditor": Scope.ALL},
    Permission.QUALITY_MANAGE: _LEAD,
    Permission.PHRASES_MANAGE: _LEAD,
    Permission.FLOOR_READ: {**_STAFF, "admin": Scope.ALL},
    Permission.CALLS_TAKE: {"agent": Scope.OWN, "supervisor": Scope.OWN},
    Permission.CALLS_PLACE: {"agent": Scope.OWN, "supervisor": Scope.OWN},
    Permission.OUTBOUND_WATCH: {**_LEAD, "admin": Scope.ALL},
    Permission.CALLS_DIAGNOSE: {**_LEAD, "admin": Scope.ALL},
    Permission.IMPORT: {**_LEAD, "admin": Scope.ALL},
    Permission.USERS_READ: {**_LEAD, "admin": Scope.ALL, "auditor": Scope.ALL},
    Permission.USERS_MANAGE: {"admin": Scope.ALL},
    Permission.AUDIT_READ: {"admin": Scope.ALL, "auditor": Scope.ALL},
    Permission.HOLDS_READ: {**_LEAD, "admin": Scope.ALL, "auditor": Scope.ALL},
    Permission.HOLDS_MANAGE: {"auditor": Scope.ALL},
    Permission.ERASURES_READ: {**_LEAD, "admin": Scope.ALL, "auditor": Scope.ALL},
    Permission.ERASURES_ASK: _LEAD,
    Permission.ERASURES_RUN: {"admin": Scope.ALL},
    Permission.ERASURES_WITHDRAW: {**_LEAD, "admin": Scope.ALL},
    Permission.DISCLOSURES_READ: {**_LEAD, "admin": Scope.ALL, "auditor": Scope.ALL},
    Permission.ALARMS_READ: {"supervisor": Scope.ALL, "admin": Scope.ALL},
}


def scope_of(role: str, permission: Permission, team: str | None = None) -> Scope | None:
    """How far `permission` reaches for `role`; None when it is denied.

    Where nobody made teams, or the person is in none, a team is everybody.
    """
    row = {str(name): scope for name, scope in TABLE.get(permission, {}).items()}
    found = row.get(role)
    return Scope.ALL if found is Scope.TEAM and team is None else found


Members = Callable[[str], tuple[str, ...]]
"""The ids of everybody in a team of that name."""


class Person(Protocol):
    """Somebody with an account: `Who` of a request, `User` of the database."""

    @property
    def id(self) -> str:
        """Of the user."""

    @property
    def role(self) -> str:
        """One of ROLES."""

    @property
    def team(self) -> str | None:
        """Its name; None for who is in none."""


def reach(person: Person, permission: Permission, members: Members) -> tuple[str, ...] | None:
    """Whose things the person may see with it: ids of users, nobody's where it is denied; None
    for everybody's (where the scope is REASON: after a reason)."""
    scope = scope_of(person.role, permission, person.team)
    if scope is None:
        return ()
    if scope is Scope.OWN:
        return (person.id,)
    if scope is Scope.TEAM and person.team is not None:
        return members(person.team)
    return None


def reaches(
    person: Person, permission: Permission, people: Collection[str | None], members: Members
) -> bool:
    """Whether it reaches what one of `people` had a part in."""
    among = reach(person, permission, members)
    return among is None or not set(among).isdisjoint(people)


def may_hear(person: Person, talked: Collection[str], members: Members) -> bool:
    """The one rule of who may hear a call, live or recorded, in which `talked` took part; whose
    scope is REASON may after a reason."""
    return reaches(person, Permission.CONVERSATION, talked, members)


def granted(role: str, team: str | None = None) -> dict[str, str]:
    """Every permission of a role with its scope; for the browser, which hides what is denied."""
    found = {permission: scope_of(role, permission, team) for permission in Permission}
    return {str(name): str(scope) for name, scope in found.items() if scope is not None}

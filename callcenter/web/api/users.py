"""Users: who works here; switching an account off ends its sessions at once."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import request
from pydantic import Field

from callcenter.web import auth, records
from callcenter.web.api import factors
from callcenter.web.context import services, who
from callcenter.web.permissions import Permission
from callcenter.web.shapes import (
    CleanText,
    In,
    Moment,
    OpenSessions,
    Page,
    PageQuery,
    UserView,
    View,
)

blueprint = APIBlueprint("users", __name__, tag="Administration")


class AccountView(UserView):
    """An account. `team`: whose calls a supervisor hears; in none: everybody's."""

    team: str | None = None
    created_at: Moment
    disabled_at: Moment | None = None


class AccountPatch(In):
    """`disabled: true` ends every session of the account within seconds; `team: null` takes the
    person out of the team."""

    disabled: bool | None = None
    team: CleanText | None = Field(None, max_length=64)


class AuditView(View):
    """Somebody did something."""

    number: int
    at: Moment
    who: str | None
    what: str
    kind: str
    object: str | None
    reason: str
    address: str | None
    result: str


@blueprint.get("/users")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[AccountView])
@auth.requires(Permission.USERS_READ)
def index(query: PageQuery) -> Any:
    """Accounts by name."""
    with services().reading() as session:
        return records.users(session, query.limit, query.cursor)


@blueprint.patch("/users/<id>")
@blueprint.input(AccountPatch, location="json", arg_name="body")
@blueprint.output(AccountView)
@auth.requires(Permission.USERS_MANAGE)
def change(id: str, body: AccountPatch) -> Any:
    """Switch an account off or on, put it into a team."""
    if "team" in body.model_fields_set:
        services().access.set_team(who(), id, body.team, request.remote_addr)
    return services().access.set_disabled(who(), id, body.disabled, request.remote_addr)


@blueprint.post("/users/<id>/unlock")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.USERS_MANAGE)
def unlock(id: str) -> Any:
    """Forget the failed tries to sign in, so that the person need not wait."""
    services().access.unlock(who(), id, request.remote_addr)
    return ""


@blueprint.post("/users/<id>/factors/reset")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.USERS_MANAGE)
def reset_factors(id: str) -> Any:
    """Take every second factor of somebody away who lost it; their sessions end."""
    factors.security().reset(who(), id, request.remote_addr)
    return ""


@blueprint.get("/users/<id>/sessions")
@blueprint.output(OpenSessions)
@auth.requires(Permission.USERS_MANAGE)
def sessions(id: str) -> Any:
    """Where an account is signed in."""
    return {"items": services().access.sessions_of(id)}


@blueprint.delete("/users/<id>/sessions")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.USERS_MANAGE)
def end_sessions(id: str) -> Any:
    """Sign an account out everywhere, sockets within seconds."""
    services().access.end_sessions(who(), id, None, request.remote_addr)
    return ""


@blueprint.delete("/users/<id>/sessions/<session_id>")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.USERS_MANAGE)
def end_session(id: str, session_id: str) -> Any:
    """End one session of an account."""
    services().access.end_sessions(who(), id, session_id, request.remote_addr)
    return ""


@blueprint.get("/audit")
@blueprint.input(PageQuery, location="query", arg_name="query")
@blueprint.output(Page[AuditView])
@auth.requires(Permission.AUDIT_READ)
def audit(query: PageQuery) -> Any:
    """The audit, newest first."""
    with services().reading() as session:
        return records.audit(session, query.limit, query.cursor)

"""Sign in, sign out, who am I."""

from __future__ import annotations

from typing import Any, Literal

from apiflask import APIBlueprint
from flask import Response, jsonify, make_response, request
from pydantic import Field

from callcenter.crm.users.models import public_id
from callcenter.web import auth, challenges
from callcenter.web.api.factors import Code, Credential, EnrolmentView, PasskeyOptionsView
from callcenter.web.context import Who, services, who
from callcenter.web.passkey_steps import PasskeySteps
from callcenter.web.permissions import Permission, granted
from callcenter.web.shapes import In, LanguageName, Moment, OpenSessions, Password, UserView, View

blueprint = APIBlueprint("session", __name__, tag="Session")


class SignIn(In):
    """Name and password."""

    username: str = Field(min_length=1, max_length=64)
    password: Password


class SessionPatch(In):
    """What a person may change of their own account."""

    language: LanguageName | None = None


class SessionView(View):
    """Who is signed in, and the token that every change has to carry in `X-CSRF-Token`."""

    user: UserView
    csrf_token: str
    draft_key: str = Field(
        description="AES-256 in hex: seals what this person's browsers keep of unsaved text; "
        "held in memory only"
    )
    permissions: dict[str, str]
    expires_at: Moment
    failed_sign_ins: int = Field(
        0, description="failed tries of the last hour before this sign-in; its owner should know"
    )
    last_seq: int = Field(0, description="the newest event of this agent")
    device: Literal["browser", "phone"] = Field("browser", description="what calls come to")
    phone: str | None = Field(None, description="extension of this person's desk phone")


class BegunSignIn(In):
    """`step` of the problem that answered the password."""

    step: str = Field(min_length=1, max_length=64)


class StepCode(BegunSignIn):
    """A code of the authenticator app, or a recovery code."""

    code: Code


class StepPasskey(BegunSignIn):
    """A passkey that was shown."""

    credential: Credential


class FinishedSignInView(SessionView):
    """The session; recovery codes once, where the first factor was set up just now."""

    recovery_codes: list[str]


def _permissions(person: Who) -> dict[str, str]:
    """What the person may do in this system: where no calls go out, nobody places any."""
    found = granted(person.role, person.team)
    if services().settings.sip.outbound is None:
        found.pop(Permission.CALLS_PLACE, None)
    return found


def view(person: Who) -> dict[str, Any]:
    """The session as the browser sees it."""
    parts = services()
    phone = parts.settings.sip.phone_of(person.username)
    shown = SessionView(
        device=parts.access.device_of(person) if phone else "browser",
        phone=phone.extension if phone else None,
        user=UserView.model_validate(person),
        csrf_token=person.csrf,
        draft_key=person.draft_key,
        permissions=_permissions(person),
        expires_at=person.expires_at,
        failed_sign_ins=person.failed_sign_ins,
        last_seq=parts.access.last_seq(person.id),
    )
    return shown.model_dump(mode="json")


@blueprint.post("/session")
@blueprint.doc(responses={401: "wrong name or password", 429: "too many failures"})
@blueprint.input(SignIn, location="json", arg_name="body")
@blueprint.output(SessionView, status_code=201)
@auth.public
def sign_in(body: SignIn) -> Response:
    """Sign in: sets the session cookie."""
    parts = services()
    person, token = parts.access.sign_in(body.username, body.password, request.remote_addr)
    response = make_response(jsonify(view(person)), 201)
    auth.set_cookie(response, token, parts.settings.web.session_hours * 3600)
    return response


@blueprint.post("/session/enrolment")
@blueprint.doc(responses={401: "begin again"})
@blueprint.input(BegunSignIn, location="json", arg_name="body")
@blueprint.output(EnrolmentView, status_code=201)
@auth.public
def enrol(body: BegunSignIn) -> Any:
    """Set an authenticator app up where the answer to the password was `enrolment-needed`."""
    return services().access.enrol(body.step)


@blueprint.post("/session/second-step")
@blueprint.doc(responses={401: "a wrong code, or begin again", 429: "too many failures"})
@blueprint.input(StepCode, location="json", arg_name="body")
@blueprint.output(FinishedSignInView, status_code=201)
@auth.public
def second_step(body: StepCode) -> Response:
    """Go on where the answer to the password was `second-factor-needed`: sets the cookie."""
    done = services().access.second_step(body.step, body.code, request.remote_addr)
    return _finished(*done)


@blueprint.post("/session/passkey")
@blueprint.doc(responses={401: "begin again"})
@blueprint.input(BegunSignIn, location="json", arg_name="body")
@blueprint.output(PasskeyOptionsView, status_code=201)
@auth.public
def ask_passkey(body: BegunSignIn) -> Any:
    """Ask for a passkey where `factors` of `second-factor-needed` names it."""
    parts = services()
    party = challenges.demand_party(request, parts.settings)
    return {"options": PasskeySteps(parts.engine, parts.access).begin(party, body.step)}


@blueprint.post("/session/passkey/confirmation")
@blueprint.doc(responses={401: "not accepted, or begin again", 429: "too many failures"})
@blueprint.input(StepPasskey, location="json", arg_name="body")
@blueprint.output(FinishedSignInView, status_code=201)
@auth.public
def show_passkey(body: StepPasskey) -> Response:
    """Go on with a passkey: sets the cookie."""
    parts = services()
    party = challenges.demand_party(request, parts.settings)
    steps = PasskeySteps(parts.engine, parts.access)
    return _finished(*steps.finish(party, body.step, body.credential, request.remote_addr), [])


def _finished(person: Who, token: str, fresh: list[str]) -> Response:
    parts = services()
    response = make_response(jsonify({**view(person), "recovery_codes": fresh}), 201)
    auth.set_cookie(response, token, parts.settings.web.session_hours * 3600)
    return response


@blueprint.get("/session")
@blueprint.output(SessionView)
@auth.requires(Permission.SESSION)
def show() -> Any:
    """Who am I?"""
    return view(who())


@blueprint.patch("/session")
@blueprint.input(SessionPatch, location="json", arg_name="body")
@blueprint.output(SessionView)
@auth.requires(Permission.SESSION)
def change(body: SessionPatch) -> Any:
    """Change my language."""
    if body.language:
        services().access.set_language(who(), body.language)
    return view(services().access.again(who()))


@blueprint.get("/sessions")
@blueprint.output(OpenSessions)
@auth.requires(Permission.SESSION)
def mine() -> Any:
    """Where I am signed in."""
    items = services().access.sessions_of(who().id)
    return {"items": items, "current": public_id(who().session)}


@blueprint.delete("/sessions")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.SESSION)
def end_others() -> Any:
    """Sign me out everywhere but here, sockets within seconds."""
    services().access.end_sessions(who(), who().id, None, request.remote_addr, but=who().session)
    return ""


@blueprint.delete("/sessions/<session_id>")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.SESSION)
def end_one(session_id: str) -> Any:
    """End one of my sessions."""
    services().access.end_sessions(who(), who().id, session_id, request.remote_addr)
    return ""


@blueprint.delete("/session")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.SESSION)
def sign_out() -> Response:
    """Sign out: the session ends here and in every tab, its sockets too."""
    services().access.sign_out(who(), request.remote_addr)
    response = make_response("", 204)
    auth.drop_cookie(response)
    return response

"""One's own security: password, second factors, recovery codes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from flask import request
from pydantic import Field

from callcenter.web import auth, challenges
from callcenter.web.context import services, who
from callcenter.web.own_security import OwnSecurity
from callcenter.web.permissions import Permission
from callcenter.web.shapes import CleanText, In, Moment, Password, View

blueprint = APIBlueprint("factors", __name__, tag="Session")
Code = Annotated[str, Field(min_length=1, max_length=64, description="as it was typed")]

Credential = Annotated[
    dict[str, Any], Field(description="what `PublicKeyCredential.toJSON()` gave")
]


class FactorView(View):
    """A code generator or a passkey; `name` is what its owner called it."""

    id: str
    kind: Literal["totp", "passkey"]
    name: str
    created_at: Moment
    used_at: Moment | None


class FactorsView(View):
    """What somebody can show beside the password."""

    items: list[FactorView]
    recovery_codes_left: int
    needed: bool = Field(description="the settings want a second factor of this role")
    passkeys: bool = Field(description="the site was opened by the name that passkeys are bound to")
    by_provider: bool = Field(
        description="signed in by the identity provider: it keeps password and second factor"
    )


class Proof(In):
    """The password again."""

    password: Password


class NewFactor(Proof):
    """What to call it."""

    name: CleanText = Field("", max_length=60)


class NewPassword(Proof):
    """What comes in its place."""

    new_password: Password


class CodeIn(In):
    """A code that the generator shows."""

    code: Code


class EnrolmentView(View):
    """A code generator to set up; shown this once. `picture` is a data: address of an SVG."""

    secret: str
    address: str
    picture: str


class PasskeyOptionsView(View):
    """`options` as `PublicKeyCredential.parse…OptionsFromJSON()` reads them; good once."""

    options: dict[str, Any]


class PasskeyIn(In):
    """A new passkey."""

    credential: Credential


class RecoveryCodesView(View):
    """Each works once; shown this once. Empty where there were some already."""

    recovery_codes: list[str]


def security() -> OwnSecurity:
    """The rules, over the running system."""
    return OwnSecurity(services().engine, services().access, services().leaked)


@blueprint.get("/factors")
@blueprint.output(FactorsView)
@auth.requires(Permission.SESSION)
def index() -> Any:
    """My second factors."""
    return security().overview(who(), challenges.party_of(request, services().settings) is not None)


@blueprint.post("/factors/totp")
@blueprint.input(NewFactor, location="json", arg_name="body")
@blueprint.output(EnrolmentView, status_code=201)
@auth.requires(Permission.SESSION)
def begin_totp(body: NewFactor) -> Any:
    """Begin to set up an authenticator app."""
    return security().begin_totp(who(), body.password, body.name, request.remote_addr)


@blueprint.post("/factors/totp/confirmation")
@blueprint.input(CodeIn, location="json", arg_name="body")
@blueprint.output(RecoveryCodesView, status_code=201)
@auth.requires(Permission.SESSION)
def confirm_totp(body: CodeIn) -> Any:
    """The first code of the app: from now on it is asked for."""
    made = security().confirm_totp(who(), body.code, request.remote_addr)
    return {"recovery_codes": made}


@blueprint.post("/factors/passkey")
@blueprint.input(NewFactor, location="json", arg_name="body")
@blueprint.output(PasskeyOptionsView, status_code=201)
@auth.requires(Permission.SESSION)
def begin_passkey(body: NewFactor) -> Any:
    """Begin to set up a passkey."""
    party = challenges.demand_party(request, services().settings)
    options = security().begin_passkey(who(), party, body.password, body.name, request.remote_addr)
    return {"options": options}


@blueprint.post("/factors/passkey/confirmation")
@blueprint.input(PasskeyIn, location="json", arg_name="body")
@blueprint.output(RecoveryCodesView, status_code=201)
@auth.requires(Permission.SESSION)
def confirm_passkey(body: PasskeyIn) -> Any:
    """What the browser made of the options: from now on it is asked for."""
    party = challenges.demand_party(request, services().settings)
    made = security().confirm_passkey(who(), party, body.credential, request.remote_addr)
    return {"recovery_codes": made}


@blueprint.post("/session/password")
@blueprint.input(NewPassword, location="json", arg_name="body")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.SESSION)
def change_password(body: NewPassword) -> Any:
    """Take another password; I am signed out everywhere else."""
    site = services().settings.site.name
    security().change_password(who(), body.password, body.new_password, site, request.remote_addr)
    return ""


@blueprint.post("/factors/recovery-codes")
@blueprint.input(Proof, location="json", arg_name="body")
@blueprint.output(RecoveryCodesView, status_code=201)
@auth.requires(Permission.SESSION)
def new_codes(body: Proof) -> Any:
    """New recovery codes in place of the old ones."""
    made = security().new_codes(who(), body.password, request.remote_addr)
    return {"recovery_codes": made}


@blueprint.post("/factors/<id>/removal")
@blueprint.input(Proof, location="json", arg_name="body")
@blueprint.output({}, status_code=204)
@auth.requires(Permission.SESSION)
def remove(id: str, body: Proof) -> Any:
    """Take one of my factors away."""
    security().remove(who(), id, body.password, request.remote_addr)
    return ""

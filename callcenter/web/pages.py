"""The pages that the server makes: signing in (works without scripts) and the app's shell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from apiflask import APIFlask
from flask import Response, make_response, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from callcenter.errors import (
    CallcenterError,
    EnrolmentNeeded,
    FactorNeeded,
    NotFound,
    TooManyTries,
    WrongCode,
)
from callcenter.web import assets, auth, challenges, headers
from callcenter.web.api import session, site
from callcenter.web.context import Services, Who, maybe_who
from callcenter.web.passkey_steps import PasskeySteps
from callcenter.web.texts import choose, direction, texts

# Addresses that are no page of the app: a wrong one is a 404, not the app.
_NO_PAGES = ("api", "static", "socket.io", "healthz", "readyz", "metrics", "sign-in", "portal")


def install(app: APIFlask, parts: Services) -> None:
    """Register the pages."""
    app.template_folder = str(Path(__file__).with_name("templates"))

    @app.get("/sign-in")
    @app.doc(hide=True)
    @auth.public
    def sign_in_page() -> AnyResponse:
        if maybe_who():
            return redirect(local(request.args.get("next")))
        return show_sign_in(parts, 200)

    @app.post("/sign-in")
    @app.doc(hide=True)
    @auth.public
    def sign_in_form() -> AnyResponse:
        username = request.form.get("username", "")[:64]
        password = request.form.get("password", "")[:1024]
        try:
            _, token = parts.access.sign_in(username, password, request.remote_addr)
        except FactorNeeded as needed:
            return _further(parts, needed)
        except CallcenterError as error:
            return show_sign_in(parts, error.status, error, username)
        return signed_in(parts, token, redirect(local(request.form.get("next")), 303))

    @app.post("/sign-in/enrolment")
    @app.doc(hide=True)
    @auth.public
    def enrolment_form() -> AnyResponse:
        return _enrol(parts, request.form.get("step", "")[:64])

    @app.post("/sign-in/second-step")
    @app.doc(hide=True)
    @auth.public
    def second_step_form() -> AnyResponse:
        step = request.form.get("step", "")[:64]
        try:
            _, token, fresh = _shown(parts, step)
        except (WrongCode, TooManyTries) as error:
            kinds = tuple(request.form.get("kinds", "")[:64].split())
            return _second_step(parts, step, kinds, error)
        except CallcenterError as error:
            return show_sign_in(parts, error.status, error)
        on = local(request.form.get("next"))
        if not fresh:
            return signed_in(parts, token, redirect(on, 303))
        page = _page(parts, "recovery_codes.html", "recovery_codes", codes=fresh, next=on)
        return signed_in(parts, token, page)

    @app.get("/static/<path:path>")
    @app.doc(hide=True)
    @auth.public
    def static_file(path: str) -> Response:
        return assets.send(request, path)

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    @app.doc(hide=True)
    @auth.public
    def shell(path: str) -> AnyResponse:
        if path.split("/")[0] in _NO_PAGES or "." in path:
            raise NotFound("there is no such page")
        return _shell(parts)


def signed_in(parts: Services, token: str, response: AnyResponse) -> AnyResponse:
    """The response, with the session's cookie."""
    auth.set_cookie(response, token, parts.settings.web.session_hours * 3600)
    return response


def _further(parts: Services, needed: FactorNeeded) -> AnyResponse:
    """The password was right: ask for what comes next."""
    if isinstance(needed, EnrolmentNeeded):
        return _enrol(parts, needed.step)
    return _second_step(parts, needed.step, needed.kinds)


def _enrol(parts: Services, step: str) -> AnyResponse:
    """A new code generator to scan; without scripts."""
    try:
        shown = parts.access.enrol(step)
    except CallcenterError as error:
        return show_sign_in(parts, error.status, error)
    return _page(parts, "enrolment.html", "enrolment", step=step, shown=shown)


def _shown(parts: Services, step: str) -> tuple[Who, str, list[str]]:
    """What the second step's page sent: a passkey by its script, or a code."""
    passkey, address = request.form.get("passkey", "")[:16_384], request.remote_addr
    if not passkey:
        return parts.access.second_step(step, request.form.get("code", "")[:64], address)
    party = challenges.demand_party(request, parts.settings)
    steps = PasskeySteps(parts.engine, parts.access)
    return *steps.finish(party, step, _object(passkey), address), []


def _object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _second_step(
    parts: Services, step: str, kinds: tuple[str, ...], error: CallcenterError | None = None
) -> AnyResponse:
    here = challenges.party_of(request, parts.settings) is not None
    shown = {"step": step, "kinds": kinds, "passkey": here and "passkey" in kinds}
    return _page(parts, "second_step.html", "second_step", error, **shown)


def local(wanted: str | None) -> str:
    """A path of ours to go on to; nobody is sent to another site."""
    path = wanted or "/"
    split = urlsplit(path)
    foreign = split.scheme or split.netloc or not path.startswith("/") or "\\" in path
    return "/" if foreign or path.startswith("//") else path


def _shell(parts: Services) -> AnyResponse:
    person = maybe_who()
    if person is None:
        back = request.full_path.rstrip("?")
        return redirect("/sign-in" if back == "/" else f"/sign-in?next={quote(back)}")
    language = choose(request, parts.settings.site, person.language)
    found = assets.find(assets.DIST)
    if found is None:
        page = render(parts, "not_built.html", language, "not_built", person=person)
        return make_response(page, 503)
    return make_response(
        render_template(
            "app.html",
            language=language,
            direction=direction(language),
            site=parts.settings.site.name,
            text=texts(language),
            assets=found,
            nonce=headers.nonce(),
            session=_json({**session.view(person), "site": site.view(parts)}),
        )
    )


def _json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escape)
    return Markup(text)  # noqa: S704 - escaped above


def show_sign_in(
    parts: Services,
    status: int,
    error: CallcenterError | None = None,
    username: str = "",
    **values: Any,
) -> AnyResponse:
    """The page with name and password, and the provider's button where there is one."""
    page = _page(parts, "sign_in.html", "sign_in", error, username=username, **values)
    page.status_code = status
    return page


def _page(
    parts: Services,
    template: str,
    title: str,
    error: CallcenterError | None = None,
    **values: Any,
) -> Response:
    """A page on the way in, in the browser's language, with what went wrong before."""
    language = choose(request, parts.settings.site)
    words = texts(language)
    problem = words.get(error.slug, words["error"]) if error else ""
    wait = math.ceil(error.retry_after) if isinstance(error, TooManyTries) else 0
    oidc = parts.settings.sign_in.oidc
    provider = oidc.name if oidc else ""
    problem = problem.replace("{seconds}", str(max(1, wait))).replace("{name}", provider)
    shown: dict[str, Any] = {
        "problem": problem,
        "provider": provider,
        "slug": error.slug if error else "",
        "next": local(request.values.get("next")),
    }
    page = render(parts, template, language, title, **(shown | values))
    response = make_response(page, error.status if error else 200)
    response.headers["Vary"] = "Accept-Language"
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def render(parts: Services, template: str, language: str, title: str, **values: Any) -> str:
    """A page of ours in that language; `title` is the key of its heading."""
    words = texts(language)
    return render_template(
        template,
        language=language,
        direction=direction(language),
        languages=parts.settings.site.languages,
        site=parts.settings.site.name,
        text=words,
        title=words[title],
        **values,
    )

"""Settings: one model, one file, every mistake reported at once.

`load()` merges, later wins: defaults, the YAML (or JSON) file, the environment
(`CALLCENTER_WEB__PORT=9000`; `…_FILE` names a file that holds the value), `--data-dir`.
An unknown or mistyped key is a `ConfigError` that names the key, what was found and what is
allowed. Adding a setting: a field with a description here, a line in `config.yaml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from callcenter.config_problems import across, sentences
from callcenter.errors import ConfigError

Language = Literal["fa", "he", "en"]
RoleName = Literal["agent", "supervisor", "manager", "admin", "auditor"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
ENV_PREFIX = "CALLCENTER_"


class Section(BaseModel):
    """A group of settings; unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


# Validators say what is allowed; `config_problems` puts the key and what was found before it.


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("an IANA time zone such as Asia/Tehran")
    return name


def _cidr(text: str) -> str:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise ValueError("a network such as 10.1.0.0/16 or an address") from None
    return text


def _listen(url: str) -> str:
    if not re.fullmatch(r"(udp|tcp|tls)://(\[[0-9a-fA-F:.]+\]|[0-9.]+|[\w.-]+):\d{1,5}", url):
        raise ValueError("an address such as udp://0.0.0.0:5060 (udp, tcp or tls)")
    return url


def _one_udp4(urls: list[str]) -> bool:
    return len(urls) == 1 and urls[0].startswith("udp://") and "[" not in urls[0]


def _region(code: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", code):
        raise ValueError("a two-letter region such as IR or IL")
    return code


def _country(code: str) -> str:
    if code != "none" and not re.fullmatch(r"[A-Z]{2}", code):
        raise ValueError("a two-letter country such as IR or IL, or none")
    return code


def _port_range(ports: tuple[int, int]) -> tuple[int, int]:
    if ports[0] < 1024 or ports[1] - ports[0] < 3:
        raise ValueError("[first, last] with first ≥ 1024 and room for a call")
    return ports


def _database(url: str) -> str:
    if not re.fullmatch(r"sqlite:///.+|postgresql\+psycopg://.+", url):
        raise ValueError("sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    return url


def _public_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+/?", url):
        raise ValueError("an address such as https://calls.example.com, without a path")
    return url.rstrip("/")


Region = Annotated[str, AfterValidator(_region)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Days = Annotated[int, Field(ge=0, le=365)]
AUDIT_LEAST_DAYS = 730
"""So long the audit is kept at least, as Israel's data security regulations of 2017 want it of the
records of who saw what (regulation 17: 24 months). Migration 0037 holds the database to it."""


def read_secret(value: SecretStr | None, file: Path | None) -> str:
    """A secret, from its file if it is in one; "" where there is none. Raises ConfigError."""
    if file is None:
        return value.get_secret_value() if value else ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read ({error.strerror})"]) from error


class Calendar(Section):
    """Which days are working days."""

    country: Annotated[str, AfterValidator(_country)] | None = Field(
        None, description="whose holidays are free; none: nobody's; else site.region"
    )
    workdays: list[Weekday] | None = Field(
        None, min_length=1, description="else by country: IR sat to wed, IL sun to thu, mon to fri"
    )
    closed: list[date] = Field([], description="further days without work, such as 2027-03-25")
    open: list[date] = Field([], description="days of work that would be free")


class Site(Section):
    """Who runs this system, and where."""

    name: str = Field("My company", description="shown on every page and in announcements")
    region: Region = Field("IR", description="country whose numbers are written without +")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        "Asia/Tehran", description="for days, hours and deadlines"
    )
    languages: list[Language] = Field(
        ["fa", "he", "en"], min_length=1, description="languages offered to people"
    )
    default_language: Language = Field("fa", description="where nobody chose one")
    calendar: Calendar = Field(Calendar(), description="which days are working days")


class Tls(Section):
    """The web server's certificate."""

    certificate: Path | None = Field(None, description="PEM file; `callcenter tls` makes one")
    key: Path | None = Field(None, description="PEM file of its private key")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("both certificate and key, or neither")
        return self


class Web(Section):
    """Pages, API and sockets."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port to listen on")
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        None, description="address that people type, behind a proxy"
    )
    proxies: list[Cidr] = Field(
        ["127.0.0.0/8", "::1/128"], description="proxies whose X-Forwarded-For is believed"
    )
    metrics_from: list[Cidr] = Field(
        ["127.0.0.0/8", "::1/128"],
        description="who may read /metrics, directly or through web.proxies; others get 404",
    )
    tls: Tls = Field(Tls(), description="certificate; without one only localhost gets a microphone")
    session_idle_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        30, description="a session without a request or open socket ends after this"
    )
    session_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        12, description="every session ends after this"
    )


def _issuer(text: str) -> str:
    host = urlsplit(text).hostname
    if not (text.startswith("https://") and host) and host not in ("localhost", "127.0.0.1"):
        raise ValueError("an address with https:// (http:// for localhost only)")
    return text


class Oidc(Section):
    """An OpenID Connect provider that people sign in with; needs web.public_url."""

    name: str = Field(min_length=1, max_length=60, description="shown on the button")
    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        description="as the provider writes it, such as https://login.example.com/realms/office"
    )
    client_id: str = Field(min_length=1, description="our name there")
    client_secret: SecretStr | None = Field(None, description="none: a public client, PKCE only")
    client_secret_file: Path | None = Field(None, description="file that holds it instead")
    scopes: list[str] = Field(["openid", "profile"], description="what is asked for")
    acr_values: list[str] = Field(
        [], description="how people must have signed in there (acr), such as mfa; none: as it likes"
    )
    username_claim: str = Field(
        "preferred_username", description="claim that holds the user name here"
    )
    role_claim: str | None = Field(
        None, description="claim of groups or roles, such as realm_access.roles; none: ours stay"
    )
    roles: dict[str, RoleName] = Field(
        {}, description="value of role_claim: role here; the first that fits; none: not let in"
    )
    create: bool = Field(False, description="make users that are not known; false: refuse them")
    new_role: RoleName = Field("agent", description="of made users, without role_claim")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes with openid among them")
        if self.role_claim and not self.roles:
            raise ValueError("role_claim together with roles")
        return self

    def secret(self) -> str:
        """The client's secret, "" for a public client. Raises ConfigError."""
        return read_secret(self.client_secret, self.client_secret_file)


class SignIn(Section):
    """How people sign in."""

    second_factor: list[RoleName] = Field(
        [],
        description="roles that need a second factor; who has none sets it up at the next sign-in",
    )
    key_file: Path | None = Field(
        None,
        description="key that seals code generators; else data_dir/keys/factors.secret",
    )
    leaked_passwords: Path | None = Field(
        None,
        description="list of leaked passwords that nobody may choose: lines SHA1HEX:COUNT, "
        "sorted by hash; none: not looked up",
    )
    oidc: Oidc | None = Field(None, description="a provider to sign in with, beside the password")


class SipTls(Tls):
    """The certificate of `tls://` in `sip.listen`."""

    certificate: Path | None = Field(None, description="PEM file, for tls:// in sip.listen")
    client_ca: Path | None = Field(
        None, description="PEM file; peers must then show a certificate of this authority"
    )


class Credentials(Section):
    """A login for SIP digest."""

    password: SecretStr | None = Field(None, description="of that user")
    password_file: Path | None = Field(None, description="file that holds it instead")
    algorithm: Literal["sha-256", "md5"] = Field(
        "sha-256", description="md5: taken as well, for peers that know nothing better"
    )

    def secret(self) -> str:
        """The password, from its file if it is in one. Raises ConfigError."""
        if self.password_file is None:
            return self.password.get_secret_value() if self.password else ""
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            problem = f"password_file: {self.password_file} cannot be read ({error.strerror})"
            raise ConfigError([problem]) from error


class TrunkAuth(Credentials):
    """What a trunk's requests must prove, besides where they come from."""

    username: str | None = Field(None, description="user that it signs in as; none: no digest")
    qop: Literal["auth", "auth-int"] = Field(
        "auth", description="auth-int: its bodies are protected too"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.username and not (self.password or self.password_file):
            raise ValueError("username together with password or password_file")
        return self


class SipLimits(Section):
    """What peers may do; a rate is in messages a second, failures are counted within a minute."""

    source_rate: Annotated[float, Field(gt=0)] = Field(1000, description="messages/s of one source")
    trunk_rate: Annotated[float, Field(gt=0)] = Field(2000, description="messages/s of one trunk")
    failures: Annotated[int, Field(ge=0)] = Field(
        20, description="wrong digests a minute that ban a source; 0 = no ban"
    )
    malformed: Annotated[int, Field(ge=0)] = Field(
        200, description="malformed messages a minute that ban a source; 0 = no ban"
    )
    ban_seconds: Annotated[float, Field(gt=0)] = Field(600, description="how long a ban lasts")


def _prefix(text: str) -> str:
    if not re.fullmatch(r"\+\d{1,15}", text):
        raise ValueError("the beginning of a number with + and country, such as +98")
    return text


def _clock(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("a time of day such as 21:00")
    return text


Prefix = Annotated[str, AfterValidator(_prefix)]
Clock = Annotated[str, AfterValidator(_clock)]


class Login(Credentials):
    """Who we are where we call."""

    username: str | None = Field(None, description="user that we sign in as; none: no digest")


class NumberPlan(Section):
    """How numbers are written to a peer."""

    numbers: Literal["e164", "digits", "international", "national"] = Field(
        "e164",
        description="+98912…, 98912…, 0098912…, or 0912… (abroad as international)",
    )
    prefix: str = Field(
        "", pattern=r"^[\d*#]{0,8}$", description="put before the number, such as 9 for a line"
    )
    caller_id: str | None = Field(
        None, pattern=r"^\+?\d{2,15}$", description="number that is shown when we call"
    )


class PeerTls(Tls):
    """Certificates on the way to and from one trunk."""

    certificate: Path | None = Field(None, description="PEM file that we show as a client")
    key: Path | None = Field(None, description="PEM file of its private key")
    ca: Path | None = Field(None, description="PEM file of its authority; else the system's")
    names: list[str] = Field([], description="its certificate must be for one of these names")
    fingerprints: list[Annotated[str, Field(pattern=r"^[0-9A-Fa-f:]{64,95}$")]] = Field(
        [], description="or its certificate must have one of these SHA-256 fingerprints"
    )


class Trunk(Section):
    """Who may send calls to us, and whom we may send calls to."""

    name: Name = Field(description="shown with the call")
    hosts: list[Cidr] = Field(min_length=1, description="networks its packets come from")
    region: Region | None = Field(None, description="country of its numbers; else site.region")
    trusts_identity: bool = Field(
        False, description="its P-Asserted-Identity is who calls, before From"
    )
    srtp: Literal["never", "optional", "required"] = Field(
        "never", description="protected sound (SDES), over tls:// only; required: else 488"
    )
    may_transfer: bool = Field(
        False, description="its REFER and Replaces move calls, within this system"
    )
    auth: TrunkAuth = Field(TrunkAuth(), description="what its requests must prove")
    server: str | None = Field(
        None,
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?$",
        description="host or host:port that takes our calls; none: no calls out",
    )
    transport: Literal["udp", "tcp", "tls"] = Field("udp", description="of our calls to it")
    login: Login = Field(Login(), description="who we are there, where it asks")
    plan: NumberPlan = Field(NumberPlan(), description="how numbers are written to it")
    tls: PeerTls = Field(PeerTls(), description="certificates, ours there and its own here")


class Registration(Credentials):
    """An account of ours with a PBX or provider; its calls come as from a trunk of that name."""

    name: Name = Field(description="shown with the call")
    registrar: str = Field(
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?$",
        description="host or host:port, over UDP",
    )
    user: str = Field(
        pattern=r"^[\w.+*#-]{1,64}$",
        description="account or extension; a line must have its number",
    )
    username: str | None = Field(None, description="for the digest, where it is not `user`")
    expires: Annotated[int, Field(ge=30, le=86_400)] = Field(
        300, description="seconds asked for; renewed after half to nine tenths of it"
    )
    region: Region | None = Field(None, description="country of its numbers; else site.region")
    trusts_identity: bool = Field(
        False, description="its P-Asserted-Identity is who calls, before From"
    )
    may_transfer: bool = Field(
        False, description="its REFER and Replaces move calls, within this system"
    )
    plan: NumberPlan = Field(NumberPlan(), description="how numbers are written to it")


class Phone(Credentials):
    """A desk phone of one person; it signs in here (REGISTER) as its extension."""

    algorithm: Literal["sha-256", "md5"] = Field(
        "sha-256", description="md5: asked for instead, where the phone knows nothing better"
    )
    extension: str = Field(
        pattern=r"^[\w.+-]{1,32}$", description="user that it signs in as, such as 201"
    )
    user: str = Field(description="user name of the agent whose calls ring there")
    hosts: list[Cidr] = Field(min_length=1, description="networks that it may sign in from")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not (self.password or self.password_file):
            raise ValueError("password_file or password")
        return self


class Registrar(Section):
    """For how long desk phones are registered."""

    min_expires: Annotated[int, Field(ge=1, le=3600)] = Field(
        60, description="seconds; a phone that wants less gets 423"
    )
    max_expires: Annotated[int, Field(ge=60, le=86_400)] = Field(
        3600, description="seconds; a phone that wants more, or does not say, gets this"
    )
    contacts: Annotated[int, Field(ge=1, le=16)] = Field(
        5, description="places where one extension may be registered at once"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_expires > self.max_expires:
            raise ValueError("min_expires is at most max_expires")
        return self


class Outbound(Section):
    """Calls that agents place. Whatever is not allowed here is denied."""

    trunk: Name = Field(description="trunk with a server, or registration, that they go out by")
    allow: list[Prefix] = Field(min_length=1, description="numbers that begin so may be called")
    deny: list[Prefix] = Field([], description="numbers that begin so may not, whatever is allowed")
    costly: bool = Field(
        False, description="premium, shared-cost, satellite and personal numbers too"
    )
    calls_per_agent: Annotated[int, Field(ge=1)] = Field(100, description="a day")
    minutes_per_agent: Annotated[int, Field(ge=1)] = Field(240, description="a day")
    calls_per_day: Annotated[int, Field(ge=1)] = Field(1000, description="of everybody")
    minutes_per_day: Annotated[int, Field(ge=1)] = Field(3000, description="of everybody")
    call_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        120, description="then a call is ended"
    )
    night: tuple[Clock, Clock] | None = Field(
        ("21:00", "08:00"), description="no calls from … to …, by site.timezone; null: none"
    )
    ring_seconds: Annotated[float, Field(gt=0, le=180)] = Field(
        45, description="then the call ends as not answered"
    )
    queue: Name | None = Field(
        None, description="for the work after the call and where it is passed on; else the first"
    )
    record: Literal["never", "on_demand", "ask", "always"] = Field(
        "always", description="whether calls are recorded"
    )
    language: Language | None = Field(None, description="of captions")


class Sip(Section):
    """The SIP listener and its sound."""

    backend: Literal["native", "pyvoip"] = Field("native", description="who speaks SIP")
    listen: list[Annotated[str, AfterValidator(_listen)]] = Field(
        ["udp://0.0.0.0:5060"], min_length=1, description="udp://…, tcp://… or tls://…"
    )
    tls: SipTls = Field(SipTls(), description="certificate of tls:// listeners")
    rtp_ports: Annotated[tuple[Port, Port], AfterValidator(_port_range)] = Field(
        (20000, 29999), description="first and last UDP port"
    )
    advertised_host: str | None = Field(
        None, description="address told to peers; else the one the packet came to"
    )
    max_calls: Annotated[int, Field(ge=1)] = Field(200, description="more are refused with 503")
    session_expires: Annotated[int, Field(ge=0, le=86_400)] = Field(
        1800, description="seconds between refreshes of a call (RFC 4028); 0 = only where asked"
    )
    session_min_se: Annotated[int, Field(ge=90, le=86_400)] = Field(
        90, description="shorter wishes of peers get 422"
    )
    media_timeout_seconds: Seconds = Field(
        30, description="a call without any RTP for this long is ended"
    )
    trunks: list[Trunk] = Field(
        [Trunk(name="local", hosts=["127.0.0.0/8", "::1/128"])],
        description="unlisted sources get silence",
    )
    limits: SipLimits = Field(SipLimits(), description="what peers may do")
    registrations: list[Registration] = Field(
        [], description="accounts with PBXs and providers, see docs/operations/sip.md"
    )
    outbound: Outbound | None = Field(
        None, description="calls that agents place; without it there are none"
    )
    phones: list[Phone] = Field(
        [], description="desk phones that sign in here, see docs/operations/sip.md"
    )
    registrar: Registrar = Field(Registrar(), description="what desk phones are granted")

    def phone_of(self, username: str) -> Phone | None:
        """The desk phone of that user."""
        names = ((phone.user.strip().casefold(), phone) for phone in self.phones)
        return next((phone for name, phone in names if name == username.casefold()), None)

    def peer(self, name: str) -> Trunk | Registration | None:
        """The trunk or registration of that name."""
        peers: list[Trunk | Registration] = [*self.trunks, *self.registrations]
        return next((peer for peer in peers if peer.name == name), None)

    @model_validator(mode="after")
    def _backend_can(self) -> Self:
        if self.backend == "pyvoip":
            beyond = [
                what
                for what, asked in (
                    ("one address udp://IPv4:port in listen", not _one_udp4(self.listen)),
                    ("one entry in registrations at most", len(self.registrations) > 1),
                    ("no auth in trunks", any(trunk.auth.username for trunk in self.trunks)),
                    ("no phones", bool(self.phones)),
                    ("no srtp in trunks", any(trunk.srtp != "never" for trunk in self.trunks)),
                )
                if asked
            ]
            if beyond:
                raise ValueError(f"with backend pyvoip {' and '.join(beyond)}")
        return self

    def region_of(self, name: str) -> str | None:
        """The country of that trunk's or registration's numbers, if it has one of its own."""
        peer = self.peer(name)
        return peer.region if peer else None

    def trusts(self, name: str) -> bool:
        """Whether that trunk's or registration's word on who calls is taken."""
        peer = self.peer(name)
        return peer is not None and peer.trusts_identity

    def srtp_of(self, name: str) -> Literal["never", "optional", "required"]:
        """Whether that trunk's sound may or must be SRTP; a registration's is plain."""
        peer = self.peer(name)
        return peer.srtp if isinstance(peer, Trunk) else "never"

    def may_transfer(self, name: str) -> bool:
        """Whether that trunk's or registration's REFER and Replaces are followed."""
        peer = self.peer(name)
        return peer is not None and peer.may_transfer


class BrowserSound(Section):
    """The sound of agents who talk in the browser."""

    codecs: list[Literal["pcmu", "opus"]] = Field(
        ["pcmu", "opus"],
        min_length=1,
        description="the first that a browser offers; opus costs processor, docs/operations/sip.md",
    )


class Line(Section):
    """A number that people call."""

    number: str = Field(
        pattern=r"^(\*|[+\w.*#-]{1,64})$", description='user part of the request URI; "*" = any'
    )
    queue: Name = Field(description="queue its calls wait in")
    language: Language | None = Field(None, description="of announcements and captions")
    region: Region | None = Field(None, description="country of its callers' numbers")
    record: Literal["never", "on_demand", "ask", "always"] = Field(
        "always", description="whether calls are recorded"
    )
    answer: Literal["on_agent", "early", "early_media"] = Field(
        "on_agent",
        description="200 when an agent answers, or at once with music; early_media: music before",
    )
    service: Literal["complaint_status"] | None = Field(
        None, description="answers by itself: complaint_status tells where a complaint stands"
    )


class Queue(Section):
    """Where calls wait for agents."""

    name: Name = Field(description="shown to agents")
    strategy: Literal["longest_idle"] = Field("longest_idle", description="who is rung first")
    ring_seconds: Annotated[float, Field(gt=0, le=300)] = Field(
        20, description="how long one agent is rung"
    )
    max_wait_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        600, description="then the call ends as missed"
    )
    wrap_up_seconds: Seconds = Field(60, description="time for work after the call; 0 = none")
    unanswered_limit: Annotated[int, Field(ge=1)] = Field(
        3, description="unanswered offers in a row until an agent is set to not answering"
    )
    agents: list[str] = Field(["*"], description='user names; "*" = every agent')
    record: Literal["never", "on_demand", "ask", "always"] | None = Field(
        None, description="whether its calls are recorded; else as the line says"
    )


class Form(Section):
    """A page that agents open in a call and in which nothing may be recorded."""

    name: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        description="as agents read it"
    )
    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+\S*$")] = Field(
        description="its address, such as https://pay.example.com/form"
    )


class Recording(Section):
    """The sealed file."""

    format: Literal["opus", "flac", "wav"] = Field("opus", description="of sealed recordings")
    encrypt: bool = Field(True, description="sealed recordings, with a key per customer")
    announcements: dict[Language, Path] = Field(
        {}, description="WAV per language that asks callers; without one nothing is recorded"
    )
    decline_key: str = Field(
        "9", pattern=r"^[0-9*#]$", description="key with which a caller declines"
    )
    decline_seconds: Annotated[float, Field(ge=0, le=30)] = Field(
        3, description="time for the key after the announcement"
    )
    pause_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        120, description="then a paused recording goes on by itself"
    )
    longest_pause_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        900, description="a pause that is asked for again lasts longer, but not than this"
    )
    forms: list[Form] = Field(
        [], description="pages for card data: whoever opens one from the call pauses the recording"
    )


class Trust(Section):
    """Whether recordings and audit are as they were written."""

    key_file: Path | None = Field(
        None, description="key of the chains; else data_dir/keys/chain.key, made at first use"
    )
    heads_dir: Path | None = Field(
        None, description="where daily heads are written; else data_dir-heads, beside data_dir"
    )


class Keys(Section):
    """The master key, which wraps the keys of customers and calls."""

    master_file: Path | None = Field(
        None, description="one key a line, newest first; else data_dir/keys/master.keys, made"
    )
    master: SecretStr | None = Field(
        None, description="the same from the environment; cannot be rotated by itself"
    )


class Retention(Section):
    """How long things are kept."""

    recordings_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, description="then a recording is marked; null: kept for ever"
    )
    queues: dict[Name, Annotated[int, Field(ge=1, le=36_500)]] = Field(
        {}, description="queues whose recordings are kept for other days, such as {sales: 30}"
    )
    transcripts_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, description="days after the call that what was said can be read; null: for ever"
    )
    complaints_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, description="days after closing that a complaint's texts are kept; null: for ever"
    )
    messages_days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        None, description="days that the texts of mails and text messages are kept; null: for ever"
    )
    audit_days: Annotated[int, Field(ge=AUDIT_LEAST_DAYS, le=36_500)] | None = Field(
        None, description="days that lines of the audit are kept, 730 or more; null: for ever"
    )
    shred_after_days: Days = Field(
        7, description="what is marked can be heard and read for so many days more"
    )


class Speech(Section):
    """Captions and transcripts."""

    live: dict[Language, Literal["vosk", "whisper", "off"]] = Field(
        {"en": "vosk", "fa": "vosk", "he": "whisper"}, description="engine per language, live"
    )
    second_pass: Literal["whisper", "off"] = Field(
        "whisper", description="engine that transcribes again after the call"
    )
    models_dir: Path = Field(Path("data/models"), description="where models are kept")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(1, description="speech processes")
    max_legs: Annotated[int, Field(ge=0)] = Field(
        0, description="legs transcribed live at once per process; 0 = four per core"
    )


class Redaction(Section):
    """What is said and may not be kept: masked in texts, silent in recordings."""

    cards: bool = Field(True, description="card numbers, 13 to 19 digits with a check digit")
    national_ids: list[Literal["ir", "il"]] = Field(
        [], description="national ids with a check digit: ir (ten digits), il (nine)"
    )
    patterns: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")], re.Pattern[str]] = (
        Field({}, description="further ones: name → regular expression over the text as digits")
    )


class Escalation(Section):
    """Who hears of a complaint that is late."""

    days: Annotated[int, Field(ge=0, le=60)] = Field(
        description="working days after the deadline; 0 = at the deadline"
    )
    to: Literal["agent", "supervisor", "manager", "admin"] = Field(
        description="role that is told, beside the owner"
    )


class DecideDays(Section):
    """Working days until the customer has an answer, by severity."""

    critical: Days = Field(1, description="working days until the answer")
    high: Days = Field(3, description="working days until the answer")
    normal: Days = Field(10, description="working days until the answer")
    low: Days = Field(20, description="working days until the answer")


class Complaints(Section):
    """The complaint desk."""

    acknowledge_days: Days = Field(
        1, description="working days until it is acknowledged; 0 = the same day"
    )
    decide_days: DecideDays = Field(DecideDays(), description="working days until the answer")
    escalate: list[Escalation] = Field(
        [Escalation(days=0, to="supervisor"), Escalation(days=3, to="manager")],
        description="who hears of late ones, step by step",
    )
    incident_size: Annotated[int, Field(ge=0, le=1000)] = Field(
        3, description="open complaints of one cause that make an incident; 0 = only by hand"
    )
    incident_days: Annotated[int, Field(ge=1, le=365)] = Field(
        7, description="days within which they must have come in"
    )
    currency: str = Field("IRR", pattern=r"^[A-Z]{3}$", description="of what remedies cost")
    portal: bool = Field(True, description="customers see the status at /portal by their code")
    portal_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        None,
        description="address of that page on a host of its own, which then serves nothing else",
    )


class Mail(Section):
    """E-mail to customers."""

    via: Literal["off", "file", "smtp"] = Field(
        "off", description="file: each message a file in data_dir/messages, for trials"
    )
    host: str = Field("localhost", description="SMTP server")
    port: Port = Field(587, description="its port")
    security: Literal["none", "starttls", "tls"] = Field("starttls", description="of the way there")
    username: str | None = Field(None, description="to sign in with; none: without")
    password: SecretStr | None = Field(None, description="of that user")
    password_file: Path | None = Field(None, description="file that holds it instead")
    sender: str = Field("", description="address in From; needed for smtp")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.via == "smtp" and "@" not in self.sender:
            raise ValueError("with via: smtp a sender such as desk@example.com")
        return self

    def secret(self) -> str:
        """The password, from its file if it is in one. Raises ConfigError."""
        return read_secret(self.password, self.password_file)


class Sms(Section):
    """Text messages to customers, by the gateway of a provider."""

    via: Literal["off", "file", "http"] = Field(
        "off", description="file: each message a file in data_dir/messages, for trials"
    )
    url: str | None = Field(
        None, pattern=r"^https?://\S+$", description="of the provider's gateway"
    )
    format: Literal["json", "form", "query"] = Field("json", description="how it takes a message")
    to_field: str = Field("to", description="its name for the number (E.164)")
    text_field: str = Field("text", description="its name for the text")
    extra: dict[str, str] | None = Field(
        None, description="further fields that it wants, such as from"
    )
    header: str = Field("Authorization", description="header that carries the token")
    token: SecretStr | None = Field(None, description="value of that header")
    token_file: Path | None = Field(None, description="file that holds it instead")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.via == "http" and not self.url:
            raise ValueError("with via: http the url of the gateway")
        return self

    def secret(self) -> str:
        """The token, from its file if it is in one. Raises ConfigError."""
        return read_secret(self.token, self.token_file)


class Messages(Section):
    """What customers are sent."""

    mail: Mail = Field(Mail(), description="e-mail")
    sms: Sms = Field(Sms(), description="text messages")


class Log(Section):
    """What the processes print."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least shown")
    format: Literal["auto", "console", "json"] = Field("auto", description="auto: by the terminal")


class Settings(Section):
    """Everything that can be set."""

    site: Site = Field(Site(), description="who runs this system")
    data_dir: Path = Field(Path("data"), description="database, keys, sockets, models")
    recordings_dir: Path = Field(Path("recordings"), description="sealed recordings, journals")
    database_url: Annotated[str, AfterValidator(_database)] = Field(
        "sqlite:///data/callcenter.db", description="or postgresql+psycopg://…"
    )
    node: Name | None = Field(
        None, description="name of this machine among several; else its host name"
    )
    processes: list[Literal["telephony", "speech", "web", "jobs"]] = Field(
        ["telephony", "speech", "web", "jobs"],
        min_length=1,
        description="what `callcenter run` starts here",
    )
    bus_url: str = Field("local", pattern=r"^(local|rediss?://.+)$", description="or redis://…")
    web: Web = Field(Web(), description="pages, API and sockets")
    sign_in: SignIn = Field(SignIn(), description="how people sign in")
    sip: Sip = Field(Sip(), description="the SIP listener and its sound")
    browser: BrowserSound = Field(BrowserSound(), description="sound of agents in the browser")
    lines: list[Line] = Field(
        [Line(number="100", queue="support", language="en")],
        min_length=1,
        description="numbers that people call",
    )
    queues: list[Queue] = Field(
        [Queue(name="support")], min_length=1, description="where calls wait for agents"
    )
    recording: Recording = Field(Recording(), description="the sealed file")
    trust: Trust = Field(Trust(), description="whether what is kept is as it was written")
    keys: Keys = Field(Keys(), description="the master key of encrypted recordings")
    retention: Retention = Field(Retention(), description="how long recordings are kept")
    speech: Speech = Field(Speech(), description="captions and transcripts")
    redaction: Redaction = Field(
        Redaction(), description="what is said and may not be kept in texts and recordings"
    )
    complaints: Complaints = Field(Complaints(), description="the complaint desk")
    messages: Messages = Field(Messages(), description="what customers are sent")
    log: Log = Field(Log(), description="what the processes print")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problems := across(self.model_dump()):
            raise ValueError("\n".join(problems))
        return self

    def line_for(self, user: str) -> Line | None:
        """The line that `user` (of the request URI) reaches: exact, else "*", else None."""
        by_number = {line.number: line for line in self.lines}
        return by_number.get(user) or by_number.get("*")

    def queue(self, name: str) -> Queue:
        """The queue of that name; lines can name no other."""
        return next(queue for queue in self.queues if queue.name == name)

    @property
    def keys_dir(self) -> Path:
        """Keys that the system makes for itself."""
        return self.data_dir / "keys"

    @property
    def encrypts(self) -> bool:
        """Whether sealed recordings are encrypted. Several machines need one master key for that:
        one that each makes for itself would be unknown to the others."""
        shared = self.keys.master is not None or self.keys.master_file is not None
        return self.recording.encrypt and (self.bus_url == "local" or shared)

    @property
    def exports_dir(self) -> Path:
        """Where archives of customers are for a day: beside the recordings, where all machines
        reach them."""
        return self.recordings_dir / ".exports"

    @property
    def heads_dir(self) -> Path:
        """Where daily heads are written, outside of the data directory."""
        place = self.data_dir.absolute()
        return self.trust.heads_dir or place.with_name(f"{place.name}-heads")

    @property
    def run_dir(self) -> Path:
        """Sockets and the lock of the running system."""
        return self.data_dir / "run"


def load(
    file: Path | None = None,
    *,
    data_dir: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force. Raises ConfigError with every problem that was found."""
    values = _read(file) if file else {}
    problems: list[str] = []
    _merge(values, _from_environment(os.environ if environ is None else environ, problems))
    if data_dir is not None:
        _move_data(values, data_dir)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [sentence for item in error.errors() for sentence in sentences(item, Settings)]
        between = across(Settings().model_dump() | values)
        problems += [problem for problem in between if problem not in problems]
    if problems:
        raise ConfigError(problems)
    return settings


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As usual, but refuse a second key of the same name."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name} stands there twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read ({error.strerror})"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigError([f"{file}: is no YAML ({where})"]) from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError([f"{file}: found {type(values).__name__}, allowed: a map of settings"])
    return values


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """CALLCENTER_A__B=value and CALLCENTER_A__B_FILE=path, as a nested map."""
    nested: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX) or name.startswith(_NOT_SETTINGS):
            continue
        key, text = name.removeprefix(ENV_PREFIX), environ[name]
        if key.endswith("_FILE") and key not in _NAMES_A_FILE:
            key = key.removesuffix("_FILE")
            try:
                text = Path(text).read_text(encoding="utf-8").strip()
            except OSError as error:
                problems.append(f"{name}: {text} cannot be read ({error.strerror})")
                continue
        *sections, last = key.lower().split("__")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = _scalar(text)
    return nested


_NAMES_A_FILE = ("KEYS__MASTER_FILE",)
"""Settings that name a file themselves: who may read it is looked at where it is read."""

_NOT_SETTINGS = (
    "CALLCENTER_CONFIG",
    "CALLCENTER_SKIP_FRONTEND",
    "CALLCENTER_LIFELINE_FD",
    "CALLCENTER_TEST_",
)


def _scalar(text: str) -> Any:
    """An environment value as YAML, so that lists and numbers can be written too."""
    try:
        is_yaml = text[:1] in "[{" or text.isdigit() or text in ("null", "true", "false")
        return yaml.safe_load(text) if is_yaml else text
    except yaml.YAMLError:
        return text


def _merge(values: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def _move_data(values: dict[str, Any], data_dir: Path) -> None:
    """`--data-dir`: database and recordings of this run live there; a server stays."""
    values["data_dir"] = str(data_dir)
    values["recordings_dir"] = str(data_dir / "recordings")
    if str(values.get("database_url", "sqlite:")).startswith("sqlite:"):
        values["database_url"] = f"sqlite:///{data_dir / 'callcenter.db'}"

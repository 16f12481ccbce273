"""The exception tree: what the rest of the code sees when something goes wrong.

    CallcenterError
    ├── ConfigError              the settings are wrong; `problems` lists every mistake
    ├── StartError               a process cannot start (data directory in use, port taken …)
    ├── Refused                  a person or program asked for something that cannot be done
    │   ├── Invalid              the input is wrong; `fields` says where           (422)
    │   │   └── PasswordLeaked   a new password is in the list of leaked ones
    │   ├── NotSignedIn          nobody is signed in                               (401)
    │   │   ├── FactorNeeded     the password was right; `step` says how to go on
    │   │   │   └── EnrolmentNeeded  the role needs a second factor, and there is none yet
    │   │   ├── WrongCode        the code is wrong or was used before
    │   │   │   └── PasskeyRefused   what a passkey's device answered does not belong here
    │   │   │       └── PasskeyCopied    its counter did not grow: there may be two
    │   │   ├── StepOver         the sign-in took too long: begin again
    │   │   ├── IdentityRefused  what the identity provider sent is not right
    │   │   ├── IdentityWeak     it asked less of the person than is demanded here
    │   │   └── NotLetIn         known to the identity provider, but not here
    │   ├── Forbidden            signed in, but not allowed                        (403)
    │   │   ├── ReasonNeeded     allowed after a reason that the audit keeps
    │   │   └── SecondPersonNeeded   allowed, but not to who asked for it
    │   ├── NotFound             no such thing, or not for this person             (404)
    │   ├── Conflict             it was true a moment ago                          (409)
    │   │   ├── CallGone         the call ended or was answered elsewhere
    │   │   ├── NoAudioLeg       the agent's browser has no audio connection
    │   │   ├── DecisionNotTold  a complaint is closed before the customer was told
    │   │   ├── Held             a legal hold lies on it
    │   │   └── AnswerOwed       a complaint of the customer is open
    │   ├── Expired              it was there for a time, which is over            (410)
    │   │   └── Erased           a customer whose data was erased
    │   ├── NotBuilt             promised, and not there yet                       (501)
    │   ├── TooManyTries         come back in `retry_after` seconds                (429)
    │   └── Unavailable          a part of the system does not answer              (503)
    │       ├── ProviderDown     the identity provider does not answer
    │       └── StorageFull      the disk has no room; nothing was saved
    ├── TelephonyError
    │   ├── SipSyntaxError       bytes that are no SIP message or SDP (also a ValueError)
    │   ├── SipFailure           the peer refused, vanished or never acknowledged
    │   └── NoFreePort           every RTP port is in use
    ├── MessageError             a mail or text message was not taken; it may be later
    │   └── MessageRefused       another attempt is of no use
    ├── RecordingError           the journal or the sealed file cannot be written or read
    │   └── NoSpace              the disk of recordings is full: try again when there is room
    ├── BackupError              a backup cannot be made or brought back
    ├── ChainBroken              a chain is not as it was written: nothing is taken from it
    └── SpeechError
        ├── ModelMissing         no model for that language
        └── ModelCorrupt         the bytes do not have the pinned sha256

Each carries one sentence that a person can act on (`detail`) and a `slug`, stable, that is
the last part of the problem type (RFC 9457) and crosses the bus.
"""

from __future__ import annotations

from typing import ClassVar


class CallcenterError(Exception):
    """Root of the tree. `slug` names the kind, `detail` is one sentence for a person."""

    slug: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ConfigError(CallcenterError):
    """The settings cannot be used. `problems` holds one line per mistake, all of them."""

    slug = "config"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StartError(CallcenterError):
    """A process cannot start."""

    slug = "start"


class Refused(CallcenterError):
    """Somebody asked for what cannot be done; the answer tells them why."""

    slug = "refused"
    status = 400


class Invalid(Refused):
    """The input is wrong. `fields` maps a field's path to its sentence."""

    slug = "invalid"
    status = 422

    def __init__(self, detail: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.fields = fields or {}


class PasswordLeaked(Invalid):
    """A new password is in the site's list of leaked ones."""

    slug = "password-leaked"


class NotSignedIn(Refused):
    """Nobody is signed in."""

    slug = "not-signed-in"
    status = 401


class FactorNeeded(NotSignedIn):
    """The password was right. `step` is the token to go on with, `kinds` what can be shown."""

    slug = "second-factor-needed"

    def __init__(self, detail: str, step: str = "", kinds: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.step = step
        self.kinds = kinds


class EnrolmentNeeded(FactorNeeded):
    """The password was right, and the role needs a second factor that is not set up yet."""

    slug = "enrolment-needed"


class WrongCode(NotSignedIn):
    """A code that does not belong here, or was used before."""

    slug = "wrong-code"


class PasskeyRefused(WrongCode):
    """What a passkey's device answered does not belong here."""

    slug = "passkey-refused"


class PasskeyCopied(PasskeyRefused):
    """The counter of a passkey did not grow: two devices may hold the same key."""

    slug = "passkey-copied"


class StepOver(NotSignedIn):
    """A sign-in was begun too long ago, or had too many wrong codes."""

    slug = "step-over"


class IdentityRefused(NotSignedIn):
    """What the identity provider sent is not what it has to be."""

    slug = "identity-refused"


class IdentityWeak(NotSignedIn):
    """The identity provider let the person in by less than is demanded here (`acr`)."""

    slug = "identity-weak"


class NotLetIn(NotSignedIn):
    """The identity provider knows the person, and there is no account or role here."""

    slug = "not-let-in"


class Forbidden(Refused):
    """Signed in, but the role does not allow it."""

    slug = "forbidden"
    status = 403


class ReasonNeeded(Forbidden):
    """The role opens this only after a reason was given, which the audit keeps."""

    slug = "reason-needed"


class SecondPersonNeeded(Forbidden):
    """Two people are needed: who asked for it cannot also do it."""

    slug = "second-person-needed"


class OutboundDenied(Forbidden):
    """The settings let nobody call that number, or nobody at all."""

    slug = "outbound-denied"


class OutboundOff(OutboundDenied):
    """There is no `sip.outbound` in the settings."""

    slug = "outbound-off"


class OutboundNight(OutboundDenied):
    """`sip.outbound.night`: it is too late or too early to call anybody."""

    slug = "outbound-night"


class OutboundLimit(OutboundDenied):
    """A limit of the day is reached."""

    slug = "outbound-limit"


class NotFound(Refused):
    """No such thing, or it is not this person's to see: the two look the same."""

    slug = "not-found"
    status = 404


class Expired(Refused):
    """It was there for a time, and that time is over."""

    slug = "expired"
    status = 410


class Erased(Expired):
    """What was kept of a customer was erased."""

    slug = "erased"


class Conflict(Refused):
    """The state of the thing does not allow it (any more)."""

    slug = "conflict"
    status = 409


class CallGone(Conflict):
    """The call ended, was answered by another agent or was never offered to this one."""

    slug = "call-gone"


class NoAudioLeg(Conflict):
    """The agent's browser has no audio connection to answer on."""

    slug = "no-audio-leg"


class PhoneAway(NoAudioLeg):
    """The agent talks by a desk phone, and that is not registered."""

    slug = "phone-away"


class DecisionNotTold(Conflict):
    """A complaint may not be closed before its decision was told to the customer."""

    slug = "decision-not-told"


class Held(Conflict):
    """A legal hold keeps it."""

    slug = "held"


class AnswerOwed(Conflict):
    """A complaint of the customer waits for its answer."""

    slug = "answer-owed"


class TooManyTries(Refused):
    """Too many failures; `retry_after` is in seconds."""

    slug = "too-many-tries"
    status = 429

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class NotBuilt(Refused):
    """The address is promised, what it does is not built yet."""

    slug = "not-built"
    status = 501


class Unavailable(Refused):
    """A part of the system does not answer now."""

    slug = "unavailable"
    status = 503


class ProviderDown(Unavailable):
    """The identity provider does not answer; passwords go on working."""

    slug = "provider-down"


class StorageFull(Unavailable):
    """The database's disk has no room: nothing was saved."""

    slug = "storage-full"


class TelephonyError(CallcenterError):
    """Something between us and a telephone went wrong."""

    slug = "telephony"


class SipSyntaxError(TelephonyError, ValueError):
    """The bytes are no SIP message (RFC 3261 section 7) or no SDP (RFC 8866)."""

    slug = "sip-syntax"


class SipFailure(TelephonyError):
    """The SIP peer refused, vanished or never acknowledged."""

    slug = "sip-failure"


class NoFreePort(TelephonyError):
    """Every RTP port of `sip.rtp_ports` is in use."""

    slug = "no-free-port"


class MessageError(CallcenterError):
    """A mail or text message was not taken; another attempt may work."""

    slug = "message"


class MessageRefused(MessageError):
    """A mail or text message was refused for good."""

    slug = "message-refused"


class RecordingError(CallcenterError):
    """A journal or a sealed recording cannot be written or read."""

    slug = "recording"


class NoSpace(RecordingError):
    """The disk of recordings is full."""

    slug = "no-space"


class BackupError(CallcenterError):
    """A backup cannot be made or brought back; what was there stays as it was."""

    slug = "backup"


class ChainBroken(CallcenterError):
    """A chain is not as it was written, so nothing is taken from it. `kind` is the finding's."""

    slug = "chain-broken"

    def __init__(self, detail: str, kind: str) -> None:
        super().__init__(detail)
        self.kind = kind


class SpeechError(CallcenterError):
    """A recogniser cannot do its work."""

    slug = "speech"


class ModelMissing(SpeechError):
    """No speech model for that language is on this machine."""

    slug = "model-missing"


class ModelCorrupt(SpeechError):
    """A fetched model does not have the sha256 that is pinned for it."""

    slug = "model-corrupt"


def by_slug(slug: str, detail: str) -> CallcenterError:
    """The error that `slug` names, rebuilt on the other side of the bus."""
    return _build(_SLUGS.get(slug, CallcenterError), detail)


def _build(kind: type[CallcenterError], detail: str) -> CallcenterError:
    if issubclass(kind, ConfigError):
        return kind(detail.splitlines())
    if issubclass(kind, TooManyTries):
        return kind(detail, retry_after=1.0)
    return kind(detail)


def _tree(kind: type[CallcenterError]) -> dict[str, type[CallcenterError]]:
    found = {kind.slug: kind}
    for child in kind.__subclasses__():
        found |= _tree(child)
    return found


_SLUGS = _tree(CallcenterError)

"""Desk phones register here (RFC 3261 10.3): who may, where they are, and for how long.

A phone is called along the way its REGISTER came (RFC 3261 18.2.2, RFC 3581), whatever host its
Contact names: that gets through NAT, and nobody can aim our calls at a third party.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.actions import Flow, PhoneMoved, PhoneMoves, Send, Suspicious
from callcenter.telephony.sip.digest import Authenticator, Proof
from callcenter.telephony.sip.headers import NameAddr, parameter, parse_name_addr, unquote
from callcenter.telephony.sip.inspection import Refusal, understood
from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.responses import build
from callcenter.telephony.sip.server import NonInviteServer
from callcenter.telephony.sip.stream import PING
from callcenter.telephony.sip.timers import Timed
from callcenter.telephony.sip.transaction import Layer
from callcenter.telephony.sip.uri import Uri, parse_uri

KEEP_ALIVE = 25.0  # seconds between empty datagrams that keep a NAT's door open
AN_HOUR = 3600  # what a malformed time means (RFC 3261 20.19); as long is never too brief (10.3)
MOST_WAITING = 8  # requests of one phone that wait for the one before them
LONGEST_CONTACT = 512  # characters
_DISTINGUISHING = ("user", "ttl", "method", "maddr", "transport")  # RFC 3261 19.1.4


@dataclass(frozen=True, slots=True)
class Phones:
    """Who may register. `permits` is asked with a source and an extension, or with None: any.

    Times are in seconds; `contacts` is how many places an extension may have at once.
    """

    authenticator: Authenticator
    permits: Callable[[str, str | None], bool]
    least: int = 60
    most: int = 3600
    contacts: int = 5


@dataclass(frozen=True, slots=True)
class Binding:
    """A place where an extension is: its Contact URI, and the way there. `expires` is a time of
    the core's clock; Call-ID and CSeq are of the REGISTER that said so."""

    contact: str
    flow: Flow
    call_id: str
    cseq: int
    expires: float
    instance: str = ""  # what the phone calls itself (RFC 5626 4.1), in whatever place


Bindings = tuple[Binding, ...]
_Waiting = tuple[Request, NonInviteServer]


class Registrar(Timed):
    """Every extension and its places.

    What a REGISTER changes is handed out as `PhoneMoves`, to be kept on disk; `kept` says that
    it was, and only then is the phone told 200. One request of an extension at a time.
    """

    def __init__(self, layer: Layer, token: Callable[[], str], phones: Phones) -> None:
        super().__init__(layer.agenda)
        self._layer, self._token, self._phones = layer, token, phones
        self._bindings: dict[str, Bindings] = {}
        self._moving: dict[str, deque[_Waiting]] = {}
        self._elsewhere: dict[str, Bindings] = {}

    def serves(self, source: str) -> bool:
        """Whether any phone may register from there."""
        return self._phones.permits(source, None)

    def places(self, extension: str, now: float) -> Bindings:
        """Where the extension is now, the latest first."""
        known = self._bindings.get(extension, ())
        return tuple(one for one in known if one.expires > now)

    def ways(self, extension: str, now: float) -> Bindings:
        """Where it can be called: here, and where it registered with other nodes. A phone that
        moved between them is where it registered last."""
        found: list[Binding] = []
        known = (*self.places(extension, now), *self._elsewhere.get(extension, ()))
        for one in sorted(known, key=lambda one: -one.expires):
            if one.expires > now and not any(_same(one, other) for other in found):
                found.append(one)
        return tuple(found)

    def knows(self, source: str, now: float) -> bool:
        """Whether a registered phone is at that host."""
        return any(
            one.flow.remote.host == source and one.expires > now
            for places in (*self._bindings.values(), *self._elsewhere.values())
            for one in places
        )

    def adopt(self, elsewhere: dict[str, Bindings]) -> None:
        """Where phones are registered with other nodes, in place of what was known of that."""
        self._elsewhere = elsewhere

    def restore(self, extension: str, bindings: Bindings, now: float) -> None:
        """What an earlier process kept."""
        self._bindings[extension] = bindings
        self._watch(now)

    def take(self, request: Request, flow: Flow, now: float) -> None:
        """A REGISTER of a source that `serves` is true for."""
        transaction = NonInviteServer(self._layer, request, flow).opened()
        if refusal := self._unproven(request, flow, now) or understood(request):
            self._refuse(request, transaction, refusal, now)
            return
        extension = request.to.uri.user or ""
        waiting = self._moving.get(extension)
        if waiting is None:
            self._move(extension, request, transaction, now)
        elif len(waiting) < MOST_WAITING:
            waiting.append((request, transaction))
        else:
            self._refuse(request, transaction, Refusal(503, (("Retry-After", "5"),)), now)

    def kept(self, moves: PhoneMoves, good: bool, now: float) -> None:
        """`moves` is on disk (or could not be brought there): the phone is answered now."""
        if good:
            self._bindings[moves.extension] = moves.bindings
            self._grant(moves.extension, moves.request, moves.transaction, now)
            self._layer.emit(PhoneMoved(moves.extension))
            self._watch(now)
        else:
            refusal = Refusal(503, (("Retry-After", "5"),))
            self._refuse(moves.request, moves.transaction, refusal, now)
        waiting = self._moving.pop(moves.extension, deque())
        while waiting and moves.extension not in self._moving:
            self._move(moves.extension, *waiting.popleft(), now)
        if waiting:
            self._moving[moves.extension].extend(waiting)

    def expire(self, timer: str, now: float) -> None:
        """`alive`: keep the ways open; `gone`: forget phones that did not come again."""
        if timer == "alive":
            flows = {one.flow for ext in self._bindings for one in self.places(ext, now)}
            for flow in flows:
                if not flow.reliable:
                    self._layer.emit(Send(PING, flow))
        for extension, known in list(self._bindings.items()):
            places = self.places(extension, now)
            if len(places) < len(known):
                self._bindings[extension] = places
                self._layer.emit(PhoneMoved(extension))
        self._watch(now)

    # --- who --------------------------------------------------------------------------------

    def refusal_of_call(self, request: Request, flow: Flow, now: float) -> Refusal | None:
        """Why a phone's INVITE is not taken: it proves itself like a REGISTER, and calls as
        itself, from a host where it is registered."""
        extension = request.from_.uri.user or ""
        if refusal := self._unproven_as(extension, request, flow, now):
            return refusal
        here = {one.flow.remote.host for one in self.places(extension, now)}
        return None if flow.remote.host in here else Refusal(403)

    def _unproven(self, request: Request, flow: Flow, now: float) -> Refusal | None:
        """10.3, steps 3 to 5."""
        return self._unproven_as(request.to.uri.user or "", request, flow, now)

    def _unproven_as(
        self, extension: str, request: Request, flow: Flow, now: float
    ) -> Refusal | None:
        """An extension that nobody has is refused like a wrong password."""
        source, judge = flow.remote.host, self._phones.authenticator
        proof = judge.judge(request, source, now)
        if proof is Proof.WRONG:
            self._layer.emit(Suspicious(source, "digest"))
        if proof is not Proof.RIGHT:
            stale = proof is Proof.STALE
            fields = judge.challenges(source, now, stale=stale, username=extension)
            return Refusal(401, fields)
        own = judge.claimed(request) == extension
        return None if own and self._phones.permits(source, extension) else Refusal(403)

    # --- where ------------------------------------------------------------------------------

    def _move(
        self, extension: str, request: Request, transaction: NonInviteServer, now: float
    ) -> None:
        """10.3, steps 6 to 8."""
        known = self.places(extension, now)
        try:
            after = self._after(request, transaction.flow, known, now)
        except SipSyntaxError:
            self._refuse(request, transaction, Refusal(400), now)
        except _Refused as refused:
            self._refuse(request, transaction, refused.refusal, now)
        else:
            if after == known:
                self._grant(extension, request, transaction, now)
                return
            self._moving[extension] = deque()
            self._layer.emit(PhoneMoves(extension, after, request, transaction))

    def _after(self, request: Request, flow: Flow, known: Bindings, now: float) -> Bindings:
        """The extension's places once the request is done. Raises _Refused, SipSyntaxError."""
        values = request.headers.values("Contact")
        if "*" in values:
            return self._forget_all(request, values, known)
        found = known
        for contact in [parse_name_addr(value) for value in values]:
            seconds = self._granted(contact, request)
            new = _binding(contact, request, flow, now + seconds)
            others = tuple(one for one in found if not _same(one, new))
            for one in known:
                if _same(one, new):
                    _demand_newer(request, one)
            found = (new, *others) if seconds else others
        if len(found) > self._phones.contacts:
            raise _Refused(Refusal(403))
        return found

    def _forget_all(self, request: Request, values: list[str], known: Bindings) -> Bindings:
        """`Contact: *` stands alone, with Expires 0 (10.2.2)."""
        if values != ["*"] or _seconds(request.headers.get("Expires")) != 0:
            raise _Refused(Refusal(400))
        for one in known:
            _demand_newer(request, one)
        return ()

    def _granted(self, contact: NameAddr, request: Request) -> int:
        """Seconds: the Contact's own, else those of Expires, else ours."""
        asked = parameter(contact.parameters, "expires")
        seconds = _seconds(request.headers.get("Expires") if asked is None else asked)
        if seconds is None:
            return self._phones.most
        if 0 < seconds < min(self._phones.least, AN_HOUR):
            raise _Refused(Refusal(423, (("Min-Expires", str(self._phones.least)),)))
        return min(seconds, self._phones.most)

    # --- answers ----------------------------------------------------------------------------

    def _grant(
        self, extension: str, request: Request, transaction: NonInviteServer, now: float
    ) -> None:
        """200 with every place and its time left."""
        fields = tuple(
            ("Contact", f"<{one.contact}>;expires={max(1, round(one.expires - now))}")
            for one in self.places(extension, now)
        )
        transaction.respond(build(request, 200, self._token(), fields), now)

    def _refuse(
        self, request: Request, transaction: NonInviteServer, refusal: Refusal, now: float
    ) -> None:
        transaction.respond(build(request, refusal.status, self._token(), refusal.fields), now)

    def _watch(self, now: float) -> None:
        """Come back when a place is gone, and to keep the ways open. A timer that was set for a
        place which is renewed by now stays: there is not one more for each REGISTER."""
        ends = [one.expires for places in self._bindings.values() for one in places]
        if not ends:
            self.stop("gone", "alive")
            return
        if min(ends) < self.running.get("gone", float("inf")):
            self.start("gone", max(now, min(ends)))
        if "alive" not in self.running:
            self.start("alive", now + KEEP_ALIVE)


class _Refused(Exception):
    """The request changes nothing."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


def _binding(contact: NameAddr, request: Request, flow: Flow, expires: float) -> Binding:
    text = str(contact.uri)
    if contact.uri.scheme not in ("sip", "sips") or len(text) > LONGEST_CONTACT:
        raise _Refused(Refusal(400))
    instance = unquote(parameter(contact.parameters, "+sip.instance") or "")
    return Binding(text, flow, request.call_id, request.cseq.number, expires, instance[:128])


def _same(one: Binding, other: Binding) -> bool:
    """The same phone, wherever it is by now, or the same URI."""
    if one.instance and one.instance == other.instance:
        return True
    return same_uri(parse_uri(one.contact), parse_uri(other.contact))


def same_uri(one: Uri, other: Uri) -> bool:
    """RFC 3261 19.1.4, without escapes: what is written otherwise is another place."""
    if (one.scheme, one.userinfo, one.host.lower(), one.port) != (
        other.scheme,
        other.userinfo,
        other.host.lower(),
        other.port,
    ):
        return False
    named, also = _named(one.parameters), _named(other.parameters)
    common = {*_DISTINGUISHING, *(named.keys() & also.keys())}
    return all(named.get(name) == also.get(name) for name in common)


def _named(parameters: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    return {name.lower(): (value or "").lower() for name, value in parameters}


def _demand_newer(request: Request, known: Binding) -> None:
    """10.3, step 7: what was overtaken by a later request of the same phone changes nothing."""
    if request.call_id == known.call_id and request.cseq.number <= known.cseq:
        raise _Refused(Refusal(500))


def _seconds(text: str | None) -> int | None:
    """A time, None where none is given; a malformed one counts as an hour."""
    if text is None:
        return None
    usable = text.isascii() and text.isdigit() and len(text) < 11
    return min(int(text), 2**32 - 1) if usable else AN_HOUR


def callable_uri(contact: str) -> str:
    """The Request-URI of a call to that Contact: without header fields (RFC 3261 19.1.1)."""
    return str(replace(parse_uri(contact), headers=None))

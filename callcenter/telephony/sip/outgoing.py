"""A call of ours: INVITE, its provisional and final responses (RFC 3261 8.1.3, 9.1, 13.2, 22).

One INVITE may be answered by several phones behind a forking proxy: the first 2xx is the call,
every other is acknowledged and ended at once (13.2.2.4). A redirection is a refusal: where a
call goes is decided here, not by the peer. What happens once both talk is as with callers.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import Address, MediaDescription
from callcenter.telephony.sip.actions import Answered, Ended, Flow, Progressed, Send
from callcenter.telephony.sip.client import InviteClient, NonInviteClient
from callcenter.telephony.sip.dialog import Dialog
from callcenter.telephony.sip.digest import SHA256, Answerer, Login
from callcenter.telephony.sip.headers import NameAddr
from callcenter.telephony.sip.message import Headers, Request, Response
from callcenter.telephony.sip.offer_answer import NothingInCommon
from callcenter.telephony.sip.responses import ALLOW, CALLING, PRODUCT, SDP, Fields
from callcenter.telephony.sip.timers import T1
from callcenter.telephony.sip.uri import parse_uri
from callcenter.telephony.sip.usage import CallState, CallUsage, Core

NOBODY_ANSWERS = 408  # how a timeout is told (RFC 3261 8.1.3.1)
MOST_FORKS = 16  # dialogs of one INVITE that are looked at


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom we call and as whom. `target` is the Request-URI, `fields` go into the INVITE too.

    `may_transfer`: who answers is one of ours and may move the call by REFER.
    """

    call_id: str
    target: str
    caller: NameAddr
    login: Login | None = None
    algorithms: tuple[str, ...] = (SHA256,)
    fields: Fields = ()
    may_transfer: bool = False


class OutgoingUsage(CallUsage):
    """One call of ours. `status` is the last response that was heard, 0 before any."""

    def __init__(self, core: Core, invitation: Invitation, flow: Flow, local: Address) -> None:
        self._invitation = invitation
        login = invitation.login
        self._answerer = Answerer(login, invitation.algorithms, core.token) if login else None
        super().__init__(core, flow, _dialog(invitation, core))
        self.invite = Request("INVITE", invitation.target)
        self.negotiation.local = local
        self.may_transfer = invitation.may_transfer
        self._acknowledged = True  # the ACK is ours to send
        self.status = 0
        self._body = self.negotiation.offer()
        self._credentials: dict[str, str] = {}
        self._early: dict[str, MediaDescription] = {}  # by the peer's tag
        self._acks: dict[str, Send] = {}  # by the peer's tag
        self._cancelled = False

    # --- what the application asks for --------------------------------------------------------

    def begin(self, now: float) -> None:
        """Send the INVITE; also once more, with the credentials that were asked for."""
        self.invite = invite = self.dialog.request("INVITE", self._via())
        here = (self.contact, ALLOW, CALLING, ("User-Agent", PRODUCT))
        for name, value in (*here, *self.session_timer.propose()):
            invite.headers.add(name, value)
        for name, value in (*self._invitation.fields, *self._credentials.items()):
            invite.headers.add(name, value)
        invite.set_body(self._body, SDP)

        def outcome(response: Response | None, at: float) -> None:
            if self.invite is invite:  # else it was sent again with credentials
                self._heard(response, at)

        self._client = InviteClient(self._core.layer, invite, self.flow, outcome).opened()
        self._client.begin(now)

    def hang_up(self, now: float) -> None:
        """CANCEL before the answer, as soon as one may be sent (RFC 3261 9.1); else BYE."""
        if self.state is not CallState.PROCEEDING:
            super().hang_up(now)
            return
        self.state = CallState.CLOSING
        self._emit(Ended(self, "hung_up"))
        if self.status:
            self._cancel(now)

    # --- what the peer asks for ---------------------------------------------------------------

    def acknowledge(self, ack: Request, now: float) -> None:
        """The ACK of our 200 to a re-INVITE of the peer's."""
        if self._acks:
            super().acknowledge(ack, now)

    def bye(self, now: float) -> None:
        """The peer hung up; before its answer that is a refusal."""
        if self.state is CallState.PROCEEDING:
            self._refused(self.status, now)
        else:
            super().bye(now)

    def expire(self, timer: str, now: float) -> None:
        """`cancel`: no final response followed our CANCEL (9.1)."""
        if timer == "cancel":
            self._client.terminate()
            self._end(None)
        else:
            super().expire(timer, now)

    # --- responses ----------------------------------------------------------------------------

    def _heard(self, response: Response | None, now: float) -> None:
        status = response.status if response else NOBODY_ANSWERS
        if response and 200 <= status < 300:
            self._accepted(response, now)
        elif self.state not in (CallState.PROCEEDING, CallState.CLOSING):
            return
        elif response and status < 200:
            self._progressed(response, now)
        elif not (response and self._again(response, now)):
            self._refused(status, now)

    def _again(self, response: Response, now: float) -> bool:
        """Whether the INVITE went out once more, as the peer wants it."""
        if response.status in (401, 407):
            return self._prove(response, now)
        wants_longer = response.status == 422 and self.state is CallState.PROCEEDING
        if not (wants_longer and self.session_timer.longer(response)):
            return False
        self.status = 0
        self.begin(now)
        return True

    def _progressed(self, response: Response, now: float) -> None:
        self.status = response.status
        if self.state is CallState.CLOSING:
            self._cancel(now)
        elif response.status > 100:
            self._emit(Progressed(self, response.status, self._answer_in(response)))

    def _prove(self, response: Response, now: float) -> bool:
        """Whether the INVITE went out again with credentials (22.2, 22.3)."""
        found = self._answerer and self._answerer.credentials(response, self.invite)
        if not found or self.state is CallState.CLOSING:
            return False
        self._credentials[found[0]] = found[1]
        self.status = 0  # of the new transaction nothing was heard
        self.begin(now)
        return True

    def _refused(self, status: int, now: float) -> None:
        told = self.state is CallState.CLOSING
        self.status = status
        timeout = status == NOBODY_ANSWERS
        self._end(None if told else "failed" if timeout else "refused")

    def _accepted(self, response: Response, now: float) -> None:
        """A 2xx: the call's own, a repetition, or that of another phone."""
        tag = response.to.tag or ""
        if known := self._acks.get(tag):
            self._emit(known)
            return
        if len(self._acks) >= MOST_FORKS:
            return
        dialog = Dialog.of_response(self.invite, response)
        self._acknowledge(dialog, tag)
        media = self._answer_in(response)
        if self.state is not CallState.PROCEEDING:
            self._leave(dialog, now)
            if self.state is CallState.CLOSING and len(self._acks) == 1:
                self._end(None)  # answered while our CANCEL was under way
        elif media is None:
            self._leave(dialog, now)
            self.status = 488
            self._end("failed")
        else:
            self._talk(dialog, media, response, now)

    def _talk(
        self, dialog: Dialog, media: MediaDescription, response: Response, now: float
    ) -> None:
        self._core.forget(self)
        self.dialog, self.state, self.status = dialog, CallState.CONFIRMED, response.status
        self.negotiation.media = self._told = media
        self.negotiation.unanswered = False
        self.heed(response)
        self.session_timer.agreed(response, now)
        self._core.remember(self)
        self._emit(Answered(self, media))

    def _answer_in(self, response: Response) -> MediaDescription | None:
        """The answer to our offer; the first one of a dialog stands (RFC 3261 13.2.1)."""
        tag = response.to.tag or ""
        if tag not in self._early and response.body and len(self._early) < MOST_FORKS:
            try:
                self._early[tag] = self.negotiation.read_answer(response.body)
            except (SipSyntaxError, NothingInCommon):
                return None
        return self._early.get(tag)

    # --- requests -----------------------------------------------------------------------------

    def _acknowledge(self, dialog: Dialog, tag: str) -> None:
        ack = dialog.ack(self.invite, self._via())
        ack.set_body(b"")
        self._acks[tag] = Send(bytes(ack), self.flow)
        self._emit(self._acks[tag])

    def _cancel(self, now: float) -> None:
        """The same branch, To without tag, once (RFC 3261 9.1)."""
        if self._cancelled:
            return
        self._cancelled = True
        copied = ("Via", "Route", "Max-Forwards", "From", "To", "Call-ID")
        fields = [(name, value) for name in copied for value in self.invite.headers.all(name)]
        fields.append(("CSeq", f"{self.invite.cseq.number} CANCEL"))
        cancel = Request("CANCEL", self.invite.uri, headers=Headers(fields))
        cancel.set_body(b"")
        client = NonInviteClient(self._core.layer, cancel, self.flow, lambda response, at: None)
        client.opened().begin(now)
        self.start("cancel", now + 64 * T1)

    def _bye(self, now: float) -> None:
        self._leave(self.dialog, now)

    def _leave(self, dialog: Dialog, now: float, proof: tuple[str, str] | None = None) -> None:
        """BYE; once more where the peer wants it proven."""
        bye = dialog.request("BYE", self._via())
        if proof:
            bye.headers.add(*proof)
        bye.set_body(b"")

        def outcome(response: Response | None, at: float) -> None:
            asked = response if response and response.status in (401, 407) else None
            found = asked and self._answerer and self._answerer.credentials(asked, bye)
            if found:
                self._leave(dialog, at, found)

        NonInviteClient(self._core.layer, bye, self.flow, outcome).opened().begin(now)


def _dialog(invitation: Invitation, core: Core) -> Dialog:
    """What is known before anybody answered; the peer's tag is still empty."""
    tag = core.token()
    return Dialog(
        call_id=invitation.call_id,
        local_tag=tag,
        remote_tag="",
        local=f"{invitation.caller};tag={tag}",
        remote=f"<{invitation.target}>",
        remote_target=parse_uri(invitation.target),
        route_set=(),
        remote_seq=-1,
    )

"""The offers and answers of one call, ours and the peer's (RFC 3264, RFC 6337)."""

from __future__ import annotations

from dataclasses import replace

from callcenter.telephony.ports import Codec, MediaDescription
from callcenter.telephony.sip import offer_answer
from callcenter.telephony.sip.actions import Flow
from callcenter.telephony.sip.offer_answer import Origin, Terms
from callcenter.telephony.sip.sdp import SessionDescription, parse_sdp

OFFERED = (Codec.PCMU, Codec.PCMA)  # by preference, where the offer is ours


class Negotiation:
    """What was agreed, and how we last described our side."""

    def __init__(self, flow: Flow, session: int, terms: Terms) -> None:
        self.local = flow.local  # where our sound comes in
        self.media: MediaDescription | None = None  # what is agreed
        self.description = b""  # ours as it was last told, octet by octet
        self.unanswered = False  # an offer of ours is out
        self._origin = Origin(session)
        self._terms = terms
        self._signalling = flow.remote.host

    @property
    def settled(self) -> bool:
        """Something is agreed, and no offer is open."""
        return self.media is not None and not self.unanswered

    def answer(self, offer: SessionDescription) -> bytes:
        """Our answer. Raises NothingInCommon: then everything is as it was."""
        agreement = offer_answer.answer(offer, self.local, self._origin, self._terms)
        self.media = self._signalled(agreement.media)
        return self._say(agreement.answer)

    def offer(self) -> bytes:
        """An offer of ours with all we can; it stays open until `conclude`."""
        self.unanswered = True
        return self._say(offer_answer.offer(self.local, self._origin, OFFERED, self._terms))

    def offer_again(self) -> bytes:
        """The description that stands, as an offer that changes nothing (RFC 4028 7.4)."""
        self.unanswered = True
        return self.description

    def withdraw(self) -> None:
        """Our offer was refused: the session goes on as it was (RFC 3261 14.1)."""
        self.unanswered = False

    def conclude(self, answer: bytes) -> None:
        """The peer's answer to our offer. Raises SipSyntaxError or NothingInCommon."""
        self.media = self.read_answer(answer)
        self.unanswered = False

    def read_answer(self, answer: bytes) -> MediaDescription:
        """What an answer to our offer agrees to, not taken yet: one of several phones may have
        given it. Raises SipSyntaxError or NothingInCommon."""
        media = offer_answer.conclude(parse_sdp(answer), self.local, self._terms)
        return self._signalled(media)

    def _signalled(self, media: MediaDescription) -> MediaDescription:
        return replace(media, signalling=self._signalling)

    def _say(self, description: SessionDescription) -> bytes:
        self.description = bytes(description)
        self._origin = self._origin.next()
        return self.description

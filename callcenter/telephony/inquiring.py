"""The life of a call that is answered by nobody: the status of a complaint, asked for by keys."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import structlog

from callcenter.errors import CallGone
from callcenter.events import RecordPolicy
from callcenter.telephony.caller import CallerSide
from callcenter.telephony.inquiry import Inquiry, Question
from callcenter.telephony.key_presses import on_key
from callcenter.telephony.mailbox import Asked, Over, Pressed, Referred, SaidAll
from callcenter.telephony.media import tones
from callcenter.telephony.ports import SipEnd, StatusAnswer
from callcenter.telephony.session import WATCH_SECONDS, Session, to_the_end

PATIENCE = 30.0
"""Seconds without a key after which the call is ended: prompts last ten of them at most."""
AGAIN_PATIENCE = 5.0
"""Seconds for the key that says it again, after the last word."""
_LOGGER = structlog.get_logger()


async def run_inquiry(session: InquirySession) -> None:
    """From INVITE to the end; no agent has a part in it."""
    async with to_the_end(session):
        await session.ring()
        await session.converse()


class InquirySession(Session):
    """Keys are neither kept nor logged, and nothing is recorded."""

    policy: RecordPolicy = "never"

    async def ring(self) -> None:
        """The call is known; nobody is rung."""
        assert isinstance(self.caller, CallerSide)
        self._follow_caller(self.caller.inbound)
        await self._begin(self.caller.inbound, None, self.policy)
        self._take_keys()
        await self.caller.answer()
        self._keep_dialog()
        await self.desk.record()

    async def converse(self) -> None:
        """Ask, look up, tell. Ends with Over."""
        inquiry = Inquiry()
        said = self._say(inquiry.begin(), 0)
        deadline = self._now() + PATIENCE
        while True:
            match await self._next(until=self._now() + WATCH_SECONDS):
                case Pressed(key) if inquiry.told and not inquiry.over:
                    if prompts := inquiry.choose(key):
                        said, deadline = self._say(prompts, said), math.inf
                case Pressed(key) if not inquiry.over:
                    deadline = self._now() + PATIENCE
                    if question := inquiry.press(key):
                        answer = await self._look_up(question)
                        said = self._say(inquiry.answered(answer), said)
                        deadline = math.inf if inquiry.told else deadline
                case SaidAll(number) if inquiry.over and number == said:
                    raise Over("completed", "system", inquiry.result)
                case SaidAll(number) if inquiry.told and number == said:
                    deadline = self._now() + AGAIN_PATIENCE
                case Asked() as asked:
                    asked.refuse(CallGone("this call is answered by the system"))
                case Referred(referral):
                    referral.report(480)
                case None:
                    self._demand_sound()
                    if self._now() > deadline and not inquiry.over:
                        said = self._say(inquiry.silent(), said)

    def _take_keys(self) -> None:
        def press(key: str) -> None:
            self.mailbox.put_nowait(Pressed(key))

        on_key(self.desk.media, self.caller.leg, self.caller.dialog, press)

    def _say(self, prompts: Sequence[str], said: int) -> int:
        """Play these one after the other, instead of what plays; SaidAll comes with the number."""
        words = self.desk.sounds.prompts[self.language]
        number = said + 1
        playing = asyncio.ensure_future(
            self.desk.media.play(self.caller.leg, tones.joined([words[one] for one in prompts]))
        )
        playing.add_done_callback(lambda _: self.mailbox.put_nowait(SaidAll(number)))
        return number

    async def _look_up(self, question: Question) -> StatusAnswer:
        statuses = self.desk.statuses
        assert statuses is not None
        assert isinstance(self.caller, CallerSide)
        caller = self.caller.inbound.caller.number
        try:
            return await asyncio.to_thread(statuses.stage, question.keys, question.digits, caller)
        except Exception as error:  # the database is away: the caller is told to call later
            _LOGGER.warning("status not looked up", call=self.id, error=type(error).__name__)
            return "later"

    def _caller_left(self, how: SipEnd) -> Over:
        over = super()._caller_left(how)
        return Over("completed", "customer") if over.reason == "abandoned" else over

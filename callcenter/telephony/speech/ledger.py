"""Which calls were heard completely: pure bookkeeping of lines, losses and utterances.

A call is complete when its last line closed and nothing of it was lost: that is the live
transcript, `TranscriptCompleted(revision=1)`. Otherwise one `TranscriptPending` says, when it is
first known, that the call waits for the second pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from callcenter.events import Fact, TranscriptCompleted, TranscriptPending

Reason = Literal["no_model", "overload", "failed"]
_REMEMBERED = 512  # ended calls, in case a leg opens once more (transfer)


@dataclass(slots=True)
class _Call:
    language: str
    engine: str = ""
    open: int = 0
    utterances: int = 0
    lost: bool = False


class Ledger:
    """Every method returns the facts that became true."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def opened(self, call: str, language: str) -> None:
        """A line of the call was opened."""
        self._calls.setdefault(call, _Call(language)).open += 1

    def lost(self, call: str, reason: Reason) -> list[Fact]:
        """Some sound of the call was not heard."""
        state = self._calls[call]
        if state.lost:
            return []
        state.lost = True
        return [TranscriptPending(call=call, reason=reason)]

    def heard(self, call: str, engine: str) -> None:
        """One more final utterance."""
        state = self._calls[call]
        state.engine = engine
        state.utterances += 1

    def closed(self, call: str, engine: str) -> list[Fact]:
        """A line of the call was closed, everything it said was heard."""
        state = self._calls[call]
        state.open -= 1
        if state.open:
            return []
        self._forget_old()
        if state.lost:
            return []
        return [
            TranscriptCompleted(
                call=call,
                revision=1,
                engine=state.engine or engine,
                language=state.language,
                utterances=state.utterances,
            )
        ]

    def _forget_old(self) -> None:
        ended = [call for call, state in self._calls.items() if not state.open]
        for call in ended[:-_REMEMBERED]:
            del self._calls[call]

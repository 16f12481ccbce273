"""The twin of the disk: journals in memory, with the same placing of frames."""

from __future__ import annotations

from collections.abc import Sequence

from callcenter.errors import RecordingError
from callcenter.events import LegName
from callcenter.telephony.ports import Journal, JournalLeg
from callcenter.telephony.recording.journal import LEGS, LegBuffer, Pauses, sync_one


class MemoryJournal:
    """See Journal. `sound` is what would be on the disk; `fail` makes every sync fail."""

    def __init__(self, answered_position: int = 0) -> None:
        self.answered_position = answered_position
        self.sound = {name: bytearray() for name in LEGS}
        self.complete = False
        self.discarded = False
        self.fail: str | None = None
        self.failure: str | None = None
        self._buffers = {name: LegBuffer() for name in LEGS}
        self._pauses = Pauses()

    def leg(self, name: LegName) -> JournalLeg:
        """See Journal."""
        return self._buffers[name]

    def sync(self, position: int) -> None:
        """See Journal."""
        if self.complete:
            return
        if self.fail:
            self.failure = self.fail
            raise RecordingError(self.fail)
        spans = self._pauses.spans
        for name, buffer in self._buffers.items():
            for piece in buffer.pieces(position, spans):
                self.sound[name][piece.offset : piece.offset + len(piece.data)] = piece.data
            buffer.wrote(position, spans)

    def pause(self, position: int) -> None:
        """See Journal."""
        self._pauses.pause(position)

    def resume(self, position: int) -> None:
        """See Journal."""
        self._pauses.resume(position)

    def close(self, position: int) -> None:
        """See Journal."""
        self.sync(position)
        self.complete = True

    def discard(self) -> None:
        """See Journal."""
        self.discarded = True


class MemoryRecordings:
    """See RecordingStore. `opened` maps a call to its journal; `refuse` makes opening fail."""

    def __init__(self) -> None:
        self.opened: dict[str, MemoryJournal] = {}
        self.refuse: str | None = None

    def open_journal(self, call: str, *, answered_position: int = 0) -> MemoryJournal:
        """See RecordingStore."""
        if self.refuse:
            raise RecordingError(self.refuse)
        if call in self.opened:
            raise RecordingError("a recording cannot be started: File exists")
        self.opened[call] = MemoryJournal(answered_position)
        return self.opened[call]

    def sync_all(self, due: Sequence[tuple[Journal, int]]) -> list[RecordingError | None]:
        """See RecordingStore."""
        return [sync_one(journal, position) for journal, position in due]

    def last_position(self, call: str) -> int | None:
        """See RecordingStore."""
        journal = self.opened.get(call)
        return None if journal is None or journal.discarded else len(journal.sound["agent"])

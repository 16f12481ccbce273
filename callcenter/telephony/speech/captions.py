"""One leg's ear: placed sound in, captions out, each with the id it keeps until it is final."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from callcenter.events import CaptionHeard, LegName, SpeechRedacted, UtteranceHeard
from callcenter.ids import new_id
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec, Heard, Recogniser
from callcenter.telephony.speech.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Removed:
    """Something that a caption had and may not keep: its kind, and when it was said."""

    kind: str
    t0: float
    t1: float


@dataclass(frozen=True, slots=True)
class Caption:
    """A line of text on the leg's own clock (seconds from the answer).

    `utterance` is the same from the first partial to the final. An empty text takes back what
    was shown. `words` as in Heard; `removed`: one for each mask in the text, in order.
    """

    kind: Literal["partial", "final"]
    utterance: str
    text: str
    t0: float
    t1: float
    words: tuple[tuple[float, float], ...] = ()
    removed: tuple[Removed, ...] = ()


class Ear:
    """A recogniser and the leg's clock; used by one thread."""

    def __init__(self, recogniser: Recogniser, fresh_id: Callable[[], str] = new_id) -> None:
        self._recogniser = recogniser
        self._fresh_id = fresh_id
        self._timeline = Timeline()
        self._open: str | None = None

    def hear(self, position: int, payload: bytes, codec: Codec) -> Iterator[Caption]:
        """Take G.711 sound at `position` samples from the answer."""
        samples = self._timeline.take(position, g711.decode(payload, codec))
        if len(samples):
            yield from self._captions(self._recogniser.feed(samples.tobytes()))

    def finish(self) -> Iterator[Caption]:
        """The leg's sound is over."""
        yield from self._captions(self._recogniser.finish())

    def _captions(self, heard: Iterable[Heard]) -> Iterator[Caption]:
        for item in heard:
            text = " ".join(item.text.split())
            if not text and self._open is None:
                continue
            utterance = self._open or self._fresh_id()
            kind = item.kind if text else "partial"  # nothing to keep: take the partial back
            self._open = utterance if item.kind == "partial" else None
            t0, t1 = self._timeline.seconds(item.t0), self._timeline.seconds(item.t1)
            words = tuple(
                (round(self._timeline.seconds(a), 3), round(self._timeline.seconds(b), 3))
                for a, b in item.words
            )
            yield Caption(kind, utterance, text, round(t0, 3), round(max(t0, t1), 3), words)


def as_signal(caption: Caption, call: str, leg: LegName) -> CaptionHeard:
    """A partial."""
    return CaptionHeard(
        call=call,
        utterance=caption.utterance,
        leg=leg,
        text=caption.text,
        t0=caption.t0,
        t1=caption.t1,
        masks=[one.kind for one in caption.removed],
    )


def as_facts(
    caption: Caption, call: str, leg: LegName, language: str, engine: str, revision: int = 1
) -> list[SpeechRedacted | UtteranceHeard]:
    """A final: first what is to be silent, then the text."""
    redacted = [
        SpeechRedacted(
            call=call,
            utterance=caption.utterance,
            leg=leg,
            kind=one.kind,
            t0=one.t0,
            t1=one.t1,
        )
        for one in caption.removed
    ]
    heard = UtteranceHeard(
        call=call,
        utterance=caption.utterance,
        leg=leg,
        text=caption.text,
        t0=caption.t0,
        t1=caption.t1,
        language=language,
        engine=engine,
        revision=revision,
        masks=[one.kind for one in caption.removed],
    )
    return [*redacted, heard]

"""One leg's ear for numbers: captions in, captions without what may not be kept out.

A number may come in pieces, each an utterance of its own. So an utterance that ends with digits
is held back until the next one shows whether the number goes on: what was let go as a fact is on
the disk, and there it stays. Meanwhile a partial is shown, so that nobody waits for the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

from callcenter.events import LegName
from callcenter.redaction.finding import BRIDGE, Found, Rules, find, growing_end, masked
from callcenter.redaction.kinds import Cue, cues
from callcenter.redaction.runs import scan
from callcenter.telephony.speech.captions import Caption, Removed

HOLD_SECONDS = 10.0
"""So long after a piece the next may come; then the utterance is let go."""
CUE_SECONDS = 60.0
_SHOWN_DIGITS = 6  # of a number that still grows; PCI DSS 3.4.1 lets the first six be shown
_LEAST_DIGITS = 2  # at the end of an utterance, for it to be held
_WORD_MARGIN = 0.25  # seconds around the times of a recogniser's words
_SHARE_MARGIN = 0.75  # and around what was guessed from the place in the text, with
_SHARE_OF = 0.15  # this share of the utterance


class Cues:
    """Of what was spoken in a call and when; both legs share one."""

    def __init__(self) -> None:
        self._heard: dict[Cue, float] = {}

    def hear(self, text: str, at: float) -> None:
        """Note what the text speaks of at second `at`."""
        for cue in cues(text):
            self._heard[cue] = max(at, self._heard.get(cue, at))

    def at(self, second: float) -> list[Cue]:
        """Of what was spoken within a minute before (or after: legs come out of order)."""
        known = ((cue, self._heard.get(cue)) for cue in get_args(Cue))
        return [cue for cue, at in known if at is not None and abs(second - at) <= CUE_SECONDS]


class Redactor:
    """Finals that are let go, and partials, in the order in which they may be seen."""

    def __init__(self, rules: Rules, heard: Cues) -> None:
        self._rules = rules
        self._cues = heard
        self._held: list[Caption] = []
        self._growing: Caption | None = None

    def take(self, caption: Caption) -> Iterator[Caption]:
        """The next caption of the leg."""
        if self._rules.nothing:
            yield caption
        elif caption.kind == "partial":
            yield from self._partial(caption)
        else:
            yield from self._final(caption)

    def passed(self, second: float) -> Iterator[Caption]:
        """The leg's sound has come to this second."""
        if self._held and self._growing is None and second > self._held[-1].t1 + HOLD_SECONDS:
            yield from self.finish()

    def finish(self) -> Iterator[Caption]:
        """Nothing follows: let go what is held."""
        held, self._held = self._held, []
        yield from self._redacted(held)

    def _partial(self, caption: Caption) -> Iterator[Caption]:
        self._growing = caption if caption.text else None
        before = self._held if self._follows(caption) else []
        yield self._redacted([*before, caption], growing=True)[-1]

    def _final(self, caption: Caption) -> Iterator[Caption]:
        self._growing = None
        self._cues.hear(caption.text, caption.t1)
        if not self._follows(caption):
            yield from self.finish()
        self._held.append(caption)
        if self._may_go_on():
            for one in self._redacted(self._held, growing=True):
                yield replace(one, kind="partial")
        else:
            yield from self.finish()

    def _follows(self, caption: Caption) -> bool:
        """Whether a number that is held may go on in this caption."""
        if not self._held or caption.t0 > self._held[-1].t1 + HOLD_SECONDS:
            return False
        return scan(caption.text, bridge=self._bridge(caption.t0)).leads

    def _may_go_on(self) -> bool:
        at = self._held[-1].t1
        tail = scan(_joined(self._held), bridge=self._bridge(at)).tail
        if tail is None or tail.dialled:
            return False
        cued = bool(self._cues.at(at))
        enough = cued or len(tail.digits) >= _LEAST_DIGITS
        return enough and self._rules.may_grow(tail.digits)

    def _redacted(self, captions: list[Caption], *, growing: bool = False) -> list[Caption]:
        """The captions with masks; while a number grows, with its end hidden too."""
        if not captions:
            return []
        text = _joined(captions)
        found = find(text, self._rules, self._cues.at(captions[-1].t1))
        if growing:
            bridge = self._bridge(captions[-1].t1)
            found += growing_end(text, found, self._rules, shown=_SHOWN_DIGITS, bridge=bridge)
        made, at = [], 0
        for caption in captions:
            made.append(_mask(caption, _within(found, at, len(caption.text))))
            at += len(caption.text) + 1
        return made

    def _bridge(self, second: float) -> int:
        return BRIDGE if "card" in self._cues.at(second) else 0


def redact(
    captions: Sequence[tuple[LegName, Caption]], rules: Rules
) -> list[tuple[LegName, Caption]]:
    """All finals of a call at once, each with its leg, in the order of speech."""
    heard = Cues()
    for _, caption in captions:
        heard.hear(caption.text, caption.t1)
    redactors = {leg: Redactor(rules, heard) for leg in get_args(LegName)}
    found: list[tuple[LegName, Caption]] = []
    for leg, caption in captions:
        found += [(leg, one) for one in redactors[leg].take(caption) if one.kind == "final"]
    for leg, redactor in redactors.items():
        found += [(leg, one) for one in redactor.finish()]
    return sorted(found, key=lambda item: item[1].t0)


def _joined(captions: list[Caption]) -> str:
    return "\n".join(caption.text for caption in captions)


def _within(found: list[Found], at: int, length: int) -> list[Found]:
    """What of it lies in the `length` characters from `at` on."""
    cut = (Found(max(0, one.start - at), min(length, one.end - at), one.kind) for one in found)
    return [one for one in cut if one.start < one.end]


def _mask(caption: Caption, found: list[Found]) -> Caption:
    if not found:
        return caption
    removed = tuple(Removed(one.kind, *_when(caption, one)) for one in found)
    return replace(caption, text=masked(caption.text, found), removed=removed, words=())


def _when(caption: Caption, found: Found) -> tuple[float, float]:
    """When it was said: by the recogniser's words, else by its share of the utterance."""
    first = len(caption.text[: found.start + 1].split()) - 1
    last = len(caption.text[: found.end].split()) - 1
    if len(caption.words) == len(caption.text.split()):
        start, end = caption.words[first][0], caption.words[last][1]
        margin = _WORD_MARGIN
    else:
        seconds = caption.t1 - caption.t0
        start = caption.t0 + seconds * found.start / len(caption.text)
        end = caption.t0 + seconds * found.end / len(caption.text)
        margin = max(_SHARE_MARGIN, _SHARE_OF * seconds)
    return round(max(0.0, start - margin), 3), round(end + margin, 3)

"""Words that were said: learned with each utterance, asked for what a query means.

A word that was never said is looked for as the words one or two slips away from it, and as two
words written as one. A beginning is looked for as the most frequent words that begin so. So
the index is asked for whole words only, which it finds newest first without reading all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice, product

from sqlalchemy import Select, delete, literal, select, union_all, update
from sqlalchemy.orm import Session

from callcenter.crm.db import insert_or
from callcenter.crm.fts.models import VocabularyForm, VocabularyWord
from callcenter.crm.fts.query import Part, Phrase, Query, Term
from callcenter.crm.fts.spelling import LEAST, forgiven, forms, slips
from callcenter.crm.fts.wanted import Chain, Choice, Wanted, Words
from callcenter.crm.fts.words import is_number

CONTINUED = 20  # words that a beginning stands for
MEANT = 4  # words that are looked for instead of one that was never said
CHOICES = 24  # combinations of those in one part


def learn(session: Session, said: Iterable[Iterable[str]]) -> None:
    """These words are in more utterances, of each of which the words are given."""
    more = Counter(word for words in said for word in set(words) if not is_number(word))
    rows = [{"word": word, "seen": count} for word, count in sorted(more.items())]
    if not rows:
        return
    new = insert_or(session, VocabularyWord.__table__)
    counted = new.on_conflict_do_update(
        index_elements=["word"], set_={"seen": VocabularyWord.seen + new.excluded.seen}
    ).returning(VocabularyWord.word, VocabularyWord.seen)
    fresh = [word for word, seen in session.execute(counted, rows) if seen == more[word]]
    spelled = [{"form": form, "word": word} for word in fresh for form in sorted(forms(word))]
    if spelled:
        made = insert_or(session, VocabularyForm.__table__).on_conflict_do_nothing()
        session.execute(made, spelled)


def forget(session: Session, words: Iterable[str]) -> None:
    """These words are in one utterance less; what is in none any more is unknown again."""
    known = sorted({word for word in words if not is_number(word)})
    session.execute(
        update(VocabularyWord)
        .where(VocabularyWord.word.in_(known))
        .values(seen=VocabularyWord.seen - 1)
        .execution_options(synchronize_session=False)
    )
    gone = select(VocabularyWord.word).where(
        VocabularyWord.word.in_(known), VocabularyWord.seen <= 0
    )
    lost = session.scalars(gone).all()
    for table in (VocabularyForm, VocabularyWord):
        session.execute(delete(table).where(table.word.in_(lost)))


@dataclass(slots=True)
class _Known:
    """What the vocabulary says about the terms of one query."""

    seen: dict[str, int] = field(default_factory=dict)
    continued: dict[str, list[str]] = field(default_factory=dict)
    meant: dict[str, list[Words]] = field(default_factory=dict)

    def options(self, term: Term) -> list[Words]:
        """What a term stands for: itself first."""
        own: list[Words] = [(term.text,)]
        if term.beginning:
            own += [(word,) for word in self.continued.get(term.text, ()) if word != term.text]
        return own if term.text in self.seen or len(own) > 1 else self.meant.get(term.text, own)

    def choice(self, part: Part) -> Choice:
        """Every chain that a part may be."""
        sides = [self._phrases(phrase) for phrase in part.phrases]
        chains = [Chain(tuple(pair), part.apart) for pair in islice(product(*sides), CHOICES)]
        joined = "".join(term.text for term in part.phrases[0])
        if part.joint and joined in self.seen:
            chains.append(Chain(((joined,),)))
        return tuple(chains)

    def most(self, choice: Choice) -> int:
        """In how many utterances it can be at most."""
        return sum(
            min(self.seen.get(word, 0) for words in chain.phrases for word in words)
            for chain in choice
        )

    def _phrases(self, phrase: Phrase) -> list[Words]:
        picked = islice(product(*(self.options(term) for term in phrase)), CHOICES)
        return [tuple(word for words in one for word in words) for one in picked]


def resolve(session: Session, query: Query) -> Wanted:
    """The words to ask the index for; at most three statements."""
    known = _look_up(session, query)
    must = tuple(known.choice(part) for part in query.must)
    return Wanted(
        must,
        tuple(known.choice(part) for part in query.without),
        min((known.most(choice) for choice in must), default=0),
        {typed: [" ".join(words) for words in found] for typed, found in known.meant.items()},
    )


def _look_up(session: Session, query: Query) -> _Known:
    terms = [term for term in query.terms if not is_number(term.text)]
    known = _Known()
    if not terms:
        return known
    asked = {part for term in terms for part in (term.text, *sum(_halves(term.text), ()))}
    asked |= {"".join(t.text for t in part.phrases[0]) for part in query.must if part.joint}
    known.seen = dict(_rows(session, _among(asked)))
    _continue(session, known, {term.text for term in terms if term.beginning})
    strange = {
        term.text
        for term in terms
        if term.text not in known.seen and not known.continued.get(term.text)
    }
    _mean(session, known, strange)
    return known


def _among(words: Iterable[str]) -> Select[str, int]:
    columns = select(VocabularyWord.word, VocabularyWord.seen)
    return columns.where(VocabularyWord.word.in_(sorted(words)))


def _rows(session: Session, query: Select[str, int]) -> list[tuple[str, int]]:
    return [(word, seen) for word, seen in session.execute(query)]


def _continue(session: Session, known: _Known, beginnings: set[str]) -> None:
    """The most frequent words that begin so."""
    if not beginnings:
        return
    each = [
        select(literal(start).label("start"), VocabularyWord.word, VocabularyWord.seen)
        .where(VocabularyWord.word >= start, VocabularyWord.word < start + "\U0010ffff")
        .order_by(VocabularyWord.seen.desc(), VocabularyWord.word)
        .limit(CONTINUED)
        .subquery()
        for start in sorted(beginnings)
    ]
    for start, word, seen in session.execute(union_all(*(select(one) for one in each))):
        known.continued.setdefault(start, []).append(word)
        known.seen[word] = seen


def _mean(session: Session, known: _Known, strange: set[str]) -> None:
    """For words that were never said: those that were, closest and most frequent first."""
    wanted = {word: forms(word) for word in strange if len(word) >= LEAST}
    if not wanted:
        return
    every = sorted({form for word in wanted for form in wanted[word]})
    rows = session.execute(
        select(VocabularyForm.form, VocabularyForm.word, VocabularyWord.seen)
        .join(VocabularyWord, VocabularyWord.word == VocabularyForm.word)
        .where(VocabularyForm.form.in_(every))
    ).all()
    for typed, own in wanted.items():
        close = {word: seen for form, word, seen in rows if form in own}
        meant = [*_closest(typed, close), *_parted(typed, known.seen)]
        known.seen.update(close)
        if meant:
            known.meant[typed] = meant


def _closest(typed: str, close: Mapping[str, int]) -> list[Words]:
    ranked = sorted((slips(typed, word), -seen, word) for word, seen in close.items())
    found: list[Words] = [(word,) for far, _, word in ranked if 0 < far <= forgiven(typed)]
    return found[:MEANT]


def _parted(typed: str, known: Mapping[str, int]) -> list[Words]:
    """Two words that were written as one, as «میخواهم» for «می خواهم»."""
    return [half for half in _halves(typed) if all(word in known for word in half)]


def _halves(word: str) -> list[Words]:
    return [(word[:at], word[at:]) for at in range(2, len(word) - 1)]

"""The vocabulary: words that were said, and their forms for finding the one that was meant.

Words with digits are in neither: they are numbers of people and things.
"""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from callcenter.crm.db import Base
from callcenter.crm.fts.words import LONGEST

# Collation "C": a range of code points is then a range of the index.
WORD = String(LONGEST).with_variant(String(LONGEST, collation="C"), "postgresql")


class VocabularyWord(Base):
    """A word, and in how many utterances it is."""

    __tablename__ = "vocabulary"

    word: Mapped[str] = mapped_column(WORD, primary_key=True)
    seen: Mapped[int]


class VocabularyForm(Base):
    """A form of a word (`spelling.forms`)."""

    __tablename__ = "vocabulary_forms"

    form: Mapped[str] = mapped_column(WORD, primary_key=True)
    word: Mapped[str] = mapped_column(WORD, primary_key=True, index=True)

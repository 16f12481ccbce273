"""What people write about each other. Numbers that may not be kept are masked as soon as they are
read: the unmasked form reaches no record, no fact and no log (decision 23).

Fields whose very purpose is a number (a telephone's, an account's) and passwords are no prose.
"""

from __future__ import annotations

from typing import Annotated

from flask import has_app_context
from pydantic import AfterValidator, Field

from callcenter.redaction import finding
from callcenter.web.context import services
from callcenter.web.shapes import CleanLongText, CleanText, In, Named


def _rules() -> finding.Rules:
    """The site's; outside of an application those that hold where nothing is set."""
    return services().rules if has_app_context() else finding.Rules()


def _masked(text: str) -> str:
    return finding.mask(text, _rules())[0]


def _growing(text: str) -> str:
    return finding.mask_growing(text, _rules())


Prose = Annotated[CleanLongText, AfterValidator(_masked), Field(max_length=20_000)]
"""Sentences: a note, an answer, a remark."""
Line = Annotated[Named, AfterValidator(_masked), Field(max_length=200)]
"""One line that has to be there: a subject, a reason."""
Short = Annotated[CleanText, AfterValidator(_masked), Field(max_length=200)]
"""One line that may be empty."""
Draft = Annotated[CleanLongText, AfterValidator(_growing), Field(max_length=20_000)]
"""What is saved while it is typed: a card number at its end lacks its last digits."""


class Reason(In):
    """Why somebody needs what their role alone does not open."""

    reason: Line

"""What people type holds no number that may not be kept: in no answer, no table and no file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from test_erasures_api import found_in_files, found_in_tables
from test_quality_api import submitted
from test_records_api import ended
from web_world import World

from callcenter import events
from callcenter.redaction.finding import MASK, Rules
from callcenter.web.shapes import In

CARD = "4111 1111 1111 1111"
SPOKEN = "six oh three seven nine nine seven five one two three four five six seven"
FORMS = (CARD, "4111-1111-1111-1111", "4111111111111111", "۴۱۱۱ ۱۱۱۱ ۱۱۱۱ ۱۱۱۱", "٤١١١١١١١١١١١١١١١")
NO_PROSE = {
    # Names, addresses and marks by which something is found again.
    "CustomerIn.name", "CustomerPatch.name", "CustomerIn.address", "CustomerPatch.address",
    "CustomerIn.tier", "CustomerPatch.tier", "PhoneIn.label",
    "ComplaintIn.product", "ComplaintPatch.product", "IncidentIn.product", "Transition.channel",
    
    # What supervisors set up for everybody.
    "PhraseListIn.name", "PhraseListPatch.name", "QuestionIn.text", "QuestionIn.help",
    "SectionIn.title", "ScorecardIn.name", "ScorecardPatch.name", "SamplingRuleIn.name",
    "SamplingRuleIn.queue",
    # Masked where the sentence's other masks are known (crm/review/corrections.py).
    "CorrectionIn.text", "CorrectionIn.was",
    # Secrets of a sign-in: compared, never kept.
    "SignIn.password", "NewPassword.password", "NewPassword.new_password",
    "Proof.password", "NewFactor.password", "NewFactor.name",
    # Words that are looked for; a saved view is its owner's own.
    "Narrowing.words", "ViewFilters.words", "SavedViewIn.name", "SavedViewPatch.name",
}  # fmt: skip


def shapes(of: type[In] = In) -> Iterator[type[In]]:
    for one in of.__subclasses__():
        yield one
        yield from shapes(one)


def keeps(field: FieldInfo) -> bool:
    """Whether such a field takes a sentence with a card number as it is."""
    annotation: Any = field.annotation
    for one in field.metadata:
        annotation = Annotated[annotation, one]
    sentence = f"She reads out {CARD} and says that it ends with the month in which she was born."
    try:
        return bool(TypeAdapter(annotation).validate_python(sentence) == sentence)
    except ValidationError:
        return False


def test_every_text_that_a_person_sends_is_masked_or_decided_to_be_no_prose() -> None:
    unmasked = {
        f"{shape.__name__}.{name}"
        for shape in shapes()
        if shape.__module__.startswith("callcenter.") and not shape.__name__.endswith("Query")
        for name, field in shape.model_fields.items()
        if keeps(field)
    }
    assert unmasked - NO_PROSE == set()
    assert NO_PROSE - unmasked == set()


@pytest.fixture
def typed(world: World) -> list[Any]:
    """A card number typed wherever a person may write sentences. → the answers"""
    boss, agent = world.client("supervisor"), world.client("agent")
    text = f"He reads out: {' and '.join(FORMS)}."
    customer = boss.post("/customers", {"name": "Sara", "notes": text}).get_json()
    call = ended(world, "agent")
    world.happens(
        events.UtteranceHeard(
            call=call, utterance="u1", leg="customer", text="four one one", t0=1.0, t1=2.0,
            language="en", engine="test",
        )
    )  # fmt: skip
    mine = f"/interactions/{world.interaction(call)}"
    answers = [
        boss.patch(f"/customers/{customer['id']}", {"notes": text + "!"}),
        agent.patch(mine, {"notes": text, "draft": text}),
        boss.post(f"{mine}/comments", {"text": text, "t0": 1.0}),
        boss.post(f"{mine}/utterances/u1/correction", {"text": text, "was": "four one one"}),
        world.client("auditor").post(f"{mine}/access", {"reason": text[:200]}),
        boss.post(f"/customers/{customer['id']}/exports", {"reason": text[:200]}),
    ]
    complaint = agent.post(
        "/complaints",
        {
            "subject": CARD, "description": text, "wanted": text,
            "interaction": world.interaction(call), "quotes": ["u1"],
        },
    )  # fmt: skip
    path = f"/complaints/{complaint.get_json()['id']}"
    answers += [
        complaint,
        boss.patch(path, {"corrective": text, "why": text, "severity": "high"}),
        boss.post(f"{path}/transitions", {"to": "acknowledged", "note": text}),
        boss.post("/incidents", {"cause": "defect", "title": CARD, "advice": text}),
    ]
    evaluation = submitted(world, boss, "agent")
    answers += [
        agent.post(f"{evaluation}/notes", {"text": text}),
        boss.post("/coaching-tasks", {"agent": world.people["agent"], "text": text}),
    ]
    return answers


def test_no_answer_table_or_file_holds_a_card_number_that_was_typed(
    world: World, typed: list[Any]
) -> None:
    for answer in typed:
        assert answer.status_code < 300, (answer.request.path, answer.get_json())
        assert not any(form in answer.get_data(as_text=True) for form in FORMS)
    assert found_in_tables(world, FORMS) == []
    assert found_in_files(world, FORMS) == []
    notes = typed[0].get_json()["notes"]
    assert notes == f"He reads out: {' and '.join([MASK] * len(FORMS))}.!"


def test_a_draft_keeps_a_number_back_until_it_is_told_from_a_card(world: World) -> None:
    agent = world.client("agent")
    mine = f"/interactions/{world.interaction(ended(world, 'agent'))}"
    for draft, kept in (
        ("order 4111 1111 11", "order 4111 1111 11"),
        ("order 4111 1111 1111 11", f"order {MASK}"),
        ("order 4111 1111 1111 11, today", "order 4111 1111 1111 11, today"),
    ):
        answer = agent.patch(mine, {"draft": draft})
        assert answer.get_json()["draft"] == kept


def test_a_site_says_what_else_is_masked(world: World) -> None:
    world.app.extensions["callcenter"].rules = dataclasses.replace(
        Rules(), cards=False, patterns={"contract": re.compile(r"\b77\d{6}\b")}
    )
    answer = world.client("supervisor").post(
        "/customers", {"name": "Sara", "notes": f"contract 77 123456, card {CARD}"}
    )
    assert answer.get_json()["notes"] == f"contract {MASK}, card {CARD}"

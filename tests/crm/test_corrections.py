"""Words that people put right: shown, found and counted anew; what stood there stays."""

from __future__ import annotations

import pytest
from crm_floor import Floor, rang
from sqlalchemy.orm import Session

from callcenter import events
from callcenter.crm.interactions.models import Interaction
from callcenter.crm.interactions.queries import by_call, transcript
from callcenter.crm.review import corrections
from callcenter.crm.review.models import Conversation
from callcenter.crm.search.queries import transcripts
from callcenter.errors import Conflict, Invalid, NotFound
from callcenter.ids import new_id
from callcenter.redaction.finding import Rules


def said(floor: Floor, text: str = "the parsel is lost", *, ended: bool = True) -> Interaction:
    call = new_id()
    floor.happened(
        rang(call),
        events.CallAnswered(call=call, agent="ann", queue="support", wait_seconds=1.0),
        events.UtteranceHeard(
            call=call, utterance=f"u-{call}", leg="customer", text=text, t0=1, t1=2,
            language="en", engine="vosk",
        ),
    )  # fmt: skip
    if ended:
        floor.happened(events.CallEnded(call=call, reason="completed", by="customer", agent="ann"))
    found = by_call(floor.session, call)
    assert found is not None
    return found


def correct(session: Session, call: Interaction, text: str, was: str) -> None:
    utterance = f"u-{call.call_id}"
    corrections.correct(session, call, utterance, by="boss", text=text, was=was, rules=Rules())
    session.commit()


def found(session: Session, q: str) -> list[str]:
    page = transcripts(session, q)
    return [hit.utterance.text for hit in page.items]


def test_the_text_changes_for_everybody_and_the_earlier_one_stays(
    session: Session, floor: Floor
) -> None:
    call = said(floor)
    correct(session, call, " the parcel is lost ", "the parsel is lost")
    correct(session, call, "my parcel is lost", "the parcel is lost")
    assert [one.text for one in transcript(session, call)] == ["my parcel is lost"]
    assert [(one.before, one.after, one.by) for one in corrections.of_call(session, call)] == [
        ("the parsel is lost", "the parcel is lost", "boss"),
        ("the parcel is lost", "my parcel is lost", "boss"),
    ]


def test_the_search_finds_what_stands_there_now(session: Session, floor: Floor) -> None:
    call, other = said(floor, "שלום לכם"), said(floor, "שלום לכם")
    correct(session, call, "حواله رسید", "שלום לכם")
    assert found(session, "حواله") == ["حواله رسید"]
    assert found(session, "שלום") == ["שלום לכם"]
    assert other.id != call.id


def test_words_are_counted_anew(session: Session, floor: Floor) -> None:
    call = said(floor)
    session.expire_all()
    before = session.get_one(Conversation, call.call_id)
    asked = before.asked
    before.state = "measured"
    session.commit()
    correct(session, call, "the parcel is lost", "the parsel is lost")
    session.refresh(before)
    assert (before.state, before.asked) == ("waiting", asked + 1)


def test_an_old_text_a_wrong_sentence_and_nothing_are_refused(
    session: Session, floor: Floor
) -> None:
    call, other = said(floor), said(floor)
    for text, was, error in (
        ("x", "something else", Conflict),
        ("the parsel is lost", "the parsel is lost", Conflict),
        (" ", "the parsel is lost", Invalid),
    ):
        with pytest.raises(error):
            correct(session, call, text, was)
    with pytest.raises(NotFound):
        corrections.correct(
            session, other, f"u-{call.call_id}", by="b", text="x", was="the parsel is lost",
            rules=Rules(),
        )  # fmt: skip
    assert list(corrections.of_call(session, call)) == []


def test_what_was_taken_out_stays_taken_out(session: Session, floor: Floor) -> None:
    call = said(floor, "my card is ▇▇▇▇")
    for text in ("my card is 6037 9911", "▇▇▇▇ ▇▇▇▇"):
        with pytest.raises(Invalid):
            correct(session, call, text, "my card is ▇▇▇▇")
    correct(session, call, "My card: ▇▇▇▇", "my card is ▇▇▇▇")


def test_a_number_that_is_typed_in_is_taken_out_too(session: Session, floor: Floor) -> None:
    call = said(floor, "my id is ▇▇▇▇ and my card is new")
    [utterance] = transcript(session, call)
    utterance.masks = ["national_id"]
    correct(session, call, "card 4111 1111 1111 1111, id ▇▇▇▇", utterance.text)
    [utterance] = transcript(session, call)
    assert (utterance.text, utterance.masks) == ("card ▇▇▇▇, id ▇▇▇▇", ["card", "national_id"])
    assert "4111" not in "".join(one.after for one in corrections.of_call(session, call))
    assert found(session, "1111") == []


def test_a_text_that_is_still_being_written_waits(session: Session, floor: Floor) -> None:
    lasting = said(floor, ended=False)
    with pytest.raises(Conflict):
        correct(session, lasting, "x", "the parsel is lost")
    call = said(floor)
    call.transcript_state = "pending"
    with pytest.raises(Conflict):
        correct(session, call, "x", "the parsel is lost")

from __future__ import annotations

from datetime import timedelta

import pytest
from crm_floor import Counter, Floor
from sqlalchemy import text
from sqlalchemy.orm import Session

from callcenter.crm import pop
from callcenter.crm.complaints.operations import open_complaint
from callcenter.crm.customers import operations, queries
from callcenter.crm.customers.models import Customer
from callcenter.crm.customers.operations import PhoneIn
from callcenter.errors import Conflict, Invalid, NotFound


def customer(session: Session, name: str, *numbers: str, region: str = "IR") -> Customer:
    return operations.create(
        session, name=name, region=region, phones=[PhoneIn(number) for number in numbers]
    )


def found(session: Session, number: str | None, region: str = "IR") -> list[tuple[str, str]]:
    return [(one.customer.name, one.reason) for one in queries.match(session, number, region)]


def test_the_same_number_in_another_spelling_is_an_exact_match(session: Session) -> None:
    customer(session, "Sara", "۰۹۱۲ ۱۲۳ ۴۵۶۷")
    assert found(session, "+989121234567") == [("Sara", "exact")]
    assert found(session, "00989121234567", "IL") == [("Sara", "exact")]


def test_a_shared_number_gives_all_its_customers_each_once(session: Session) -> None:
    older = customer(session, "Older", "02188881234", "02188881234 ext 7")
    customer(session, "Newer", "+98 21 8888 1234")
    older.updated_at -= timedelta(days=1)
    session.flush()
    assert found(session, "021-88881234") == [("Newer", "exact"), ("Older", "exact")]


def test_extensions_do_not_count(session: Session) -> None:
    made = customer(session, "Desk", "02188881234 ext 7")
    assert made.phones[0].extension == "7"
    assert found(session, "02188881234") == [("Desk", "exact")]
    assert found(session, "02188881234;ext=99") == [("Desk", "exact")]


@pytest.mark.parametrize("number", [None, "", "anonymous", "Restricted", "unknown", "201"])
def test_a_withheld_number_matches_nobody(session: Session, number: str | None) -> None:
    customer(session, "Sara", "09121234567")
    assert found(session, number) == []


def test_a_guessed_region_gives_a_weaker_match_behind_the_exact_ones(session: Session) -> None:
    customer(session, "Typed without country", "0541234567", region="IL")
    assert found(session, "0541234567", "IR") == [("Typed without country", "national")]
    customer(session, "In Israel", "036123456", region="IL")
    customer(session, "In Italy", "+39 36123456", region="IR")
    assert found(session, "03-6123456", "IL") == [("In Israel", "exact"), ("In Italy", "national")]


def test_two_numbers_with_their_countries_are_never_confused(session: Session) -> None:
    customer(session, "Iran", "+989121234567")
    assert found(session, "+19121234567") == []


def test_a_customer_that_was_merged_is_not_found_any_more(session: Session) -> None:
    kept = customer(session, "Kept", "09121234567")
    gone = customer(session, "Gone", "09121234567")
    gone.merged_into = kept.id
    session.flush()
    assert found(session, "09121234567") == [("Kept", "exact")]


def test_the_lookup_uses_indexes_only(session: Session) -> None:
    customer(session, "Sara", "09121234567")
    connection = session.connection()
    explain = "EXPLAIN QUERY PLAN"
    if connection.dialect.name == "postgresql":
        explain = "EXPLAIN"
        session.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows it would read whole
    plan = connection.execute(
        text(
            f"{explain} SELECT * FROM customer_phones JOIN customers "
            "ON customers.id = customer_phones.customer_id "
            "WHERE e164 = '+989121234567' OR national = '9121234567' AND NOT international"
        )
    )
    seen = [row[-1] for row in plan]
    assert any("ix_customer_phones_e164" in detail for detail in seen)
    assert any("ix_customer_phones_national" in detail for detail in seen)
    assert not any(detail.startswith("SCAN") or "Seq Scan" in detail for detail in seen)


def test_a_lookup_takes_the_same_number_of_queries_for_one_as_for_twenty(
    session: Session, statements: Counter
) -> None:
    for place in range(20):
        customer(session, f"Person {place}", "02188881234", f"0912000{place:04}")
    session.commit()
    session.expunge_all()
    with statements() as seen:
        matches = queries.match(session, "02188881234", "IR")
        names = [phone.number for one in matches for phone in one.customer.phones]
    assert (len(matches), len(names)) == (20, 40)
    assert len(seen) <= 2


def test_the_pop_knows_open_complaints_and_last_contacts_in_five_queries(
    session: Session, floor: Floor, statements: Counter
) -> None:
    for place in range(6):
        made = customer(session, f"Person {place}", "02188881234", f"0912000{place:04}")
        open_complaint(session, by="u", subject="late", customer=made.id)
    session.commit()
    for place in range(6):
        for _ in range(4):
            floor.talk("agent", f"0912000{place:04}")
    session.expunge_all()
    with statements() as seen:
        cards = pop.cards(session, "02188881234", "IR")
    assert [(card.open_complaints, len(card.last)) for card in cards] == [(1, 3)] * 5
    assert all(card.last[0].started_at >= card.last[-1].started_at for card in cards)
    assert len(seen) <= 5


def test_nobody_known_means_no_card(session: Session) -> None:
    assert pop.cards(session, "09121234567", "IR") == []


def test_names_are_found_by_the_beginning_of_every_word_in_any_spelling(session: Session) -> None:
    customer(session, "شرکت پارس")
    customer(session, "علي رضايي")
    customer(session, "דוד כהן")
    operations.create(session, name="Sara Lee", region="IR", emails=["sara.lee@acme.example"])

    def names(q: str) -> list[str]:
        return [one.name for one in queries.page(session, q=q).items]

    assert names("شركت") == ["شرکت پارس"]
    assert names("رضا علی") == ["علي رضايي"]
    assert names("כה") == ["דוד כהן"]
    assert names("sa le") == ["Sara Lee"]
    assert names("ACME") == ["Sara Lee"]
    assert names("le xx") == []
    assert names("%") == []


def test_a_whole_number_finds_its_customer_in_the_search_too(session: Session) -> None:
    customer(session, "Sara", "09121234567")
    customer(session, "Other", "09121234568")
    assert [one.name for one in queries.page(session, q="۰۹۱۲۱۲۳۴۵۶۷").items] == ["Sara"]


def test_pages_follow_each_other_without_gap_or_repeat(
    session: Session, statements: Counter
) -> None:
    for place in range(7):
        customer(session, f"Name {place}", f"0912000{place:04}")
    session.commit()
    names: list[str] = []
    cursor = None
    for _ in range(3):
        session.expunge_all()
        with statements() as seen:
            page = queries.page(session, limit=3, cursor=cursor)
        assert len(seen) <= 2
        names += [one.name for one in page.items]
        cursor = page.next
    assert names == [f"Name {place}" for place in range(7)]
    assert cursor is None


@pytest.mark.parametrize("limit", [0, 201, -1])
def test_a_page_has_one_to_two_hundred_items(session: Session, limit: int) -> None:
    with pytest.raises(Invalid):
        queries.page(session, limit=limit)


@pytest.mark.parametrize("cursor", ["x", "äö", "W10", "bnVsbA", "%%%"])
def test_a_strange_cursor_is_refused(session: Session, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        queries.page(session, cursor=cursor)
    assert list(refused.value.fields) == ["cursor"]


def test_every_mistake_is_named_by_its_place(session: Session) -> None:
    with pytest.raises(Invalid) as refused:
        operations.create(session, name="Sara", region="IR", phones=[PhoneIn("0912"), PhoneIn("?")])
    assert set(refused.value.fields) == {"phones.0.number", "phones.1.number"}
    with pytest.raises(Invalid) as refused:
        operations.create(session, name=" ", region="IR", kind="dog", emails=["nobody"])
    assert set(refused.value.fields) == {"name", "kind", "emails.0"}


def test_a_change_made_from_an_old_state_is_refused(session: Session) -> None:
    made = customer(session, "Sara", "09121234567")
    operations.change(session, made, region="IR", version=1, name="Sara Lee")
    with pytest.raises(Conflict):
        operations.change(session, made, region="IR", version=1, name="Other")
    assert (made.name, made.version) == ("Sara Lee", 2)


def test_a_changed_name_is_found_and_the_old_one_is_not(session: Session) -> None:
    made = customer(session, "Before")
    operations.change(session, made, region="IR", name="After")
    assert queries.page(session, q="Before").items == []
    assert [one.id for one in queries.page(session, q="After").items] == [made.id]


def test_replaced_phones_are_matched_and_the_old_ones_are_not(session: Session) -> None:
    made = customer(session, "Sara", "09121234567")
    operations.change(session, made, region="IR", phones=[PhoneIn("09120000000")])
    assert found(session, "09121234567") == []
    assert found(session, "09120000000") == [("Sara", "exact")]


def test_the_same_phone_twice_is_one(session: Session) -> None:
    made = customer(session, "Sara", "09121234567", "+989121234567")
    operations.add_phone(session, made, PhoneIn("0098 912 1234567"), region="IR")
    assert [phone.number for phone in made.phones] == ["09121234567"]


@pytest.mark.parametrize("name", ["' OR 1=1;--", "👩‍👩‍👧 خانواده", "می‌خواهم", "דוד־כהן", "%_"])
def test_any_name_is_saved_as_it_was_typed(session: Session, name: str) -> None:
    made = customer(session, name)
    session.commit()
    assert queries.get(session, made.id).name == name


def test_who_is_not_there_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        queries.get(session, "nobody")

"""What is masked, what is not, and numbers that come in pieces."""

from __future__ import annotations

import re
from itertools import count

import pytest

from callcenter.events import LegName
from callcenter.redaction.finding import MASK, Rules, find, mask, mask_growing, masked
from callcenter.redaction.kinds import is_national_id, luhn
from callcenter.redaction.runs import scan
from callcenter.telephony.speech.captions import Caption
from callcenter.telephony.speech.redactor import Cues, Redactor, redact

ALL = Rules(cards=True, national_ids=("ir", "il"))


def shown(text: str, rules: Rules = ALL) -> str:
    return masked(text, find(text, rules))


def digits(text: str) -> list[str]:
    return [run.digits for run in scan(text).runs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("four two four two", "4242"),
        ("forty-two twelve", "4212"),
        ("forty two, twelve", "4212"),
        ("double five triple oh", "55000"),
        ("six thousand and thirty seven", "6037"),
        ("five hundred twelve nine", "5129"),
        ("fourteen hundred", "1400"),
        ("four uh two then um 4 okay 2", "4242"),
        ("4111-1111 1111.1111", "4111111111111111"),
        ("۶۰۳۷ ٩٩٧٥", "60379975"),
        ("صفر یک دو", "012"),
        ("شصت و سی و هفت", "6037"),
        ("بیست و سه بعد صد و پنج", "23105"),
        ("شش هزار و سی و هفت نود و نه", "603799"),
        ("دو تا پنج سه تا صفر", "55000"),
        ("بیست‌و‌سه چهارصد و هفتاد و یک", "23471"),
        ("ארבע שתיים ארבע שתיים", "4242"),
        ("ארבעה שניים אחד שישה", "4216"),
        ("ארבעים ושתיים שתים עשרה", "4212"),
        ("עשרים ושלוש מאה וחמש", "23105"),
        ("פעמיים חמש אפס", "550"),
        ("שלוש מאות ואחת", "301"),
        ("four ۲ ארבע دو", "4242"),
    ],
)
def test_spoken_and_written_digits_become_one_number(text: str, expected: str) -> None:
    assert digits(text) == [expected]


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111, 1111, 1111, 1111.",
        "378282246310005",
        "4222222222222",
        "۶۰۳۷ ۹۹۷۵ ۹۹۹۹ ۹۹۹۳",
        "٦٠٣٧٩٩٧٥٩٩٩٩٩٩٩٣",
        "four one one one one one one one one one one one one one one one",
        "forty-one eleven eleven eleven eleven eleven eleven eleven",
        "four triple one, quadruple one, then quadruple one uh and quadruple one",
        "شصت سی و هفت نود و نه هفتاد و پنج نود و نه نود و نه نود و نه نود و سه",
        "شش هزار و سی و هفت، نه هزار و نهصد و هفتاد و پنج، چهار تا نه بعد ۹۹۹۳",
        "ארבע אחת אחת אחת אחת אחת אחת אחת אחת אחת אחת אחת אחת אחת אחת אחת",
        "ארבעים ואחת אחת עשרה אחת עשרה אחת עשרה אחת עשרה אחת עשרה אחת עשרה אחת עשרה",
        "four one one one ۱۱۱۱ יך אחת".replace("יך ", "אחת אחת אחת ") + " 1111",
    ],
)
def test_a_card_number_is_masked_however_it_is_read_out(number: str) -> None:
    assert shown(f"hello {number} thanks") in (f"hello {MASK} thanks", f"hello {MASK}. thanks")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is 4111 1111 1111 1111 12 26 123 bye", f"it is {MASK} bye"),
        ("card 1: 4111111111111111", f"card 1: {MASK}"),
        # the recogniser lost or doubled a digit, but a card was spoken of
        ("my card is 4111 1111 1111 111", f"my card is {MASK}"),
        ("کارتم ۶۰۳۷ ۹۹۷۵ ۹۹۹۹ ۹۹۹۳ ۱ است", f"کارتم {MASK} است"),
        ("הכרטיס שלי 4111 1111 1111 1112", f"הכרטיס שלי {MASK}"),
    ],
)
def test_what_goes_with_a_card_number_goes_too(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("کد ملی من ۰۴۹۹۳۷۰۸۹۹ است", f"کد ملی من {MASK} است"),
        ("صفر چهار نه نه سه هفت صفر هشت نه نه", MASK),
        ("תעודת זהות 039337423", f"תעודת זהות {MASK}"),
        ("my id number is one two three four five six seven eight two", f"my id number is {MASK}"),
    ],
)
def test_national_ids_are_masked(text: str, expected: str) -> None:
    assert shown(text) == expected


PHONES = [
    "09123456789", "+98 912 345 6789", "0098 912 345 6789", "00989123456789", "021 8877 6655",
    "050-1234567", "+972 50 123 4567", "00972501234567", "03-1234567", "+1 (555) 010-9999",
    "zero nine one two three four five six seven eight nine", "9123456789",
    "صفر نهصد و دوازده سیصد و چهل و پنج شصت و هفت هشتاد و نه",
    "אפס חמש אפס אחת שתיים שלוש ארבע חמש שש שבע",
]  # fmt: skip
AMOUNTS = [
    "1,250,000 tomans", "12500000 ریال", "$1,299.99", "۴۵۰۰۰۰ تومان", "₪ 1234567890",
    "two thousand five hundred dollars", "1234567891 rials", "דולר 3.5 אחוז", "3.14159265358979",
    "دو میلیون و پانصد هزار تومان", "שלושת אלפים שקל",
]  # fmt: skip
DATES = [
    "12/05/2026", "2026-11-26 14:30:05", "05.12.2026 08:00", "۱۴۰۵/۰۹/۰۵", "14:30 to 15:45",
    "the twenty third of november two thousand twenty six", "سال هزار و سیصد و هفتاد",
]  # fmt: skip
REFERENCES = [
    "contract 20261126", "order 1234567", "ticket 998877665544", "invoice 2026/00012345",
    "IR820540102680020817909002", "8205 4010 2680 0208 1790 9002", "version 3.11.4",
    "postal code 1234567890", "tracking 0000111122223333", "7777777777777777", "12 12 12 12",
    "one or two, maybe three", "I called 3 times in 2 days about 4 bills", "123456789",
]  # fmt: skip


@pytest.mark.parametrize("text", [*PHONES, *AMOUNTS, *DATES, *REFERENCES])
def test_other_numbers_stay(text: str) -> None:
    said = f"hello, it is {text} okay?"
    assert shown(said) == said


def test_few_random_numbers_are_masked() -> None:
    """Of all numbers of ten digits one in eleven checks: only those fall to the rules of ids."""
    numbers = [str(7_000_000_000 + 7919 * step) for step in range(2000)]
    assert sum(bool(find(n, Rules())) for n in numbers) == 0
    thirteen = [str(7_000_000_000_000 + 7919 * step) for step in range(2000)]
    assert sum(bool(find(n, Rules())) for n in thirteen) == 0


def test_each_kind_is_switched_by_itself() -> None:
    text = "4111111111111111 or 0499370899"
    assert shown(text, Rules(cards=False)) == text
    assert shown(text, Rules()) == f"{MASK} or 0499370899"
    assert shown(text, Rules(cards=False, national_ids=("ir",))) == f"4111111111111111 or {MASK}"


def test_a_sites_own_pattern_finds_spoken_digits_and_words() -> None:
    rules = Rules(
        patterns={"contract": re.compile(r"\b77\d{6}\b"), "cvv": re.compile(r"cvv \d{3}")}
    )
    assert shown("contract 7712 3456 please", rules) == f"contract {MASK} please"
    assert shown("double seven twelve thirty four fifty six", rules) == MASK
    assert shown("the cvv one two three", rules) == f"the {MASK}"
    assert [one.kind for one in find("cvv 123", rules)] == ["cvv"]


def test_check_digits() -> None:
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert is_national_id("0013542419", "ir")
    assert not is_national_id("0013542418", "ir")
    assert not is_national_id("0000000000", "ir")
    assert is_national_id("000000018", "il")
    assert not is_national_id("000000019", "il")


# --- In pieces --------------------------------------------------------------------------------


class Leg:
    """Says utterances one after the other, two seconds each; keeps what was let go."""

    def __init__(self, rules: Rules = ALL, cues: Cues | None = None) -> None:
        self.redactor = Redactor(rules, cues or Cues())
        self.at = 0.0
        self.ids = count()
        self.finals: list[Caption] = []
        self.partials: list[Caption] = []

    def say(self, text: str, pause: float = 1.0, *, growing: bool = False) -> Leg:
        name = f"u{next(self.ids)}"
        if growing:
            self._take(Caption("partial", name, text, self.at, self.at + 1))
        self._take(Caption("final", name, text, self.at, self.at + 2))
        self.at += 2 + pause
        return self

    def wait(self, seconds: float) -> Leg:
        self.at += seconds
        self._keep(list(self.redactor.passed(self.at)))
        return self

    def end(self) -> list[str]:
        self._keep(list(self.redactor.finish()))
        return self.texts

    @property
    def texts(self) -> list[str]:
        return [caption.text for caption in self.finals]

    def _take(self, caption: Caption) -> None:
        self._keep(list(self.redactor.take(caption)))

    def _keep(self, captions: list[Caption]) -> None:
        for caption in captions:
            (self.finals if caption.kind == "final" else self.partials).append(caption)


def test_a_number_in_pieces_is_masked_in_every_piece() -> None:
    leg = (
        Leg()
        .say("sure it is 4111")
        .say("1111 uh")
        .say("yes")
        .say("eleven eleven")
        .say("1111 thanks")
    )
    assert leg.texts == [f"sure it is {MASK}", f"{MASK} uh", "yes", MASK, f"{MASK} thanks"]


def test_nothing_is_let_go_before_it_is_known() -> None:
    leg = Leg().say("sure it is 4111").say("1111").say("1111")
    assert leg.texts == []
    assert leg.say("1111").texts == [], "month and code may follow"
    assert leg.say("that is all").texts == [f"sure it is {MASK}", MASK, MASK, MASK, "that is all"]


def test_what_is_no_such_number_is_let_go_as_it_was_said() -> None:
    assert Leg().say("I paid 42").say("last week").texts == ["I paid 42", "last week"]
    assert Leg().say("call 0912 345").texts == [], "so an id of ten digits could begin"
    assert Leg().say("call 0912 345 6789").texts == ["call 0912 345 6789"]
    assert Leg(Rules()).say("call 0912 345").texts == ["call 0912 345"]


def test_after_ten_seconds_no_piece_is_waited_for() -> None:
    leg = Leg().say("it is 4111").wait(5)
    assert leg.texts == []
    assert leg.wait(5).texts == ["it is 4111"]


def test_a_number_is_waited_for_while_somebody_speaks() -> None:
    leg = Leg().say("4111 1111 1111")
    leg._take(Caption("partial", "u9", "11", leg.at, leg.at + 1))
    assert leg.wait(20).texts == []
    leg.at -= 20
    leg.ids = count(9)
    assert leg.say("1111").end() == [MASK, MASK]


def test_the_end_of_the_leg_lets_go_what_waits() -> None:
    assert Leg().say("4111 1111").say("1111 1111").end() == [MASK, MASK]
    assert Leg().say("I have 42").end() == ["I have 42"]


def test_partials_hide_a_number_that_grows() -> None:
    leg = Leg().say("it is 4111 1111 11", growing=True)
    assert {caption.text for caption in leg.partials} == {f"it is {MASK}"}
    assert all(one.removed[0].kind == "card" for one in leg.partials)
    assert [c.text for c in Leg().say("good morning", growing=True).partials] == ["good morning"]


def test_a_card_spoken_of_by_the_other_side_counts() -> None:
    cues = Cues()
    agent, customer = Leg(cues=cues), Leg(cues=cues)
    agent.say("please read me the number of your card")
    assert customer.say("4111 1111 1111 1112 2").end() == [MASK]
    assert Leg().say("4111 1111 1111 1112 2").end() == ["4111 1111 1111 1112 2"]


def test_a_card_number_of_which_words_were_made_is_masked_after_a_cue() -> None:
    """What a recogniser (whisper-base) made of sixteen digits that a synthesiser spoke."""
    leg = Leg().say("Hello, I want to pay with my credit card.")
    leg.say("Number 4, I'm 3, I'm 8, I'm 8, I'm 8.").say("6, 3, 6, 2, 1, 4, 8, 6").say("Thank you.")
    assert leg.texts[1:3] == [f"Number {MASK}.", MASK]
    said = "Number 4, I'm 3, I'm 8, I'm 8, I'm 8, 6, 3, 6, 2, 1, 4, 8, 6"
    assert shown(said) == said, "nobody spoke of a card"


@pytest.mark.parametrize(
    "text",
    [
        "my card was blocked on 12/05/2026 and my phone is 0912 345 6789",
        "with this card I paid 2,500,000 tomans on the 3rd for order 1234567",
        "the card came with contract 20261126 last week",
        "کارتم را ۱۴۰۵/۰۹/۰۵ گرفتم و شماره‌ام ۰۹۱۲۳۴۵۶۷۸۹ است",
    ],
)
def test_other_numbers_stay_beside_a_card(text: str) -> None:
    assert shown(text) == text


def test_times_come_from_the_words() -> None:
    words = tuple((float(place), place + 0.5) for place in range(10, 15))
    leg = Redactor(ALL, Cues())
    said = Caption("final", "u", "so 4111111111111111 is it .", 10.0, 14.5, words)
    (caption,) = leg.take(said)
    assert [(one.kind, one.t0, one.t1) for one in caption.removed] == [("card", 10.75, 11.75)]


def test_without_times_of_words_the_share_of_the_utterance_is_taken_with_a_margin() -> None:
    (caption,) = Redactor(ALL, Cues()).take(
        Caption("final", "u", "aaaa 4111111111111111 bbbbbbbbbbbbbbbbbb", 100.0, 104.0)
    )
    (removed,) = caption.removed
    assert removed.t0 == pytest.approx(100.5 - 0.75)
    assert removed.t1 == pytest.approx(102.1 + 0.75)


def test_a_second_pass_knows_the_whole_call() -> None:
    said: list[tuple[LegName, Caption]] = [
        ("agent", Caption("final", "a", "your card please", 0, 1)),
        ("customer", Caption("final", "b", "4111 1111", 2, 4)),
        ("agent", Caption("final", "c", "4111 1111", 5, 6)),
        ("customer", Caption("final", "d", "1111 1111", 7, 9)),
        ("agent", Caption("final", "e", "1111 1111 thank you", 10, 12)),
    ]
    found = redact(said, ALL)
    assert [(leg, caption.utterance) for leg, caption in found] == [
        (leg, caption.utterance) for leg, caption in said
    ]
    assert [caption.text for _, caption in found] == [
        "your card please", MASK, MASK, MASK, f"{MASK} thank you",
    ]  # fmt: skip


def test_rules_that_mask_nothing_change_nothing() -> None:
    leg = Leg(Rules(cards=False)).say("4111 1111 1111 1111")
    assert leg.texts == ["4111 1111 1111 1111"]


def test_masks_that_stand_in_a_text_keep_what_they_are_known_for() -> None:
    text = "card ▇▇▇▇ or 4111111111111111, id ▇▇▇▇"
    assert mask(text, ALL, ["card", "national_id"]) == (
        "card ▇▇▇▇ or ▇▇▇▇, id ▇▇▇▇",
        ["card", "card", "national_id"],
    )
    assert mask("no number here", ALL) == ("no number here", [])


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("4111 1111 1111", "4111 1111 1111"),  # twelve digits: less than any card has
        ("pays by 4111 1111 1111 11", "pays by ▇▇▇▇"),
        ("pays by ۶۰۳۷۹۹۷۵۰۰۰۰۰۰", "pays by ▇▇▇▇"),
        ("pays by 4111 1111 1111 1111 tomorrow", "pays by ▇▇▇▇ tomorrow"),
        ("calls from +98 912 123 4567 8901", "calls from +98 912 123 4567 8901"),
        ("calls from 0098 912 123 4567", "calls from 0098 912 123 4567"),
        ("4111 1111 1111 11 is an order", "4111 1111 1111 11 is an order"),
    ],
)
def test_a_card_number_that_is_being_typed_is_not_kept_but_for_its_last_digits(
    text: str, kept: str
) -> None:
    assert mask_growing(text, Rules()) == kept


def test_each_of_several_cards_in_one_breath_is_masked() -> None:
    text = "4111 1111 1111 1111 and 5500 0000 0000 0004, 12 29, and 6011-1111-1111-1117 and 123"
    assert shown(text) == f"{MASK} and {MASK}, 12 29, and {MASK}"

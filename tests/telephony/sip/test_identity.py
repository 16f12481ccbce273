"""Who diverted a call, and what the network found of the number (RFC 5806, 7044, verstat)."""

from __future__ import annotations

from typing import Any

import pytest
from sip_bench import request

from callcenter.telephony.ports import Caller
from callcenter.telephony.sip.identity import caller_of
from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.parser import parse


def caller(extra: str = "", *, trusted: bool = False, **kw: Any) -> Caller:
    message = parse(request(extra=extra, **kw))
    assert isinstance(message, Request)
    return caller_of(message, trusted=trusted)


@pytest.mark.parametrize(
    ("extra", "number"),
    [
        ("", None),
        ("Diversion: <sip:+982112345@pbx>;reason=unconditional\r\n", "+982112345"),
        ("Diversion: <sip:200@pbx>;reason=no-answer, <tel:+98-21-12345>\r\n", "+982112345"),
        ("Diversion: <sip:200@pbx>\r\nDiversion: <sip:100@pbx>;counter=1\r\n", "100"),
        ("Diversion: <sip:100@pbx>;privacy=full\r\n", None),
        ('Diversion: <sip:100@pbx>;privacy="off"\r\n', "100"),
        ("Diversion: <<>\r\n", None),
        ("Diversion: <sip:anonymous@anonymous.invalid>\r\n", None),
        (
            "History-Info: <sip:300@x>;index=1, <sip:100@x;cause=302>;index=1.1;mp=1\r\n",
            "300",
        ),
        (
            "History-Info: <sip:100@x;cause=302>;index=1.1\r\nHistory-Info: <sip:300@x>;index=1",
            "300",
        ),
        ("History-Info: <sip:300@x?Reason=SIP%3Bcause%3D486>;index=1,<sip:1@x>;index=1.1", "300"),
        ("History-Info: <sip:300@x>;index=1, <sip:100@x>;index=1.1\r\n", None),  # only routed
        ("History-Info: <sip:300@x?Privacy=history>;index=1,<sip:1@x;cause=302>;index=1.1", None),
        ("History-Info: <sip:300@x>;index=1\r\n", None),
        ("History-Info: <sip:300@x>;index=x, <sip:1@x;cause=302>;index=1.1\r\n", None),
        (
            "Diversion: <sip:7@x>\r\nHistory-Info: <sip:3@x>;index=1,<sip:1@x;cause=302>;index=1.1",
            "7",
        ),
    ],
)
def test_the_first_number_that_diverted_the_call(extra: str, number: str | None) -> None:
    extra = extra if not extra or extra.endswith("\r\n") else extra + "\r\n"
    assert caller(extra).diverted_from == number


def test_who_diverted_is_known_of_a_withheld_caller_too() -> None:
    found = caller("Diversion: <sip:100@x>\r\nPrivacy: id\r\n")
    assert (found.number, found.name, found.diverted_from) == (None, None, "100")


PAI = "P-Asserted-Identity: <sip:+14045550100;verstat={}@x;user=phone>\r\n"


@pytest.mark.parametrize(
    ("extra", "from_", "verdict"),
    [
        (PAI.format("TN-Validation-Passed"), "<sip:1@x>;tag=a", "passed"),
        (PAI.format("TN-Validation-Passed-A"), "<sip:1@x>;tag=a", "passed"),
        (PAI.format("tn-validation-failed"), "<sip:1@x>;tag=a", "failed"),
        (PAI.format("No-TN-Validation"), "<sip:1@x>;tag=a", "none"),
        (PAI.format("Something"), "<sip:1@x>;tag=a", None),
        (
            "P-Asserted-Identity: <tel:+1404;verstat=TN-Validation-Passed>\r\n",
            "<sip:1@x>",
            "passed",
        ),
        ("", "<sip:+1404@x;verstat=TN-Validation-Failed>;tag=a", "failed"),
        ("", "<sip:+1404@x>;tag=a;verstat=TN-Validation-Passed", "passed"),
        ("", "<sip:+1404@x>;tag=a", None),
    ],
)
def test_the_networks_verdict_counts_on_trusted_trunks_only(
    extra: str, from_: str, verdict: str | None
) -> None:
    assert caller(extra, from_=from_, trusted=True).verstat == verdict
    assert caller(extra, from_=from_).verstat is None


def test_a_verdict_is_no_part_of_the_number_and_none_is_kept_of_a_withheld_one() -> None:
    assert caller(PAI.format("TN-Validation-Passed"), trusted=True).number == "+14045550100"
    hidden = caller(PAI.format("TN-Validation-Passed") + "Privacy: id\r\n", trusted=True)
    assert (hidden.number, hidden.verstat) == (None, None)


@pytest.mark.parametrize("wish", ["id", "user", "header", "session", "id;critical", "none, id"])
def test_every_form_of_privacy_withholds_the_number(wish: str) -> None:
    assert caller(f"Privacy: {wish}\r\n").number is None
    assert caller("Privacy: none\r\n").number == "+989121234567"

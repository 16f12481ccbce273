from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sip_bench import request

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import Caller
from callcenter.telephony.sip.headers import (
    parse_name_addr,
    parse_via,
    quote,
    split_values,
    unquote,
)
from callcenter.telephony.sip.identity import caller_of
from callcenter.telephony.sip.message import Request
from callcenter.telephony.sip.parser import parse
from callcenter.telephony.sip.uri import parse_uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:100@192.0.2.1",
        "sips:a.b;c=d:secret@example.com:5061;transport=tcp;lr?Subject=x&y=z",
        "sip:[2001:db8::10]:5070",
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        "tel:+98-21-1234;phone-context=+98",
        "http://www.example.com",
    ],
)
def test_a_uri_comes_back_as_it_was(text: str) -> None:
    assert str(parse_uri(text)) == text


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("sip:sips%3Auser%40example.com@example.net", "sips:user@example.com"),
        ("sip:user;par=u%40example.net@example.com", "user;par=u@example.net"),
        ("sip:alice:secret@example.com", "alice"),
        ("sip:example.com", None),
        ("sip:null-%00-null@example.com", "null-\0-null"),
        ("tel:+98-21-(1234)", "+98211234"),
    ],
)
def test_the_user_part_is_one_user_unescaped(text: str, user: str | None) -> None:
    assert parse_uri(text).user == user


@pytest.mark.parametrize(
    "text",
    ["", "sip:", "sip:@host", "sip:a b@host", "sip:a@host:99999", "sip:a@b@c", "sip:a@[::1", "a@b"],
)
def test_a_bad_uri_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_uri(text)


def test_parameters_within_brackets_are_the_uri_s_and_after_them_the_header_s() -> None:
    both = parse_name_addr('"A, B" <sip:a@h;one=1>;tag=t;two="x;y"')
    assert both.name == "A, B"
    assert both.uri.parameters == (("one", "1"),)
    assert both.parameters == (("tag", "t"), ("two", '"x;y"'))
    bare = parse_name_addr("sip:a@h;user=phone")
    assert bare.uri.parameters == ()
    assert bare.parameters == (("user", "phone"),)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=40))
def test_any_display_name_round_trips(name: str) -> None:
    assert unquote(quote(name)) == name
    assert parse_name_addr(f"{quote(name)} <sip:a@h>").name == name


def test_a_display_name_may_touch_the_bracket() -> None:
    assert parse_name_addr("caller<sip:a@h>").name == "caller"


@pytest.mark.parametrize(
    "text", ["Bell, A <sip:a@h>", '"A <sip:a@h>', '"A"', "<sip:a@h", "<sip:a@h>x"]
)
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_name_addr(text)


def test_commas_in_quotes_and_brackets_part_nothing() -> None:
    assert split_values('"a,b" <sip:c,d@h>;x="e,f", <sip:g@h> ,sip:i@j') == [
        '"a,b" <sip:c,d@h>;x="e,f"',
        "<sip:g@h>",
        "sip:i@j",
    ]


def test_a_via_is_read_with_all_its_spaces() -> None:
    via = parse_via("SIP  /   2.0 /UDP  [2001:db8::9:1] : 5070 ; branch = z9hG4bKx ;rport")
    assert (via.transport, via.host, via.port, via.branch) == (
        "UDP",
        "[2001:db8::9:1]",
        5070,
        "z9hG4bKx",
    )
    assert str(via) == "SIP/2.0/UDP [2001:db8::9:1]:5070;branch=z9hG4bKx;rport"


@pytest.mark.parametrize("text", ["", "SIP/2.0/UDP", "SIP/2.0/UDP h;;x", "SIP/3.0/UDP h", "x"])
def test_a_bad_via_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_via(text)


@pytest.mark.parametrize(
    ("from_", "extra", "caller"),
    [
        ('"Ali" <sip:+98912@h>;tag=1', "", Caller("+98912", "Ali")),
        ("<tel:+98-912>;tag=1", "", Caller("+98912", None)),
        ("<sip:0912;npdi@h;user=phone>;tag=1", "", Caller("0912", None)),
        ("sip:alice@h;tag=1", "", Caller("alice", None)),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1', "", Caller(None, None)),
        ('"Ali" <sip:+98912@h>;tag=1', "Privacy: id;critical\r\n", Caller(None, None)),
        ('"Ali" <sip:+98912@h>;tag=1', "Privacy: none\r\n", Caller("+98912", "Ali")),
        ("<sip:192.0.2.1>;tag=1", "", Caller(None, None)),
        ('"علی \\"x\\"" <sip:1@h>;tag=1', "", Caller("1", 'علی "x"')),
        ('"a\x07b" <sip:1@h>;tag=1', "", Caller("1", "a b")),
        ("<sip:1%27 OR@h>;tag=1".replace(" ", "%20"), "", Caller("1' OR", None)),
    ],
)
def test_who_calls(from_: str, extra: str, caller: Caller) -> None:
    message = parse(request(from_=from_, extra=extra))
    assert isinstance(message, Request)
    assert caller_of(message) == caller


def test_a_name_that_is_no_utf8_is_shown_with_replacements() -> None:
    message = parse(request().replace(b'"Ali"', b'"\xffAli"'))
    assert isinstance(message, Request)
    assert caller_of(message).name == "�Ali"

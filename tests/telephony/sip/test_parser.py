from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sip_bench import OFFER, request

from callcenter.errors import SipSyntaxError
from callcenter.telephony.sip.message import Headers, Request, Response, respond
from callcenter.telephony.sip.parser import MAX_SIZE, Malformed, parse

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-.!%*_+`'~", min_size=1, max_size=20)
VALUE = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Zs", "Cc"]),
    max_size=60,
)


def invite(**kw: str) -> Request:
    message = parse(request(body=OFFER, **kw))  # type: ignore[arg-type]
    assert isinstance(message, Request)
    return message


def refused(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse(data)
    return caught.value


def test_a_canonical_message_comes_back_octet_by_octet() -> None:
    data = request(body=OFFER, extra="X-Unknown: ;;,,\r\nX-UNKNOWN: again\r\ns: compact\r\n")
    assert bytes(parse(data)) == data


@given(
    fields=st.lists(st.tuples(TOKEN.map(lambda name: f"X-{name}"), VALUE), max_size=10),
    body=st.binary(max_size=300),
)
def test_unknown_header_fields_and_any_body_survive(
    fields: list[tuple[str, str]], body: bytes
) -> None:
    base = parse(request("OPTIONS"))
    made = Request("OPTIONS", "sip:100@192.0.2.10", headers=Headers(list(base.headers)[:-1]))
    for name, value in fields:
        made.headers.add(name, value)
    made.set_body(body)
    data = bytes(made)
    again = parse(data)
    assert bytes(again) == data
    assert list(again.headers) == list(made.headers)
    assert again.body == body


@given(st.binary(max_size=600))
def test_any_octets_are_a_message_or_a_syntax_error(data: bytes) -> None:
    try:
        message = parse(data)
    except SipSyntaxError as error:
        told = error.detail
    else:
        told = message.start_line + "."
    assert told.endswith(".")


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=5))
def test_a_message_with_some_octets_replaced_raises_nothing_else(at: int, noise: bytes) -> None:
    data = bytearray(request(body=OFFER))
    data[at : at + len(noise)] = noise
    try:
        parse(bytes(data))
    except SipSyntaxError:
        return


def test_compact_names_mean_the_long_ones() -> None:
    message = parse(
        b"OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx\r\n"
        b"f: sip:b@192.0.2.2;tag=1\r\nt: sip:a@192.0.2.1\r\ni: id\r\n"
        b"CSEQ: 1 OPTIONS\r\nl: 0\r\n\r\n"
    )
    assert message.via.branch == "z9hG4bKx"
    assert message.from_.tag == "1"
    assert message.call_id == "id"
    assert message.headers.get("Content-Length") == "0"


def test_folded_lines_are_one_value() -> None:
    message = parse(request(extra="Subject: one\r\n two\r\n\tthree\r\n"))
    assert message.headers.get("subject") == "one two three"


def test_bare_line_feeds_are_read() -> None:
    message = parse(request("OPTIONS").replace(b"\r\n", b"\n"))
    assert message.cseq.method == "OPTIONS"


def test_empty_lines_before_the_start_line_are_passed_over() -> None:
    assert bytes(parse(b"\r\n\r\n" + request())) == request()


def test_octets_after_the_content_length_are_not_part_of_the_message() -> None:
    assert parse(request(body=OFFER) + b"INVITE sip:x SIP/2.0").body == OFFER.encode()


def test_without_content_length_the_body_is_the_rest() -> None:
    data = request(body=OFFER).replace(f"Content-Length: {len(OFFER)}\r\n".encode(), b"")
    assert parse(data).body == OFFER.encode()


def test_octets_that_are_no_utf8_come_back_as_they_were() -> None:
    data = request(extra="").replace(b'"Ali"', b'"\xff\xfe"')
    assert bytes(parse(data)) == data


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        (b"Content-Length: 0", b"Content-Length: 1", "Content-Length is larger"),
        (b"Content-Length: 0", b"Content-Length: -1", "Content-Length is no number"),
        (b"Content-Length: 0", b"Content-Length: 0x10", "Content-Length is no number"),
        (b"Content-Length: 0", b"Content-Length: 0\r\nl: 0", "more than one Content-Length"),
        (b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS", "CSeq names another method"),
        (b"CSeq: 1 INVITE", b"CSeq: 2147483648 INVITE", "CSeq header field is malformed"),
        (b"Call-ID: call-1\r\n", b"", "Call-ID is missing"),
        (b"Call-ID: call-1", b"Call-ID: call-1\r\ni: call-2", "Call-ID stands there twice"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256", "Max-Forwards is no number"),
        (b'"Ali"', b'"Ali', "quoted string is not closed"),
        (b"INVITE sip", b"INVITE  sip", "start line"),
        (b" SIP/2.0\r\nVia", b" SIP/2.0 \r\nVia", "start line"),
        (b"Max-Forwards: 70", b"no colon here", "no header field"),
        (b"192.0.2.10 SIP", b"192.0.2.10?Route=x SIP", "Request-URI carries header fields"),
        (b"sip:100@192.0.2.10 SIP", b"sip:2001:db8::10 SIP", "host is malformed"),
        (b"sip:100@192.0.2.10 SIP", b"sip:100@[2001:db8:::1] SIP", "IPv6 address is malformed"),
        (b"Max-Forwards: 70", b"Subject: a\rb", "no header field"),
        (b"<sip:caller@192.0.2.20:5060>", b"<sip:caller@192.0.2.20:70000>", "port is above"),
        (b"<sip:caller@192.0.2.20:5060>", b"<sip:caller@192.0.2.20", "closing angle bracket"),
    ],
)
def test_a_bad_request_is_told_in_one_sentence(old: bytes, new: bytes, detail: str) -> None:
    data = request()
    assert old in data
    error = refused(data.replace(old, new, 1))
    assert detail in error.detail
    assert error.answer == 400
    assert isinstance(error.salvaged, Request)
    assert error.salvaged.method == "INVITE"
    assert error.salvaged.headers.get("Via") is not None


def test_another_version_is_told_apart() -> None:
    assert refused(request().replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 1)).answer == 505


def test_too_large_is_told_apart() -> None:
    assert refused(request(extra=f"X: {'x' * MAX_SIZE}\r\n")).answer == 513


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"hello", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_sip_is_no_request_to_answer(data: bytes) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse(data)
    assert not isinstance(caught.value, Malformed)


def test_every_prefix_of_a_message_is_refused_or_read() -> None:
    data = request(body=OFFER)
    read = 0
    for end in range(len(data)):
        try:
            parse(data[:end])
            read += 1
        except SipSyntaxError:
            continue
    assert read == 0


def test_a_response_copies_what_it_must_and_tags_to() -> None:
    answer = respond(invite(extra="Timestamp: 54\r\n"), 180, tag="ours")
    assert answer.to.tag == "ours"
    assert [name for name, _ in answer.headers] == ["Via", "From", "To", "Call-ID", "CSeq"]
    trying = respond(invite(extra="Timestamp: 54\r\n"), 100, tag="ours")
    assert trying.to.tag is None
    assert trying.headers.get("Timestamp") == "54"


def test_a_response_with_an_empty_reason_is_read() -> None:
    data = bytes(respond(invite(), 200, tag="x")).replace(b" 200 OK", b" 200 ", 1)
    message = parse(data)
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, "")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import Address, Codec, Direction, MediaDescription
from callcenter.telephony.sip.offer_answer import (
    Agreement,
    NothingInCommon,
    Origin,
    answer,
    conclude,
    offer,
)
from callcenter.telephony.sip.sdp import SessionDescription, parse_sdp

LOCAL = Address("192.0.2.10", 20000)
ORIGIN = Origin(7)


def described(*media: str, c: str = "IN IP4 192.0.2.20", t: str = "0 0") -> SessionDescription:
    lines = ["v=0", "o=- 1 1 IN IP4 host.example.com", "s=-", f"c={c}", f"t={t}", *media]
    return parse_sdp("".join(f"{line}\r\n" for line in lines).encode())


def agree(*media: str, **kw: str) -> Agreement:
    return answer(described(*media, **kw), LOCAL, ORIGIN)


def test_a_description_comes_back_line_by_line() -> None:
    text = (
        b"v=0\r\no=bob 1 1 IN IP4 host.example.com\r\ns=\r\ni=x\r\nt=0 0\r\na=x-unknown:1\r\n"
        b"m=audio 22334/2 RTP/AVP 0 8\r\nc=IN IP4 192.0.2.1\r\nm=video 0 RTP/AVP 31\r\na=mid:1\r\n"
    )
    assert bytes(parse_sdp(text)) == text.replace(b"22334/2", b"22334")


@given(st.binary(max_size=300))
def test_any_octets_are_a_description_or_a_syntax_error(data: bytes) -> None:
    for body in (data, b"v=0\r\n" + data, b"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=" + data):
        try:
            answer(parse_sdp(body), LOCAL, ORIGIN)
        except (SipSyntaxError, NothingInCommon):
            continue


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0\1\2",
        b"hello",
        b"v=1\r\n",
        b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nM=x\r\n",
    ],
)
def test_a_bad_description_is_refused(text: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_sdp(text)


def test_the_caller_s_order_decides_the_codec() -> None:
    assert agree("m=audio 4000 RTP/AVP 8 0").media.codec is Codec.PCMA
    assert agree("m=audio 4000 RTP/AVP 18 0 8").media.codec is Codec.PCMU


def test_the_answer_says_one_codec_digits_and_our_port() -> None:
    agreed = agree(
        "m=audio 4000 RTP/AVP 18 0 8 96", "a=rtpmap:96 telephone-event/8000", "a=ptime:30"
    )
    assert agreed.media == MediaDescription(
        Address("192.0.2.20", 4000), Codec.PCMU, Direction.SENDRECV, 30, 96
    )
    assert str(agreed.answer) == (
        "v=0\r\no=- 7 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 0 96\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_the_answer_s_times_are_the_offer_s() -> None:
    assert agree("m=audio 4000 RTP/AVP 0", t="5 9").answer.session.first("t") == "5 9"


@pytest.mark.parametrize(
    ("stated", "host", "theirs", "ours"),
    [
        ("sendrecv", "192.0.2.20", Direction.SENDRECV, "sendrecv"),
        ("sendonly", "192.0.2.20", Direction.SENDONLY, "recvonly"),
        ("recvonly", "192.0.2.20", Direction.RECVONLY, "sendonly"),
        ("inactive", "192.0.2.20", Direction.INACTIVE, "inactive"),
        ("sendrecv", "0.0.0.0", Direction.SENDONLY, "recvonly"),
        ("inactive", "0.0.0.0", Direction.INACTIVE, "inactive"),
    ],
)
def test_directions_are_mirrored(stated: str, host: str, theirs: Direction, ours: str) -> None:
    agreed = agree("m=audio 4000 RTP/AVP 0", f"a={stated}", c=f"IN IP4 {host}")
    assert agreed.media.direction is theirs
    assert agreed.answer.media[0].has(ours)


def test_a_direction_of_the_session_counts_where_the_stream_has_none() -> None:
    text = b"v=0\r\nc=IN IP4 192.0.2.20\r\na=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n"
    assert answer(parse_sdp(text), LOCAL, ORIGIN).media.direction is Direction.SENDONLY


def test_other_streams_are_refused_with_port_0_in_their_place() -> None:
    agreed = agree(
        "m=video 5000 RTP/AVP 31", "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0 8",
        "m=audio 4004 RTP/AVP 0",
    )  # fmt: skip
    assert [(m.kind, m.port, m.protocol) for m in agreed.answer.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 0, "RTP/SAVP"),
        ("audio", 20000, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"),
    ]
    assert agreed.media.address.port == 4002


@pytest.mark.parametrize(
    ("media", "c"),
    [
        ("m=audio 4000 RTP/AVP 18", "IN IP4 192.0.2.20"),
        ("m=audio 4000 RTP/SAVP 0", "IN IP4 192.0.2.20"),
        ("m=video 4000 RTP/AVP 0", "IN IP4 192.0.2.20"),
        ("m=audio 0 RTP/AVP 0", "IN IP4 192.0.2.20"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 media.example.com"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 224.2.1.1/127"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 239.1.1.1"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 255.255.255.255"),
        ("m=audio 4000 RTP/AVP 0", "IN IP6 2001:db8::1"),
    ],
)
def test_nothing_in_common(media: str, c: str) -> None:
    with pytest.raises(NothingInCommon):
        agree(media, c=c)


def test_a_payload_type_that_is_mapped_to_something_else_is_not_taken() -> None:
    agreed = agree("m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 G726-32/8000")
    assert agreed.media.codec is Codec.PCMA


def test_a_stream_s_own_connection_counts_before_the_session_s() -> None:
    assert agree("m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.99").media.address.host == "192.0.2.99"


def test_ipv6_is_answered_in_ipv6() -> None:
    local = Address("2001:db8::10", 20000)
    agreed = answer(described("m=audio 4000 RTP/AVP 0", c="IN IP6 2001:db8::1"), local, ORIGIN)
    assert agreed.answer.session.first("c") == "IN IP6 2001:db8::10"


def test_our_offer_names_both_codecs_and_their_answer_decides() -> None:
    ours = offer(LOCAL, ORIGIN, (Codec.PCMU, Codec.PCMA))
    assert ours.media[0].formats == ("0", "8", "101")
    theirs = described("m=audio 4000 RTP/AVP 8")
    assert conclude(theirs, LOCAL) == MediaDescription(
        Address("192.0.2.20", 4000), Codec.PCMA, Direction.SENDRECV, 20, None
    )
    with pytest.raises(NothingInCommon):
        conclude(described("m=audio 0 RTP/AVP 8"), LOCAL)

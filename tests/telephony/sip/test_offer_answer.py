from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.errors import SipSyntaxError
from callcenter.telephony.ports import Address, Codec, Direction, MediaDescription, Suite
from callcenter.telephony.sip.offer_answer import (
    Agreement,
    NothingInCommon,
    Origin,
    Terms,
    answer,
    conclude,
    offer,
)
from callcenter.telephony.sip.sdes import SrtpPolicy
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
        "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
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
    assert ours.media[0].formats == ("0", "8", "9", "101")
    theirs = described("m=audio 4000 RTP/AVP 8")
    assert conclude(theirs, LOCAL) == MediaDescription(
        Address("192.0.2.20", 4000), Codec.PCMA, Direction.SENDRECV, 20, None
    )
    with pytest.raises(NothingInCommon):
        conclude(described("m=audio 0 RTP/AVP 8"), LOCAL)


def test_g722_is_the_last_resort_and_keeps_its_old_clock() -> None:
    both = agree("m=audio 4000 RTP/AVP 9 8", "a=rtpmap:9 G722/8000")
    assert (both.media.codec, both.media.g722) == (Codec.PCMA, False)
    alone = agree("m=audio 4000 RTP/AVP 9 101", "a=rtpmap:101 telephone-event/8000")
    assert (alone.media.codec, alone.media.g722) == (Codec.PCMU, True)
    (stream,) = alone.answer.media
    assert stream.formats == ("9", "101")
    assert ("a", "rtpmap:9 G722/8000") in stream.lines
    with pytest.raises(NothingInCommon):
        agree("m=audio 4000 RTP/AVP 9", "a=rtpmap:9 X-OTHER/8000")


@pytest.mark.parametrize(
    ("formats", "codec", "g722"),
    [("9 0 8", "PCMU", True), ("8 9", "PCMA", False), ("9", "PCMU", True), ("0", "PCMU", False)],
)
def test_who_answers_g722_first_will_send_it(formats: str, codec: str, g722: bool) -> None:
    media = conclude(described(f"m=audio 4000 RTP/AVP {formats}"), LOCAL)
    assert (media.codec.name, media.g722) == (codec, g722)


# --- packets' length, RTCP -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "ptime"),
    [
        ([], 20),
        (["a=ptime:10"], 10),
        (["a=ptime:60"], 60),
        (["a=ptime:25"], 20),
        (["a=ptime:5"], 10),
        (["a=ptime:200"], 60),
        (["a=ptime:40", "a=maxptime:30"], 30),
        (["a=maxptime:10"], 10),
        (["a=ptime:x"], 20),
        (["a=ptime:0"], 20),
    ],
)
def test_the_peer_s_packets_are_as_long_as_it_wishes(lines: list[str], ptime: int) -> None:
    agreed = agree("m=audio 4000 RTP/AVP 0", *lines)
    assert agreed.media.ptime == ptime
    assert agreed.answer.media[0].attributes("ptime") == [str(ptime)]
    asked = any(line.startswith("a=maxptime") for line in lines)
    assert agreed.answer.media[0].attributes("maxptime") == (["60"] if asked else [])


@pytest.mark.parametrize(
    ("line", "rtcp"),
    [
        ("a=rtcp:4011", Address("192.0.2.20", 4011)),
        ("a=rtcp:4011 IN IP4 192.0.2.77", Address("192.0.2.77", 4011)),
        ("a=rtcp:0", None),
        ("a=rtcp:99999", None),
        ("a=rtcp:x", None),
        ("a=rtcp:4011 IN IP4 rtcp.example.com", None),
    ],
)
def test_rtcp_goes_where_the_peer_says(line: str, rtcp: Address | None) -> None:
    assert agree("m=audio 4000 RTP/AVP 0", line).media.rtcp == rtcp


def test_rtcp_on_the_sound_s_port_is_answered_where_it_is_offered() -> None:
    agreed = agree("m=audio 4000 RTP/AVP 0", "a=rtcp-mux")
    assert agreed.media.rtcp_mux
    assert agreed.answer.media[0].has("rtcp-mux")
    assert not agree("m=audio 4000 RTP/AVP 0").answer.media[0].has("rtcp-mux")


# --- SRTP ------------------------------------------------------------------------------------

CM_KEY = base64.b64encode(bytes(range(30))).decode()
GCM_KEY = base64.b64encode(bytes(range(28))).decode()
CM80 = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{CM_KEY}"
CM32 = f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{CM_KEY}|2^31"
GCM = f"a=crypto:3 AEAD_AES_128_GCM inline:{GCM_KEY}"
SECURE, PLAIN = "m=audio 4000 RTP/SAVP 0", "m=audio 4002 RTP/AVP 0"


def secured(policy: SrtpPolicy, *media: str, encrypted: bool = True) -> Agreement:
    return answer(described(*media), LOCAL, ORIGIN, Terms(policy, encrypted=encrypted))


@pytest.mark.parametrize("policy", ["optional", "required"])
@pytest.mark.parametrize(
    ("line", "suite"),
    [
        (CM80, Suite.AES_CM_128_HMAC_SHA1_80),
        (CM32, Suite.AES_CM_128_HMAC_SHA1_32),
        (GCM, Suite.AEAD_AES_128_GCM),
    ],
)
def test_srtp_is_answered_with_a_key_of_ours(policy: SrtpPolicy, line: str, suite: Suite) -> None:
    agreed = secured(policy, SECURE, line)
    keys, (stream,) = agreed.media.srtp, agreed.answer.media
    assert keys is not None
    assert keys.suite is suite
    assert keys.theirs == bytes(range(suite.key_bytes))
    assert stream.protocol == "RTP/SAVP"
    ours = base64.b64encode(keys.ours).decode()
    tag = line[len("a=crypto:")]
    assert stream.attributes("crypto") == [f"{tag} {suite.value} inline:{ours}"]
    assert keys.ours != keys.theirs
    assert len(keys.ours) == suite.key_bytes


def test_a_key_of_ours_stays_the_same_in_one_call() -> None:
    terms = Terms("required", encrypted=True)
    first, again = (answer(described(SECURE, CM80), LOCAL, ORIGIN, terms) for _ in range(2))
    assert first.media.srtp == again.media.srtp
    assert secured("required", SECURE, CM80).media.srtp != first.media.srtp


def test_a_key_is_in_no_log_line() -> None:
    media = secured("required", SECURE, CM80).media
    assert media.srtp is not None
    assert repr(media.srtp.ours) not in repr(media)


@pytest.mark.parametrize("policy", ["never", "optional", "required"])
@pytest.mark.parametrize("lines", [(SECURE, CM80), (PLAIN, CM80)])
def test_keys_are_neither_taken_nor_told_where_the_signalling_is_plain(
    policy: SrtpPolicy, lines: tuple[str, str]
) -> None:
    if lines[0] == PLAIN and policy != "required":
        agreed = secured(policy, *lines, encrypted=False)
        assert agreed.media.srtp is None
        assert not agreed.answer.media[0].has("crypto")
        return
    with pytest.raises(NothingInCommon):
        secured(policy, *lines, encrypted=False)


def test_policies_over_encrypted_signalling() -> None:
    with pytest.raises(NothingInCommon):
        secured("never", SECURE, CM80)
    with pytest.raises(NothingInCommon):
        secured("required", PLAIN)
    assert secured("optional", PLAIN).media.srtp is None
    best_effort = secured("required", PLAIN, CM80)  # RFC 8643
    assert best_effort.media.srtp is not None
    assert best_effort.answer.media[0].protocol == "RTP/AVP"
    both = secured("optional", PLAIN, SECURE, CM80)
    assert both.media.address.port == 4000
    assert [stream.port for stream in both.answer.media] == [0, 20000]


@pytest.mark.parametrize(
    "line",
    [
        "a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + CM_KEY,
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + GCM_KEY,
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + CM_KEY[:-1] + "=",
        CM80 + "|2^20|1:4",
        CM80 + ";inline:" + CM_KEY,
        CM80 + " UNENCRYPTED_SRTP",
        CM80 + " FEC_ORDER=FEC_SRTP",
        "a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:" + CM_KEY,
        "a=crypto:",
        "a=crypto:1",
    ],
)
def test_keys_that_we_cannot_use_are_passed_over(line: str) -> None:
    with pytest.raises(NothingInCommon):
        secured("required", SECURE, line)
    assert secured("required", SECURE, line, GCM).media.srtp is not None


def test_harmless_session_parameters_are_taken() -> None:
    assert secured("required", SECURE, CM80 + " KDR=0 WSH=128 -later=1").media.srtp is not None


@pytest.mark.parametrize(("policy", "profile"), [("optional", "RTP/AVP"), ("required", "RTP/SAVP")])
def test_our_offer_of_srtp_and_what_answers_agree_to(policy: SrtpPolicy, profile: str) -> None:
    terms = Terms(policy, encrypted=True)
    (stream,) = offer(LOCAL, ORIGIN, (Codec.PCMU,), terms).media
    assert stream.protocol == profile
    assert [line.split()[0] for line in stream.attributes("crypto")] == ["1", "2", "3"]
    theirs = f"a=crypto:2 AEAD_AES_128_GCM inline:{GCM_KEY}"
    keys = conclude(described(f"m=audio 4000 {profile} 0", theirs), LOCAL, terms).srtp
    assert keys is not None
    assert (keys.suite, keys.theirs) == (Suite.AEAD_AES_128_GCM, bytes(range(28)))
    assert base64.b64encode(keys.ours).decode() in stream.attributes("crypto")[1]
    wrong_tag = theirs.replace("crypto:2", "crypto:1")
    for refused in (wrong_tag, "a=x"):
        described_wrongly = described(f"m=audio 4000 {profile} 0", refused)
        if policy == "required":
            with pytest.raises(NothingInCommon):
                conclude(described_wrongly, LOCAL, terms)
        else:
            assert conclude(described_wrongly, LOCAL, terms).srtp is None


def test_nothing_is_offered_where_srtp_is_required_and_the_signalling_is_plain() -> None:
    with pytest.raises(NothingInCommon):
        offer(LOCAL, ORIGIN, (Codec.PCMU,), Terms("required"))
    plain = offer(LOCAL, ORIGIN, (Codec.PCMU,), Terms("optional"))
    assert not plain.media[0].has("crypto")

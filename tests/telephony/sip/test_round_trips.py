"""What is written is read again as the same thing, and anything at all is read or refused."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.errors import SipSyntaxError
from callcenter.telephony.media import rtp
from callcenter.telephony.sip.digest import parse_digest, write_digest
from callcenter.telephony.sip.headers import NameAddr, Via, parse_name_addr, parse_via
from callcenter.telephony.sip.message import Headers, Request, Response, respond
from callcenter.telephony.sip.parser import Malformed, parse
from callcenter.telephony.sip.sdp import parse_sdp
from callcenter.telephony.sip.stream import StreamFramer
from callcenter.telephony.sip.uri import parse_uri

TRIPS = settings(max_examples=40)

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-.!%*_+`'~", min_size=1, max_size=20)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
HOST = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"),
    WORD.map(lambda word: f"a{word}.example.com"),
)
PORT = st.none() | st.integers(1, 65535)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
BODY = st.binary(max_size=300)


@st.composite
def uris(draw: st.DrawFn) -> str:
    user = draw(st.just("") | TOKEN.map(lambda user: f"{user.replace('%', '')}u@"))
    port = draw(PORT)
    return f"sip:{user}{draw(HOST)}" + (f":{port}" if port else "")


@st.composite
def requests(draw: st.DrawFn) -> Request:
    method = draw(st.sampled_from(["INVITE", "BYE", "OPTIONS", "UPDATE", "NEWMETHOD"]))
    request = Request(method, draw(uris()))
    headers: Headers = request.headers
    for _ in range(draw(st.integers(1, 3))):
        via = Via("UDP", draw(HOST), draw(PORT), (("branch", "z9hG4bK" + draw(WORD)),))
        headers.add("Via", str(via))
    name = draw(TEXT).replace("\\", "").replace('"', "")
    headers.add("From", f'"{name}" <{draw(uris())}>;tag={draw(WORD)}')
    headers.add("To", f"<{draw(uris())}>")
    headers.add("Call-ID", draw(WORD))
    headers.add("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {method}")
    if draw(st.booleans()):
        headers.add("Subject", draw(TEXT).strip())
    request.set_body(draw(BODY))
    return request


@TRIPS
@given(requests())
def test_a_request_comes_back_as_it_was(request: Request) -> None:
    again = parse(bytes(request))
    assert isinstance(again, Request)
    assert (again.method, again.uri, again.body) == (request.method, request.uri, request.body)
    assert list(again.headers) == [(n, v.strip(" \t")) for n, v in request.headers]
    assert bytes(parse(bytes(again))) == bytes(again)


@TRIPS
@given(requests(), st.integers(101, 699), WORD)
def test_a_response_comes_back_as_it_was(request: Request, status: int, tag: str) -> None:
    response = respond(request, status, tag=tag)
    response.set_body(b"")
    again = parse(bytes(response))
    assert isinstance(again, Response)
    assert (again.status, again.to.tag) == (status, tag)
    assert again.headers.all("Via") == request.headers.all("Via")
    assert (again.call_id, again.cseq) == (request.call_id, request.cseq)


@TRIPS
@given(requests(), st.lists(st.integers(1, 200), min_size=1, max_size=8), st.integers(1, 3))
def test_messages_come_out_of_a_stream_however_it_is_cut(
    request: Request, cuts: list[int], copies: int
) -> None:
    data, framer, found = bytes(request) * copies, StreamFramer(), []
    at = 0
    while at < len(data):
        step = cuts[at % len(cuts)]
        found += list(framer.feed(data[at : at + step]))
        at += step
    assert found == [bytes(request)] * copies


@TRIPS
@given(uris())
def test_a_uri_comes_back_as_it_was(text: str) -> None:
    assert parse_uri(str(parse_uri(text))) == parse_uri(text)


@TRIPS
@given(uris(), st.none() | TEXT.filter(lambda t: "\\" not in t and '"' not in t), WORD)
def test_a_name_and_address_come_back(uri: str, name: str | None, tag: str) -> None:
    written = f'"{name}" <{uri}>;tag={tag}' if name is not None else f"<{uri}>;tag={tag}"
    found: NameAddr = parse_name_addr(written)
    assert (str(found.uri), found.tag) == (str(parse_uri(uri)), tag)
    assert (found.name or "") == (name or "")


@TRIPS
@given(HOST, PORT, WORD)
def test_a_via_comes_back(host: str, port: int | None, branch: str) -> None:
    via = Via("TCP", host, port, (("branch", branch), ("rport", None)))
    assert str(parse_via(str(via))) == str(via)


@TRIPS
@given(
    st.dictionaries(
        st.sampled_from(["username", "realm", "nonce", "uri", "opaque", "cnonce", "response"]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
        min_size=1,
    )
)
def test_the_fields_of_a_digest_come_back(values: dict[str, str]) -> None:
    assert parse_digest(write_digest(values, bare_qop=True)) == values


@st.composite
def descriptions(draw: st.DrawFn) -> bytes:
    host = draw(st.ip_addresses(v=4))
    types = draw(st.lists(st.integers(0, 127), min_size=1, max_size=5, unique=True))
    port = draw(st.integers(0, 65535))
    lines = [
        "v=0",
        f"o={draw(WORD)} {draw(st.integers(0, 2**60))} 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP " + " ".join(map(str, types)),
        *(f"a=rtpmap:{kind} {draw(WORD)}/8000" for kind in types),
        draw(st.sampled_from(["a=sendrecv", "a=sendonly", "a=inactive"])),
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


@TRIPS
@given(descriptions())
def test_a_session_description_comes_back(body: bytes) -> None:
    assert bytes(parse_sdp(body)) == body


@TRIPS
@given(st.integers(0, 2**16), st.binary(min_size=1, max_size=320), st.integers(0, 127))
def test_an_rtp_packet_comes_back(frame: int, payload: bytes, kind: int) -> None:
    packet = rtp.PacketWriter().packet(frame, payload, kind, marker=frame % 2 == 0)
    found = rtp.parse(memoryview(packet))
    assert found is not None
    assert (bytes(found.payload), found.payload_type) == (payload, kind)


@settings(TRIPS, max_examples=150)
@given(BODY)
def test_anything_at_all_is_read_or_refused(data: bytes) -> None:
    try:
        parse(data)
    except Malformed as error:
        bytes(error.salvaged)
    except SipSyntaxError:
        pass
    with suppress(SipSyntaxError):
        parse_sdp(data)
    with suppress(SipSyntaxError):
        parse_digest(data.decode("utf-8", "surrogateescape"))
    rtp.parse(memoryview(data))
    for _ in StreamFramer().feed(data):
        pass

"""One parser under atheris: `fuzz_parsers.py sip|sdp|digest|rtp|stream [libFuzzer's options]`.

A parser may refuse with its own error and with nothing else; what it takes must come out again
as the same thing.
"""

import sys

import atheris

with atheris.instrument_imports(include=["callcenter"]):
    from callcenter.errors import SipSyntaxError
    from callcenter.telephony.media import rtp
    from callcenter.telephony.sip.digest import parse_digest
    from callcenter.telephony.sip.parser import Malformed, parse
    from callcenter.telephony.sip.sdp import parse_sdp
    from callcenter.telephony.sip.stream import StreamFramer


def sip(data: bytes) -> None:
    """RFC 3261: read, write, read again."""
    try:
        message = parse(data)
    except Malformed as error:
        bytes(error.salvaged)
        return
    except SipSyntaxError:
        return
    again = parse(bytes(message))
    assert (again.call_id, again.cseq, again.body) == (message.call_id, message.cseq, message.body)


def sdp(data: bytes) -> None:
    """RFC 8866."""
    try:
        description = parse_sdp(data)
    except SipSyntaxError:
        return
    parse_sdp(bytes(description))


def digest(data: bytes) -> None:
    """RFC 7616: the fields of a challenge or of credentials."""
    try:
        parse_digest(data.decode("utf-8", "surrogateescape"))
    except SipSyntaxError:
        return


def packet(data: bytes) -> None:
    """RFC 3550: None for what is none."""
    found = rtp.parse(memoryview(data))
    if found is not None:
        assert 0 <= found.sequence < 2**16


def stream(data: bytes) -> None:
    """RFC 3261 18.3: messages out of a stream, however it is cut."""
    framer = StreamFramer()
    for at in range(0, len(data), 97):
        for _ in framer.feed(data[at : at + 97]):
            pass


TARGETS = {"sip": sip, "sdp": sdp, "digest": digest, "rtp": packet, "stream": stream}

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()

"""A SIP user agent without I/O: bytes and the time go in, bytes to send and events come out.

    parser, message, headers, uri    what the octets say                  (RFC 3261 7, 19, 25)
    sdp, offer_answer                the session they describe            (RFC 8866, RFC 3264)
    timers, transaction, server, client    the transaction layer          (RFC 3261 17, RFC 6026)
    dialog, usage                    a dialog and the call that uses it   (RFC 3261 12-15)
    inspection, responses, useragent    the transaction user              (RFC 3261 8)
    identity, sources                who calls, and who may                (RFC 3323, RFC 3966)

No socket, clock, thread or randomness inside: `UserAgent` is handed datagrams, the time and a
generator of tokens, and hands back `actions`.
"""

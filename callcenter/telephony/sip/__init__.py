"""SIP user agent core (RFC 3261), sans-IO: bytes and time in, messages and events out."""

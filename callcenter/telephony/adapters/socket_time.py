"""When a datagram really came, though the loop reads its sockets every 10 ms only.

Linux remembers it for the datagram that was read last (SIOCGSTAMPNS, socket(7)); elsewhere the
moment of reading has to do, which makes measured jitter coarser, nothing else.
"""

from __future__ import annotations

import struct
import sys
import time

_LONGEST = 1.0  # seconds: more is a clock that was set

if sys.platform == "linux" and struct.calcsize("P") == 8:
    from fcntl import ioctl

    _SIOCGSTAMPNS = 0x8907
    _TIMESPEC = struct.Struct("qq")
    _buffer = bytearray(_TIMESPEC.size)

    def age_of_datagram(descriptor: int) -> float:
        """Seconds since the datagram that was read last came in; 0 where that is unknown."""
        try:
            ioctl(descriptor, _SIOCGSTAMPNS, _buffer, True)
        except OSError:  # the first of a socket has no stamp yet
            return 0.0
        seconds, nanoseconds = _TIMESPEC.unpack(_buffer)
        age: float = time.time() - seconds - nanoseconds * 1e-9
        return age if 0.0 <= age < _LONGEST else 0.0

else:

    def age_of_datagram(descriptor: int) -> float:
        """Seconds since the datagram that was read last came in: unknown here."""
        return 0.0

"""pyVoIP as shipped, for the comparison: answers every call, writes what the caller says.

    python benchmarks/telephony/pyvoip_node.py PORT SERVER_PORT FOLDER FIRST_RTP_PORT LAST_RTP_PORT

pyVoIP cannot join two calls: it records one leg and sends silence, half of what the others do in
a call. Its replies go to SERVER_PORT whoever asked. REGISTER is left out; nothing else is changed.
"""

from __future__ import annotations

import sys
import threading
import time
import warnings
import wave
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
from pyVoIP.VoIP import VoIP

VoIP.SIP.SIPClient.register = lambda self: True
folder = Path(sys.argv[3])
number = iter(range(10**6))


def take(call: Any) -> None:
    """Answer and record until the caller hangs up."""
    call.answer()
    with wave.open(str(folder / f"{next(number)}.wav"), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        while call.state == VoIP.CallState.ANSWERED:
            file.writeframes(call.read_audio(160, True))


if __name__ == "__main__":
    phone = VoIP.VoIPPhone(
        "127.0.0.1",
        int(sys.argv[2]),
        "600",
        "",
        "127.0.0.1",
        take,
        int(sys.argv[1]),
        int(sys.argv[4]),
        int(sys.argv[5]),
    )
    phone.start()
    print("ready", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        threading.Thread(target=phone.stop, daemon=True).start()

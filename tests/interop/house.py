"""Our side in the interop tests: the real SIP core and media plane, and an application that
answers, says numbered frames, listens, and keeps what happened."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callcenter.config import Sip, Trunk
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.media import g711
from callcenter.telephony.media.tones import Clip
from callcenter.telephony.ports import (
    Address,
    Codec,
    Direction,
    InboundCall,
    MediaDescription,
    RtpLeg,
)

HOST = "127.0.0.1"
_SIPP = Path(__file__).parents[1] / "data" / "sipp"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _SIPP / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_AUDIO, _CHECK = _module("mkaudio"), _module("chkwav")
SPEECH = b"".join(_AUDIO.frame(number) for number in range(500))
"""What both sides say: ten seconds of numbered frames, µ-law."""


def linear_numbers(samples: NDArray[np.int16]) -> set[int]:
    """The numbers of the frames that can be heard in 16-bit sound, wherever they begin."""
    found: set[int] = _CHECK.frame_numbers(samples.astype(int))
    return found


def numbers_in(ulaw: bytes) -> set[int]:
    """The same in µ-law sound."""
    return linear_numbers(g711.decode(ulaw, Codec.PCMU))


class Guest:
    """One call that came in."""

    def __init__(self, inbound: InboundCall) -> None:
        self.inbound = inbound
        self.digits: list[str] = []
        self.wishes: list[Direction] = []
        self.agreed: MediaDescription | None = None
        self.end: str | None = None
        self.leg: RtpLeg | None = None
        self._heard = bytearray()

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        """FrameSink: what the caller says; gaps are left out."""
        self._heard += g711.convert(payload, codec, Codec.PCMU)

    @property
    def seconds_heard(self) -> float:
        return len(self._heard) / 8000

    def numbers(self, last_seconds: float = 60.0) -> set[int]:
        """Which of the numbered frames the caller said."""
        return numbers_in(bytes(self._heard[-int(last_seconds * 8000) :]))


class House:
    """The application."""

    def __init__(self, plane: BatchingMediaPlane, ring_seconds: float) -> None:
        self.guests: list[Guest] = []
        self._plane, self._ring_seconds = plane, ring_seconds
        self._lives: set[asyncio.Task[None]] = set()
        self.backend: NativeSipBackend

    def press(self, guest: Guest, keys: str) -> None:
        """Let the guest's telephone get these keys."""
        assert guest.leg is not None
        self._plane.press(guest.leg, keys)

    @property
    def address(self) -> Address:
        return self.backend.addresses[0]

    def __call__(self, inbound: InboundCall) -> None:
        guest = Guest(inbound)
        self.guests.append(guest)
        life = asyncio.get_running_loop().create_task(self._life(guest))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)

    async def _life(self, guest: Guest) -> None:
        inbound = guest.inbound
        inbound.ring()
        end = asyncio.ensure_future(inbound.ended)
        if (await asyncio.wait({end}, timeout=self._ring_seconds))[0]:
            guest.end = end.result()
            return
        leg = guest.leg = self._plane.open_rtp(inbound.local_host)
        guest.agreed = await inbound.answer(leg.local)
        leg.connect(guest.agreed)

        def follow(wish: MediaDescription) -> None:
            guest.wishes.append(wish.direction)
            leg.connect(wish)

        inbound.on_media(follow)
        inbound.on_digit(guest.digits.append)
        self._plane.on_digit(leg, guest.digits.append)
        self._plane.tap(leg, guest, start=asyncio.get_running_loop().time())
        self._plane.play(leg, Clip(SPEECH, loop=True))
        guest.end = await end
        leg.close()


@asynccontextmanager
async def house(
    listen: str = f"udp://{HOST}:0", ring_seconds: float = 0.1, **settings: Any
) -> AsyncIterator[House]:
    """A house on a free port of the loopback; everybody from there may call."""
    plane = BatchingMediaPlane((41000, 46999))
    home = House(plane, ring_seconds)
    settings.setdefault("trunks", [Trunk(name="local", hosts=["127.0.0.0/8"])])
    home.backend = NativeSipBackend(Sip(**({"listen": [listen]} | settings)))
    await home.backend.start(home)
    try:
        yield home
    finally:
        await home.backend.stop()
        plane.close()


async def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Poll until it is true; AssertionError after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.02)
    return value


def sipp_errors(folder: Path) -> str:
    """The end of what SIPp complained about."""
    logs = folder.glob("*_errors.log")
    return "".join(path.read_text(errors="replace") for path in logs)[-3000:]

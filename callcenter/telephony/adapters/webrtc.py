"""Browser legs: aiortc's ICE, DTLS and SRTP carry the sound of agents.

Only the transports of aiortc are used, none of its tracks: no thread, no task per packet. RTP goes
between its SRTP sessions and the media loop as it is, without a decoder; or through `Opus`, where
the settings prefer that. That seam touches private names of aiortc 1.16 and aioice (all in
`_Link`); `tests/telephony/media/test_webrtc.py` covers it, so a new version shows there what
changed.

An agent keeps one `BrowserLeg` for a whole shift. The connection underneath is swapped when
the browser offers a new one (page reload, other network); a bridge simply goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import structlog
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from pylibsrtp import Error as SrtpError

from callcenter.errors import Conflict, Invalid
from callcenter.telephony.adapters.browser_sdp import Offer, answer, parse_offer
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane, Packet
from callcenter.telephony.adapters.opus import Opus
from callcenter.telephony.media.leg import Leg
from callcenter.telephony.media.meter import Meter
from callcenter.telephony.media.rtp import HEADER_BYTES
from callcenter.telephony.ports import BrowserCodec, Codec

_LOGGER = structlog.get_logger()
_CONNECT_SECONDS = 15.0
_CHECK_SECONDS = 0.5
_SILENT_SECONDS = 4.0
"""No datagram for so long after sound had come: the browser is gone."""
_IDLE_SECONDS = 9.0
"""The same where no sound came before: then only the checks of ICE (RFC 7675) tell."""
_UNWANTED = 64
"""Of packets that nobody listens to, one in so many is decrypted: SRTP must see the
sequence number's roll-over (RFC 3711 section 3.3.1)."""
_LOOPBACK = "127.0.0.1"


class BrowserLeg:
    """An agent's sound, whatever connection carries it now; implements `MediaLeg`."""

    def __init__(self, plane: BatchingMediaPlane, name: str) -> None:
        self.plane = plane
        self.sound = Leg(name, rests=True)
        self.link: _Link | None = None

    @property
    def name(self) -> str:
        """For logs: no number, no person."""
        return self.sound.name

    @property
    def codec(self) -> Codec:
        """PCMU, always: behind the connection."""
        return self.sound.codec

    @property
    def alive_at(self) -> float:
        """Loop time of the last packet that came from the browser."""
        return self.sound.alive_at

    def send(self, packet: Packet) -> None:
        """Bring one RTP packet to the browser; nowhere while there is none."""
        if self.link is not None:
            self.link.send(packet)

    def send_rtcp(self, packet: bytes) -> None:
        """Bring one RTCP compound to the browser; nowhere while there is none."""
        if self.link is not None:
            self.link.send_rtcp(packet)

    def measure(self) -> Meter:
        """Begin to measure."""
        return Meter(self.sound, self.plane.now)

    def close(self) -> None:
        """End the call's part: silence, no taps. The connection stays for the next call."""
        self.sound.listen_to(None)
        self.sound.close_taps()


class _Link:
    """One peer connection: ICE, DTLS and SRTP between a browser and its leg."""

    def __init__(self, leg: BrowserLeg, certificate: RTCCertificate) -> None:
        self._leg = leg
        self._loop = asyncio.get_running_loop()
        self._gatherer = RTCIceGatherer(iceServers=[])
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [certificate])
        self._unwanted = 0
        self.datagram_at = self._loop.time()
        self.patience = _IDLE_SECONDS
        self._connection = cast(Any, self._gatherer._connection)
        self.opus: Opus | None = None

    async def describe(self, offer: Offer) -> str:
        """Gather candidates and make the answer's SDP."""
        if offer.codec == "opus":
            self.opus = Opus(offer.payload_type, error_correction=offer.error_correction)
        await self._gatherer.gather()
        if offer.knows_loopback or not self._connection.local_candidates:
            self._connection._local_candidates += await self._connection.get_component_candidates(
                component=1, addresses=[_LOOPBACK]
            )
        for protocol in self._connection._protocols:
            self._listen(protocol)
        if offer.setup == "active":
            self._dtls._set_role("server")
        return answer(
            offer,
            ice=self._gatherer.getLocalParameters(),
            fingerprints=self._dtls.getLocalParameters().fingerprints,
            candidates=self._gatherer.getLocalCandidates(),
            ssrc=self._leg.sound.ssrc,
            cname=self._leg.sound.reports.cname,
        )

    async def connect(self, offer: Offer, on_lost: Callable[[], None]) -> bool:
        """Check paths and shake hands; True when sound can flow. `on_lost` is called later."""
        self._connection.ice_controlling = offer.ice.iceLite
        for candidate in offer.candidates:
            await self._ice.addRemoteCandidate(candidate)
        # The end of candidates is not told: a browser that hides its addresses (mDNS names)
        # is found by its own checks, and ICE would give up before they come.
        async with asyncio.timeout(_CONNECT_SECONDS):
            await self._ice.start(offer.ice)
            if self._ice.state == "completed":
                if self._dtls._role == "auto":
                    self._dtls._set_role("client")
                await self._dtls.start(offer.dtls)
        if self._dtls.state != "connected":
            return False
        self._ice.on("statechange", on_lost)
        self._dtls.on("statechange", on_lost)
        return True

    @property
    def open(self) -> bool:
        """Whether ICE and DTLS both stand."""
        return self._dtls.state == "connected" and self._ice.state == "completed"

    def silent_for(self, now: float) -> bool:
        """Whether nothing at all came for longer than this peer is known to be silent."""
        return now - self.datagram_at > self.patience

    async def close(self) -> None:
        """Close DTLS (the browser is told) and the sockets."""
        self._ice.remove_all_listeners()
        self._dtls.remove_all_listeners()
        with contextlib.suppress(ConnectionError):
            await self._dtls.stop()
        await self._ice.stop()

    def send(self, packet: Packet) -> None:
        """Protect and send one RTP packet, without a task or a queue."""
        srtp = self._dtls._tx_srtp
        pair = self._connection._nominated.get(1)
        if srtp is not None and pair is not None:
            plain = bytes(packet) if self.opus is None else self.opus.sent(packet)
            if plain is not None:
                with contextlib.suppress(SrtpError, OSError):
                    pair.protocol.transport.sendto(srtp.protect(plain), pair.remote_addr)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one RTCP compound."""
        srtp = self._dtls._tx_srtp
        pair = self._connection._nominated.get(1)
        if srtp is not None and pair is not None:
            with contextlib.suppress(SrtpError, OSError):
                pair.protocol.transport.sendto(srtp.protect_rtcp(packet), pair.remote_addr)

    def _listen(self, protocol: Any) -> None:
        """RTP and RTCP go straight to the leg, the rest (STUN, DTLS) to aioice (RFC 7983).

        aioice would try to read each packet as STUN and fail, then queue it for a task.
        """
        take = protocol.datagram_received

        def datagram_received(data: bytes, addr: Any) -> None:
            self.datagram_at = now = self._loop.time()
            if len(data) < HEADER_BYTES or not 127 < data[0] < 192:
                self.patience = _IDLE_SECONDS
                take(data, addr)
            elif not 191 < data[1] < 224:
                self.patience = _SILENT_SECONDS
                self._on_sound(data, now)
            else:
                self._on_rtcp(data, now)

        protocol.datagram_received = datagram_received

    def _on_sound(self, data: bytes, now: float) -> None:
        leg, srtp = self._leg, self._dtls._rx_srtp
        if srtp is None or leg.link is not self:
            return
        sound = leg.sound
        sound.alive_at = now
        if not sound.wanted:
            self._pass_over(data, srtp)
            return
        with contextlib.suppress(SrtpError):
            arrival = leg.plane.arrival(now)
            plain: memoryview | None = memoryview(srtp.unprotect(data))
            if self.opus is not None and plain is not None:
                plain = self.opus.received(plain)
            if plain is not None:
                leg.plane.arrivals.put(sound, plain, arrival, arrival)

    def _pass_over(self, data: bytes, srtp: Any) -> None:
        """Sound that nobody listens to: its loss is no loss, the roll-over has to be seen."""
        self._unwanted += 1
        self._leg.sound.reception.rest()
        if not self._unwanted % _UNWANTED:
            with contextlib.suppress(SrtpError):
                srtp.unprotect(data)

    def _on_rtcp(self, data: bytes, now: float) -> None:
        leg, srtp = self._leg, self._dtls._rx_srtp
        if srtp is not None and leg.link is self:
            with contextlib.suppress(SrtpError):
                leg.sound.reports.take(srtp.unprotect_rtcp(data), now, leg.plane.wall(now))


class BrowserLegs:
    """The agents' browser connections, at most one an agent; implements `AudioLegs`."""

    def __init__(
        self, plane: BatchingMediaPlane, codecs: Sequence[BrowserCodec] = ("pcmu",)
    ) -> None:
        """Of `codecs` the first that a browser offers is taken."""
        self._plane = plane
        self._codecs = codecs
        self._handlers: list[Callable[[str, bool], None]] = []
        self._certificate = RTCCertificate.generateCertificate()
        self._legs: dict[str, BrowserLeg] = {}
        self._trying: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, bool] = {}
        self._up = asyncio.Condition()
        self._closing: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._made = 0

    async def negotiate(self, agent: str, sdp: str, type: str) -> str:
        """Take a browser's offer; returns the answer's SDP with every candidate.

        The answer comes at once; `on_change` tells when the connection stands. Then it takes
        the place of the one before. Raises Invalid where the offer is none that can be met.
        """
        if type != "offer":
            raise Invalid("rtc.offer takes type 'offer' only", {"type": "must be offer"})
        offer = parse_offer(sdp, self._codecs)
        leg = self._seat(agent)
        link = _Link(leg, self._certificate)
        try:
            text = await link.describe(offer)
        except BaseException:
            await link.close()
            raise
        if self._legs.get(agent) is not leg:  # left while the candidates were gathered
            await link.close()
            raise Conflict("you signed out meanwhile; sign in again")
        if former := self._trying.pop(agent, None):
            former.cancel()
        self._trying[agent] = asyncio.create_task(self._connect(agent, leg, link, offer))
        return text

    def leg(self, agent: str) -> BrowserLeg | None:
        """The agent's leg, the same object over reconnections; None before the first offer."""
        return self._legs.get(agent)

    def on_change(self, handler: Callable[[str, bool], None]) -> None:
        """Call `handler(agent, connected)`, on the loop's thread, at every change."""
        self._handlers.append(handler)

    def connected(self, agent: str) -> bool:
        """Whether sound flows to and from the agent's browser now."""
        leg = self._legs.get(agent)
        return leg is not None and leg.link is not None

    async def ready(self, agent: str, patience: float, *, coming: bool = False) -> bool:
        """Whether sound flows within `patience` seconds; False at once where none ever did,
        unless it is `coming`."""
        if agent not in self._legs and not coming:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience), self._up:
                await self._up.wait_for(lambda: self.connected(agent))
        return self.connected(agent)

    async def close(self, agent: str) -> None:
        """The agent left: end the connection and forget the leg."""
        if task := self._trying.pop(agent, None):
            task.cancel()
            await asyncio.wait([task])
        leg = self._legs.pop(agent, None)
        if leg is None:
            return
        link, leg.link = leg.link, None
        self._plane.remove(leg)
        self._tell(agent)
        self._told.pop(agent, None)
        if link is not None:
            await link.close()

    async def stop(self) -> None:
        """End every connection: the process stops."""
        for agent in list(self._legs):
            await self.close(agent)
        if self._closing:
            await asyncio.wait(list(self._closing))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- inside ------------------------------------------------------------------------------

    def _seat(self, agent: str) -> BrowserLeg:
        leg = self._legs.get(agent)
        if leg is None:
            self._made += 1
            leg = self._legs[agent] = BrowserLeg(self._plane, f"browser-{self._made}")
            self._plane.add(leg)
        return leg

    def _tell(self, agent: str) -> None:
        """Tell a change, once. While the browser connects anew a loss is none to tell of."""
        connected = self.connected(agent)
        lost_for_now = not connected and agent in self._trying
        if lost_for_now or self._told.get(agent, False) == connected:
            return
        self._told[agent] = connected
        for handler in self._handlers:
            handler(agent, connected)

    async def _connect(self, agent: str, leg: BrowserLeg, link: _Link, offer: Offer) -> None:
        done = False
        try:
            done = await link.connect(offer, lambda: self._check(agent, link))
        except (TimeoutError, ConnectionError, ValueError) as error:
            _LOGGER.info("a browser did not connect", leg=leg.name, error=type(error).__name__)
        finally:
            if not done:
                self._close_later(link)
        self._trying.pop(agent, None)
        if done:
            await self._swap(leg, link)
        self._tell(agent)

    async def _swap(self, leg: BrowserLeg, link: _Link) -> None:
        former, leg.link = leg.link, link
        leg.sound.forget_stream()
        leg.sound.reports.wire = link.opus
        leg.sound.carried_as = "opus" if link.opus else None
        self._watch()
        if former is not None:
            self._close_later(former)
        async with self._up:
            self._up.notify_all()

    def _check(self, agent: str, link: _Link) -> None:
        """A connection changed its state or is silent: is it lost?"""
        leg = self._legs.get(agent)
        if leg is None or leg.link is not link:
            return
        if link.open and not link.silent_for(self._loop.time()):
            return
        leg.link = None
        self._close_later(link)
        self._tell(agent)

    def _close_later(self, link: _Link) -> None:
        task = asyncio.create_task(link.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_CHECK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        linked = [(agent, leg.link) for agent, leg in self._legs.items() if leg.link]
        for agent, link in linked:
            self._check(agent, link)
        if linked:
            self._watch()

"""baresip as the caller: TLS signalling, SRTP with keys in the SDP, its RTCP."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tls_bench import Authority

from callcenter.config import Sip, Trunk
from callcenter.telephony.adapters.media_loop import BatchingMediaPlane
from callcenter.telephony.adapters.sip_native import NativeSipBackend
from callcenter.telephony.media import g711
from callcenter.telephony.media.tones import Clip
from callcenter.telephony.ports import Codec, InboundCall, MediaDescription, Suite

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("baresip") is None,
        reason="baresip is MISSING: tools/test-needs.sh installs it",
    ),
]
MODULES = Path("/usr/lib/baresip/modules")
PATIENCE = 30.0
THEIRS, OURS = 440, 1000  # Hz


def hum(hz: int) -> Clip:
    wave_ = 8000 * np.sin(2 * np.pi * hz * np.arange(8000) / 8000)
    return Clip(g711.encode(wave_.astype(np.int16)), loop=True)


def share(samples: NDArray[np.int16], hz: int, rate: int = 8000) -> float:
    """How much of the power lies within 20 Hz of `hz`."""
    power = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples)))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(power[np.abs(frequencies - hz) < 20].sum() / max(power.sum(), 1.0))


class Ear:
    """A tap's sink."""

    def __init__(self) -> None:
        self.sound = b""

    def write(self, position: int, payload: bytes, codec: Codec) -> None:
        self.sound += g711.convert(payload, codec, Codec.PCMU)


class App:
    """Answers every call, hums, listens."""

    def __init__(self, plane: BatchingMediaPlane) -> None:
        self.plane, self.ear = plane, Ear()
        self.media: MediaDescription | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.ended = asyncio.Event()

    def __call__(self, call: InboundCall) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(self._life(call)))

    async def _life(self, call: InboundCall) -> None:
        call.ring()
        self.call = call
        self.leg = self.plane.open_rtp("127.0.0.1")
        self.meter = self.leg.measure()
        self.media = await call.answer(self.leg.local)
        self.leg.connect(self.media)
        self.plane.play(self.leg, hum(OURS))
        self.plane.tap(self.leg, self.ear, start=asyncio.get_running_loop().time())
        await call.ended
        self.ended.set()


def recorded(folder: Path) -> Path:
    """20 s of 440 Hz, what baresip says."""
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        time = np.arange(20 * 8000) / 8000
        file.writeframes((8000 * np.sin(2 * np.pi * THEIRS * time)).astype("<i2").tobytes())
    return path


@contextmanager
def baresip(folder: Path, authority: Path, encryption: str, target: str) -> Iterator[Path]:
    """A baresip that calls `target`, hums 440 Hz and writes what it hears into the folder."""
    modules = ("g711", "aufile", "aubridge", "sndfile", "srtp")
    config = [
        "net_interface 127.0.0.1",
        f"module_path {MODULES}",
        "sip_listen 127.0.0.1:0",
        f"sip_cafile {authority}",
        *(f"module {name}.so" for name in modules if (MODULES / f"{name}.so").exists()),
        "module_tmp account.so",
        "module_app menu.so",
        f"audio_source aufile,{recorded(folder)}",
        "audio_player aubridge,pseudo0",
        "audio_alert aubridge,pseudo1",
        "rtp_ports 51000-58999",
        f"snd_path {folder}",
        "call_local_timeout 60",
    ]
    (folder / "config").write_text("\n".join(config) + "\n")
    account = "<sip:ali@127.0.0.1;transport=tls>;regint=0;audio_codecs=PCMU/8000/1"
    (folder / "accounts").write_text(
        account + (f";mediaenc={encryption}\n" if encryption else "\n")
    )
    (folder / "contacts").write_text("")
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        ["baresip", "-f", str(folder), "-e", f"/dial {target}"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        yield folder / "log"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


async def until(condition: object, what: str, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():  # type: ignore[operator]
        if asyncio.get_running_loop().time() > deadline:
            said = await asyncio.to_thread(log.read_text, errors="replace")
            pytest.fail(f"{what}: never\n{said}")
        await asyncio.sleep(0.05)


def written(folder: Path) -> tuple[NDArray[np.int16], int]:
    """What baresip decoded of what it received, and its rate."""
    (file,) = folder.glob("dump-*-dec.wav")
    with wave.open(str(file)) as sound:
        frames = sound.readframes(sound.getnframes())
        return np.frombuffer(frames, dtype="<i2"), sound.getframerate()


def test_baresip_over_tls_talks_srtp_both_ways(tmp_path: Path) -> None:
    async def scene() -> None:
        authority = Authority(tmp_path, "ours")
        plane = BatchingMediaPlane((42000, 48999))
        app = App(plane)
        trunk = Trunk(name="secure", hosts=["127.0.0.0/8"], srtp="required")
        native = NativeSipBackend(
            Sip(listen=["tls://127.0.0.1:0"], trunks=[trunk], tls=authority.settings())
        )
        await native.start(app)
        target = f"sip:100@127.0.0.1:{native.addresses[0].port}"
        folder = tmp_path / "baresip"
        folder.mkdir()
        try:
            with baresip(folder, authority.certificate, "srtp-mand", target) as log:
                await until(lambda: len(app.ear.sound) > 3 * 8000, "3 s of its sound", log)
                await until(lambda: app.meter.read().remote_jitter_ms is not None, "its RTCP", log)
                quality = app.meter.read()
                app.call.hang_up()
                await asyncio.wait_for(app.ended.wait(), PATIENCE)
        finally:
            await native.stop()
            plane.close()
        assert app.media is not None
        assert app.media.srtp is not None
        assert app.media.srtp.suite in Suite
        said = g711.decode(app.ear.sound, Codec.PCMU)
        assert share(said[8000:], THEIRS) > 0.8
        heard, rate = written(folder)
        assert share(heard[rate:], OURS, rate) > 0.8
        assert quality.received > 100
        assert quality.round_trip_ms is not None

    asyncio.run(scene())

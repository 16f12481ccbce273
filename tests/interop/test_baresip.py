"""baresip calls us: sound both ways, keys, hold, and TLS with SRTP."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from house import HOST, SPEECH, Guest, House, house, linear_numbers, until

from callcenter import tls
from callcenter.config import Settings, SipTls, Trunk
from callcenter.telephony.media import g711
from callcenter.telephony.ports import Codec, Direction

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("baresip") is None, reason="baresip is not installed (apt: baresip-core)"
    ),
]
_MODULES = Path("/usr/lib/baresip/modules")
_NEEDED = (
    *("stdio", "g711", "aubridge", "aufile", "sndfile", "srtp"),
    *("account", "menu", "ctrl_tcp", "uuid"),
)


def test_sound_goes_both_ways_and_keys_arrive(tmp_path: Path) -> None:
    async def call() -> None:
        async with house() as home, baresip(tmp_path, home) as phone:
            guest = await phone.dial(home)
            await until(lambda: len(guest.numbers()) > 60, "we hear its frames")
            await until(lambda: len(phone.heard()) > 60, "it hears our frames")
            for key in "12#":
                await phone.order("sndcode", key)
            await until(lambda: "".join(guest.digits) == "12#", "the keys came")
            await phone.order("hangup")
            await until(lambda: guest.end == "bye", "it hung up")
            assert home.backend.active() == 0

    asyncio.run(call())


def test_hold_and_resume_are_followed(tmp_path: Path) -> None:
    async def call() -> None:
        async with house() as home, baresip(tmp_path, home) as phone:
            guest = await phone.dial(home)
            await until(lambda: guest.seconds_heard > 0.5, "it speaks")
            await phone.order("hold")
            await until(lambda: guest.wishes, "it holds")
            assert guest.wishes[-1] in (Direction.SENDONLY, Direction.INACTIVE)
            await phone.order("resume")
            await until(lambda: guest.wishes[-1] is Direction.SENDRECV, "it talks again")
            before = guest.seconds_heard
            await until(lambda: guest.seconds_heard > before + 0.5, "it is heard again")
            guest.inbound.hang_up()
            await until(lambda: guest.end == "hung_up", "our BYE was taken")
            await phone.event("CALL_CLOSED")

    asyncio.run(call())


def test_tls_with_srtp(tmp_path: Path, settings: Settings) -> None:
    files = tls.make(settings)  # as `callcenter tls` does

    async def call() -> None:
        secure = SipTls(certificate=files.certificate, key=files.key)
        trunk = Trunk(name="local", hosts=["127.0.0.0/8"], srtp="required")
        at = house(f"tls://{HOST}:0", tls=secure, trunks=[trunk])
        async with at as home, baresip(tmp_path, home, files.authority) as phone:
            guest = await phone.dial(home)
            await until(lambda: len(guest.numbers()) > 60, "we hear its frames")
            await until(lambda: len(phone.heard()) > 60, "it hears our frames")
            assert guest.agreed is not None
            assert guest.agreed.srtp is not None
            await phone.order("hangup")
            await until(lambda: guest.end == "bye", "it hung up")

    asyncio.run(call())


class Baresip:
    """The program, commanded by its module ctrl_tcp (netstrings of JSON)."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path
    ) -> None:
        self._writer, self._folder = writer, folder
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read(reader))

    async def dial(self, home: House) -> Guest:
        """Call and wait until both sides know of it."""
        address = home.address
        await self.order("dial", f"sip:100@{address.host}:{address.port}")
        await self.event("CALL_ESTABLISHED")
        guest: Guest = await until(lambda: home.guests and home.guests[-1], "the call came")
        await until(lambda: guest.agreed, "the call stands")
        return guest

    async def order(self, command: str, params: str = "") -> None:
        """Do it. AssertionError when baresip does not want to."""
        text = json.dumps({"command": command, "params": params, "token": command})
        self._writer.write(f"{len(text)}:{text},".encode())
        answer = await asyncio.wait_for(self._answers.get(), 30)
        assert answer["ok"], answer

    def heard(self) -> set[int]:
        """Numbers of our frames in what it played so far, from its module sndfile."""
        path = next(self._folder.glob("dump-*-dec.wav"), None)
        if path is None:
            return set()
        sound = path.read_bytes()[44:]  # the header is written at the end of the call only
        return linear_numbers(np.frombuffer(sound[: len(sound) // 2 * 2], "<i2"))

    async def event(self, kind: str) -> None:
        """Wait for it."""
        await until(lambda: any(one["type"] == kind for one in self.events), kind)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                size = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(size + 1))[:-1])
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if message.get("response"):
                self._answers.put_nowait(message)
            else:
                self.events.append(message)

    def close(self) -> None:
        self._reading.cancel()
        self._writer.close()


@asynccontextmanager
async def baresip(
    folder: Path, home: House, certificate: Path | None = None
) -> AsyncIterator[Baresip]:
    """A running baresip with one account at our address, without registration."""
    sip_port, control = _free(socket.SOCK_DGRAM), _free(socket.SOCK_STREAM)
    settings = [
        f"net_interface {HOST}",
        f"sip_listen {HOST}:{sip_port}",
        f"ctrl_tcp_listen {HOST}:{control}",
        f"module_path {_MODULES}",
        "audio_player aubridge,pseudo0",
        f"audio_source aufile,{_speech(folder)}",
        f"snd_path {folder}",
        "audio_alert aubridge,pseudo1",
        "audio_path /usr/share/baresip",
        "rtp_ports 47000-47999",
        "rtp_timeout 60",
        *(f"{_kind(name)} {name}.so" for name in _NEEDED),
    ]
    account = f"<sip:agent@{HOST};transport={'tls' if certificate else 'udp'}>;regint=0"
    account += f';outbound="sip:{home.address.host}:{home.address.port};transport='
    account += 'tls"' if certificate else 'udp"'
    if certificate:
        settings.append(f"sip_cafile {certificate}")
        account += ";mediaenc=srtp-mand"
    for name, text in (("config", "\n".join(settings)), ("accounts", account), ("contacts", "")):
        (folder / name).write_text(text + "\n", encoding="utf-8")
    log = (folder / "baresip.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-f", str(folder), "-v"), stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
    )
    phone = None
    try:
        phone = Baresip(*await _connected(control, process, folder), folder)
        yield phone
    except BaseException:
        print((folder / "baresip.log").read_text(errors="replace")[:6000])  # noqa: T201
        raise
    finally:
        if phone is not None:
            phone.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()


async def _connected(
    port: int, process: asyncio.subprocess.Process, folder: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(600):
        try:
            return await asyncio.open_connection(HOST, port)
        except OSError:
            assert process.returncode is None, (folder / "baresip.log").read_text()
            await asyncio.sleep(0.05)
    raise AssertionError("baresip does not listen for commands")


def _speech(folder: Path) -> Path:
    """What it says: our numbered frames, as a WAV file."""
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(g711.decode(SPEECH, Codec.PCMU).astype("<i2").tobytes())
    return path


def _kind(module: str) -> str:
    return "module_app" if module in ("account", "menu", "ctrl_tcp") else "module"


def _free(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])

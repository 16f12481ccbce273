"""Encrypted recordings: any byte can be read alone, and nothing can be changed unseen."""

from __future__ import annotations

import io
import random
import tracemalloc
from pathlib import Path

import pytest

from callcenter.errors import RecordingError
from callcenter.ids import new_id
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.adapters.sealed_sound import read_sound
from callcenter.telephony.ports import Codec
from callcenter.telephony.recording import cipher
from callcenter.telephony.recording.cipher_file import KeyGone, encrypt, open_sealed

CALL = "0193aaaa-0000-7000-8000-000000000001"
OTHER = "0193aaaa-0000-7000-8000-000000000002"
KEY = bytes(range(32))


class Keys:
    """Call → key, in memory."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def make(self, call: str) -> bytes:
        return self.known.setdefault(call, random.randbytes(32))

    def find(self, call: str) -> bytes | None:
        return self.known.get(call)


def sealed(length: int, *, frame: int = 64) -> tuple[cipher.Cipher, list[bytes], bytes]:
    plain = random.Random(length).randbytes(length)
    header = cipher.Header(length, b"s" * 16, frame)
    made = cipher.Cipher(KEY, header, CALL, "sound")
    return (
        made,
        [made.seal(n, plain[n * frame : (n + 1) * frame]) for n in range(header.frames)],
        plain,
    )


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 640, 1000])
def test_every_frame_opens_alone_and_stands_where_the_header_says(length: int) -> None:
    made, frames, plain = sealed(length)
    file = made.header.encode() + b"".join(frames)
    assert len(file) == made.header.file_bytes
    assert cipher.decode(file) == made.header
    for number in reversed(range(made.header.frames)):
        offset, size = made.header.place(number)
        opened = made.open(number, file[offset : offset + size])
        assert opened == plain[number * 64 : (number + 1) * 64]


def test_a_flipped_bit_anywhere_in_a_frame_is_told() -> None:
    made, frames, _ = sealed(40)
    for bit in range(8 * len(frames[0])):
        changed = bytearray(frames[0])
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(
            RecordingError, match="part 1 of this recording is not as it was sealed"
        ):
            made.open(0, bytes(changed))


def test_a_frame_opens_only_in_its_place_its_file_its_part_and_its_length() -> None:
    made, frames, _ = sealed(640)
    header = made.header
    wrong = [
        (made, 1),
        (cipher.Cipher(KEY, header, OTHER, "sound"), 0),
        (cipher.Cipher(KEY, header, CALL, "peaks"), 0),
        (cipher.Cipher(bytes(32), header, CALL, "sound"), 0),
        (cipher.Cipher(KEY, cipher.Header(639, header.salt, 64), CALL, "sound"), 0),
        (cipher.Cipher(KEY, cipher.Header(640, b"t" * 16, 64), CALL, "sound"), 0),
    ]
    for one, number in wrong:
        with pytest.raises(RecordingError):
            one.open(number, frames[0])
    assert made.open(0, frames[0])


def test_what_is_no_encrypted_file_or_a_newer_one_is_told_apart() -> None:
    assert cipher.decode(b"OggS and so on, long enough for a header of ours") is None
    assert cipher.decode(b"") is None
    with pytest.raises(RecordingError, match="cut off"):
        cipher.decode(b"CCRC\x01\x00")
    with pytest.raises(RecordingError, match="newer version"):
        cipher.decode(b"CCRC\x02" + bytes(31))


def kept(folder: Path, plain: bytes, call: str = CALL) -> tuple[Path, Keys]:
    path, keys = folder / f"{call}.opus", Keys()
    encrypt(io.BytesIO(plain), len(plain), path, path, keys.make(call))
    return path, keys


def test_any_part_of_a_file_is_read_as_from_the_plain_one(tmp_path: Path) -> None:
    plain = random.Random(7).randbytes(50_000)
    path, keys = kept(tmp_path, plain)
    assert plain[100:200] not in path.read_bytes()
    dice = random.Random(8)
    with open_sealed(path, keys) as file:
        assert file.read() == plain
        for _ in range(200):
            start, size = dice.randrange(51_000), dice.randrange(9000)
            file.seek(start)
            assert file.read(size) == plain[start : start + size]
        assert file.seek(0, 2) == 50_000


def test_one_second_is_opened_although_the_rest_is_damaged(tmp_path: Path) -> None:
    plain = bytes(200_000)
    path, keys = kept(tmp_path, plain)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with open_sealed(path, keys) as file:
        file.seek(100_000)
        assert file.read(2000) == bytes(2000)
        file.seek(199_000)
        with pytest.raises(RecordingError, match="not as it was sealed"):
            file.read(10)


def test_cut_swapped_and_keyless_files_are_refused(tmp_path: Path) -> None:
    path, keys = kept(tmp_path, bytes(20_000))
    whole = path.read_bytes()
    for damaged in (whole[:-4112], whole[:-1], whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(RecordingError, match="cut off"):
            open_sealed(path, keys)
    path.write_bytes(whole)
    swapped = path.rename(tmp_path / f"{OTHER}.opus")
    keys.known[OTHER] = keys.known[CALL]
    with open_sealed(swapped, keys) as file, pytest.raises(RecordingError):
        file.read(1)
    with pytest.raises(KeyGone, match="it was erased"):
        open_sealed(swapped, Keys())


def test_an_hour_is_never_in_memory(tmp_path: Path) -> None:
    plain = tmp_path / "hour"
    plain.write_bytes(bytes(16_000_000))
    path, keys = tmp_path / f"{CALL}.wav", Keys()
    tracemalloc.start()
    with plain.open("rb") as source:
        encrypt(source, 16_000_000, path, path, keys.make(CALL))
    with open_sealed(path, keys) as file:
        while file.read(65_536):
            pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000


@pytest.mark.parametrize("form", ["opus", "flac", "wav"])
def test_a_sealed_call_is_encrypted_and_heard_with_its_key_alone(tmp_path: Path, form: str) -> None:
    keys, call = Keys(), new_id()
    store = DiskRecordings(tmp_path, format=form, keys=keys)  # type: ignore[arg-type]
    journal = store.open_journal(call)
    for at in range(0, 16_000, 160):
        journal.leg("customer").write(at, bytes([0x10, 0x90] * 80), Codec.PCMU)
    journal.close(16_000)
    sealed = store.seal(call)
    store.discard(call)
    path = tmp_path / sealed.path
    assert path.read_bytes().startswith(cipher.MAGIC)
    assert path.with_suffix(".peaks").read_bytes().startswith(cipher.MAGIC)
    assert (path.stat().st_size, store.sha256(sealed.path)) == (sealed.size, sealed.sha256)
    assert not list(tmp_path.rglob("*.part"))
    sound = read_sound(path, keys)
    assert abs(len(sound[1]) - 16_000) <= 160
    assert abs(sound[1]).max() > 1000
    levels = store.levels(sealed.path)
    assert levels is not None
    assert max(levels.customer) > 0
    silenced = store.silence(sealed.path, [("customer", 0.0, 1.0)])
    assert path.read_bytes().startswith(cipher.MAGIC)
    assert store.sha256(sealed.path) == silenced.sha256 != sealed.sha256
    redacted = read_sound(path, keys)
    assert abs(redacted[1][800:7200]).max() < 100 < abs(redacted[1][8800:15_000]).max()
    keys.known.clear()
    assert store.levels(sealed.path) is None
    with pytest.raises(RecordingError):
        read_sound(path, keys)

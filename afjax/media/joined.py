"""Files that are several files one after the other, and WAV files whose head does not know their length.

Speech services send each sentence as a file, and people join them into one. Programs that write while they record do
not know the length yet and write another (0, 2^32 - 1, or that of the first piece). FFmpeg reads MP3, AAC and AVI to
their end. WAV, AIFF, MP4 and WebM say their length in their head, and FFmpeg would drop what follows without a word.
The times of Ogg and FLAC begin anew in each part:

    RIFF size WAVE | fmt | data size samples | LIST ... | RIFF size WAVE | fmt | data size samples
                                ^ 0, too much, or too little: samples go on to the end   ^ a second part
"""

import io
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from afjax.errors import InputError

__all__ = ["Part", "parts_of"]

_MAX_PARTS = 10_000
_MAX_BOXES = 1_000_000
_LOOK = 1 << 20
_UNKNOWN = 0x7FFFFFFF - (1 << 20)  # lengths from here on are written by programs that don't know theirs yet
_FLAC = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
_CHUNKS = tuple(
    name.ljust(4).encode() for name in "LIST id3 ID3 bext cue smpl iXML axml _PMX JUNK junk PAD PEAK".split()
)
_TAGS = (b"ID3", b"TAG", b"APETAGEX")


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `end` of a file; `patch` replaces the bytes at `patched` (counted from `start`).

    `missing`: the share of the part's bytes that are not there, as far as its head or last page tells.
    """

    path: Path
    start: int
    end: int
    patched: int = 0
    patch: bytes = b""
    missing: float = 0.0

    def open(self) -> io.BufferedReader | None:
        """The part as a file of its own; None where it is the whole file as it is."""
        whole = self.start == 0 and not self.patch and self.end == self.path.stat().st_size
        return None if whole else io.BufferedReader(_Window(self))


class _Window(io.RawIOBase):
    def __init__(self, part: Part):
        self._part, self._file, self._place = part, part.path.open("rb"), 0
        self.name = part.path.name  # FFmpeg knows a few formats by it

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        length = self._part.end - self._part.start
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: length}[whence])
        return self._place

    def readinto(self, buffer) -> int:
        part = self._part
        self._file.seek(part.start + self._place)
        data = bytearray(self._file.read(max(0, min(len(buffer), part.end - part.start - self._place))))
        for i, value in enumerate(part.patch, part.patched - self._place):
            if 0 <= i < len(data):
                data[i] = value
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self):
        self._file.close()
        super().close()


def parts_of(path: Path) -> tuple[Part, ...]:
    """The parts of a file that exists, in order; most files have one. InputError for too many."""
    size = path.stat().st_size
    with path.open("rb") as file:
        parts, start = [], 0
        while start < size:
            kind = _at(file, start, 12)
            walk = next((walk for told, walk in _WALKS.items() if _is(kind, told)), None)
            if walk is None:
                break
            if len(parts) == _MAX_PARTS:
                raise InputError(f"over {_MAX_PARTS} files joined", path, "join fewer")
            parts.append(walk(file, path, start, size))
            start = parts[-1].end
    if not parts:
        return (Part(path, 0, size),)
    return (*parts[:-1], replace(parts[-1], end=size))  # bytes that are no file of their own belong to the last


def _at(file, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _is(head: bytes, told: str) -> bool:
    """Whether the first twelve bytes match a pattern such as `RIFF....WAVE`, a dot for any byte."""
    return len(head) == 12 and all(wanted in (".", chr(byte)) for wanted, byte in zip(told, head, strict=True))


def _wav(file, path: Path, start: int, size: int) -> Part:
    place = start + 12
    while place + 8 <= size:
        name, length = struct.unpack("<4sI", _at(file, place, 8))
        begin, place = place + 8, place + 8 + length + length % 2
        if name == b"data":
            end = _after_samples(file, begin, length, size)
            rest = (end or size) - begin
            if end is None and rest != length:
                missing = 1 - rest / length if rest < length < _UNKNOWN else 0.0
                return Part(path, start, size, begin - 4 - start, struct.pack("<I", min(rest, (1 << 32) - 1)), missing)
            return Part(path, start, end or size)
        if not _printable(name):
            break
    return Part(path, start, size)


def _after_samples(file, begin: int, length: int, size: int) -> int | None:
    """Where a WAV file ends whose samples begin there; None where their length can't be true."""
    if length == 0 or begin + length > size:
        return None
    for place in (begin + length + length % 2, begin + length):  # some writers leave out the byte that evens a length
        known = False
        while place + 8 <= size:
            head = _at(file, place, 12)
            if _is(head, "RIFF....WAVE"):
                return place
            name, more = struct.unpack("<4sI", head[:8])
            if name in _CHUNKS or head.startswith(_TAGS) or not (any(head) or _has_nonzero_byte(file, place, size)):
                more = min(more, size - place - 8) if name in _CHUNKS else size  # cut short, or the file's last thing
                known = True
            elif not _printable(name) or place + 8 + more > size:
                if known:
                    return size
                break
            place += 8 + more + more % 2
        else:
            return size
    return None


def _printable(name: bytes) -> bool:
    return all(32 <= byte < 127 for byte in name)


def _has_nonzero_byte(file, place: int, size: int) -> bool:
    """Whether there is a byte that is not zero."""
    return any(any(_at(file, at, _LOOK)) for at in range(place, size, _LOOK))


def _aiff(file, path: Path, start: int, size: int) -> Part:
    end = start + 8 + struct.unpack(">I", _at(file, start + 4, 4))[0]
    end += (end - start) % 2
    return Part(path, start, end if _is(_at(file, end, 12), "FORM....AIF.") else size)


def _mp4(file, path: Path, start: int, size: int) -> Part:
    place, seen = start, set()
    for _ in range(_MAX_BOXES):
        if place + 8 > size:
            break
        length, name = struct.unpack(">I4s", _at(file, place, 8))
        # a fragmented file may repeat its head, and its time goes on
        if name == b"ftyp" and {b"moov", b"mdat"} <= seen and b"moof" not in seen:
            return Part(path, start, place)
        seen.add(name)
        if length == 1:
            (length,) = struct.unpack(">Q", _at(file, place + 8, 8).ljust(8, b"\0"))
        if length < 8:  # 0: to the end
            break
        place += length
    return Part(path, start, size)


def _ogg(file, path: Path, start: int, size: int) -> Part:
    place, begun = start, False
    while (head := _at(file, place, 27)).startswith(b"OggS") and len(head) == 27:
        first = bool(head[5] & 2)  # the first page of a stream
        if first and begun:
            return Part(path, start, place)
        begun = not first
        place += 27 + head[26] + sum(_at(file, place + 27, head[26]))
    return Part(path, start, size, missing=max(0.0, 1 - (size - start) / max(place - start, 1)))


def _flac(file, path: Path, start: int, size: int) -> Part:
    for place in range(start + 4, size, _LOOK):  # frames have no length: the next head is looked for
        block = _at(file, place, _LOOK + 7)
        found = [at for at in map(block.find, _FLAC) if at >= 0]
        if found:
            return Part(path, start, place + min(found))
    return Part(path, start, size)


def _matroska(file, path: Path, start: int, size: int) -> Part:
    place = start
    for _ in range(_MAX_BOXES):  # elements: a name of up to four bytes, then a length
        name = 9 - int.from_bytes(_at(file, place, 1), "big").bit_length()
        segment = _at(file, place, 4) == b"\x18\x53\x80\x67"
        count = 9 - int.from_bytes(_at(file, place + name, 1), "big").bit_length()
        length = int.from_bytes(_at(file, place + name, min(count, 8)), "big") & ((1 << 7 * count) - 1)
        if name > 4 or count > 8 or length == (1 << 7 * count) - 1:  # damaged, or not known
            break
        place += name + count + length
        if segment:
            return Part(path, start, min(place, size))
    return Part(path, start, size)


_WALKS = {
    "RIFF....WAVE": _wav,
    "FORM....AIF.": _aiff,
    "....ftyp....": _mp4,
    "OggS........": _ogg,
    "fLaC........": _flac,
    "\x1aE\xdf\xa3........": _matroska,
}

"""A compressed file's bytes: which model and build made it, what comes out of it, and three checks.

Layout, integers big-endian; docs/compression.md shows one file byte by byte:

    2       magic, b6 5a
    1       format version, 1
    5       model: begin of the sha256 of its weights and sizes
    2       build: begin of the sha256 of the words that name what computes
    1       low four bits: length e of the extension, 1..15; 10: something was given
    e       extension, ASCII
    3       only with something given: begin of its sha256
    1..9    n, length of the original without what it was given to begin with, as LEB128
    4       begin of the sha256 of those n bytes; not there for n = 0
    ...     32-bit words of the range coder
    4       CRC-32 of everything before

The header is this short because a sample may be as short as 100 bytes. No part of it is a defence
against forgers; a forged file that passes decodes to bytes that its maker chose. Only bytes here;
`bgpt.compress` joins them with a model.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Final

from pipelines.sample import EXTENSION_PATTERN

MAGIC: Final = b"\xb6\x5a"
VERSION: Final = 1
MODEL_BYTES: Final = 5
BUILD_BYTES: Final = 2
GIVEN_BYTES: Final = 3
CHECK_BYTES: Final = 4
SHORTEST: Final = len(MAGIC) + 1 + MODEL_BYTES + BUILD_BYTES + 1 + 1 + 1 + CHECK_BYTES
_HAS_GIVEN: Final = 0x10
_LARGEST_LENGTH: Final = (1 << 63) - 1


class Refused(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A compressed file that nothing can, or must, be made of; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressedFile:
    """A compressed file, taken apart."""

    model: bytes
    """`MODEL_BYTES`."""
    build: bytes
    """`BUILD_BYTES`."""
    extension: str
    given: bytes | None
    """`GIVEN_BYTES` that tell what was given; None: nothing was."""
    length: int
    """Bytes that come out."""
    check: bytes
    """`CHECK_BYTES` of their sha256; empty for none."""
    words: bytes
    """The range coder's, 4 bytes each."""


def digest(data: bytes, size: int) -> bytes:
    """Return the first `size` bytes of the sha256 of `data`.

    >>> digest(b"", 3).hex()
    'e3b0c4'
    """
    return hashlib.sha256(data).digest()[:size]


def pack(file: CompressedFile) -> bytes:
    """Return the bytes of a compressed file."""
    name = file.extension.encode("ascii")
    flags = len(name) | (0 if file.given is None else _HAS_GIVEN)
    head = MAGIC + bytes([VERSION]) + file.model + file.build + bytes([flags]) + name
    body = head + (file.given or b"") + _leb128(file.length) + file.check + file.words
    return body + zlib.crc32(body).to_bytes(4, "big")


def unpack(name: str, data: bytes) -> CompressedFile:
    """Take the compressed file called `name` apart.

    Raises:
        Refused: another kind of file, damaged, cut, or of another version.
    """
    if not data:
        raise Refused(f'{name}: an empty file; even an empty one that "bgpt compress" made is not')
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise Refused(f'{name}: not a file that "bgpt compress" made, or its first bytes are lost')
    body, crc = data[:-4], data[-4:]
    if len(data) < SHORTEST or zlib.crc32(body).to_bytes(4, "big") != crc:
        raise Refused(f"{name}: damaged or cut: {len(data)} bytes do not match their checksum")
    version = body[len(MAGIC)]
    if version != VERSION:
        raise Refused(
            f"{name}: of format version {version}, and this program reads {VERSION}; decompress it "
            "with the version of byteworld that made it"
        )
    reader = _Reader(name, body[len(MAGIC) + 1 :])
    model, build = reader.take(MODEL_BYTES), reader.take(BUILD_BYTES)
    flags = reader.take(1)[0]
    extension = reader.take(flags & 0x0F).decode("latin-1")
    if flags > 0x1F or not EXTENSION_PATTERN.fullmatch(extension):
        raise reader.refusal("an impossible extension")
    given = reader.take(GIVEN_BYTES) if flags & _HAS_GIVEN else None
    length = reader.leb128()
    check = reader.take(CHECK_BYTES) if length else b""
    words = reader.rest()
    if len(words) % 4 or (words and not length):
        raise reader.refusal(f"{len(words)} bytes of 32-bit words for {length} bytes")
    return CompressedFile(
        model=model,
        build=build,
        extension=extension,
        given=given,
        length=length,
        check=check,
        words=words,
    )


class _Reader:
    """Takes bytes off the front; what its file lacks is a refusal."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data, self._at = name, data, 0

    def refusal(self, what: str) -> Refused:
        return Refused(f'{self._name}: not a file that "bgpt compress" made: {what} in its header')

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise self.refusal(f"{len(taken)} of {size} bytes")
        self._at += size
        return taken

    def leb128(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise self.refusal(f"a length above {_LARGEST_LENGTH}")

    def rest(self) -> bytes:
        return self._data[self._at :]


def _leb128(value: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first, the last with its top bit clear.

    >>> _leb128(300).hex()
    'ac02'
    """
    assert 0 <= value <= _LARGEST_LENGTH
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

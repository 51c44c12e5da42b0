"""The tar record, the one form that our shards have: plain ustar files with fixed metadata.

The standard (POSIX.1-1988, `pax` in IEEE Std 1003.1, "ustar Interchange Format") as a table, and
`encode_header` / `decode_header` as inverse functions over it. Every field but name, size and
checksum is constant, so equal samples give equal bytes, and the bytes are those of Python's
`tarfile` with `format=USTAR_FORMAT` and `mtime=0`.

| offset | bytes | field    | ours                                            |
|-------:|------:|----------|-------------------------------------------------|
|      0 |   100 | name     | `KEY.EXT` in ASCII, NUL padded                  |
|    100 |     8 | mode     | `0000644` NUL                                   |
|    108 |  8, 8 | uid, gid | `0000000` NUL each                              |
|    124 |    12 | size     | 11 octal digits NUL                             |
|    136 |    12 | mtime    | `00000000000` NUL: 1 January 1970               |
|    148 |     8 | checksum | 6 octal digits NUL space: sum of the header's   |
|        |       |          | bytes, these eight counted as spaces            |
|    156 |     1 | typeflag | `0`, a regular file                             |
|    157 |   100 | linkname | NULs                                            |
|    257 |     8 | magic    | `ustar` NUL `00`                                |
|    265 |   247 | the rest | NULs (owner, group, device, prefix, padding)    |

It does not read other people's tars: what is not exactly this form is refused.
"""

from collections.abc import Sequence
from functools import lru_cache
from zlib import adler32

BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES
"""A tar's length is a multiple of this; the end is at least two blocks of NULs."""
MAX_NAME_BYTES = 100
MAX_FILE_BYTES = 8**11 - 1

_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_MTIME = b"00000000000\0"
_AFTER_CHECKSUM = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
_CONSTANT_SUM = 8 * ord(" ") + sum(_BEFORE_SIZE + _MTIME + _AFTER_CHECKSUM)


class UstarError(ValueError):
    """A block that is not a header of our form."""


def encode_header(name: bytes, num_bytes: int) -> bytes:
    """Return the 512-byte header of a file of `num_bytes` bytes.

    Raises:
        ValueError: a name that is empty or longer than 100 bytes, or a size beyond 8 GiB - 1.
    """
    (name_field,), (others,) = encode_headers([name], [num_bytes])
    return name_field + others


def encode_headers(names: Sequence[bytes], sizes: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
    """Return the headers of many files, each in two parts: the name field, the 412 bytes after it.

    Column by column and in parts, because that takes half as long as one `encode_header` each: the
    second parts recur, and are shared.

    Raises:
        ValueError: a name that is empty or longer than 100 bytes, or a size beyond 8 GiB - 1.
    """
    lengths = [len(name) for name in names]
    if names and not 0 < min(lengths) <= max(lengths) <= MAX_NAME_BYTES:
        wrong = next(name for name in names if not 0 < len(name) <= MAX_NAME_BYTES)
        raise ValueError(f"{wrong!r} does not fit a ustar header's 100 bytes")
    # The low half of Adler-32 started at 0 is the plain sum, for 30 ns; 100 bytes cannot reach
    # its modulus of 65521.
    sums = [adler32(name, 0) & 0xFFFF for name in names]
    return [name.ljust(MAX_NAME_BYTES, b"\0") for name in names], list(
        map(_after_name, sizes, sums)
    )


# Sizes and sums recur, and formatting octal digits is the larger part of a header's cost.
@lru_cache(maxsize=1 << 14)
def _after_name(num_bytes: int, name_sum: int) -> bytes:
    """Return the fields from the mode on, for a name whose bytes add up to `name_sum`."""
    if not 0 <= num_bytes <= MAX_FILE_BYTES:
        raise ValueError(f"{num_bytes} bytes do not fit a ustar header's size")
    size = b"%011o\0" % num_bytes
    checksum = name_sum + sum(size) + _CONSTANT_SUM
    return _BEFORE_SIZE + size + _MTIME + b"%06o\0 " % checksum + _AFTER_CHECKSUM


def decode_header(block: bytes) -> tuple[bytes, int]:
    """Return name and size from a header that `encode_header` made.

    Raises:
        UstarError: any byte differs from what `encode_header` writes.
    """
    name = block[:MAX_NAME_BYTES].rstrip(b"\0")
    try:
        num_bytes = int(block[124:135], 8)
        expected = encode_header(name, num_bytes)
    except ValueError as error:
        raise UstarError(f"not a tar header of our form: {block[:16]!r}...") from error
    if block != expected:
        raise UstarError(f"the header of {name!r} is not of our form, or its checksum is wrong")
    return name, num_bytes


def padding_bytes(num_bytes: int) -> int:
    """Return how many NULs follow a file of `num_bytes` bytes.

    >>> padding_bytes(0), padding_bytes(1), padding_bytes(512)
    (0, 511, 0)
    """
    return -num_bytes % BLOCK_BYTES


def end_bytes(num_bytes: int) -> int:
    """Return how many NULs end a tar whose files take `num_bytes` bytes.

    >>> end_bytes(0), end_bytes(9216), end_bytes(9728)
    (10240, 1024, 10752)
    """
    return 2 * BLOCK_BYTES + -(num_bytes + 2 * BLOCK_BYTES) % RECORD_BYTES

"""What errors are told apart by: a file cut into units, each of which belongs to a named part.

A task says how its own files are cut (`Task.dissect`): states by the instruction whose effect they
show, bytes of a tune by bar. Files of any other kind are cut by position and by kind of byte,
which know nothing but bytes. Nothing is counted here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Dimension:
    """One way to tell errors apart."""

    name: str
    """Of one word, `instruction`."""
    part: str
    """What a part is, as the head of a column."""
    unit: str
    """What is right or wrong as a whole, in the plural: `states`."""
    ranked: bool = True
    """The parts have no order of their own, and stand by their share of the errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """One file cut along one dimension, without gaps."""

    starts: NDArray[np.int64]
    """`[units]` first byte of each unit, ascending from 0; a unit ends where the next begins."""
    names: Sequence[str | None]
    """`[units]` the part of each unit; `None` where it belongs to none and is not counted."""

    def at(self, offset: int) -> str | None:
        """Return the part of the byte at `offset`.

        >>> Parts(starts=np.array([0, 4]), names=("head", "body")).at(3)
        'head'
        """
        return self.names[int(np.searchsorted(self.starts, offset, side="right")) - 1]


POSITION: Final = Dimension(name="position", part="Place in the file", unit="bytes", ranked=False)
BYTE_KIND: Final = Dimension(name="byte", part="Kind of byte", unit="bytes")
GENERIC: Final = (POSITION, BYTE_KIND)
"""Of tasks that cut nothing themselves."""

_TENTHS: Final = tuple(f"{tenth * 10}-{tenth * 10 + 10} %" for tenth in range(10))


def generic_parts(target: bytes) -> Mapping[str, Parts]:
    """Cut any file by place and by kind of byte."""
    return {POSITION.name: position_parts(len(target)), BYTE_KIND.name: _byte_parts(target)}


def position_parts(num_bytes: int) -> Parts:
    """Cut a file of `num_bytes` into its bytes, by the tenth of the file.

    >>> position_parts(4).names
    ['0-10 %', '20-30 %', '50-60 %', '70-80 %']
    """
    starts = np.arange(num_bytes, dtype=np.int64)
    return Parts(starts=starts, names=[_TENTHS[i * 10 // num_bytes] for i in range(num_bytes)])


def range_name(number: int) -> str:
    """Return the range, a power of two wide, that `number` from 1 on belongs to.

    >>> [range_name(number) for number in (1, 2, 3, 4, 5, 128, 129)]
    ['1', '2', '3-4', '3-4', '5-8', '65-128', '129-256']
    """
    last = 1 << (number - 1).bit_length()
    first = last // 2 + 1
    return str(last) if first >= last else f"{first}-{last}"


def _byte_parts(target: bytes) -> Parts:
    starts = np.arange(len(target), dtype=np.int64)
    return Parts(starts=starts, names=[_KINDS[byte] for byte in target])


def _kind_of(byte: int) -> str:
    character = chr(byte)
    if byte in (0x00, 0xFF):
        return f"0x{byte:02x}"
    if byte >= 0x7F:
        return "0x7f-0xfe"
    if byte < 0x20:
        return "line break" if character == "\n" else "0x01-0x1f"
    if character.isalpha():
        return "letter"
    return "digit" if character.isdigit() else "space" if byte == 0x20 else "punctuation"


_KINDS: Final = tuple(_kind_of(byte) for byte in range(256))

"""What A64 operands are: registers, numbers, masks and bit fields, and the forms made of them.

Encodings: Arm Architecture Reference Manual (DDI 0487), chapter C4, "A64 instruction set encoding";
the masks of logical instructions: its pseudocode `DecodeBitMasks`. Which instructions there are,
`a64.forms`, `a64.shifts` and `a64.memory` say.
"""

from collections.abc import Mapping
from typing import Final

from simulators.cpu.isa.table import Form, Operand, Piece, Target

NZCV: Final = 0b1111 << 28
CARRY: Final = 1 << 29
LINK_REGISTER: Final = 30
SIZES: Final = ("w", "x")
"""32 and 64 bits, by the letter of their registers."""

CONDITIONS: Final = (
    "eq",
    "ne",
    "hs",
    "lo",
    "mi",
    "pl",
    "vs",
    "vc",
    "hi",
    "ls",
    "ge",
    "lt",
    "gt",
    "le",
)
"""By number, as capstone prints them; 14 and 15 are always true and not drawn."""
SHIFTS: Final = {0: "lsl", 1: "lsr", 2: "asr", 3: "ror"}

EXTENSIONS: Final = {0: "uxtb", 1: "uxth", 2: "uxtw", 4: "sxtb", 5: "sxth", 6: "sxtw"}
"""3 and 7 extend nothing, and a listing shows their register as a 64-bit one."""


def _names(letter: str, last: str) -> Mapping[int, str]:
    return {number: f"{letter}{number}" for number in range(31)} | {31: last}


REGISTERS: Final = {"w": _names("w", "wzr"), "x": _names("x", "xzr")}
REGISTERS_OR_STACK: Final = {"w": _names("w", "wsp"), "x": _names("x", "sp")}


def number(at: int, bits: int, *, scale: int = 1, signed: bool = False) -> Operand:
    """Return a number in `bits` bits from bit `at` on."""
    return Operand(
        pieces=(Piece(source=0, bits=bits, target=at),),
        signed_bits=bits if signed else None,
        scale=scale,
    )


def named(at: int, bits: int, names: Mapping[int, str]) -> Operand:
    """Return a value in `bits` bits from bit `at` on that is shown by name."""
    return Operand(pieces=(Piece(source=0, bits=bits, target=at),), names=names)


def bit_masks(width: int) -> dict[int, int]:
    """Return mask to its encoding `N:immr:imms`, for every immediate of a logical instruction.

    A mask repeats an element of 2, 4, ... 64 bits, which is a run of ones rotated right.

    >>> hex(bit_masks(32)[0xFF00])
    '0x607'
    """
    masks: dict[int, int] = {}
    for size in (2, 4, 8, 16, 32, 64):
        if size > width:
            break
        element = (1 << size) - 1
        repeat = ((1 << width) - 1) // element
        # Above the run's length, imms says the element's size: 11110x for 2 bits, 1110xx for 4.
        size_code = ~(2 * size - 1) & 0x3F
        for ones in range(1, size):
            run = (1 << ones) - 1
            for turn in range(size):
                rotated = (run >> turn | run << (size - turn)) & element
                encoding = (size == 64) << 12 | turn << 6 | size_code | (ones - 1)
                masks[rotated * repeat] = encoding
    return masks


MASKS: Final = {"w": bit_masks(32), "x": bit_masks(64)}

MOVN_VALUES: Final = (
    *range(256),
    *((1 << n) - 1 for n in range(9, 16)),
    *(1 << n for n in range(8, 16)),
)
"""What `movn` inverts. A listing shows the result, which only a name can say."""


def is_wide(size: str) -> int:
    """Return 1 for 64 bits; bit 31 of most instructions."""
    return int(size == "x")


def make_form(
    name: str,
    klass: str,
    base: int,
    text: str,
    *operands: Operand,
    aliases: tuple[str, ...] = (),
    target: Target | None = None,
    reads: int = 0,
    sets: int = 0,
    writes: int = 0,
) -> Form:
    """Return a form from its word with all operand bits zero."""
    return Form(
        name=name,
        klass=klass,
        base=base.to_bytes(4, "little"),
        text=text,
        aliases=aliases,
        operands=operands,
        target=target,
        reads=reads,
        sets=sets,
        writes=writes,
    )


def extracted_fields(size: str) -> dict[int, str]:
    """Return `immr:imms` of every bit field as ubfx, sbfx and bfxil take it.

    Left out are the fields that reach the register's highest bit: those are shifts to the right.
    """
    return {
        low << 6 | high: f"#{low}, #{high - low + 1}"
        for high in range(31 + 32 * is_wide(size))
        for low in range(high + 1)
    }


def inserted_fields(size: str) -> dict[int, str]:
    """Return `immr:imms` of every place but bit 0 that bfi inserts a bit field at."""
    width = 32 << is_wide(size)
    return {
        (width - low) << 6 | (bits - 1): f"#{low}, #{bits}"
        for low in range(1, width)
        for bits in range(1, width - low + 1)
    }


def field(size: str, names: Mapping[int, str]) -> Operand:
    """Return `immr:imms` as one operand, because only together they say which bits are meant."""
    bits = 5 + is_wide(size)
    return Operand(
        pieces=(
            Piece(source=0, bits=bits, target=10),
            Piece(source=6, bits=bits, target=16),
        ),
        names=names,
    )


def to_register(size: str) -> Operand:
    """Return the register that is written, in bits 0 to 4."""
    return named(0, 5, REGISTERS[size])


def first_register(size: str) -> Operand:
    """Return the first source, in bits 5 to 9."""
    return named(5, 5, REGISTERS[size])


def second_register(size: str) -> Operand:
    """Return the second source, in bits 16 to 20."""
    return named(16, 5, REGISTERS[size])

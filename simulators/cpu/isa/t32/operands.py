"""What Thumb-2 operands are: registers, numbers, shifts, immediates, lists, and forms made of them.

Encodings: Armv7-M Architecture Reference Manual (DDI 0403), chapter A5; the immediates of 32-bit
instructions: its pseudocode `ThumbExpandImm`. Bit `b` of a 16-bit instruction, and of the first
halfword of a 32-bit one, is bit `b` here; bit `b` of the second halfword is bit `SECOND + b`.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Final

from simulators.cpu.isa.table import Form, Operand, Piece, Target

NZ: Final = 0b11 << 30
CARRY: Final = 1 << 29
NZC: Final = NZ | CARRY
NZCV: Final = NZC | 1 << 28
STACK_POINTER: Final = 13
LINK_REGISTER: Final = 14
SECOND: Final = 16

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
"""By number, as capstone prints them; 14 and 15 are other instructions."""

_HIGH: Final = {9: "sb", 10: "sl", 11: "fp", 12: "ip", STACK_POINTER: "sp", LINK_REGISTER: "lr"}
REGISTERS: Final = {number: _HIGH.get(number, f"r{number}") for number in range(15)}
LOW_REGISTERS: Final = {number: f"r{number}" for number in range(8)}


def number(at: int, bits: int, *, scale: int = 1) -> Operand:
    """Return a number in `bits` bits from bit `at` on, counted in units of `scale`."""
    return Operand(pieces=(Piece(source=0, bits=bits, target=at),), scale=scale)


def named(at: int, bits: int, names: Mapping[int, str]) -> Operand:
    """Return a value in `bits` bits from bit `at` on that is shown by name."""
    return Operand(pieces=(Piece(source=0, bits=bits, target=at),), names=names)


def low_register(at: int) -> Operand:
    """Return one of R0 to R7, in 3 bits from bit `at` on."""
    return named(at, 3, LOW_REGISTERS)


def register(at: int) -> Operand:
    """Return any register but the program counter, in 4 bits from bit `at` on."""
    return named(at, 4, REGISTERS)


FIRST: Final = register(0)
"""The first source of a 32-bit instruction, Rn."""
TO: Final = register(SECOND + 8)
"""Where a 32-bit instruction writes its result, Rd."""
LAST: Final = register(SECOND)
"""The last source of a 32-bit instruction, Rm."""

TWICE: Final = Operand(
    pieces=(Piece(source=0, bits=4, target=0), Piece(source=4, bits=4, target=SECOND)),
    names={17 * code: name for code, name in REGISTERS.items()},
)
"""A source that the encoding has in two places, which must be alike: 17 times the register."""

LSL, LSR, ASR, ROR = range(4)
SHIFTS: Final = ("lsl", "lsr", "asr", "ror")


def _shift_names() -> dict[int, str]:
    """Return `type:imm5` of a shifted register to its text; `ror #0` is a shift by the carry."""
    names = {
        kind << 5 | amount: f", {SHIFTS[kind]} #{amount or 32}"
        for kind in range(4)
        for amount in range(32)
    }
    return names | {LSL << 5: "", ROR << 5: ", rrx"}


SHIFT: Final = Operand(
    pieces=(
        Piece(source=0, bits=2, target=SECOND + 6),
        Piece(source=2, bits=3, target=SECOND + 12),
        Piece(source=5, bits=2, target=SECOND + 4),
    ),
    names=_shift_names(),
)
"""Kind and amount of a shifted register as one operand: what 0 means depends on the kind."""


def amount(names: Mapping[int, str]) -> Operand:
    """Return the amount of a 32-bit shift, `imm3:imm2`."""
    return Operand(pieces=SHIFT.pieces[:2], names=names)


def amounts(kind: int) -> dict[int, str]:
    """Return the encoded amounts of a shift: 0 means 32 to the right, else another instruction."""
    names = {n: f"#{n}" for n in range(1, 32)}
    return {0: "#32"} | names if kind in {LSR, ASR} else names


def expand_immediate(encoding: int) -> int | None:
    """Return the value of `i:imm3:imm8`; `None` where the manual calls it unpredictable.

    >>> hex(expand_immediate(0x3AB)), hex(expand_immediate(0x4FF))
    ('0xabababab', '0x7f800000')
    """
    byte, pattern = encoding & 0xFF, encoding >> 8
    if pattern >= 4:
        turn = encoding >> 7
        value = 0x80 | encoding & 0x7F
        return (value >> turn | value << (32 - turn)) & 0xFFFFFFFF
    if pattern and not byte:
        return None
    return byte * (1, 0x10001, 0x1000100, 0x1010101)[pattern]


def _immediates() -> dict[int, int]:
    values = {encoding: expand_immediate(encoding) for encoding in range(1 << 12)}
    return {encoding: value for encoding, value in values.items() if value is not None}


IMMEDIATES: Final = _immediates()
"""Encoding to value of every immediate of the 32-bit arithmetic and logic instructions."""
ENCODINGS: Final = {value: encoding for encoding, value in IMMEDIATES.items()}
"""Value to encoding: the inverse, as no value has two."""

_IMM12: Final = (
    Piece(source=0, bits=8, target=SECOND),
    Piece(source=8, bits=3, target=SECOND + 12),
    Piece(source=11, bits=1, target=10),
)
IMMEDIATE: Final = Operand(
    pieces=_IMM12, names={encoding: f"#{value:#x}" for encoding, value in IMMEDIATES.items()}
)
NUMBER_12: Final = Operand(pieces=_IMM12)
NUMBER_16: Final = Operand(pieces=(*_IMM12, Piece(source=12, bits=4, target=0)))

_FIELD: Final = (
    Piece(source=0, bits=5, target=SECOND),
    Piece(source=5, bits=2, target=SECOND + 6),
    Piece(source=7, bits=3, target=SECOND + 12),
)
EXTRACTED: Final = Operand(
    pieces=_FIELD,
    names={
        low << 5 | bits - 1: f"#{low}, #{bits}" for low in range(32) for bits in range(1, 33 - low)
    },
)
"""Lowest bit and width less 1 of a bit field, as ubfx and sbfx take it."""
INSERTED: Final = Operand(
    pieces=_FIELD,
    names={
        low << 5 | high: f"#{low}, #{high - low + 1}"
        for low in range(32)
        for high in range(low, 32)
    },
)
"""Lowest and highest bit of a bit field, as bfi and bfc take it."""


def register_list(registers: Iterable[int]) -> str:
    """Return a list of registers as a listing prints it.

    >>> register_list((0, 2))
    '{r0, r2}'
    """
    return "{" + ", ".join(REGISTERS[code] for code in registers) + "}"


def list_names(codes: tuple[int, ...], link_bit: int | None = None) -> dict[int, str]:
    """Return mask to text of every list of some of R0 to R7, and of the link register's bit."""
    known = {code: 1 << code for code in codes}
    if link_bit is not None:
        known[LINK_REGISTER] = 1 << link_bit
    return {
        sum(known[code] for code in chosen): register_list(chosen)
        for size in range(1, len(known) + 1)
        for chosen in combinations(known, size)
    }


def narrow(
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
    """Return a 16-bit form from its halfword with all operand bits zero."""
    return Form(
        name=name,
        klass=klass,
        base=base.to_bytes(2, "little"),
        text=text,
        aliases=aliases,
        operands=operands,
        target=target,
        reads=reads,
        sets=sets,
        writes=writes,
    )


def wide(
    name: str,
    klass: str,
    first: int,
    second: int,
    text: str,
    *operands: Operand,
    aliases: tuple[str, ...] = (),
    target: Target | None = None,
    reads: int = 0,
    sets: int = 0,
    writes: int = 0,
) -> Form:
    """Return a 32-bit form from its halfwords with all operand bits zero."""
    return Form(
        name=name,
        klass=klass,
        base=first.to_bytes(2, "little") + second.to_bytes(2, "little"),
        text=text,
        aliases=aliases,
        operands=operands,
        target=target,
        reads=reads,
        sets=sets,
        writes=writes,
    )

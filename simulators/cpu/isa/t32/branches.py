"""Thumb branches, calls and returns, as forms; of those through a register `bx lr` alone.

All count from 4 bytes behind the branch itself. In the long ones, the two bits J1 and J2 are ones
for every place within 4 MiB on either side.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from simulators.cpu.isa.t32.operands import (
    CONDITIONS,
    LINK_REGISTER,
    NZCV,
    SECOND,
    low_register,
    named,
    narrow,
    wide,
)
from simulators.cpu.isa.table import Form, Operand, Piece, Target

_NAMES: Final[Mapping[int, str]] = dict(enumerate(CONDITIONS))


def branch_forms() -> tuple[Form, ...]:
    """Return these forms."""
    return tuple(_forms())


def _place(operand: int, *pieces: Piece) -> tuple[Operand, Target]:
    """Return a distance with a sign, in halfwords."""
    reach = 1 << sum(piece.bits for piece in pieces)
    return Operand(pieces=pieces), Target(
        operand=operand, bias=4, shift=1, lowest=-reach, highest=reach - 2
    )


def _forms() -> Iterable[Form]:
    """Yield b on a condition and always, cbz and cbnz, bl and bx lr; cbz and cbnz forward only."""
    distance, target = _place(1, Piece(source=0, bits=8, target=0))
    yield narrow(
        "b.cond",
        "branch",
        0xD000,
        "b{0} #{1}",
        named(8, 4, _NAMES),
        distance,
        target=target,
        reads=NZCV,
    )
    distance, target = _place(0, Piece(source=0, bits=11, target=0))
    yield narrow("b", "branch", 0xE000, "b #{0}", distance, target=target)
    zero = Operand(
        pieces=(Piece(source=0, bits=5, target=3), Piece(source=5, bits=1, target=9)),
    )
    for i, mnemonic in enumerate(("cbz", "cbnz")):
        yield narrow(
            mnemonic,
            "branch",
            0xB100 | i << 11,
            f"{mnemonic} {{0}}, #{{1}}",
            low_register(0),
            zero,
            target=Target(operand=1, bias=4, shift=1, lowest=0, highest=126),
        )
    distance, target = _place(
        1,
        Piece(source=0, bits=11, target=SECOND),
        Piece(source=11, bits=6, target=0),
        Piece(source=17, bits=1, target=SECOND + 13),
        Piece(source=18, bits=1, target=SECOND + 11),
        Piece(source=19, bits=1, target=10),
    )
    yield wide(
        "b.cond.w",
        "branch",
        0xF000,
        0x8000,
        "b{0}.w #{1}",
        named(6, 4, _NAMES),
        distance,
        target=target,
        reads=NZCV,
    )
    distance, target = _place(
        0,
        Piece(source=0, bits=11, target=SECOND),
        Piece(source=11, bits=11, target=0),
    )
    yield wide("b.w", "branch", 0xF000, 0xB800, "b.w #{0}", distance, target=target)
    yield wide(
        "bl", "call", 0xF000, 0xF800, "bl #{0}", distance, target=target, writes=1 << LINK_REGISTER
    )
    yield narrow("bx lr", "call", 0x4770, "bx lr")

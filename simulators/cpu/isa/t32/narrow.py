"""The 16-bit Thumb instructions that work on registers, as forms.

Outside of IT blocks, which programs do not have, nearly all of them set flags. Loads and stores
stand in `t32.memory`, branches in `t32.branches`, the 32-bit encodings in `t32.wide`; what is
drawn, `t32.entries` says.
"""

from collections.abc import Iterable

from simulators.cpu.isa.t32.operands import (
    ASR,
    CARRY,
    LSL,
    LSR,
    NZ,
    NZC,
    NZCV,
    REGISTERS,
    SHIFTS,
    amounts,
    low_register,
    named,
    narrow,
    number,
    register,
)
from simulators.cpu.isa.table import Form, Operand, Piece


def narrow_forms() -> tuple[Form, ...]:
    """Return these forms."""
    families = (_shifts, _sums, _numbers, _two_registers, _any_registers, _extensions, _stack)
    return tuple(form for family in families for form in family())


def _shifts() -> Iterable[Form]:
    """Yield shifts by a number; `lsls` by 0 is `movs`."""
    yield narrow("movs r, r", "move", 0x0000, "movs {0}, {1}", *_pair(), sets=NZ)
    for kind in (LSL, LSR, ASR):
        yield narrow(
            f"{SHIFTS[kind]}s r, r, #",
            "shift",
            kind << 11,
            f"{SHIFTS[kind]}s {{0}}, {{1}}, {{2}}",
            *_pair(),
            named(6, 5, amounts(kind)),
            sets=NZC,
        )


def _pair() -> tuple[Operand, Operand]:
    """Return the register in bits 0 to 2, which most instructions write, and that in 3 to 5."""
    return low_register(0), low_register(3)


def _sums() -> Iterable[Form]:
    """Yield adds and subs of three registers, and of a number below 8."""
    for i, mnemonic in enumerate(("adds", "subs")):
        for kind, bit, last in (("r", 0, low_register(6)), ("#", 1 << 10, number(6, 3))):
            yield narrow(
                f"{mnemonic} r, r, {kind}",
                "arithmetic",
                0x1800 | i << 9 | bit,
                f"{mnemonic} {{0}}, {{1}}, {'#' if bit else ''}{{2}}",
                *_pair(),
                last,
                sets=NZCV,
            )


def _numbers() -> Iterable[Form]:
    """Yield movs, cmp, adds and subs with a number below 256."""
    for i, (mnemonic, klass) in enumerate(
        (("movs", "move"), ("cmp", "compare"), ("adds", "arithmetic"), ("subs", "arithmetic"))
    ):
        yield narrow(
            f"{mnemonic} r, #",
            klass,
            0x2000 | i << 11,
            f"{mnemonic} {{0}}, #{{1}}",
            low_register(8),
            number(0, 8),
            sets=NZCV if i else NZ,
        )


def _two_registers() -> Iterable[Form]:
    """Yield the instructions of two registers, the first of which most of them write."""
    rows = (
        ("ands", "logic", 0, NZ),
        ("eors", "logic", 0, NZ),
        ("lsls", "shift", 0, NZ),
        ("lsrs", "shift", 0, NZ),
        ("asrs", "shift", 0, NZ),
        ("adcs", "arithmetic", CARRY, NZCV),
        ("sbcs", "arithmetic", CARRY, NZCV),
        ("rors", "shift", 0, NZ),
        ("tst", "compare", 0, NZ),
        ("rsbs", "arithmetic", 0, NZCV),
        ("cmp", "compare", 0, NZCV),
        ("cmn", "compare", 0, NZCV),
        ("orrs", "logic", 0, NZ),
        ("muls", "multiply", 0, NZ),
        ("bics", "logic", 0, NZ),
        ("mvns", "logic", 0, NZ),
    )
    endings = {"rsbs": ", #0", "muls": ", {0}"}
    for opcode, (mnemonic, klass, reads, sets) in enumerate(rows):
        yield narrow(
            f"{mnemonic} r, r",
            klass,
            0x4000 | opcode << 6,
            f"{mnemonic} {{0}}, {{1}}{endings.get(mnemonic, '')}",
            *_pair(),
            reads=reads,
            sets=sets,
        )


def _any_registers() -> Iterable[Form]:
    """Yield add, cmp and mov of any two registers; of these only cmp touches the flags.

    A listing shows the addition of the stack pointer in another way.
    """
    # The highest bit of the first register's number stands apart.
    pieces = (Piece(source=0, bits=3, target=0), Piece(source=3, bits=1, target=7))
    first = Operand(pieces=pieces, names=REGISTERS)
    for mnemonic, klass, base in (
        ("add", "arithmetic", 0x4400),
        ("cmp", "compare", 0x4500),
        ("mov", "move", 0x4600),
    ):
        yield narrow(
            f"{mnemonic} any, any",
            klass,
            base,
            f"{mnemonic} {{0}}, {{1}}",
            first,
            register(3),
            sets=NZCV if mnemonic == "cmp" else 0,
        )
    yield narrow("add any, sp", "arithmetic", 0x4468, "add {0}, sp, {0}", first)


def _extensions() -> Iterable[Form]:
    """Yield extensions and reversals of bytes; none sets flags."""
    for i, mnemonic in enumerate(("sxth", "sxtb", "uxth", "uxtb")):
        yield narrow(
            f"{mnemonic} r, r", "move", 0xB200 | i << 6, f"{mnemonic} {{0}}, {{1}}", *_pair()
        )
    for i, mnemonic in ((0, "rev"), (1, "rev16"), (3, "revsh")):
        yield narrow(
            f"{mnemonic} r, r", "logic", 0xBA00 | i << 6, f"{mnemonic} {{0}}, {{1}}", *_pair()
        )


def _stack() -> Iterable[Form]:
    """Yield additions to the stack pointer, in words."""
    yield narrow(
        "add r, sp, #",
        "arithmetic",
        0xA800,
        "add {0}, sp, #{1}",
        low_register(8),
        number(0, 8, scale=4),
    )
    for i, mnemonic in enumerate(("add", "sub")):
        yield narrow(
            f"{mnemonic} sp, #",
            "stack",
            0xB000 | i << 7,
            f"{mnemonic} sp, #{{0}}",
            number(0, 7, scale=4),
        )

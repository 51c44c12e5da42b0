"""The 32-bit Thumb-2 bit counts, extensions, bit fields, saturations, products and quotients.

All as forms. Moves, arithmetic, logic and shifts stand in `t32.wide`.
"""

from collections.abc import Iterable
from typing import Final

from simulators.cpu.isa.t32.operands import (
    EXTRACTED,
    FIRST,
    INSERTED,
    LAST,
    SECOND,
    SHIFT,
    TO,
    TWICE,
    named,
    register,
    wide,
)
from simulators.cpu.isa.table import Form, Operand, Piece

ROTATIONS: Final = {0: "", 1: ", ror #8", 2: ", ror #16", 3: ", ror #24"}


def bit_forms() -> tuple[Form, ...]:
    """Return these forms."""
    families = (_one_register, _fields, _saturations, _multiplies, _divisions)
    return tuple(form for family in families for form in family())


def _one_register() -> Iterable[Form]:
    """Yield counts and reversals, whose source stands twice, and rotated extensions."""
    for mnemonic, first, second in (
        ("clz", 0xFAB0, 0xF080),
        ("rev.w", 0xFA90, 0xF080),
        ("rev16.w", 0xFA90, 0xF090),
        ("rbit", 0xFA90, 0xF0A0),
        ("revsh.w", 0xFA90, 0xF0B0),
    ):
        yield wide(
            f"{mnemonic} r, r", "logic", first, second, f"{mnemonic} {{0}}, {{1}}", TO, TWICE
        )
    for i, mnemonic in enumerate(("sxth", "uxth", "", "", "sxtb", "uxtb")):
        if mnemonic:
            yield wide(
                f"{mnemonic}.w r, r, ror",
                "move",
                0xFA0F | i << 4,
                0xF080,
                f"{mnemonic}.w {{0}}, {{1}}{{2}}",
                TO,
                LAST,
                named(SECOND + 4, 2, ROTATIONS),
            )


def _fields() -> Iterable[Form]:
    """Yield extracted, inserted and cleared bit fields."""
    for mnemonic, base, field in (
        ("sbfx", 0xF340, EXTRACTED),
        ("bfi", 0xF360, INSERTED),
        ("ubfx", 0xF3C0, EXTRACTED),
    ):
        yield wide(
            f"{mnemonic} r, r, #, #",
            "shift",
            base,
            0,
            f"{mnemonic} {{0}}, {{1}}, {{2}}",
            TO,
            FIRST,
            field,
        )
    yield wide("bfc r, #, #", "shift", 0xF36F, 0, "bfc {0}, {1}", TO, INSERTED)


def _saturations() -> Iterable[Form]:
    """Yield ssat and usat, which set Q where they saturate, and never clear it."""
    shifts = {n: f", lsl #{n}" for n in range(1, 32)} | {0: ""}
    shift = Operand(
        pieces=(*SHIFT.pieces[:2], Piece(source=5, bits=1, target=5)),
        names=shifts | {32 | n: f", asr #{n}" for n in range(1, 32)},
    )
    for mnemonic, base, more in (("ssat", 0xF300, 1), ("usat", 0xF380, 0)):
        yield wide(
            f"{mnemonic} r, #, r, shift",
            "arithmetic",
            base,
            0,
            f"{mnemonic} {{0}}, {{1}}, {{2}}{{3}}",
            TO,
            named(SECOND, 5, {n: f"#{n + more}" for n in range(32)}),
            FIRST,
            shift,
        )


def _multiplies() -> Iterable[Form]:
    """Yield 32 by 32 bits to 32, added or subtracted, and to 64 in two registers."""
    third = register(SECOND + 12)
    yield wide("mul r, r, r", "multiply", 0xFB00, 0xF000, "mul {0}, {1}, {2}", TO, FIRST, LAST)
    for i, mnemonic in enumerate(("mla", "mls")):
        yield wide(
            f"{mnemonic} r, r, r, r",
            "multiply",
            0xFB00,
            i << 4,
            f"{mnemonic} {{0}}, {{1}}, {{2}}, {{3}}",
            TO,
            FIRST,
            LAST,
            third,
        )
    for mnemonic, base in (
        ("smull", 0xFB80),
        ("umull", 0xFBA0),
        ("smlal", 0xFBC0),
        ("umlal", 0xFBE0),
    ):
        yield wide(
            f"{mnemonic} r, r, r, r",
            "multiply",
            base,
            0,
            f"{mnemonic} {{0}}, {{1}}, {{2}}, {{3}}",
            third,
            TO,
            FIRST,
            LAST,
        )


def _divisions() -> Iterable[Form]:
    """Yield sdiv and udiv; a division by zero gives 0, as the machine starts with no trap set."""
    for mnemonic, base in (("sdiv", 0xFB90), ("udiv", 0xFBB0)):
        yield wide(
            f"{mnemonic} r, r, r",
            "divide",
            base,
            0xF0F0,
            f"{mnemonic} {{0}}, {{1}}, {{2}}",
            TO,
            FIRST,
            LAST,
        )

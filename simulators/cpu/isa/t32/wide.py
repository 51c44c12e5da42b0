"""The 32-bit Thumb-2 moves, arithmetic, logic, compares and shifts, as forms.

Where the architecture makes one instruction a special case of another (`cmp` is `subs` into
register 15, `mov` is `orr` with register 15 first), it is a form of its own, as a listing shows it.
The other 32-bit instructions on registers stand in `t32.bits`; what is drawn, `t32.entries`
says.
"""

from collections.abc import Iterable
from typing import Final

from simulators.cpu.isa.t32.operands import (
    CARRY,
    FIRST,
    IMMEDIATE,
    LAST,
    NUMBER_12,
    NUMBER_16,
    NZ,
    NZC,
    NZCV,
    ROR,
    SHIFT,
    SHIFTS,
    TO,
    amount,
    amounts,
    wide,
)
from simulators.cpu.isa.table import Form

_OPERATIONS: Final = {
    "and": 0,
    "bic": 1,
    "orr": 2,
    "orn": 3,
    "eor": 4,
    "add": 8,
    "adc": 10,
    "sbc": 11,
    "sub": 13,
    "rsb": 14,
}
_ARITHMETIC: Final = 8
"""Operations from here on add or subtract, and set the overflow too."""
_COMPARES: Final = {"tst": 0, "teq": 4, "cmn": 8, "cmp": 13}

# Where a 16-bit encoding exists, listings mark the 32-bit one by ".w", but not everywhere.
_PLAIN_IMMEDIATES: Final = {"and", "bic", "orr", "orn", "eor", "adc", "sbc"}
_PLAIN_REGISTERS: Final = {"orn", "rsb"}


def wide_forms() -> tuple[Form, ...]:
    """Return these forms."""
    families = (_operations, _compares, _moves, _numbers, _shifts)
    return tuple(form for family in families for form in family())


def _operations() -> Iterable[Form]:
    """Yield arithmetic and logic with an immediate and with a shifted register."""
    for mnemonic, opcode in _OPERATIONS.items():
        logic = opcode < _ARITHMETIC
        for flags in (0, 1):
            name = f"{mnemonic}{'s' * flags}"
            for kind, base, last, plain in (
                ("#", 0xF000, (IMMEDIATE,), _PLAIN_IMMEDIATES),
                ("r, shift", 0xEA00, (LAST, SHIFT), _PLAIN_REGISTERS),
            ):
                suffix = "" if mnemonic in plain else ".w"
                yield wide(
                    f"{name}.w r, r, {kind}",
                    "logic" if logic else "arithmetic",
                    base | opcode << 5 | flags << 4,
                    0,
                    f"{name}{suffix} {{0}}, {{1}}, {{2}}{'{3}' if kind != '#' else ''}",
                    TO,
                    FIRST,
                    *last,
                    # `rrx` shifts the carry in.
                    reads=CARRY if mnemonic in {"adc", "sbc"} or kind != "#" else 0,
                    sets=flags * (NZ if logic else NZCV),
                )


def _compares() -> Iterable[Form]:
    """Yield tst, teq, cmn and cmp: operations that write no register."""
    for mnemonic, opcode in _COMPARES.items():
        for kind, base, last in (("#", 0xF010, (IMMEDIATE,)), ("r, shift", 0xEA10, (LAST, SHIFT))):
            yield wide(
                f"{mnemonic}.w r, {kind}",
                "compare",
                base | opcode << 5,
                0x0F00,
                f"{mnemonic}.w {{0}}, {{1}}{'{2}' if kind != '#' else ''}",
                FIRST,
                *last,
                reads=CARRY if kind != "#" else 0,
                sets=NZ if opcode < _ARITHMETIC else NZCV,
            )


def _moves() -> Iterable[Form]:
    """Yield mov and mvn of an immediate and a register, mvn shifted; movw and movt."""
    for flags in (0, 1):
        s, sets = "s" * flags, NZ * flags
        yield wide(
            f"mov{s}.w r, #",
            "move",
            0xF04F | flags << 4,
            0,
            f"mov{s}.w {{0}}, {{1}}",
            TO,
            IMMEDIATE,
            sets=sets,
        )
        yield wide(
            f"mvn{s}.w r, #",
            "move",
            0xF06F | flags << 4,
            0,
            f"mvn{s} {{0}}, {{1}}",
            TO,
            IMMEDIATE,
            sets=sets,
        )
        yield wide(
            f"mov{s}.w r, r",
            "move",
            0xEA4F | flags << 4,
            0,
            f"mov{s}.w {{0}}, {{1}}",
            TO,
            LAST,
            sets=sets,
        )
        yield wide(
            f"mvn{s}.w r, r, shift",
            "logic",
            0xEA6F | flags << 4,
            0,
            f"mvn{s}.w {{0}}, {{1}}{{2}}",
            TO,
            LAST,
            SHIFT,
            reads=CARRY,
            sets=sets,
        )
    for mnemonic, base in (("movw", 0xF240), ("movt", 0xF2C0)):
        yield wide(f"{mnemonic} r, #", "move", base, 0, f"{mnemonic} {{0}}, #{{1}}", TO, NUMBER_16)


def _numbers() -> Iterable[Form]:
    """Yield addw and subw, which take any number below 4,096 and set no flags."""
    for mnemonic, base in (("addw", 0xF200), ("subw", 0xF2A0)):
        yield wide(
            f"{mnemonic} r, r, #",
            "arithmetic",
            base,
            0,
            f"{mnemonic} {{0}}, {{1}}, #{{2}}",
            TO,
            FIRST,
            NUMBER_12,
        )


def _shifts() -> Iterable[Form]:
    """Yield shifts by a number and by a register, and the shift by the carry."""
    for flags in (0, 1):
        s, bit = "s" * flags, flags << 4
        for kind, mnemonic in enumerate(SHIFTS):
            yield wide(
                f"{mnemonic}{s}.w r, r, #",
                "shift",
                0xEA4F | bit,
                kind << 4,
                f"{mnemonic}{s}.w {{0}}, {{1}}, {{2}}",
                TO,
                LAST,
                amount(amounts(kind)),
                sets=NZC * flags,
            )
            yield wide(
                f"{mnemonic}{s}.w r, r, r",
                "shift",
                0xFA00 | kind << 5 | bit,
                0xF000,
                f"{mnemonic}{s}.w {{0}}, {{1}}, {{2}}",
                TO,
                FIRST,
                LAST,
                sets=NZ * flags,
            )
        yield wide(
            f"rrx{s} r, r",
            "shift",
            0xEA4F | bit,
            ROR << 4,
            f"rrx{s} {{0}}, {{1}}",
            TO,
            LAST,
            reads=CARRY,
            sets=NZC * flags,
        )

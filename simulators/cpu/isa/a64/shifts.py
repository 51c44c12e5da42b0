"""A64 shifts, bit fields, bit counts, division and multiplication, as forms.

The other data processing stands in `a64.forms`.
"""

from collections.abc import Iterable

from simulators.cpu.isa.a64.operands import (
    REGISTERS,
    SIZES,
    extracted_fields,
    field,
    first_register,
    inserted_fields,
    is_wide,
    make_form,
    named,
    number,
    second_register,
    to_register,
)
from simulators.cpu.isa.table import Form


def shift_forms() -> tuple[Form, ...]:
    """Return these forms."""
    by_size = [
        form
        for family in (_bitfields, _bits, _multiplies)
        for size in SIZES
        for form in family(size)
    ]
    return (*by_size, *_extensions(), *_wide_multiplies())


def _bitfields(size: str) -> Iterable[Form]:
    """Yield shifts by a number, extracted and inserted fields: special cases of sbfm, bfm, ubfm.

    There is a form of lsl for every amount, as its encoding is no copy of the amount's bits.
    """
    wide = is_wide(size) << 31 | is_wide(size) << 22
    last = 31 + 32 * is_wide(size)
    for mnemonic, base in (("lsr", 0x53000000), ("asr", 0x13000000)):
        yield make_form(
            f"{mnemonic} {size}, {size}, #",
            "shift",
            base | wide | last << 10,
            f"{mnemonic} {{0}}, {{1}}, #{{2}}",
            to_register(size),
            first_register(size),
            number(16, 5 + is_wide(size)),
        )
    for amount in range(1, last + 1):
        yield make_form(
            f"lsl {size}, {size}, #{amount}",
            "shift",
            0x53000000 | wide | (last + 1 - amount) << 16 | (last - amount) << 10,
            f"lsl {{0}}, {{1}}, #{amount}",
            to_register(size),
            first_register(size),
        )
    extracted = extracted_fields(size)
    for mnemonic, base, fields, aliases in (
        ("ubfx", 0x53000000, extracted, ()),
        ("sbfx", 0x13000000, extracted, ()),
        ("bfi", 0x33000000, extracted | inserted_fields(size), ("bfxil {0}, {1}, {2}",)),
    ):
        yield make_form(
            f"{mnemonic} {size}, {size}, #, #",
            "shift",
            base | wide,
            f"{mnemonic} {{0}}, {{1}}, {{2}}",
            to_register(size),
            first_register(size),
            field(size, fields),
            aliases=aliases,
        )
    yield make_form(
        f"extr {size}, {size}, {size}, #",
        "shift",
        0x13800000 | wide,
        "extr {0}, {1}, {2}, #{3}",
        to_register(size),
        first_register(size),
        second_register(size),
        number(10, 5 + is_wide(size)),
        aliases=("ror {0}, {1}, #{3}",),
    )


def _extensions() -> Iterable[Form]:
    """Yield extensions of 8, 16 and 32 bits; the source is always shown as a 32-bit register."""
    for mnemonic, size, base, high in (
        ("uxtb", "w", 0x53000000, 7),
        ("uxth", "w", 0x53000000, 15),
        ("sxtb", "w", 0x13000000, 7),
        ("sxth", "w", 0x13000000, 15),
        ("sxtb", "x", 0x93400000, 7),
        ("sxth", "x", 0x93400000, 15),
        ("sxtw", "x", 0x93400000, 31),
    ):
        yield make_form(
            f"{mnemonic} {size}, w",
            "move",
            base | high << 10,
            f"{mnemonic} {{0}}, {{1}}",
            to_register(size),
            first_register("w"),
        )


def _bits(size: str) -> Iterable[Form]:
    """Yield what has one source, and what has two: divisions and shifts by a register."""
    wide = is_wide(size) << 31
    ones = {"rbit": 0, "rev16": 1, "clz": 4, "cls": 5}
    ones |= {"rev": 2} if size == "w" else {"rev32": 2, "rev": 3}
    for mnemonic, opcode in ones.items():
        yield make_form(
            f"{mnemonic} {size}, {size}",
            "logic",
            0x5AC00000 | wide | opcode << 10,
            f"{mnemonic} {{0}}, {{1}}",
            to_register(size),
            first_register(size),
        )
    twos = {"udiv": 2, "sdiv": 3, "lsl": 8, "lsr": 9, "asr": 10, "ror": 11}
    for mnemonic, opcode in twos.items():
        yield make_form(
            f"{mnemonic} {size}, {size}, {size}",
            "divide" if opcode < 8 else "shift",
            0x1AC00000 | wide | opcode << 10,
            f"{mnemonic} {{0}}, {{1}}, {{2}}",
            to_register(size),
            first_register(size),
            second_register(size),
        )


def _multiplies(size: str) -> Iterable[Form]:
    """Yield madd and msub; mul and mneg add to the zero register."""
    for i, (mnemonic, alias) in enumerate((("madd", "mul"), ("msub", "mneg"))):
        yield make_form(
            f"{mnemonic} {size}, {size}, {size}, {size}",
            "multiply",
            0x1B000000 | is_wide(size) << 31 | i << 15,
            f"{mnemonic} {{0}}, {{1}}, {{2}}, {{3}}",
            to_register(size),
            first_register(size),
            second_register(size),
            named(10, 5, REGISTERS[size]),
            aliases=(f"{alias} {{0}}, {{1}}, {{2}}",),
        )


def _wide_multiplies() -> Iterable[Form]:
    """Yield 32 by 32 bits to 64, added or subtracted, and the high half of 64 by 64."""
    for sign, base in (("s", 0x9B200000), ("u", 0x9BA00000)):
        for i, (mnemonic, alias) in enumerate((("maddl", "mull"), ("msubl", "mnegl"))):
            yield make_form(
                f"{sign}{mnemonic} x, w, w, x",
                "multiply",
                base | i << 15,
                f"{sign}{mnemonic} {{0}}, {{1}}, {{2}}, {{3}}",
                to_register("x"),
                first_register("w"),
                second_register("w"),
                named(10, 5, REGISTERS["x"]),
                aliases=(f"{sign}{alias} {{0}}, {{1}}, {{2}}",),
            )
        yield make_form(
            f"{sign}mulh x, x, x",
            "multiply",
            (base ^ 3 << 21) | 31 << 10,
            f"{sign}mulh {{0}}, {{1}}, {{2}}",
            to_register("x"),
            first_register("x"),
            second_register("x"),
        )

"""What the generator draws for AArch64 of shifts, bit fields, multiplication and division."""

from collections.abc import Iterable

from simulators.cpu.isa.a64.entries import (
    FROM,
    PROGRAM_CODES,
    TO,
    ZERO,
    ZERO_REGISTER,
    constant,
    make_entry,
    other_than,
)
from simulators.cpu.isa.a64.operands import (
    SIZES,
    extracted_fields,
    inserted_fields,
    is_wide,
)
from simulators.cpu.isa.table import (
    Entry,
    Variable,
)


def shift_entries() -> tuple[Entry, ...]:
    """Return these entries."""
    by_size = [
        entry
        for family in (_shifts, _multiplies, _divisions)
        for size in SIZES
        for entry in family(size)
    ]
    return (*by_size, *_wide_multiplies())


def _shifts(s: str) -> Iterable[Entry]:
    """Yield shifts by a number and by a register, and bit fields."""
    last = 31 + 32 * is_wide(s)
    amount = Variable(low=1, count=last)
    for mnemonic in ("lsr", "asr"):
        form = f"{mnemonic} {s}, {s}, #"
        yield make_entry(form, "shift", (TO, FROM, amount), (form, 0, 1, 2), weight=60)
    for left in range(1, last + 1):
        form = f"lsl {s}, {s}, #{left}"
        yield make_entry(form, "shift", (TO, FROM), (form, 0, 1), weight=2 - is_wide(s))
    for mnemonic in ("lsl", "lsr", "asr", "ror"):
        form = f"{mnemonic} {s}, {s}, {s}"
        yield make_entry(form, "shift", (TO, FROM, FROM), (form, 0, 1, 2), weight=24)
    extracted = extracted_fields(s)
    # Of the signed fields from bit 0 on, those of 8, 16 and 32 bits are extensions.
    extensions = (7, 15, 31) if is_wide(s) else (7, 15)
    for mnemonic, fields in (
        ("ubfx", extracted if is_wide(s) else extracted.keys() - {7, 15}),
        ("sbfx", extracted.keys() - set(extensions)),
        ("bfi", inserted_fields(s)),
    ):
        form = f"{mnemonic} {s}, {s}, #, #"
        field = Variable(values=tuple(sorted(fields)))
        yield make_entry(form, "shift", (TO, FROM, field), (form, 0, 1, 2), weight=24)
    bfxil = f"bfi {s}, {s}, #, #"
    field = Variable(values=tuple(extracted))
    yield make_entry(f"bfxil {s}", "shift", (TO, FROM, field), (bfxil, 0, 1, 2), weight=12)
    form = f"extr {s}, {s}, {s}, #"
    yield make_entry(form, "shift", (TO, FROM, FROM, amount), (form, 0, 1, 2, 3), weight=12)
    yield make_entry(f"ror {s}, #", "shift", (TO, FROM, amount), (form, 0, 1, 1, 2), weight=24)


def _multiplies(s: str) -> Iterable[Entry]:
    for mnemonic, alias in (("madd", "mul"), ("msub", "mneg")):
        form = f"{mnemonic} {s}, {s}, {s}, {s}"
        yield make_entry(form, "multiply", (TO, FROM, FROM, FROM), (form, 0, 1, 2, 3), weight=2)
        yield make_entry(
            f"{alias} {s}",
            "multiply",
            (TO, FROM, FROM, ZERO_REGISTER),
            (form, 0, 1, 2, 3),
            weight=3,
        )


def _wide_multiplies() -> Iterable[Entry]:
    for sign in ("s", "u"):
        for mnemonic, alias in (("maddl", "mull"), ("msubl", "mnegl")):
            form = f"{sign}{mnemonic} x, w, w, x"
            yield make_entry(form, "multiply", (TO, FROM, FROM, FROM), (form, 0, 1, 2, 3))
            yield make_entry(
                f"{sign}{alias}", "multiply", (TO, FROM, FROM, ZERO_REGISTER), (form, 0, 1, 2, 3)
            )
        form = f"{sign}mulh x, x, x"
        yield make_entry(form, "multiply", (TO, FROM, FROM), (form, 0, 1, 2), weight=2)


def _divisions(s: str) -> Iterable[Entry]:
    """Yield divisions by a register, a number and 0, remainders, and the least number by -1."""
    divisor = Variable(low=1, count=16)
    apart = Variable(values=PROGRAM_CODES, differs_from=(0,))
    highest = 48 if is_wide(s) else 16
    for mnemonic in ("sdiv", "udiv"):
        form = f"{mnemonic} {s}, {s}, {s}"
        yield make_entry(form, "divide", (TO, FROM, FROM), (form, 0, 1, 2), weight=6)
        yield make_entry(
            f"{mnemonic} {s} by a number",
            "divide",
            (TO, FROM, divisor, TO),
            (f"movz {s}, #, lsl 0", 0, 2),
            (form, 3, 1, 0),
            weight=6,
        )
        yield make_entry(
            f"{mnemonic} {s} by zero", "divide", (TO, FROM, ZERO_REGISTER), (form, 0, 1, 2)
        )
        yield make_entry(
            f"{mnemonic} {s} by a register of zero",
            "divide",
            (TO, FROM, ZERO, TO),
            (f"movz {s}, #, lsl 0", 0, 2),
            (form, 3, 1, 0),
        )
        yield make_entry(
            f"{mnemonic} {s} and remainder",
            "divide",
            (TO, apart, apart, TO),
            (form, 0, 1, 2),
            (f"msub {s}, {s}, {s}, {s}", 3, 0, 2, 1),
            weight=2,
        )
        yield make_entry(
            f"{mnemonic} {s} overflows",
            "divide",
            (TO, constant(0x8000), other_than(0), ZERO, TO),
            (f"movz {s}, #, lsl {highest}", 0, 1),
            (f"movn {s}, #", 2, 3),
            (form, 4, 0, 2),
        )

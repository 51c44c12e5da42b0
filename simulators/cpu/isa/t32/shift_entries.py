"""What the generator draws for Thumb in registers besides: shifts, bit fields, products, quotients.

Idioms bring about what independent random operands would hardly ever show: a shift by less than 64,
a divisor of 0 or -1, a remainder.
"""

from collections.abc import Iterable

from simulators.cpu.isa.t32.entries import (
    FROM,
    PROGRAM_CODES,
    SMALL,
    TO,
    ZERO,
    immediates,
    make_entry,
    one,
    other_than,
)
from simulators.cpu.isa.t32.operands import ASR, EXTRACTED, INSERTED, LSL, LSR, SHIFTS, amounts
from simulators.cpu.isa.table import Entry, Variable


def shift_entries() -> tuple[Entry, ...]:
    """Return these entries."""
    families = (_shifts, _bits, _saturations, _multiplies, _divisions)
    return tuple(entry for family in families for entry in family())


def _saturations() -> Iterable[Entry]:
    shift = Variable(values=(*range(32), *range(33, 64)))
    for mnemonic in ("ssat", "usat"):
        form = f"{mnemonic} r, #, r, shift"
        bits = Variable(count=32)
        yield make_entry(
            f"{mnemonic} r, #, r", "arithmetic", (TO, bits, FROM, ZERO), (form, 0, 1, 2, 3)
        )
        yield one(form, "arithmetic", TO, bits, FROM, shift)


def _shifts() -> Iterable[Entry]:
    for kind, mnemonic in enumerate(SHIFTS):
        amount = Variable(values=tuple(amounts(kind)))
        if kind in {LSL, LSR, ASR}:
            yield one(f"{mnemonic}s r, r, #", "shift", TO, FROM, amount, weight=5)
        yield one(f"{mnemonic}s r, r", "shift", TO, FROM, weight=2)
        for name in (f"{mnemonic}.w", f"{mnemonic}s.w"):
            yield one(f"{name} r, r, #", "shift", TO, FROM, amount)
            yield one(f"{name} r, r, r", "shift", TO, FROM, FROM)
        # A random register is hardly ever a number of bits.
        yield make_entry(
            f"and and {mnemonic}",
            "shift",
            (TO, FROM, immediates(31, 63), other_than(0)),
            ("and.w r, r, #", 0, 1, 2),
            (f"{mnemonic}s r, r", 3, 0),
            weight=2,
        )
    for form in ("rrx r, r", "rrxs r, r"):
        yield one(form, "shift", TO, FROM)


def _bits() -> Iterable[Entry]:
    """Yield bit fields."""
    extracted, inserted = (
        Variable(values=tuple(field.names or ())) for field in (EXTRACTED, INSERTED)
    )
    for mnemonic in ("ubfx", "sbfx"):
        yield one(f"{mnemonic} r, r, #, #", "shift", TO, FROM, extracted, weight=3)
    yield one("bfi r, r, #, #", "shift", TO, FROM, inserted, weight=3)
    yield one("bfc r, #, #", "shift", TO, inserted, weight=2)


def _multiplies() -> Iterable[Entry]:
    yield one("muls r, r", "multiply", TO, FROM, weight=4)
    yield one("mul r, r, r", "multiply", TO, FROM, FROM, weight=4)
    for mnemonic in ("mla", "mls"):
        yield one(f"{mnemonic} r, r, r, r", "multiply", TO, FROM, FROM, FROM, weight=3)
    for mnemonic in ("umull", "smull", "umlal", "smlal"):
        yield one(f"{mnemonic} r, r, r, r", "multiply", TO, other_than(0), FROM, FROM, weight=3)


def _divisions() -> Iterable[Entry]:
    """Yield divisions, also by 0, which gives 0, of the least number by -1, and a remainder."""
    least, minus_one = immediates(1 << 31), immediates((1 << 32) - 1)
    for mnemonic in ("sdiv", "udiv"):
        form = f"{mnemonic} r, r, r"
        yield one(form, "divide", TO, FROM, FROM, weight=6)
        yield make_entry(
            f"{mnemonic} by a small number",
            "divide",
            (TO, FROM, other_than(1), SMALL),
            ("movs r, #", 2, 3),
            (form, 0, 1, 2),
            weight=3,
        )
        yield make_entry(
            f"{mnemonic} by 0",
            "divide",
            (TO, FROM, TO, ZERO),
            ("movs r, #", 2, 3),
            (form, 0, 1, 2),
        )
        yield make_entry(
            f"{mnemonic} of the least by -1",
            "divide",
            (TO, TO, other_than(1), least, minus_one),
            ("mov.w r, #", 1, 3),
            ("mov.w r, #", 2, 4),
            (form, 0, 1, 2),
        )
        yield make_entry(
            f"{mnemonic} and remainder",
            "divide",
            (TO, FROM, Variable(values=PROGRAM_CODES), other_than(0)),
            (form, 0, 1, 2),
            ("mls r, r, r, r", 3, 0, 2, 1),
            weight=3,
        )

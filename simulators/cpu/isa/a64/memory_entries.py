"""What the generator draws for AArch64 in memory: loads, stores, and accesses that fault.

The data window is 64 bytes at 0x400, which is why it lies in page 0: `ldr x3, [x1, #0x400]` reaches
it with a masked index alone. A pointer is a constant (`mov x1, #0x418`) or a masked index with
0x400 added. Whatever the registers hold, only entries of class `fault` leave the window.
"""

from collections.abc import Iterable
from typing import Final

from simulators.cpu.isa.a64.entries import (
    FROM,
    FROM_OR_ZERO,
    PROGRAM_CODES,
    TO,
    ZERO,
    Instruction,
    constant,
    make_entry,
    other_than,
    signed,
)
from simulators.cpu.isa.a64.memory import ACCESSES, Access
from simulators.cpu.isa.a64.operands import MASKS, SIZES, is_wide
from simulators.cpu.isa.table import Entry, Variable

DATA_ADDRESS: Final = 0x400
DATA_BYTES: Final = 64

_HALF: Final = DATA_BYTES // 2
_MOV: Final = "movz x, #, lsl 0"
_AND: Final = "and x, x, #"
_ADD: Final = "add x, x, #"
_WINDOW: Final = constant(DATA_ADDRESS)
_MIDDLE: Final = constant(DATA_ADDRESS + _HALF)


def memory_entries() -> tuple[Entry, ...]:
    """Return the entries of loads, stores and faults."""
    return (
        *(entry for access in ACCESSES for entry in _accesses(access)),
        *(entry for size in SIZES for entry in _pairs(size)),
        *(entry for access in ACCESSES for entry in _faults(access)),
    )


def _mask(value: int, size: str = "x") -> Variable:
    return constant(MASKS[size][value])


def _accesses(access: Access) -> Iterable[Entry]:
    """Yield a load or store by index, by pointer, unaligned, with a moved pointer, by register."""
    m, s, klass, size = access.mnemonic, access.size, access.klass, 1 << access.shift
    load = klass == "load"
    value = TO if load else FROM_OR_ZERO
    apart = other_than(0) if load else Variable(values=PROGRAM_CODES, differs_from=(0,))
    offset, index, scaled = (
        f"{m} {s}, [x, #]",
        f"{m} {s}, [x, x]",
        f"{m} {s}, [x, x, lsl #{access.shift}]",
    )
    last = _mask(DATA_BYTES - size)
    yield make_entry(
        f"{m} {s} by index",
        klass,
        (value, TO, FROM, last, constant(DATA_ADDRESS >> access.shift)),
        (_AND, 1, 2, 3),
        (offset, 0, 1, 4),
        weight=5,
    )
    yield make_entry(
        f"{m} {s} by index and offset",
        klass,
        (
            value,
            TO,
            FROM,
            _mask(_HALF - size),
            Variable(low=DATA_ADDRESS >> access.shift, count=(_HALF >> access.shift) + 1),
        ),
        (_AND, 1, 2, 3),
        (offset, 0, 1, 4),
        weight=3,
    )
    pointer = Variable(low=DATA_ADDRESS, step=8, count=4)
    yield make_entry(
        f"{m} {s} by pointer",
        klass,
        (value, TO, pointer, Variable(count=(_HALF >> access.shift) + 1)),
        (_MOV, 1, 2),
        (offset, 0, 1, 3),
        weight=4,
    )
    anywhere = signed(9, range(-_HALF, _HALF - size + 1))
    unscaled = f"{access.unscaled} {s}, [x, #]"
    yield make_entry(
        f"{m} {s} unaligned",
        klass,
        (value, TO, _MIDDLE, anywhere),
        (_MOV, 1, 2),
        (unscaled, 0, 1, 3),
        weight=2,
    )
    yield make_entry(
        f"{m} {s} unaligned by index",
        klass,
        (value, TO, FROM, _mask(31), _WINDOW, ZERO, Variable(count=_HALF - size + 1)),
        (_AND, 1, 2, 3),
        (_ADD, 1, 1, 4, 5),
        (unscaled, 0, 1, 6),
    )
    # A pointer that moves must not be what is loaded or stored.
    inner = Variable(low=DATA_ADDRESS + 16, step=8, count=4)
    yield make_entry(
        f"{m} {s} before moving",
        klass,
        (TO, last, FROM, _WINDOW, ZERO, apart, signed(9, range(-32, 33))),
        (_AND, 0, 2, 1),
        (_ADD, 0, 0, 3, 4),
        (f"{m} {s}, [x], #", 5, 0, 6),
    )
    yield make_entry(
        f"{m} {s} after moving",
        klass,
        (TO, inner, apart, signed(9, range(-16, 17))),
        (_MOV, 0, 1),
        (f"{m} {s}, [x, #]!", 2, 0, 3),
    )
    index_register = other_than(1)
    yield make_entry(
        f"{m} {s} by register",
        klass,
        (value, TO, FROM, last, index_register, _WINDOW),
        (_AND, 1, 2, 3),
        (_MOV, 4, 5),
        (index, 0, 4, 1),
    )
    count = DATA_BYTES >> access.shift
    yield make_entry(
        f"{m} {s} by scaled register",
        klass,
        (value, TO, FROM, _mask(count - 1), index_register, _WINDOW),
        (_AND, 1, 2, 3),
        (_MOV, 4, 5),
        (scaled, 0, 4, 1),
    )
    for extension, half in (("uxtw", 0), ("sxtw", count // 2)):
        base = DATA_ADDRESS + (half << access.shift)
        minus: tuple[Instruction, ...] = (("sub w, w, #", 1, 1, 6, 7),) if half else ()
        yield make_entry(
            f"{m} {s} by {extension}",
            klass,
            (
                value,
                TO,
                FROM,
                _mask(count - 1, "w"),
                index_register,
                constant(base),
                *((constant(half), ZERO) if half else ()),
            ),
            ("and w, w, #", 1, 2, 3),
            *minus,
            (_MOV, 4, 5),
            (f"{m} {s}, [x, w, {extension} #{access.shift}]", 0, 4, 1),
        )


def _pairs(s: str) -> Iterable[Entry]:
    """Yield ldp and stp by pointer, by index, and with the pointer moved."""
    near = signed(7, range(-2, 3) if is_wide(s) else range(-4, 5))
    inner = Variable(low=DATA_ADDRESS + 16, step=8, count=3)
    for m, klass in (("ldp", "load"), ("stp", "store")):
        load = klass == "load"
        first = other_than(0) if load else Variable(values=PROGRAM_CODES, differs_from=(0,))
        second = other_than(0, 1) if load else Variable(values=PROGRAM_CODES, differs_from=(0,))
        form = f"{m} {s}, {s}, "
        for ways, name, weight in (
            ("[x, #]", "by pointer", 4),
            ("[x], #", "before moving", 1),
            ("[x, #]!", "after moving", 1),
        ):
            yield make_entry(
                f"{m} {s} {name}",
                klass,
                (TO, first, second, inner, near),
                (_MOV, 0, 3),
                (form + ways, 1, 2, 0, 4),
                weight=weight,
            )
        yield make_entry(
            f"{m} {s} by index",
            klass,
            (TO, first, second, FROM, _mask(DATA_BYTES - 16), _WINDOW, ZERO),
            (_AND, 0, 3, 4),
            (_ADD, 0, 0, 5, 6),
            (f"{form}[x, #]", 1, 2, 0, 6),
            weight=4,
        )


def _faults(access: Access) -> Iterable[Entry]:
    """Yield an access to unmapped memory; sometimes mapped, by a bit; a store into code."""
    m, s, shift = access.mnemonic, access.size, access.shift
    value = TO if access.klass == "load" else FROM
    form = f"{m} {s}, [x, #]"
    behind_window = Variable(low=0x1000, step=8, count=0xE000 // 8)
    behind_stack = Variable(low=3, count=0xFFFD)
    for name, move, pointer, weight in (
        ("unmapped", _MOV, behind_window, 2),
        ("far away", "movz x, #, lsl 16", behind_stack, 1),
    ):
        yield make_entry(
            f"{m} {s} {name}",
            "fault",
            (value, TO, pointer, ZERO),
            (move, 1, 2),
            (form, 0, 1, 3),
            weight=weight,
        )
    yield make_entry(
        f"{m} {s} perhaps unmapped",
        "fault",
        (value, TO, FROM, _mask(0x1000), constant(DATA_ADDRESS >> shift)),
        (_AND, 1, 2, 3),
        (form, 0, 1, 4),
        weight=4,
    )
    if access.klass == "store":
        yield make_entry(
            f"{m} {s} into code",
            "fault",
            (value, TO, constant(1), Variable(count=256)),
            ("movz x, #, lsl 16", 1, 2),
            (form, 0, 1, 3),
        )

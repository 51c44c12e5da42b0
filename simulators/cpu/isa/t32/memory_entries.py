"""What the generator draws for Thumb in memory: loads, stores, pairs, lists, and faults.

Addresses lie in the data window whatever registers hold: a pointer is loaded, or an index masked.
Pairs and lists are at multiples of 4 bytes, as they must be; single accesses need not be.
"""

from collections.abc import Iterable
from typing import Final

from simulators.cpu.isa.t32.entries import (
    FROM,
    FROM_OR_LINK,
    PROGRAM_CODES,
    TO,
    ZERO,
    constant,
    immediates,
    make_entry,
    other_than,
)
from simulators.cpu.isa.t32.memory import ACCESSES, LISTED, MOVES, PUSHED, Access
from simulators.cpu.isa.t32.operands import list_names
from simulators.cpu.isa.table import Entry, Variable

DATA_ADDRESS: Final = 0x400
DATA_BYTES: Final = 64

_HALF: Final = DATA_BYTES // 2
_WINDOW: Final = immediates(DATA_ADDRESS)
_MOV, _MOVW, _AND, _ADD = "mov.w r, #", "movw r, #", "and.w r, r, #", "add.w r, r, #"


def memory_entries() -> tuple[Entry, ...]:
    """Return the entries of loads, stores and faults."""
    return (
        *(entry for access in ACCESSES for entry in _accesses(access)),
        *(entry for access in ACCESSES for entry in _moved(access)),
        *(entry for mnemonic in ("ldrd", "strd") for entry in _pairs(mnemonic)),
        *_lists(),
        *(entry for access in ACCESSES for entry in _faults(access)),
    )


def _accesses(access: Access) -> Iterable[Entry]:
    """Yield a load or store by index, by pointer, by two registers."""
    m, klass, size = access.mnemonic, access.klass, 1 << access.shift
    load = klass == "load"
    value = TO if load else FROM
    offset = f"{m}.w r, [r, #]"
    last = immediates(DATA_BYTES - size)
    yield make_entry(
        f"{m} by index",
        klass,
        (value, TO, FROM, last, constant(DATA_ADDRESS)),
        (_AND, 1, 2, 3),
        (offset, 0, 1, 4),
        weight=6,
    )
    yield make_entry(
        f"{m} by index, unaligned",
        klass,
        (
            value,
            TO,
            FROM,
            immediates(_HALF - 1),
            Variable(low=DATA_ADDRESS, count=_HALF - size + 1),
        ),
        (_AND, 1, 2, 3),
        (offset, 0, 1, 4),
        weight=2,
    )
    # 0x400 is 1 << 10, which two 16-bit instructions load.
    begin = (("movs r, #", 1, 2), ("lsls r, r, #", 1, 1, 3))
    one, ten = constant(1), constant(10)
    if access.by_number is not None:
        number = Variable(count=min(32, DATA_BYTES >> access.shift))
        yield make_entry(
            f"{m} by pointer",
            klass,
            (value, TO, _WINDOW, number),
            (_MOV, 1, 2),
            (f"{m} r, [r, #]", 0, 1, 3),
            weight=5,
        )
        yield make_entry(
            f"{m} by pointer, of 16 bits",
            klass,
            (value, TO, one, ten, number),
            *begin,
            (f"{m} r, [r, #]", 0, 1, 4),
            weight=2,
        )
    yield make_entry(
        f"{m} by pointer, wide",
        klass,
        (
            FROM_OR_LINK if not load else TO,
            TO,
            _WINDOW,
            Variable(step=size, count=DATA_BYTES >> access.shift),
        ),
        (_MOV, 1, 2),
        (offset, 0, 1, 3),
        weight=3,
    )
    index = (value, TO, FROM, last, other_than(1), _WINDOW)
    yield make_entry(
        f"{m} by two registers",
        klass,
        index,
        (_AND, 1, 2, 3),
        (_MOV, 4, 5),
        (f"{m} r, [r, r]", 0, 4, 1),
        weight=3,
    )
    for shift in range(4):
        scaled = immediates((DATA_BYTES - size) >> shift)
        yield make_entry(
            f"{m} by two registers, lsl {shift}",
            klass,
            (value, TO, FROM, scaled, other_than(1), _WINDOW, constant(shift)),
            (_AND, 1, 2, 3),
            (_MOV, 4, 5),
            (f"{m}.w r, [r, r, lsl]", 0, 4, 1, 6),
        )


def _moved(access: Access) -> Iterable[Entry]:
    """Yield an access by a short offset: below a pointer, or with the pointer moved."""
    m, klass = access.mnemonic, access.klass
    load = klass == "load"
    inner = Variable(low=DATA_ADDRESS + 16, count=DATA_BYTES - 31)
    # A pointer that moves must not be what is loaded or stored.
    apart = other_than(0) if load else Variable(values=PROGRAM_CODES, differs_from=(0,))
    for name, _, _ in MOVES:
        yield make_entry(
            f"{m} {name}",
            klass,
            (TO, inner, apart, Variable(low=1, count=12)),
            (_MOVW, 0, 1),
            (f"{m} r, {name}", 2, 0, 3),
        )


def _pairs(m: str) -> Iterable[Entry]:
    """Yield ldrd and strd by pointer, by index, and with the pointer moved."""
    load = m == "ldrd"
    klass = "load" if load else "store"
    first = other_than(0) if load else Variable(values=PROGRAM_CODES, differs_from=(0,))
    second = other_than(0, 1) if load else Variable(values=PROGRAM_CODES, differs_from=(0,))
    inner = Variable(low=DATA_ADDRESS + 16, step=4, count=(DATA_BYTES - 40) // 4 + 1)
    form = f"{m} r, r, "
    words = Variable(low=1, count=4)
    yield make_entry(
        f"{m} by pointer",
        klass,
        (TO, first, second, _WINDOW, Variable(count=DATA_BYTES // 4 - 1)),
        (_MOV, 0, 3),
        (f"{form}[r, #]", 1, 2, 0, 4),
        weight=5,
    )
    yield make_entry(
        f"{m} by index",
        klass,
        (TO, first, second, FROM, immediates(DATA_BYTES - 8), _WINDOW, ZERO),
        (_AND, 0, 3, 4),
        (_ADD, 0, 0, 5),
        (f"{form}[r, #]", 1, 2, 0, 6),
        weight=5,
    )
    for name, _, _ in MOVES:
        yield make_entry(
            f"{m} {name}",
            klass,
            (TO, first, second, inner, words),
            (_MOVW, 0, 3),
            (form + name, 1, 2, 0, 4),
        )


def _lists() -> Iterable[Entry]:
    """Yield ldm and stm of up to four registers, of which the base is none."""
    for m, klass, codes in (("ldm", "load", LISTED), ("stm", "store", PUSHED)):
        for bases in ((3, 4), *((code,) for code in LISTED)):
            others = tuple(code for code in codes if code not in bases)
            masks = tuple(mask for mask in list_names(others) if mask.bit_count() <= 4)
            several = tuple(mask for mask in masks if mask.bit_count() > 1)
            base = Variable(values=bases, written=True)
            name = "r3 or r4" if len(bases) > 1 else f"r{bases[0]}"
            # Sixteen bytes from the pointer, or up to it, lie in the window.
            upwards, downwards = _WINDOW, immediates(DATA_ADDRESS + 16)
            for suffix, start, lists in (
                ("", upwards, masks),
                (".w", upwards, several),
                ("db", downwards, several),
            ):
                yield make_entry(
                    f"{m}{suffix} {name}",
                    klass,
                    (base, FROM, immediates(DATA_BYTES - 16), start, Variable(values=lists)),
                    (_AND, 0, 1, 2),
                    (_ADD, 0, 0, 3),
                    (f"{m}{suffix} r!, {{}}", 0, 4),
                )


def _faults(access: Access) -> Iterable[Entry]:
    """Yield an access to unmapped memory; sometimes mapped, by a bit; a store into code."""
    m, klass = access.mnemonic, access.klass
    value = TO if klass == "load" else FROM
    form = f"{m}.w r, [r, #]"
    behind_window = Variable(low=0x1000, step=8, count=0xE000 // 8)
    # From 0xe0000000 on the processor has registers of its own.
    far_away = immediates(*(byte << 24 for byte in range(1, 0xE0)))
    for name, move, pointer, weight in (
        ("unmapped", _MOVW, behind_window, 2),
        ("far away", _MOV, far_away, 1),
    ):
        yield make_entry(
            f"{m} {name}",
            "fault",
            (value, TO, pointer, ZERO),
            (move, 1, 2),
            (form, 0, 1, 3),
            weight=weight,
        )
    yield make_entry(
        f"{m} perhaps unmapped",
        "fault",
        (value, TO, FROM, immediates(0x1000), constant(DATA_ADDRESS)),
        (_AND, 1, 2, 3),
        (form, 0, 1, 4),
        weight=4,
    )
    if klass == "store":
        yield make_entry(
            f"{m} into code",
            "fault",
            (value, TO, immediates(0x10000), Variable(count=256)),
            (_MOV, 1, 2),
            (form, 0, 1, 3),
        )

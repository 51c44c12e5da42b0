"""What the generator draws for RV32IM and RV64IM: memory, branches, loops, calls, faults, and all.

`andi t, s, 60; lw d, 0x400(t)` and `lw d, 0x410(zero)` are why the data window lies in page 0:
every number of 12 bits reaches it. Only `a4` and `a5` count loops. What the profile `alu` has
stands in `riscv.calculations`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from simulators.cpu.isa.riscv.calculations import calculations, divisions, moves
from simulators.cpu.isa.riscv.forms import Bits, access_bytes, loads_and_stores
from simulators.cpu.isa.riscv.variables import (
    FROM,
    FROM_OR_ZERO,
    NUMBER,
    SP,
    TO,
    ZERO,
    entry,
    numbers,
    other_than,
)
from simulators.cpu.isa.table import TARGET, Entry, Scope, Use, Variable

DATA_ADDRESS: Final = 0x400
DATA_BYTES: Final = 64
COUNTERS: Final = (14, 15)

FUNCTION_END: Final = (Use(form="ret"),)

CLASS_WEIGHTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "move": 12,
        "arithmetic": 20,
        "logic": 12,
        "shift": 10,
        "compare": 8,
        "multiply": 6,
        "divide": 6,
        "load": 12,
        "store": 10,
        "branch": 12,
        "loop": 5,
        "call": 5,
        "stack": 4,
        "fault": 1,
    }
)


def entries_of(bits: Bits) -> tuple[Entry, ...]:
    """Return what the generator draws."""
    return (
        *moves(bits),
        *calculations(bits),
        *divisions(bits),
        *_memory(bits),
        *_branches(),
        *_loops(),
        *_calls_and_stack(bits),
        *_faults(bits),
    )


def _memory(bits: Bits) -> tuple[Entry, ...]:
    """Return for every load and store: a fixed address, a pointer, an index; aligned and not."""
    loads, stores = loads_and_stores(bits)
    return tuple(
        one
        for name in (*loads, *stores)
        for one in _accesses(name, "load" if name in loads else "store")
    )


def _accesses(name: str, klass: str) -> tuple[Entry, ...]:
    size = access_bytes(name)
    value = TO if klass == "load" else FROM_OR_ZERO
    fixed = Variable(low=DATA_ADDRESS, step=size, count=DATA_BYTES // size)
    mask = Variable(values=(DATA_BYTES - size,))
    window = Variable(values=(DATA_ADDRESS,))
    middle = Variable(values=(DATA_ADDRESS + DATA_BYTES // 2,))
    around = numbers(*range(-DATA_BYTES // 2, DATA_BYTES // 2, size))
    aligned = (
        entry(name, klass, (value, fixed, ZERO), (name, 0, 1, 2), weight=4),
        entry(
            f"{name} by index",
            klass,
            (value, TO, FROM, mask, window),
            ("andi", 1, 2, 3),
            (name, 0, 4, 1),
            weight=4,
        ),
        entry(
            f"{name} by pointer",
            klass,
            (value, TO, middle, around),
            ("li", 1, 2),
            (name, 0, 3, 1),
            weight=2,
        ),
    )
    if size == 1:
        return aligned
    anywhere = Variable(low=DATA_ADDRESS, count=DATA_BYTES - size + 1)
    wide_mask = Variable(values=(DATA_BYTES - 2 * size,))
    odd = Variable(low=DATA_ADDRESS + 1, count=size - 1)
    return (
        *aligned,
        entry(f"{name} unaligned", klass, (value, anywhere, ZERO), (name, 0, 1, 2)),
        entry(
            f"{name} unaligned by index",
            klass,
            (value, TO, FROM, wide_mask, odd),
            ("andi", 1, 2, 3),
            (name, 0, 4, 1),
        ),
    )


def _branches() -> tuple[Entry, ...]:
    """Return forward branches on two registers, on zero, on a bit and on a comparison."""
    names = ("beq", "bne", "blt", "bge", "bltu", "bgeu")
    of_zero = (("beqz", "beq"), ("bnez", "bne"), ("bltz", "blt"), ("bgez", "bge"))
    swapped = (("bgtz", "blt"), ("blez", "bge"))
    forward: Scope = "forward"
    return (
        *(
            entry(name, "branch", (FROM, FROM), (name, 0, 1, TARGET), weight=3, scope=forward)
            for name in names
        ),
        *(
            entry(alias, "branch", (FROM, ZERO), (form, 0, 1, TARGET), scope=forward)
            for alias, form in of_zero
        ),
        *(
            entry(alias, "branch", (FROM, ZERO), (form, 1, 0, TARGET), scope=forward)
            for alias, form in swapped
        ),
        entry("j", "branch", (), ("j", TARGET), scope=forward),
        *(
            entry(
                f"{form} of {what}",
                "branch",
                (TO, FROM, number, ZERO),
                (test, 0, 1, 2),
                (form, 0, 3, TARGET),
                weight=2,
                scope=forward,
            )
            for what, test, number in (
                ("bits", "andi", numbers(1, 2, 3, 4, 8, 16, 64, 128)),
                ("a comparison", "slti", NUMBER),
                ("an unsigned comparison", "sltiu", NUMBER),
            )
            for form in ("beq", "bne")
        ),
    )


_COUNTER: Final = Variable(values=COUNTERS, written=True)


def _loops() -> tuple[Entry, ...]:
    """Return loops that count down by one or two, up to zero, and by halves: at most 8 rounds."""
    rows = (
        # Name, weight, values at the start, what counts, by how much, branch, its two operands.
        ("loop down", 4, numbers(*range(1, 9)), "addi", numbers(-1), "bne", (0, 3)),
        ("loop up", 2, numbers(*range(-8, 0)), "addi", numbers(1), "blt", (0, 3)),
        ("loop by two", 1, numbers(*range(1, 13)), "addi", numbers(-2), "blt", (3, 0)),
        ("loop to minus one", 1, numbers(*range(7)), "addi", numbers(-1), "bge", (0, 3)),
        ("loop by halves", 1, numbers(*range(1, 129)), "srli", numbers(1), "bne", (0, 3)),
    )
    return tuple(
        entry(
            name,
            "loop",
            (_COUNTER, start, step, ZERO),
            ("li", 0, 1),
            weight=weight,
            scope="loop",
            closing=((count, 0, 0, 2), (branch, *places, TARGET)),
            protected=0,
        )
        for name, weight, start, count, step, branch, places in rows
    )


_FRAME_BYTES: Final = 16
"""The calling convention keeps the stack pointer a multiple of it."""


def _calls_and_stack(bits: Bits) -> tuple[Entry, ...]:
    """Return calls, and frames on the stack around a body."""
    store, load, size = ("sw", "lw", 4) if bits == 32 else ("sd", "ld", 8)
    slot = Variable(low=0, step=size, count=_FRAME_BYTES // size)
    down, up = numbers(-_FRAME_BYTES), numbers(_FRAME_BYTES)
    first, second = numbers(0), numbers(size)
    frame, other = (SP, down, up), other_than(3)
    rows = (
        # Name, weight, variables from 3 on, stores as (value, place), loads.
        ("push and pop", 3, (FROM, slot, TO), ((3, 4),), ((5, 4),)),
        ("save and restore", 2, (TO, slot), ((3, 4),), ((3, 4),)),
        ("save two", 2, (TO, other, first, second), ((3, 5), (4, 6)), ((3, 5), (4, 6))),
        ("exchange", 1, (TO, other, first, second), ((3, 5), (4, 6)), ((3, 6), (4, 5))),
    )
    return (
        entry("call", "call", (), ("call", TARGET), weight=6, scope="call"),
        entry("jal", "call", (TO,), ("jal", 0, TARGET), scope="forward"),
        # To the instruction behind it: 8 bytes from the first, and an odd place loses its bit 0.
        entry(
            "jalr",
            "call",
            (TO, TO, Variable(values=(0,)), numbers(8, 9)),
            ("auipc", 1, 2),
            ("jalr", 0, 1, 3),
        ),
        *(
            entry(
                name,
                "stack",
                (*frame, *variables),
                ("addi", 0, 0, 1),
                *((store, value, place, 0) for value, place in saved),
                weight=weight,
                scope="bracket",
                closing=(
                    *((load, value, place, 0) for value, place in restored),
                    ("addi", 0, 0, 2),
                ),
            )
            for name, weight, variables, saved, restored in rows
        ),
    )


def _faults(bits: Bits) -> tuple[Entry, ...]:
    """Return loads and stores of unmapped memory, and stores into the code."""
    loads, stores = loads_and_stores(bits)
    below_zero = Variable(low=0x800, count=0x800 - 8)
    unmapped = Variable(values=(0x1, 0x7, 0xF, 0x12, 0x1F, 0x21, 0x12345, 0x7FFFF, 0x80000))
    far = Variable(count=0x800)
    code = Variable(values=(0x10, 0x11))
    return (
        *(
            one
            for name in (*loads, *stores)
            for value in [TO if name in loads else FROM]
            for one in (
                entry(f"{name} below zero", "fault", (value, below_zero, ZERO), (name, 0, 1, 2)),
                entry(
                    f"{name} unmapped",
                    "fault",
                    (value, other_than() if name in loads else TO, unmapped, far),
                    ("lui", 1, 2),
                    (name, 0, 3, 1),
                ),
            )
        ),
        *(
            entry(
                f"{name} into code",
                "fault",
                (FROM, TO, code, far),
                ("lui", 1, 2),
                (name, 0, 3, 1),
            )
            for name in stores
        ),
    )

"""What the generator draws for AArch64 besides straight code: branches, loops, calls, the stack."""

from collections.abc import Iterable
from typing import Final

from simulators.cpu.isa.a64.entries import (
    CONDITION,
    FROM,
    PROGRAM_CODES,
    TO,
    ZERO,
    Instruction,
    constant,
    make_entry,
    masks_of,
    other_than,
    signed,
)
from simulators.cpu.isa.a64.operands import MASKS, SIZES
from simulators.cpu.isa.table import TARGET, Entry, Variable

COUNTERS: Final = (4, 5)

_STACK: Final = constant(31)
_EQ, _NE, _LO, _MI, _PL, _LT, _GT = 0, 1, 3, 4, 5, 11, 12


def control_entries() -> tuple[Entry, ...]:
    """Return the entries of branches, loops, calls and the stack."""
    return (
        *(entry for size in SIZES for entry in _branches(size)),
        *_jumps(),
        *(entry for size in SIZES for entry in _loops(size)),
        *_calls_and_stack(),
    )


def _branches(s: str) -> Iterable[Entry]:
    """Yield forward branches after a compare, on zero, and on a bit."""
    rows: tuple[tuple[str, int, tuple[Variable, ...], tuple[Instruction, ...]], ...] = (
        (
            f"cmp {s}, {s} and b.cond",
            6,
            (FROM, Variable(values=PROGRAM_CODES, differs_from=(0,)), ZERO, CONDITION),
            ((f"cmp {s}, {s}, shift", 0, 1, 2, 2), ("b.cond", 3, TARGET)),
        ),
        (
            f"cmp {s}, # and b.cond",
            3,
            (FROM, Variable(count=64), ZERO, CONDITION),
            ((f"cmp {s}, #", 0, 1, 2), ("b.cond", 3, TARGET)),
        ),
        (
            f"tst {s}, # and b.cond",
            2,
            (FROM, masks_of(s), Variable(values=(_EQ, _NE))),
            ((f"tst {s}, #", 0, 1), ("b.cond", 2, TARGET)),
        ),
        *((f"{m} {s}", 1, (FROM,), ((f"{m} {s}", 0, TARGET),)) for m in ("cbz", "cbnz")),
        *(
            (
                f"and {s} and {m}",
                2,
                (
                    TO,
                    FROM,
                    Variable(values=tuple(MASKS[s][mask] for mask in (1, 2, 3, 7, 8, 0x80))),
                ),
                ((f"and {s}, {s}, #", 0, 1, 2), (f"{m} {s}", 0, TARGET)),
            )
            for m in ("cbz", "cbnz")
        ),
        *(
            (f"{m} {s}, #", 2, (FROM, Variable(count=32)), ((f"{m} {s}, #", 0, 1, TARGET),))
            for m in ("tbz", "tbnz")
        ),
    )
    for name, weight, variables, opening in rows:
        yield make_entry(name, "branch", variables, *opening, weight=weight, scope="forward")


def _jumps() -> Iterable[Entry]:
    """Yield a branch on the flags as they are, and one that is always taken."""
    condition = (CONDITION,)
    yield make_entry(
        "b.cond", "branch", condition, ("b.cond", 0, TARGET), weight=8, scope="forward"
    )
    yield make_entry("b", "branch", (), ("b", TARGET), scope="forward")


def _loops(s: str) -> Iterable[Entry]:
    """Yield loops of 1 to 7 rounds: down, up to a limit or to 0, below 0, by two, by halves."""
    few = Variable(low=1, count=6)
    one = (constant(1), ZERO)
    minus, plus = f"sub{{}} {s}, {s}, #", f"add{{}} {s}, {s}, #"
    from_number, from_inverse = f"movz {s}, #, lsl 0", f"movn {s}, #"
    rows: tuple[tuple[str, int, str, tuple[Variable, ...], tuple[Instruction, ...]], ...] = (
        (
            "down, cbnz",
            4,
            from_number,
            (few, *one),
            ((minus.format(""), 0, 0, 2, 3), (f"cbnz {s}", 0, TARGET)),
        ),
        (
            "down, b.cond",
            4,
            from_number,
            (few, *one, Variable(values=(_NE, _GT))),
            ((minus.format("s"), 0, 0, 2, 3), ("b.cond", 4, TARGET)),
        ),
        (
            "up, b.cond",
            3,
            from_number,
            (ZERO, *one, few, Variable(values=(_NE, _LO, _LT))),
            ((plus.format(""), 0, 0, 2, 3), (f"cmp {s}, #", 0, 4, 3), ("b.cond", 5, TARGET)),
        ),
        (
            "up to zero, b.cond",
            2,
            from_inverse,
            (Variable(count=6), *one, Variable(values=(_NE, _MI, _LT))),
            ((plus.format("s"), 0, 0, 2, 3), ("b.cond", 4, TARGET)),
        ),
        (
            "below zero, b.pl",
            1,
            from_number,
            (Variable(count=6), *one, constant(_PL)),
            ((minus.format("s"), 0, 0, 2, 3), ("b.cond", 4, TARGET)),
        ),
        (
            "below zero, tbz",
            1,
            from_number,
            (Variable(count=6), *one, constant(31)),
            ((minus.format(""), 0, 0, 2, 3), (f"tbz {s}, #", 0, 4, TARGET)),
        ),
        (
            "by two, cbnz",
            1,
            from_number,
            (Variable(low=2, step=2, count=6), constant(2), ZERO),
            ((minus.format(""), 0, 0, 2, 3), (f"cbnz {s}", 0, TARGET)),
        ),
        (
            "by halves, cbnz",
            2,
            from_number,
            (Variable(low=1, count=127), *one),
            ((f"lsr {s}, {s}, #", 0, 0, 2), (f"cbnz {s}", 0, TARGET)),
        ),
    )
    counter = Variable(values=COUNTERS, written=True)
    for name, weight, begin, variables, closing in rows:
        yield make_entry(
            f"loop {s} {name}",
            "loop",
            (counter, *variables),
            (begin, 0, 1),
            weight=weight,
            scope="loop",
            closing=closing,
            protected=0,
        )


def _calls_and_stack() -> Iterable[Entry]:
    """Yield a call, and brackets around a body; the stack pointer stays a multiple of 16."""
    yield make_entry("bl", "call", (), ("bl", TARGET), scope="call")
    minus_16, plus_16 = signed(9, (-16,)), constant(16)
    push, pop = "str x, [x, #]!", "ldr x, [x], #"
    # The distance of a pair counts in registers.
    push_two, pop_two = "stp x, x, [x, #]!", "ldp x, x, [x], #"
    frame = (_STACK, Variable(low=16, step=16, count=3), ZERO)
    store, load = "str x, [x, #]", "ldr x, [x, #]"
    other = other_than(0)
    rows: tuple[
        tuple[str, int, tuple[Variable, ...], tuple[Instruction, ...], tuple[Instruction, ...]], ...
    ] = (
        (
            "push and pop",
            4,
            (FROM, TO, _STACK, minus_16, plus_16),
            ((push, 0, 2, 3),),
            ((pop, 1, 2, 4),),
        ),
        (
            "save and restore",
            3,
            (TO, _STACK, minus_16, plus_16),
            ((push, 0, 1, 2),),
            ((pop, 0, 1, 3),),
        ),
        (
            "save and restore two",
            3,
            (TO, other, _STACK, signed(7, (-2,)), constant(2)),
            ((push_two, 0, 1, 2, 3),),
            ((pop_two, 0, 1, 2, 4),),
        ),
        (
            "exchange two",
            1,
            (TO, other, _STACK, signed(7, (-2,)), constant(2)),
            ((push_two, 0, 1, 2, 3),),
            ((pop_two, 1, 0, 2, 4),),
        ),
        (
            "frame",
            3,
            (*frame, FROM, TO, Variable(values=(0, 1))),
            (("sub x, x, #", 0, 0, 1, 2), (store, 3, 0, 5)),
            ((load, 4, 0, 5), ("add x, x, #", 0, 0, 1, 2)),
        ),
    )
    for name, weight, variables, opening, closing in rows:
        yield make_entry(
            name, "stack", variables, *opening, weight=weight, scope="bracket", closing=closing
        )

"""What the generator draws for Thumb besides straight code: branches, loops, calls, the stack."""

from collections.abc import Iterable
from typing import Final

from simulators.cpu.isa.t32.entries import (
    BYTE,
    CONDITION,
    FROM,
    FROM_OR_LINK,
    IMMEDIATE,
    PROGRAM_CODES,
    TO,
    ZERO,
    Instruction,
    constant,
    immediates,
    make_entry,
)
from simulators.cpu.isa.t32.memory import LISTED, PUSHED
from simulators.cpu.isa.t32.operands import STACK_POINTER, list_names
from simulators.cpu.isa.table import TARGET, Entry, Variable

COUNTERS: Final = (3, 4)

_EQ, _NE, _LO, _MI, _PL, _LT, _GT = 0, 1, 3, 4, 5, 11, 12


def control_entries() -> tuple[Entry, ...]:
    """Return the entries of branches, loops, calls and the stack."""
    return (
        *_branches(),
        *_loops(),
        make_entry("bl", "call", (), ("bl", TARGET), scope="call"),
        *_stack(),
    )


def _branches() -> Iterable[Entry]:
    """Yield forward branches after a compare, on zero, on the flags as they are, and always."""
    other = Variable(values=PROGRAM_CODES, differs_from=(0,))
    if_zero = Variable(values=(_EQ, _NE))
    rows: tuple[tuple[str, int, tuple[Variable, ...], tuple[Instruction, ...]], ...] = (
        (
            "cmp r, r",
            6,
            (CONDITION, FROM, Variable(values=PROGRAM_CODES, differs_from=(1,))),
            (("cmp r, r", 1, 2),),
        ),
        ("cmp r, #", 4, (CONDITION, FROM, BYTE), (("cmp r, #", 1, 2),)),
        ("cmp.w r, #", 2, (CONDITION, FROM, IMMEDIATE), (("cmp.w r, #", 1, 2),)),
        ("tst r, r", 2, (if_zero, FROM, FROM), (("tst r, r", 1, 2),)),
        (
            "tst.w r, #",
            2,
            (if_zero, FROM, immediates(1, 2, 3, 7, 8, 0x80)),
            (("tst.w r, #", 1, 2),),
        ),
        ("", 6, (CONDITION,), ()),
    )
    for branch, share in (("b.cond", 2), ("b.cond.w", 1)):
        for name, weight, variables, before in rows:
            yield make_entry(
                f"{name} and {branch}" if name else branch,
                "branch",
                variables,
                *before,
                (branch, 0, TARGET),
                weight=weight * share,
                scope="forward",
            )
    for form in ("cbz", "cbnz"):
        yield make_entry(form, "branch", (FROM,), (form, 0, TARGET), weight=3, scope="forward")
        yield make_entry(
            f"ands and {form}",
            "branch",
            (TO, other),
            ("ands r, r", 0, 1),
            (form, 0, TARGET),
            weight=3,
            scope="forward",
        )
    for form in ("b", "b.w"):
        yield make_entry(form, "branch", (), (form, TARGET), scope="forward")


def _loops() -> Iterable[Entry]:
    """Yield loops of 1 to 7 rounds: down, up to a limit or to 0, below 0, by two, by halves."""
    few, one = Variable(low=1, count=6), constant(1)
    begin = "movs r, #"
    rows: tuple[tuple[str, int, str, tuple[Variable, ...], tuple[Instruction, ...]], ...] = (
        ("down", 6, begin, (few, Variable(values=(_NE, _GT)), one), (("subs r, #", 0, 3),)),
        (
            "down, wide",
            2,
            begin,
            (few, Variable(values=(_NE, _GT)), immediates(1)),
            (("subs.w r, r, #", 0, 0, 3),),
        ),
        (
            "up to a limit",
            4,
            begin,
            (ZERO, Variable(values=(_NE, _LO, _LT)), one, few),
            (("adds r, #", 0, 3), ("cmp r, #", 0, 4)),
        ),
        (
            "up to zero",
            2,
            "mvn.w r, #",
            (Variable(count=6), Variable(values=(_NE, _MI, _LT)), one),
            (("adds r, r, #", 0, 0, 3),),
        ),
        (
            "below zero",
            2,
            begin,
            (Variable(count=6), constant(_PL), one),
            (("subs r, r, #", 0, 0, 3),),
        ),
        (
            "by two",
            1,
            begin,
            (Variable(low=2, step=2, count=6), constant(_NE), constant(2)),
            (("subs r, #", 0, 3),),
        ),
        (
            "by halves",
            3,
            begin,
            (Variable(low=1, count=127), constant(_NE), one),
            (("lsrs r, r, #", 0, 0, 3),),
        ),
    )
    counter = Variable(values=COUNTERS, written=True)
    for branch, share in (("b.cond", 2), ("b.cond.w", 1)):
        for name, weight, first, variables, closing in rows:
            yield make_entry(
                f"loop {name}, {branch}",
                "loop",
                (counter, *variables),
                (first, 0, 1),
                weight=weight * share,
                scope="loop",
                closing=(*closing, (branch, 2, TARGET)),
                protected=0,
            )


def _lists(codes: tuple[int, ...], size: int, link_bit: int | None = None) -> Variable:
    """Return the lists of `size` registers."""
    masks = list_names(codes, link_bit)
    return Variable(values=tuple(mask for mask in masks if mask.bit_count() == size))


def _stack() -> Iterable[Entry]:
    """Yield brackets around a body: pushes with their pops, a frame, a word below the stack."""
    for size in (1, 2, 3):
        variables = (_lists(PUSHED, size, link_bit=8), _lists(LISTED, size))
        yield make_entry(
            f"push and pop {size}",
            "stack",
            variables,
            ("push {}", 0),
            scope="bracket",
            closing=(("pop {}", 1),),
            weight=4 - size,
        )
        yield make_entry(
            f"push and drop {size}",
            "stack",
            (variables[0], constant(size)),
            ("push {}", 0),
            scope="bracket",
            closing=(("add sp, #", 1),),
        )
    save = Variable(values=(8, 16), registers=(3, 4), written=True)
    yield make_entry(
        "save and restore",
        "stack",
        (save,),
        ("push {}", 0),
        scope="bracket",
        closing=(("pop {r}", 0),),
        weight=2,
    )
    stack, four = constant(STACK_POINTER), constant(4)
    for name, variables, popped in (
        ("save and restore, wide", (stack, four, TO), 2),
        ("push and pop, wide", (stack, four, FROM_OR_LINK, TO), 3),
    ):
        yield make_entry(
            name,
            "stack",
            variables,
            ("str r, pre -", 2, 0, 1),
            scope="bracket",
            closing=(("ldr r, post +", popped, 0, 1),),
        )
    words = Variable(low=2, count=7)
    yield make_entry(
        "frame",
        "stack",
        (words, FROM, TO, Variable(count=2)),
        ("sub sp, #", 0),
        ("str r, [sp, #]", 1, 3),
        scope="bracket",
        closing=(("ldr r, [sp, #]", 2, 3), ("add sp, #", 0)),
        weight=4,
    )

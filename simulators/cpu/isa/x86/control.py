"""x86 branches, loops, calls, stack and faults, for the tables of both modes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from simulators.cpu.isa.table import TARGET, Form
from simulators.cpu.isa.x86.entries import Draft
from simulators.cpu.isa.x86.forms import (
    BIT,
    CONDITIONS,
    CX,
    DX,
    SP,
    Effect,
    Number,
    one_of,
    range_of,
    register_place,
)
from simulators.cpu.isa.x86.operations import (
    ANY_BYTE,
    move_number_form,
    number_form,
    pair_form,
    unary_form,
)

CLASS_WEIGHTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "move": 120,
        "arithmetic": 180,
        "logic": 110,
        "shift": 80,
        "compare": 50,
        "multiply": 40,
        "divide": 15,
        "load": 110,
        "store": 90,
        "branch": 80,
        "loop": 30,
        "call": 25,
        "stack": 30,
        "fault": 17,
    }
)
"""Of both modes. With these about half of the programs of 60 instructions meet a fault."""

LOOP_COUNTS: Final = one_of(1, 2, 3, 4, 5)
_LOOP_CONDITIONS: Final = ("ne", "b", "l")
"""Conditions for going on in a loop that counts up to a number."""


def jump_form(draft: Draft, condition: str, *, near: bool = False) -> Form:
    """Add a conditional jump by a distance of 8 bits, or `near`, of 16 or 32."""
    code = [name for name, _ in CONDITIONS].index(condition)
    return draft.form(
        f"j{condition}{' near' if near else ''}",
        "branch",
        bytes([0x0F, 0x80 | code]) if near else bytes([0x70 | code]),
        f"j{condition} {{imm}}",
        Effect(reads=CONDITIONS[code][1]),
        distance_bits=_near_bits(draft) if near else 8,
    )


def add_branches(draft: Draft) -> None:
    """Add forward branches: on flags as they are, after a compare, and on CX."""
    word = draft.word
    compare = pair_form(draft, "cmp", word)
    compare_small = number_form(draft, "cmp", word, small=True)
    compare_byte = number_form(draft, "cmp", draft.shape("r8"))
    test = pair_form(draft, "test", word)
    for condition, _ in CONDITIONS:
        jump = jump_form(draft, condition)
        near = jump_form(draft, condition, near=True)
        draft.idiom(jump.name, "branch", (), (jump, (TARGET,)), scope="forward", weight=4)
        draft.idiom(near.name, "branch", (), (near, (TARGET,)), scope="forward", weight=1)
        for first, variables, weight in (
            (compare, (word.register(), word.register(differs_from=(0,))), 3),
            (compare_small, (word.register(), ANY_BYTE), 2),
            (compare_byte, (draft.shape("r8").register(), ANY_BYTE), 1),
            (test, (word.register(), word.register()), 1),
        ):
            draft.idiom(
                f"{first.name}; {jump.name}",
                "branch",
                variables,
                (first, (0, 1)),
                (jump, (TARGET,)),
                scope="forward",
                weight=weight,
            )
    test_bit = draft.form(
        f"bt {word.name}, imm",
        "compare",
        b"\x0f\xba",
        "bt {rm}, {imm}",
        BIT,
        shape=word,
        place=register_place(word.width, rex=word.rex is not None),
        register=4,
        number=Number(bits=8),
    )
    for condition in ("b", "ae"):
        draft.idiom(
            f"bt; j{condition}",
            "branch",
            (word.register(), range_of(word.width)),
            (test_bit, (0, 1)),
            (jump_form(draft, condition), (TARGET,)),
            scope="forward",
            weight=4,
        )
    always = draft.form("jmp", "branch", b"\xeb", "jmp {imm}", distance_bits=8)
    draft.idiom("jmp", "branch", (), (always, (TARGET,)), scope="forward", weight=4)
    if_zero = "jcxz" if draft.bits == 16 else "jrcxz"
    on_counter = draft.form(if_zero, "branch", b"\xe3", f"{if_zero} {{imm}}", distance_bits=8)
    draft.idiom(if_zero, "branch", (), (on_counter, (TARGET,)), scope="forward", weight=2)
    draft.idiom(
        f"and; {if_zero}",
        "branch",
        (word.register(CX, written=True), one_of(1, 2, 3, 4)),
        (number_form(draft, "and", word, small=True), (0, 1)),
        (on_counter, (TARGET,)),
        scope="forward",
        weight=8,
    )


def add_loops(draft: Draft, counters: tuple[int, ...]) -> None:
    """Add loops that end after at most six rounds."""
    word = draft.word
    # The counter is set by the short form, which zero-extends in 64-bit mode.
    set_counters = ("r16",) if draft.bits == 16 else ("r32",)
    legacy = tuple(code for code in counters if code < 8)
    number = move_number_form(draft, draft.shape(set_counters[0]))
    counter = word.register(*counters, written=True)
    low_counter = word.register(*legacy, written=True)
    only_cx = word.register(CX, written=True)
    decrement = unary_form(draft, "dec", word)
    subtract = number_form(draft, "sub", word, small=True)
    one = one_of(1)
    for condition, step, operands in (
        ("ne", decrement, (0,)),
        ("g", decrement, (0,)),
        ("ns", decrement, (0,)),
        ("ne", subtract, (0, 2)),
        ("a", subtract, (0, 2)),
    ):
        jump = jump_form(draft, condition)
        draft.idiom(
            f"loop by {step.name}, {jump.name}",
            "loop",
            (low_counter, LOOP_COUNTS, one),
            (number, (0, 1)),
            scope="loop",
            closing=((step, operands), (jump, (TARGET,))),
            protected=0,
            weight=4 if condition == "ne" else 1,
        )
    clear = pair_form(draft, "xor", word)
    compare = number_form(draft, "cmp", word, small=True)
    for name in ("inc", "add"):
        step = unary_form(draft, "inc", word)
        if name == "add":
            step = number_form(draft, "add", word, small=True)
        for condition in _LOOP_CONDITIONS:
            jump = jump_form(draft, condition)
            draft.idiom(
                f"loop up by {step.name}, {jump.name}",
                "loop",
                (counter, LOOP_COUNTS, one),
                (clear, (0, 0)),
                scope="loop",
                closing=(
                    (step, (0,) if name == "inc" else (0, 2)),
                    (compare, (0, 1)),
                    (jump, (TARGET,)),
                ),
                protected=0,
            )
    near = jump_form(draft, "ne", near=True)
    draft.idiom(
        f"loop by {decrement.name}, {near.name}",
        "loop",
        (low_counter, LOOP_COUNTS),
        (number, (0, 1)),
        scope="loop",
        closing=((decrement, (0,)), (near, (TARGET,))),
        protected=0,
    )
    plain = draft.form("loop", "loop", b"\xe2", "loop {imm}", distance_bits=8, writes=1 << CX)
    draft.idiom(
        "loop",
        "loop",
        (only_cx, LOOP_COUNTS),
        (number, (0, 1)),
        scope="loop",
        closing=((plain, (TARGET,)),),
        protected=0,
        weight=6,
    )
    # No loope, loopne: after them the emulator has flags that differ from the processor's.


def add_calls(draft: Draft) -> Form:
    """Add calls; return the form of the return."""
    call = draft.form(
        "call",
        "call",
        b"\xe8",
        "call {imm}",
        distance_bits=_near_bits(draft),
        writes=1 << SP,
    )
    draft.idiom("call", "call", (), (call, (TARGET,)), scope="call")
    return draft.form("ret", "call", b"\xc3", "ret", writes=1 << SP)


def add_stack(draft: Draft) -> None:
    """Add pushes with their pops."""
    word = draft.word
    plain = word if draft.bits == 16 else draft.shape("r32")  # pushes 64 bits without REX, too
    names = {code: word.names[code] for code in range(8)}
    pushes = [
        draft.form(
            f"push r{draft.bits}",
            "stack",
            b"\x50",
            "push {reg}",
            register=names,
            in_opcode=True,
            writes=1 << SP,
        )
    ]
    pop = draft.form(
        f"pop r{draft.bits}",
        "stack",
        b"\x58",
        "pop {reg}",
        register=names,
        in_opcode=True,
        writes=1 << SP,
    )
    source, to = plain.register(), plain.register(written=True)
    draft.idiom(
        "push; pop",
        "stack",
        (source, to),
        (pushes[0], (0,)),
        scope="bracket",
        closing=((pop, (1,)),),
        weight=12,
    )
    other = plain.register(written=True, differs_from=(0,))
    draft.idiom(
        "swap by the stack",
        "stack",
        (to, other),
        (pushes[0], (0,)),
        (pushes[0], (1,)),
        (pop, (0,)),
        (pop, (1,)),
        weight=3,
    )
    for label, opcode, number, value in (
        ("i8", b"\x6a", Number(bits=8, signed=True), ANY_BYTE),
        (
            "imm",
            b"\x68",
            Number(bits=min(draft.bits, 32), signed=True),
            range_of(1 << min(draft.bits, 32)),
        ),
    ):
        push = draft.form(
            f"push {label}", "stack", opcode, "push {imm}", number=number, writes=1 << SP
        )
        draft.idiom(f"push {label}; pop", "stack", (value, to), (push, (0,)), (pop, (1,)), weight=2)


def add_division_faults(draft: Draft) -> None:
    """Add divisions by zero, and one whose quotient is too large."""
    for shape in draft.shapes:
        if shape.only_rex:
            continue
        clear = pair_form(draft, "xor", shape)
        for name in ("div", "idiv"):
            divide = unary_form(draft, name, shape)
            draft.idiom(
                f"{divide.name} by zero",
                "fault",
                (shape.register(written=True),),
                (clear, (0, 0)),
                (divide, (0,)),
                weight=2,
            )
    shape = draft.shape("r16")
    move = move_number_form(draft, shape)
    draft.idiom(
        f"div {shape.name} overflow",
        "fault",
        (
            shape.register(DX, written=True),
            range_of(255, low=256),
            shape.register(CX, written=True),
            range_of(255, low=1),
        ),
        (move, (0, 1)),
        (move, (2, 3)),
        (unary_form(draft, "div", shape), (2,)),
        weight=2,
    )


def _near_bits(draft: Draft) -> int:
    return min(draft.bits, 32)

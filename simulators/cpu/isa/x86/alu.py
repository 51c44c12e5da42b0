"""x86 instructions on registers and numbers, for the tables of both modes.

`add_alu` adds those of the classes of profile `alu` for every shape of a draft. What only one mode
has stands in `x86_16` and `x86_64`.
"""

from simulators.cpu.isa.x86.entries import Draft
from simulators.cpu.isa.x86.forms import AX, CF, CONDITIONS, LOGIC, Effect, Shape, register_place
from simulators.cpu.isa.x86.multiply import add_divisions, add_multiplications
from simulators.cpu.isa.x86.operations import (
    ANY_BYTE,
    OPERATIONS,
    any_number,
    full_number,
    move_number_form,
    number_form,
    pair_form,
    unary_form,
)
from simulators.cpu.isa.x86.shifts import add_bits, add_shifts


def add_alu(draft: Draft) -> None:
    """Add moves, arithmetic, logic, shifts, compares, multiplications and divisions."""
    for shape in draft.shapes:
        _add_moves(draft, shape)
        _add_operations(draft, shape)
        _add_unary(draft, shape)
        add_shifts(draft, shape)
        add_multiplications(draft, shape)
        if not shape.only_rex:
            add_divisions(draft, shape)
        if shape.width > 8:
            add_bits(draft, shape)
    _add_carries(draft)


def _add_moves(draft: Draft, shape: Shape) -> None:
    for name, weight in (("mov", 6), ("xchg", 1)):
        for values, others in shape.pairs():
            both = shape.register(*others, written=name == "xchg")
            variables = shape.register(*values, written=True), both
            draft.single(pair_form(draft, name, shape), *variables, weight=weight * shape.weight)
    if not shape.only_rex:
        reverse = pair_form(draft, "mov", shape, reversed_=True)
        to = shape.register(written=True)
        draft.single(reverse, shape.register(), to, weight=2 * shape.weight)
    for values in shape.singles():
        to = shape.register(*values, written=True)
        if shape.width < 64:
            form = move_number_form(draft, shape)
            draft.single(form, to, any_number(shape), weight=4 * shape.weight)
            if shape.width > 8:
                draft.single(form, to, ANY_BYTE, weight=2 * shape.weight)


def _add_operations(draft: Draft, shape: Shape) -> None:
    scale = shape.weight
    accumulator = shape.names[0]
    for code, (name, klass, effect, weight) in enumerate(OPERATIONS):
        written = name != "cmp"
        for values, others in shape.pairs():
            variables = shape.register(*values, written=written), shape.register(*others)
            draft.single(pair_form(draft, name, shape), *variables, weight=3 * weight * scale)
        for values in shape.singles():
            to = shape.register(*values, written=written)
            any_ = any_number(shape)
            draft.single(number_form(draft, name, shape), to, any_, weight=weight * scale)
            if shape.width > 8:
                small = number_form(draft, name, shape, small=True)
                draft.single(small, to, ANY_BYTE, weight=2 * weight * scale)
        if shape.only_rex:
            continue
        reverse = pair_form(draft, name, shape, reversed_=True)
        # The place comes first among the operands.
        variables = shape.register(), shape.register(written=written)
        draft.single(reverse, *variables, weight=weight * scale)
        short = draft.form(
            f"{name} {accumulator}, imm",
            klass,
            bytes([code << 3 | 4 | shape.byte_bit()]),
            f"{name} {accumulator}, {{imm}}",
            effect,
            shape=shape,
            number=full_number(shape),
            writes=1 << AX if written else 0,
        )
        draft.single(short, any_number(shape), weight=-(-weight * scale // 2))
    for values, others in shape.pairs():
        variables = shape.register(*values), shape.register(*others)
        draft.single(pair_form(draft, "test", shape), *variables, weight=6 * scale)
    _add_test_number(draft, shape)


def _add_test_number(draft: Draft, shape: Shape) -> None:
    form = draft.form(
        f"test {shape.name}, imm",
        "compare",
        bytes([0xF6 | shape.byte_bit()]),
        "test {rm}, {imm}",
        LOGIC,
        shape=shape,
        place=register_place(shape.width, rex=shape.rex is not None),
        register=0,
        number=full_number(shape),
    )
    for values in shape.singles():
        variables = shape.register(*values), any_number(shape)
        draft.single(form, *variables, weight=2 * shape.weight)


def _add_unary(draft: Draft, shape: Shape) -> None:
    for name, weight in (("inc", 3), ("dec", 3), ("neg", 3), ("not", 4)):
        for values in shape.singles():
            to = shape.register(*values, written=True)
            form = unary_form(draft, name, shape)
            draft.single(form, to, weight=weight * shape.weight)


def _add_carries(draft: Draft) -> None:
    for name, opcode, effect in (
        ("clc", b"\xf8", Effect(sets=CF)),
        ("stc", b"\xf9", Effect(sets=CF)),
        ("cmc", b"\xf5", Effect(reads=CF)),
    ):
        draft.single(draft.form(name, "arithmetic", opcode, name, effect), weight=6)


def add_conversions(draft: Draft, to: Shape, width: int, opcodes: tuple[bytes, bytes]) -> None:
    """Add `movzx` and `movsx` to a shape from registers of a smaller width."""
    rex = to.rex is not None
    source = next(s for s in draft.shapes if s.width == width and (s.rex is not None) == rex)
    for name, opcode in zip(("movzx", "movsx"), opcodes, strict=True):
        form = draft.form(
            f"{name} {to.name}, rm{width}",
            "move",
            opcode,
            f"{name} {{reg}}, {{rm}}",
            shape=to,
            place=register_place(width, rex=rex),
            register=to.names,
        )
        variables = source.register(), to.register(written=True)
        draft.single(form, *variables, weight=3 * to.weight)


def add_set_conditions(draft: Draft, shape: Shape) -> None:
    """Add `setcc` to a byte register, for all conditions."""
    for code, (condition, flags) in enumerate(CONDITIONS):
        form = draft.form(
            f"set{condition} {shape.name}",
            "compare",
            bytes([0x0F, 0x90 | code]),
            f"set{condition} {{rm}}",
            Effect(reads=flags),
            shape=shape,
            place=register_place(8, rex=shape.rex is not None),
            register=0,
        )
        for values in shape.singles():
            draft.single(form, shape.register(*values, written=True), weight=2 * shape.weight)

"""x86 shifts, rotations and bits of registers, for the tables of both modes."""

from typing import Final

from simulators.cpu.isa.x86.entries import Draft
from simulators.cpu.isa.x86.forms import (
    ARITHMETIC,
    AX,
    BIT,
    BIT_SCAN,
    CX,
    ROTATE_CARRY_CL,
    ROTATE_CARRY_NUMBER,
    ROTATE_CARRY_ONE,
    ROTATE_CL,
    ROTATE_NUMBER,
    ROTATE_ONE,
    SHIFT_CL,
    SHIFT_NUMBER,
    SHIFT_ONE,
    Effect,
    Shape,
    range_of,
    register_place,
)
from simulators.cpu.isa.x86.operations import BYTE, move_number_form, number_form

SHIFTS: Final[tuple[tuple[str, int, Effect, Effect, Effect], ...]] = (
    ("rol", 0, ROTATE_ONE, ROTATE_NUMBER, ROTATE_CL),
    ("ror", 1, ROTATE_ONE, ROTATE_NUMBER, ROTATE_CL),
    ("rcl", 2, ROTATE_CARRY_ONE, ROTATE_CARRY_NUMBER, ROTATE_CARRY_CL),
    ("rcr", 3, ROTATE_CARRY_ONE, ROTATE_CARRY_NUMBER, ROTATE_CARRY_CL),
    ("shl", 4, SHIFT_ONE, SHIFT_NUMBER, SHIFT_CL),
    ("shr", 5, SHIFT_ONE, SHIFT_NUMBER, SHIFT_CL),
    ("sar", 7, SHIFT_ONE, SHIFT_NUMBER, SHIFT_CL),
)

"""Name, code, and effects by 1, by a number and by CL."""

BIT_OPERATIONS: Final = (("bt", 4), ("bts", 5), ("btr", 6), ("btc", 7))


def add_shifts(draft: Draft, shape: Shape) -> None:
    """Add shifts and rotations by 1, by a number below the width, and by CL."""
    place = register_place(shape.width, rex=shape.rex is not None)
    count_to_cl = move_number_form(draft, draft.shape("r8"))
    for name, code, by_one, by_number, by_cl in SHIFTS:
        forms = [
            draft.form(
                f"{name} {shape.name}, {operand}",
                "shift",
                bytes([opcode | shape.byte_bit()]),
                f"{name} {{rm}}, {'{imm}' if operand == 'imm' else operand}",
                effect,
                shape=shape,
                place=place,
                register=code,
                number=BYTE if operand == "imm" else None,
            )
            for operand, opcode, effect in (
                ("1", 0xD0, by_one),
                ("imm", 0xC0, by_number),
                ("cl", 0xD2, by_cl),
            )
        ]
        weight = shape.weight * (1 if code in (2, 3) else 2)
        for values in shape.singles():
            to = shape.register(*values, written=True)
            draft.single(forms[0], to, weight=weight)
            draft.single(forms[1], to, range_of(shape.width - 2, low=2), weight=2 * weight)
            draft.single(forms[2], to, weight=weight)
            # CL is mostly far larger than the width; this idiom gives it a count that is not.
            draft.idiom(
                f"mov cl, imm; {forms[2].name}",
                "shift",
                (
                    draft.shape("r8").register(CX, written=True),
                    range_of(shape.width),
                    shape.register(*values, written=True),
                ),
                (count_to_cl, (0, 1)),
                (forms[2], (2,)),
                weight=weight,
            )


def add_bits(draft: Draft, shape: Shape) -> None:
    """Add single bits, double shifts, bit scans, and exchanges with an addition or a compare."""
    place = register_place(shape.width, rex=shape.rex is not None)
    for name, code in BIT_OPERATIONS:
        form = draft.form(
            f"{name} {shape.name}, imm",
            "compare" if name == "bt" else "logic",
            b"\x0f\xba",
            f"{name} {{rm}}, {{imm}}",
            BIT,
            shape=shape,
            place=place,
            register=code,
            number=BYTE,
        )
        for values in shape.singles():
            to = shape.register(*values, written=name != "bt")
            draft.single(form, to, range_of(shape.width), weight=2 * shape.weight)
    _add_double_shifts(draft, shape)
    if shape.only_rex:
        return
    make_nonzero = number_form(draft, "or", shape, small=True)
    for name, opcode in (("bsf", b"\x0f\xbc"), ("bsr", b"\x0f\xbd")):
        form = draft.form(
            f"{name} {shape.name}, rm",
            "logic",
            opcode,
            f"{name} {{reg}}, {{rm}}",
            BIT_SCAN,
            shape=shape,
            place=place,
            register=shape.names,
        )
        # Of zero the result is undefined.
        draft.idiom(
            f"or; {form.name}",
            "logic",
            (
                shape.register(written=True),
                range_of(255, low=1),
                shape.register(written=True),
            ),
            (make_nonzero, (0, 1)),
            (form, (0, 2)),
            weight=shape.weight,
        )
    exchange_add = draft.form(
        f"xadd {shape.name}, r",
        "arithmetic",
        b"\x0f\xc1",
        "xadd {rm}, {reg}",
        ARITHMETIC,
        shape=shape,
        place=place,
        register=shape.names,
    )
    both = shape.register(written=True), shape.register(written=True, differs_from=(0,))
    draft.single(exchange_add, *both, weight=2 * shape.weight)
    if shape.width != 32:  # a failing one of 32 bits differs between processor and emulator
        compare_exchange = draft.form(
            f"cmpxchg {shape.name}, r",
            "compare",
            b"\x0f\xb1",
            "cmpxchg {rm}, {reg}",
            ARITHMETIC,
            shape=shape,
            place=place,
            register=shape.names,
            writes=1 << AX,
        )
        variables = shape.register(written=True), shape.register()
        draft.single(compare_exchange, *variables, weight=shape.weight)


def _add_double_shifts(draft: Draft, shape: Shape) -> None:
    for name, opcode in (("shld", b"\x0f\xa4"), ("shrd", b"\x0f\xac")):
        form = draft.form(
            f"{name} {shape.name}, r, imm",
            "shift",
            opcode,
            f"{name} {{rm}}, {{reg}}, {{imm}}",
            SHIFT_NUMBER,
            shape=shape,
            place=register_place(shape.width, rex=shape.rex is not None),
            register=shape.names,
            number=BYTE,
        )
        for values, others in shape.pairs():
            variables = shape.register(*values, written=True), shape.register(*others)
            count = range_of(shape.width - 2, low=2)
            draft.single(form, *variables, count, weight=2 * shape.weight)

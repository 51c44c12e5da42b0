"""x86 multiplications, and divisions that never fault, for the tables of both modes."""

from simulators.cpu.isa.table import Form, Variable
from simulators.cpu.isa.x86.entries import Draft
from simulators.cpu.isa.x86.forms import (
    AX,
    BX,
    CX,
    DI,
    DX,
    MULTIPLY,
    R8,
    SI,
    Shape,
    one_of,
    range_of,
    register_place,
)
from simulators.cpu.isa.x86.operations import (
    ANY_BYTE,
    SIGNED_BYTE,
    any_number,
    full_number,
    number_form,
    pair_form,
    unary_form,
)


def add_multiplications(draft: Draft, shape: Shape) -> None:
    """Add products in AX and DX, and those of two and three operands."""
    for name in ("mul", "imul"):
        for values in shape.singles():
            form = unary_form(draft, name, shape)
            draft.single(form, shape.register(*values), weight=2 * shape.weight)
    if shape.width == 8:
        return
    place = register_place(shape.width, rex=shape.rex is not None)
    product = draft.form(
        f"imul {shape.name}, rm",
        "multiply",
        b"\x0f\xaf",
        "imul {reg}, {rm}",
        MULTIPLY,
        shape=shape,
        place=place,
        register=shape.names,
    )
    by_number = [
        draft.form(
            f"imul {shape.name}, rm, {label}",
            "multiply",
            opcode,
            "imul {reg}, {rm}, {imm}",
            MULTIPLY,
            shape=shape,
            place=place,
            register=shape.names,
            number=number,
        )
        for label, opcode, number in (
            ("i8", b"\x6b", SIGNED_BYTE),
            ("imm", b"\x69", full_number(shape)),
        )
    ]
    for values, others in shape.pairs():
        # The place comes first among the operands.
        variables = shape.register(*others), shape.register(*values, written=True)
        draft.single(product, *variables, weight=3 * shape.weight)
        draft.single(by_number[0], *variables, ANY_BYTE, weight=2 * shape.weight)
        draft.single(by_number[1], *variables, any_number(shape), weight=shape.weight)


def add_divisions(draft: Draft, shape: Shape) -> None:
    """Add divisions that cannot fault.

    Unsigned, the high half is below the divisor: 0 below an odd number, or at most 15 below a
    number with bit 4. Signed, AX is extended and the divisor is odd and positive; only a divisor
    of -1 could overflow.
    """
    half, divisor = _division_operands(shape)
    fixed = tuple(range_of(1, low=low) for low in (1, 15, 16))
    make_odd = number_form(draft, "or", shape, small=shape.width > 8)
    mask = number_form(draft, "and", shape, small=shape.width > 8)
    clear = pair_form(draft, "xor", shape)
    div, idiv = unary_form(draft, "div", shape), unary_form(draft, "idiv", shape)
    draft.idiom(
        f"safe {div.name}",
        "divide",
        (half, divisor, *fixed),
        (clear, (0, 0)),
        (make_odd, (1, 2)),
        (div, (1,)),
        weight=3 * shape.weight,
    )
    draft.idiom(
        f"safe wide {div.name}",
        "divide",
        (half, divisor, *fixed),
        (mask, (0, 3)),
        (make_odd, (1, 4)),
        (div, (1,)),
        weight=2 * shape.weight,
    )
    positive = (0x07, 0x0F, 0x3F, 0x7F)
    if shape.width > 8:
        positive = (*positive, 0x1FF, 0x7FFF)
    if shape.width > 16:
        positive = (*positive, 0xFFFFF, 0x7FFFFFFF)
    draft.idiom(
        f"safe {idiv.name}",
        "divide",
        (divisor, one_of(*positive), fixed[0]),
        (sign_extension(draft, shape), ()),
        (number_form(draft, "and", shape), (0, 1)),
        (make_odd, (0, 2)),
        (idiv, (0,)),
        weight=3 * shape.weight,
    )


def _division_operands(shape: Shape) -> tuple[Variable, Variable]:
    """Return the dividend's high half, and the registers for a divisor: none of the dividend."""
    if shape.width == 8:
        ah, not_ax = 4, (1, 2, 3, 5, 6, 7)
        return shape.register(ah, written=True), shape.register(*not_ax, written=True)
    others = tuple(code for code in (CX, BX, SI, DI, R8) if code in shape.values)
    return shape.register(DX, written=True), shape.register(*others, written=True)


def sign_extension(draft: Draft, shape: Shape) -> Form:
    """Add the instruction that extends the accumulator's sign to the dividend of a shape."""
    if shape.width == 8:  # AL to AX
        word = draft.shape("r16")
        return draft.form("cbw", "move", b"\x98", "cbw", shape=word, writes=1 << AX)
    name = {16: "cwd", 32: "cdq", 64: "cqo"}[shape.width]
    return draft.form(name, "move", b"\x99", name, shape=shape, writes=1 << DX)

"""Forms of x86 that many entries use: the eight operations, moves, and what is on one operand.

A form that is asked for twice is the same; nothing is drawn here.
"""

from typing import Final

from simulators.cpu.isa.table import Form, Variable
from simulators.cpu.isa.x86.entries import Draft
from simulators.cpu.isa.x86.forms import (
    ARITHMETIC,
    AX,
    COUNTING,
    DIVIDE,
    DX,
    LOGIC,
    MULTIPLY,
    NONE,
    WITH_CARRY,
    Effect,
    Number,
    Shape,
    range_of,
    register_place,
)

OPERATIONS: Final[tuple[tuple[str, str, Effect, int], ...]] = (
    ("add", "arithmetic", ARITHMETIC, 4),
    ("or", "logic", LOGIC, 2),
    ("adc", "arithmetic", WITH_CARRY, 2),
    ("sbb", "arithmetic", WITH_CARRY, 2),
    ("and", "logic", LOGIC, 3),
    ("sub", "arithmetic", ARITHMETIC, 4),
    ("xor", "logic", LOGIC, 3),
    ("cmp", "compare", ARITHMETIC, 4),
)

"""Name, class, effect and weight of the eight in the order of their codes."""

BYTE: Final = Number(bits=8)

SIGNED_BYTE: Final = Number(bits=8, signed=True)

ANY_BYTE: Final = range_of(256)


def any_number(shape: Shape) -> Variable:
    """Return any number of the size that instructions hold for a shape."""
    return range_of(1 << shape.number_bits())


def full_number(shape: Shape) -> Number:
    """Return the number of full size; for 64 bits it has 32 and is extended."""
    return Number(bits=shape.number_bits(), signed=shape.width == 64)


def number_form(draft: Draft, name: str, shape: Shape, *, small: bool = False) -> Form:
    """Add one of the eight operations on a register and a number, and return it."""
    code = [row[0] for row in OPERATIONS].index(name)
    _, klass, effect, _ = OPERATIONS[code]
    return draft.form(
        f"{name} {shape.name}, {'i8' if small else 'imm'}",
        klass,
        bytes([0x83 if small else 0x80 | shape.byte_bit()]),
        f"{name} {{rm}}, {{imm}}",
        effect,
        shape=shape,
        place=register_place(shape.width, rex=shape.rex is not None),
        register=code,
        number=SIGNED_BYTE if small else full_number(shape),
    )


def pair_form(draft: Draft, name: str, shape: Shape, *, reversed_: bool = False) -> Form:
    """Add one of the eight operations, `mov`, `test` or `xchg`, on two registers."""
    rows = {row[0]: (code << 3, row[1], row[2]) for code, row in enumerate(OPERATIONS)}
    rows["mov"] = (0x88, "move", NONE)
    rows["test"] = (0x84, "compare", LOGIC)
    rows["xchg"] = (0x86, "move", NONE)
    opcode, klass, effect = rows[name]
    return draft.form(
        f"{name} {shape.name}, r{'m' if reversed_ else ''}",
        klass,
        bytes([opcode | shape.byte_bit() | (2 if reversed_ else 0)]),
        f"{name} {{reg}}, {{rm}}" if reversed_ else f"{name} {{rm}}, {{reg}}",
        effect,
        shape=shape,
        place=register_place(shape.width, rex=shape.rex is not None),
        register=shape.names,
    )


def move_number_form(draft: Draft, shape: Shape) -> Form:
    """Add the move of a number of 8, 16 or 32 bits to a register by its short form."""
    return draft.form(
        f"mov {shape.name}, imm",
        "move",
        bytes([0xB8 if shape.width > 8 else 0xB0]),
        "mov {reg}, {imm}",
        shape=shape,
        register=shape.names,
        in_opcode=True,
        number=Number(bits=shape.number_bits()),
    )


def unary_form(draft: Draft, name: str, shape: Shape) -> Form:
    """Add `inc`, `dec`, `not`, `neg`, or one of the four on AX and DX."""
    opcode, code, klass, effect, writes = _UNARY[name]
    return draft.form(
        f"{name} {shape.name}",
        klass,
        bytes([opcode | shape.byte_bit()]),
        f"{name} {{rm}}",
        effect,
        shape=shape,
        place=register_place(shape.width, rex=shape.rex is not None),
        register=code,
        writes=writes if shape.width > 8 else writes & 1 << AX,
    )


_AX_DX: Final = 1 << AX | 1 << DX

_UNARY: Final = {
    "inc": (0xFE, 0, "arithmetic", COUNTING, 0),
    "dec": (0xFE, 1, "arithmetic", COUNTING, 0),
    "not": (0xF6, 2, "logic", NONE, 0),
    "neg": (0xF6, 3, "arithmetic", ARITHMETIC, 0),
    "mul": (0xF6, 4, "multiply", MULTIPLY, _AX_DX),
    "imul": (0xF6, 5, "multiply", MULTIPLY, _AX_DX),
    "div": (0xF6, 6, "divide", DIVIDE, _AX_DX),
    "idiv": (0xF6, 7, "divide", DIVIDE, _AX_DX),
}

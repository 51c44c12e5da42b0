"""The toy CPU's instruction set as one table, for generator, interpreter, assembly and docs.

An instruction is four bytes `[op, a1, a2, a3]`. A register operand is 1..10 for A..J, and 0 means
absent; an absent operand therefore reads as register 0, which is ACC. Which operands an
instruction reads and writes depends on how many it has: that is its *form*. Source: the authors'
script `cpu.py` as told in the paper (arXiv 2402.19155, section on CPU states). Nothing runs here.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final, Literal

INSTRUCTION_BYTES: Final = 4
REGISTER_NAMES: Final = ("ACC", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J")
"""Register 0 is the accumulator; an operand byte `r` of 1..10 names `REGISTER_NAMES[r]`."""
NUM_OPERAND_REGISTERS: Final = 10
MAX_OPERANDS: Final = 3

Slot = Literal["ACC", "R", "S", "T"]
"""A place that a form reads or writes: the accumulator, or the first, second, third operand."""
SLOTS: Final[tuple[Slot, ...]] = ("ACC", "R", "S", "T")


@unique
class Function(IntEnum):
    """What is computed from `x` (and `y`); the target gets the result."""

    STOP = 0
    CLEAR = 1
    INCREMENT = 2
    DECREMENT = 3
    SHIFT_LEFT = 4
    SHIFT_RIGHT = 5
    ROTATE_LEFT = 6
    ROTATE_RIGHT = 7
    COMPLEMENT = 8
    COPY = 9
    IMMEDIATE = 10
    EXCHANGE = 11
    ADD = 12
    SUBTRACT = 13
    MULTIPLY = 14
    DIVIDE = 15
    AND = 16
    OR = 17
    XOR = 18


FORMULAS: Final[dict[Function, str]] = {
    Function.STOP: "stop",
    Function.CLEAR: "{target} = 0",
    Function.INCREMENT: "{target} = min({x} + 1, 255)",
    Function.DECREMENT: "{target} = max({x} - 1, 0)",
    Function.SHIFT_LEFT: "{target} = ({x} << 1) & 255",
    Function.SHIFT_RIGHT: "{target} = {x} >> 1",
    Function.ROTATE_LEFT: "{target} = (({x} << 1) & 255) | ({x} >> 7)",
    Function.ROTATE_RIGHT: "{target} = ({x} >> 1) | (({x} & 1) << 7)",
    Function.COMPLEMENT: "{target} = 255 - {x}",
    Function.COPY: "{target} = {x}",
    Function.IMMEDIATE: "{target} = a1",
    Function.EXCHANGE: "{x}, {y} = {y}, {x}",
    Function.ADD: "{target} = min({x} + {y}, 255)",
    Function.SUBTRACT: "{target} = max({x} - {y}, 0)",
    Function.MULTIPLY: "{target} = min({x} * {y}, 255)",
    Function.DIVIDE: "{target} = {x} // {y} if {y} else 255",
    Function.AND: "{target} = {x} & {y}",
    Function.OR: "{target} = {x} | {y}",
    Function.XOR: "{target} = {x} ^ {y}",
}
"""The effect of every function in Python's notation; the docs print it, the tests execute it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One way to write an instruction: how many operands, and what they are for."""

    num_operands: int
    x: Slot = "ACC"
    y: Slot = "ACC"
    target: Slot = "ACC"


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One row of the table. Its forms differ in their number of operands."""

    op: int
    name: str
    function: Function
    forms: tuple[Form, ...]

    @property
    def immediate(self) -> bool:
        """Say whether a1 is a number of 0..255 rather than a register."""
        return self.function is Function.IMMEDIATE


_NOTHING = Form(num_operands=0)
_ACC_IN_PLACE = Form(num_operands=0, x="ACC", target="ACC")
_R_IN_PLACE = Form(num_operands=1, x="R", target="R")
_IN_PLACE = (_ACC_IN_PLACE, _R_IN_PLACE)
_TWO_INPUTS = (
    Form(num_operands=1, x="ACC", y="R", target="ACC"),
    Form(num_operands=2, x="R", y="S", target="R"),
    Form(num_operands=3, x="R", y="S", target="T"),
)
_EXCHANGES = (
    Form(num_operands=1, x="ACC", y="R", target="ACC"),
    Form(num_operands=2, x="R", y="S", target="R"),
)


def _row(op: int, name: str, function: Function, *forms: Form) -> Instruction:
    return Instruction(op=op, name=name, function=function, forms=forms)


INSTRUCTIONS: Final[tuple[Instruction, ...]] = (
    _row(0, "HLT", Function.STOP, _NOTHING),
    _row(1, "CLR", Function.CLEAR, *_IN_PLACE),
    _row(2, "INC", Function.INCREMENT, *_IN_PLACE),
    _row(3, "DEC", Function.DECREMENT, *_IN_PLACE),
    _row(4, "SHL", Function.SHIFT_LEFT, *_IN_PLACE),
    _row(5, "SHR", Function.SHIFT_RIGHT, *_IN_PLACE),
    _row(6, "ROL", Function.ROTATE_LEFT, *_IN_PLACE),
    _row(7, "ROR", Function.ROTATE_RIGHT, *_IN_PLACE),
    _row(8, "NOT", Function.COMPLEMENT, *_IN_PLACE),
    _row(9, "PUSH", Function.COPY, Form(num_operands=1, x="R", target="ACC")),
    _row(10, "POP", Function.COPY, Form(num_operands=1, x="ACC", target="R")),
    _row(11, "LOADI", Function.IMMEDIATE, Form(num_operands=1, target="ACC")),
    _row(12, "SWAP", Function.EXCHANGE, *_EXCHANGES),
    _row(13, "ADD", Function.ADD, *_TWO_INPUTS),
    _row(14, "SUB", Function.SUBTRACT, *_TWO_INPUTS),
    _row(15, "MUL", Function.MULTIPLY, *_TWO_INPUTS),
    _row(16, "DIV", Function.DIVIDE, *_TWO_INPUTS),
    _row(17, "AND", Function.AND, *_TWO_INPUTS),
    _row(18, "OR", Function.OR, *_TWO_INPUTS),
    _row(19, "XOR", Function.XOR, *_TWO_INPUTS),
    _row(20, "MOV", Function.COPY, Form(num_operands=2, x="S", target="R")),
)
"""Row `op` is the instruction with that opcode."""


def find_form(instruction: bytes) -> tuple[Instruction, Form] | None:
    """Return the row and the form that four bytes encode, or `None` where the table has none.

    >>> row, form = find_form(bytes([13, 1, 2, 3]))
    >>> row.name, form.x, form.y, form.target
    ('ADD', 'R', 'S', 'T')
    >>> find_form(bytes([13, 0, 2, 0])) is None
    True
    """
    op, *operands = instruction
    if op >= len(INSTRUCTIONS):
        return None
    row = INSTRUCTIONS[op]
    if row.immediate:
        return (row, row.forms[0]) if operands[1:] == [0, 0] else None
    num_operands = MAX_OPERANDS - operands.count(0)
    if 0 in operands[:num_operands] or max(operands) > NUM_OPERAND_REGISTERS:
        return None
    for form in row.forms:
        if form.num_operands == num_operands:
            return row, form
    return None


def disassemble_instruction(instruction: bytes) -> str:
    """Return four bytes as a line of assembly: name, inputs, and `-> target` where it differs.

    >>> disassemble_instruction(bytes([13, 1, 2, 3]))
    'ADD A B -> C'
    >>> disassemble_instruction(bytes([2, 0, 0, 0]))
    'INC ACC'
    >>> disassemble_instruction(bytes([99, 0, 0, 1]))
    'INVALID 99 0 0 1'
    """
    found = find_form(instruction)
    if found is None:
        return " ".join(["INVALID", *map(str, instruction)])
    row, form = found
    places = dict(zip(SLOTS, (0, *instruction[1:]), strict=True))
    if row.immediate:
        return f"{row.name} {instruction[1]} -> ACC"
    x, y, target = (REGISTER_NAMES[places[slot]] for slot in (form.x, form.y, form.target))
    if row.function is Function.STOP:
        return row.name
    if row.function is Function.EXCHANGE:
        return f"{row.name} {x} {y}"
    if row.function is Function.COPY:
        return f"{row.name} {x} -> {target}"
    if row.function >= Function.ADD:
        return f"{row.name} {x} {y} -> {target}"
    return f"{row.name} {target}"


def instruction_table() -> str:
    """Return the table as Markdown, one line a form: what the docs show."""
    lines = ["| op | name | operands | effect |", "|---|---|---|---|"]
    for row in INSTRUCTIONS:
        for form in row.forms:
            operands = "imm" if row.immediate else " ".join(SLOTS[1 : form.num_operands + 1])
            effect = FORMULAS[row.function].format(x=form.x, y=form.y, target=form.target)
            lines.append(f"| {row.op} | {row.name} | {operands or '-'} | `{effect}` |")
    return "\n".join(lines)

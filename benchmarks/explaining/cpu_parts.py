"""A machine's trace cut into parts: by instruction, operands, register, value, distance.

Everything is told from true bytes alone: the state before says which instruction's effect a state
shows, the state itself what was written. On the toy CPU that instruction stands in the instruction
register, on the others at the program counter.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.explaining.dimension import Dimension, Parts, range_name
from bgpt.protocol import Continuation
from simulators.cpu.isa.table import Form
from simulators.cpu.machine import Machine
from simulators.cpu.machine_reading import UNKNOWN_EFFECT
from simulators.cpu.reading.decoder import kept_decoder
from simulators.cpu.states import PAD, program_counters
from simulators.cpu.toy.isa import INSTRUCTION_BYTES, find_form
from simulators.protocol import StateField, System

_INSTRUCTION: Final = Dimension(name="instruction", part="Instruction", unit="states")
_MNEMONIC: Final = Dimension(name="mnemonic", part="Mnemonic", unit="states")
_REST: Final = (
    Dimension(name="operand", part="Operands of the instruction", unit="states"),
    Dimension(name="register", part="Register", unit="registers"),
    Dimension(name="change", part="Register and what happens to it", unit="registers"),
    Dimension(name="value", part="True value of the register", unit="registers", ranked=False),
    Dimension(name="age", part="Steps since the register changed", unit="registers", ranked=False),
    Dimension(name="distance", part="Steps from the first state", unit="states", ranked=False),
    Dimension(
        name="fetch", part="Bytes back to the instruction in memory", unit="states", ranked=False
    ),
)
TOY_DIMENSIONS: Final = (_INSTRUCTION, *_REST)
MACHINE_DIMENSIONS: Final = (_INSTRUCTION, _MNEMONIC, *_REST)

_IR: Final = slice(2, 2 + INSTRUCTION_BYTES)
"""The toy CPU's instruction register: code, no value of which a range would tell anything."""
_WORD: Final = 8
_SMALL: Final = (1, 16, 64, 128, 255)
_SMALL_NAMES: Final = ("0", "1-15", "16-63", "64-127", "128-254", "255")
"""Of registers of one byte."""
_WIDE: Final = tuple(1 << bits for bits in (0, 8, 16, 32))
_WIDE_NAMES: Final = ("0", "below 2^8", "below 2^16", "below 2^32", "below 2^64")
_ALL_ONES: Final = "all bits set"


def states_before(continuation: Continuation, state_bytes: int) -> NDArray[np.uint8]:
    """Return `[states, state_bytes]`: for each state of the target the true one before it."""
    data = continuation.prompt.given[-state_bytes:] + continuation.target
    num_states = -(-len(continuation.target) // state_bytes)
    return np.frombuffer(data, np.uint8)[: num_states * state_bytes].reshape(-1, state_bytes)


def effects_of(machine: System, continuation: Continuation) -> list[str]:
    """Return for each scored state the name of what its effect is due to."""
    memory = continuation.prompt.given[: machine.memory_bytes]
    return machine.effects(memory, states_before(continuation, machine.state_bytes))


def trace_parts(machine: System, continuation: Continuation) -> Mapping[str, Parts]:
    """Cut the states of a target, which are whole ones, along the machine's dimensions."""
    size = machine.state_bytes
    memory = continuation.prompt.given[: machine.memory_bytes]
    before = states_before(continuation, size)
    after = np.frombuffer(continuation.target, np.uint8).reshape(-1, size)
    starts = np.arange(0, len(continuation.target), size, dtype=np.int64)
    by_state: dict[str, Sequence[str]] = {
        "instruction": machine.effects(memory, before),
        "distance": [range_name(step) for step in range(1, len(after) + 1)],
    }
    if isinstance(machine, Machine):
        forms = _forms_at(machine, memory, before)
        by_state["mnemonic"] = [_mnemonic(form) for form in forms]
        by_state["operand"] = [UNKNOWN_EFFECT if f is None else operand_kinds(f) for f in forms]
        counters = program_counters(machine.isa, machine.layout, before).astype(np.int64)
        places = counters - machine.isa.code_address
    else:
        effects = by_state["instruction"]
        by_state["operand"] = [
            effect if effect.startswith("(") else _toy_operands(state[_IR].tobytes())
            for effect, state in zip(effects, before, strict=True)
        ]
        places = before[:, 0].astype(np.int64) * INSTRUCTION_BYTES
    back = (machine.memory_bytes + size + starts - places).tolist()
    by_state["fetch"] = [range_name(max(distance, 1)) for distance in back]
    fields = list(machine.fields)
    by_field = {
        "register": [[field.name] * len(after) for field in fields],
        "change": [_changes(field, before, after) for field in fields],
        "value": [_values(field, after) for field in fields],
        "age": [_ages(field, before, after) for field in fields],
    }
    field_starts = (starts[:, None] + [field.offset for field in fields]).reshape(-1)
    return {
        **{name: Parts(starts=starts, names=names) for name, names in by_state.items()},
        **{
            name: Parts(
                starts=field_starts, names=[x for row in zip(*columns, strict=True) for x in row]
            )
            for name, columns in by_field.items()
        },
    }


def operand_kinds(form: Form) -> str:
    """Return what a form works on, in the order of its listing.

    >>> from simulators.cpu.isa.catalogue import find_isa
    >>> forms = {form.text: form for form in find_isa("x86_64").forms}
    >>> operand_kinds(forms["add {2}, qword ptr [{0} + {1}]"]), operand_kinds(forms["cdq"])
    ('register, memory', 'none')
    >>> operand_kinds(forms["jbe {0}"]), operand_kinds(forms["adc al, {0}"])
    ('place in the code', 'register, number')
    """
    _, _, rest = form.text.partition(" ")
    folded = re.sub(r"\[[^\]]*\]!?|\{\d+\}\(\{\d+\}\)", _MEMORY, rest)
    kinds = [_kind(piece.strip(), form) for piece in folded.split(",") if piece.strip()]
    return ", ".join(kinds) or "none"


_MEMORY: Final = "@"


def _kind(piece: str, form: Form) -> str:
    if _MEMORY in piece:
        return "memory"
    found = re.search(r"\{(\d+)\}", piece)
    if found is None:
        return "number" if re.fullmatch(r"#?-?(0x)?[0-9a-f]+", piece) else "register"
    number = int(found[1])
    if form.target is not None and form.target.operand == number:
        return "place in the code"
    return "number" if form.operands[number].names is None else "register"


def _mnemonic(form: Form | None) -> str:
    return UNKNOWN_EFFECT if form is None else form.text.split()[0]


def _forms_at(machine: Machine, memory: bytes, states: NDArray[np.uint8]) -> list[Form | None]:
    """Return the form of the instruction at each program counter."""
    program = np.frombuffer(memory, np.uint8)[: machine.program_bytes].copy()
    counters = program_counters(machine.isa, machine.layout, states).astype(np.int64)
    offsets = counters - machine.isa.code_address
    inside = (offsets >= 0) & (offsets < len(program))
    found = kept_decoder(machine.isa).forms_at(program, np.where(inside, offsets, 0))
    indices = np.where(inside, found, -1).tolist()
    return [None if index < 0 else machine.isa.forms[index] for index in indices]


def _toy_operands(instruction: bytes) -> str:
    """Return what a toy instruction works on, and whether it names one register twice.

    >>> _toy_operands(bytes([13, 1, 2, 1])), _toy_operands(bytes([2, 0, 0, 0]))
    ('R S T, one twice', 'ACC')
    """
    found = find_form(instruction)
    if found is None:
        return UNKNOWN_EFFECT
    row, form = found
    if row.immediate:
        return "number"
    if not form.num_operands:
        return "ACC" if instruction[0] else "none"
    named = instruction[1 : 1 + form.num_operands]
    kinds = " ".join("RST"[: form.num_operands])
    return kinds if len(set(named)) == len(named) else f"{kinds}, one twice"


def _column(field: StateField, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return states[:, field.offset : field.offset + field.num_bytes]


def _changed(
    field: StateField, before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    return (_column(field, before) != _column(field, after)).any(axis=1)


def _changes(
    field: StateField, before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> list[str | None]:
    """Say of a register in every state whether it changes."""
    if field.name == PAD:
        return [None] * len(after)
    names = (f"{field.name} kept", f"{field.name} changed")
    return [names[changed] for changed in _changed(field, before, after).tolist()]


def _values(field: StateField, states: NDArray[np.uint8]) -> list[str | None]:
    """Return the range of a register's value in every state."""
    is_code = field.name == "IR"
    if field.name == PAD or is_code or field.num_bytes > _WORD:
        return [None] * len(states)
    words = np.zeros((len(states), _WORD), np.uint8)
    words[:, : field.num_bytes] = _column(field, states)
    values = words.view("<u8").reshape(-1)
    edges, names = (_SMALL, _SMALL_NAMES) if field.num_bytes == 1 else (_WIDE, _WIDE_NAMES)
    found: list[str | None] = [
        names[i] for i in np.searchsorted(np.array(edges, np.uint64), values, "right").tolist()
    ]
    if field.num_bytes > 1:
        full = _column(field, states).min(axis=1) == 255
        found = [_ALL_ONES if f else name for f, name in zip(full.tolist(), found, strict=True)]
    return found


def _ages(
    field: StateField, before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> list[str | None]:
    """Return how many steps ago a register had changed last, before every state."""
    if field.name == PAD:
        return [None] * len(after)
    steps = np.arange(1, len(after) + 1)
    last = np.maximum.accumulate(np.where(_changed(field, before, after), steps, 0))
    earlier = np.concatenate(([0], last[:-1]))
    return [
        range_name(int(step - then)) if then else "never"
        for step, then in zip(steps, earlier, strict=True)
    ]

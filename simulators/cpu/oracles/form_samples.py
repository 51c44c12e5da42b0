"""Single instructions of every form of a table, with operands that programs may draw.

For the oracles: a program seldom has a rare form, here each comes as often as any other. It encodes
by itself, with Python integers, so that the generator's compiled encoder is not checked against
itself. It runs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from simulators.cpu.isa.analysis import fixed_bits, width_of
from simulators.cpu.isa.table import TARGET, Entry, Form, Isa, Operand, Use, Variable

_MAX_TRIES: Final = 10_000
"""Draws of an entry's variables until no two are the same where they must differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FormSample:
    """One instruction."""

    form: Form
    operands: tuple[int, ...]
    """The value of each of the form's operands, unsigned; of a target the place, counted from the
    instruction's own address."""
    code: bytes


def draw_form_samples(
    isa: Isa, per_form: int, seed: int, *, places: tuple[int, int] | None = None
) -> Iterator[FormSample]:
    """Yield `per_form` instructions of every form, form after form.

    Operands are what entries of the table may give them. Forms that no entry uses (a decoder knows
    them from users' programs) get any, but for what is an instruction of a narrower form. Targets
    lie between the two `places`, counted from the instruction, and within its reach, which is all
    that bounds them without.
    """
    uses: dict[str, list[tuple[Entry, Use]]] = {form.name: [] for form in isa.forms}
    for entry in isa.entries:
        for use in (*entry.opening, *entry.closing):
            uses[use.form].append((entry, use))
    for use in isa.function_end:
        uses[use.form].append((Entry(name="function end", klass="call"), use))
    random = Random(seed)
    for form in isa.forms:
        known = uses[form.name] or [_any_use(form)]
        narrower = [] if uses[form.name] else _narrower_forms(isa, form)
        number = 0
        while number < per_form:
            entry, use = known[number % len(known)]
            values = draw_variables(entry, random)
            operands = tuple(
                _draw_place(form, random, places)
                if index == TARGET
                else values[index] & _width_mask(operand)
                for index, operand in zip(use.operands, form.operands, strict=True)
            )
            sample = FormSample(form=form, operands=operands, code=encode(form, operands))
            if not any(_is_of(other, sample.code) for other in narrower):
                number += 1
                yield sample


def encode(form: Form, operands: tuple[int, ...]) -> bytes:
    """Return the bytes of an instruction; a target is given as a place counted from it.

    Raises:
        ValueError: a target is out of reach, or there are too few or too many operands.
    """
    number = int.from_bytes(form.base, "little")
    for index, (operand, value) in enumerate(zip(form.operands, operands, strict=True)):
        encoded = value
        if form.target is not None and form.target.operand == index:
            distance = value - form.target.bias
            if not form.target.lowest <= distance <= form.target.highest:
                raise ValueError(f"{form.name}: a place {value} bytes on is out of reach")
            encoded = distance >> form.target.shift
        for piece in operand.pieces:
            number |= (encoded >> piece.source & (1 << piece.bits) - 1) << piece.target
    return number.to_bytes(len(form.base), "little")


def draw_variables(entry: Entry, random: Random) -> list[int]:
    """Return a value for each of an entry's variables; those that must differ do."""
    for _ in range(_MAX_TRIES):
        values = [_draw_value(variable, random) for variable in entry.variables]
        registers = [
            _register_of(variable, value)
            for variable, value in zip(entry.variables, values, strict=True)
        ]
        if all(
            registers[i] != registers[other]
            for i, variable in enumerate(entry.variables)
            for other in variable.differs_from
        ):
            return values
    raise ValueError(f"entry '{entry.name}': its variables never differ as they must")


def _any_use(form: Form) -> tuple[Entry, Use]:
    """Return an entry of one instruction with all values that its operands can have."""
    target = None if form.target is None else form.target.operand
    variables = tuple(
        Variable(values=tuple(operand.names))
        if operand.names is not None
        else Variable(count=_width_mask(operand) + 1)
        for operand in form.operands
    )
    operands = tuple(TARGET if i == target else i for i in range(len(variables)))
    entry = Entry(name=form.name, klass=form.klass, variables=variables)
    return entry, Use(form=form.name, operands=operands)


def _narrower_forms(isa: Isa, form: Form) -> list[Form]:
    """Return the forms that share all fixed bits of a form, and fix more."""
    mask, value = fixed_bits(form)
    same_size = [other for other in isa.forms if len(other.base) == len(form.base)]
    found: list[Form] = []
    for other in same_size:
        other_mask, other_value = fixed_bits(other)
        if other_mask != mask and other_mask & mask == mask and other_value & mask == value:
            found.append(other)
    return found


def _is_of(form: Form, code: bytes) -> bool:
    mask, value = fixed_bits(form)
    return int.from_bytes(code, "little") & mask == value


def _width_mask(operand: Operand) -> int:
    """Return the mask of the bits that an operand's value has."""
    return (1 << width_of(operand)) - 1


def _draw_value(variable: Variable, random: Random) -> int:
    if variable.values:
        return random.choice(variable.values)
    last = variable.count - 1
    # The ends are where encodings go wrong.
    n = random.choice((0, last)) if random.random() < 0.2 else random.randint(0, last)
    return variable.low + variable.step * n


def _register_of(variable: Variable, value: int) -> int:
    if variable.registers:
        return variable.registers[variable.values.index(value)]
    return value


def _draw_place(form: Form, random: Random, places: tuple[int, int] | None) -> int:
    """Return a place that the form's target reaches."""
    target = form.target
    assert target is not None, f"{form.name} has no target"
    low, high = target.lowest + target.bias, target.highest + target.bias
    if places is not None:
        low, high = max(low, places[0]), min(high, places[1])
    step = 1 << target.shift
    first = target.bias - (target.bias - low) // step * step
    return first + step * random.randint(0, (high - first) // step)

"""The check of a table, its forms: bits, texts, flags, targets, and that each can be decoded."""

from collections.abc import Iterable
from itertools import combinations
from string import Formatter
from typing import Final

from simulators.cpu.isa.analysis import (
    MAX_INSTRUCTION_BYTES,
    covered_bits,
    fixed_bits,
    forms_by_name,
    is_instruction,
    mask_of,
    scatter,
    width_of,
)
from simulators.cpu.isa.checks.finding import require, unique
from simulators.cpu.isa.table import (
    CLASSES,
    TARGET,
    Entry,
    Form,
    Isa,
    Operand,
    Use,
    Variable,
)
from simulators.suggest import unknown_name

_MAX_LISTED_VALUES: Final = 65_536
"""A variable with more values is judged by its bits when asked whether it can take some value."""


def check_forms(isa: Isa) -> None:
    """Check every form by itself, and that no two are taken for each other."""
    unique(isa, "form", (form.name for form in isa.forms))
    for form in isa.forms:
        _check_form(isa, form)
    _check_decoding(isa)


def _check_form(isa: Isa, form: Form) -> None:
    where = f"form '{form.name}'"
    require(isa, where, form.klass in CLASSES, unknown_name("class", form.klass, CLASSES))
    size = len(form.base)
    rule = f"base has {size} bytes, not a multiple of {isa.alignment} up to {MAX_INSTRUCTION_BYTES}"
    require(isa, where, is_instruction(isa, form.base), rule)
    base = int.from_bytes(form.base, "little")
    taken = 0
    for i, operand in enumerate(form.operands):
        of = f"{where}, operand {i}"
        require(isa, of, bool(operand.pieces), "has no pieces")
        sources = 0
        for piece in operand.pieces:
            name = f"{of}, piece ({piece.source}, {piece.bits}, {piece.target})"
            positive = piece.bits >= 1 and piece.source >= 0 and piece.target >= 0
            require(isa, name, positive, "source and target are at least 0, bits at least 1")
            end = piece.target + piece.bits
            require(isa, name, end <= 8 * size, f"ends at bit {end} of {8 * size}")
            require(isa, name, piece.source + piece.bits <= 64, "the value has more than 64 bits")
            bits = ((1 << piece.bits) - 1) << piece.target
            require(isa, name, not bits & taken, "overlaps another piece")
            rule = f"the base has ones there: {form.base.hex(' ')}"
            require(isa, name, not bits & base, rule)
            taken |= bits
            source = ((1 << piece.bits) - 1) << piece.source
            require(isa, name, not source & sources, "takes bits that another piece takes")
            sources |= source
        if operand.names is not None:
            plain = operand.signed_bits is None and operand.scale == 1
            require(isa, of, plain, "has names, so signed_bits and scale say nothing")
    for text in (form.text, *form.aliases):
        _check_text(isa, form, text)
    for name, mask in (("reads", form.reads), ("sets", form.sets), ("undefines", form.undefines)):
        rule = f"{name} = {mask:#x} has bits outside of the flags {isa.flags_mask:#x}"
        require(isa, where, not mask & ~isa.flags_mask, rule)
    rule = f"sets and undefines share {form.sets & form.undefines:#x}"
    require(isa, where, not form.sets & form.undefines, rule)
    unknown = form.writes & ~_known_registers(isa)
    require(isa, where, not unknown, f"writes = {form.writes:#x} has codes of no register")
    _check_target(isa, form)


def _known_registers(isa: Isa) -> int:
    return mask_of(register.code for register in isa.registers if register.code is not None)


def _check_text(isa: Isa, form: Form, text: str) -> None:
    where = f"form '{form.name}', text '{text}'"
    shown: set[int] = set()
    for _, name, spec, conversion in Formatter().parse(text):
        if name is None:
            continue
        plain = name.isdecimal() and not spec and not conversion
        require(isa, where, plain, f"'{{{name}}}' is not the plain number of an operand")
        there = int(name) < len(form.operands)
        require(isa, where, there, f"{{{name}}}: there are {len(form.operands)} operands")
        shown.add(int(name))
    if text == form.text:
        missing = set(range(len(form.operands))) - shown
        require(isa, where, not missing, f"does not show operands {sorted(missing)}")


def _check_target(isa: Isa, form: Form) -> None:
    target = form.target
    if target is None:
        return
    where = f"form '{form.name}', target"
    there = 0 <= target.operand < len(form.operands)
    require(isa, where, there, f"operand {target.operand} of {len(form.operands)}")
    operand = form.operands[target.operand]
    rule = f"lowest {target.lowest} is above highest {target.highest}"
    require(isa, where, target.lowest <= target.highest, rule)
    require(isa, where, target.shift >= 0, "shift is negative")
    step = 1 << target.shift
    rule = f"a step of {step} bytes, but instructions begin at multiples of {isa.alignment}"
    require(isa, where, step <= isa.alignment, rule)
    rule = f"bias {target.bias} is not a multiple of {step}"
    require(isa, where, target.bias % step == 0, rule)
    width = width_of(operand)
    covered = covered_bits(operand)
    rule = f"the pieces leave bits of the number out: they cover {covered:#x}"
    require(isa, where, covered == (1 << width) - 1, rule)
    low, high = target.lowest >> target.shift, target.highest >> target.shift
    if target.lowest < 0:
        fits = low >= -(1 << (width - 1)) and high < 1 << (width - 1)
        rule = f"{low}..{high} does not fit {width} bits in two's complement"
    else:
        fits = high < 1 << width
        rule = f"{low}..{high} does not fit {width} bits without a sign (lowest is not negative)"
    require(isa, where, fits, rule)


def _check_decoding(isa: Isa) -> None:
    """Of two forms with a bit pattern in common, one must be a special case of the other."""
    patterns = [(form, *fixed_bits(form)) for form in isa.forms]
    stop = int.from_bytes(isa.stop, "little")
    stop_mask = (1 << 8 * len(isa.stop)) - 1
    for form, mask, value in patterns:
        common = mask & stop_mask
        same = len(form.base) <= len(isa.stop) and not (stop ^ value) & common
        require(isa, f"form '{form.name}'", not same, f"matches the stop {isa.stop.hex(' ')}")
    for (one, mask, value), (other, other_mask, other_value) in combinations(patterns, 2):
        if not (value ^ other_value) & mask & other_mask:
            where = f"form '{one.name}'"
            rule = f"has the same fixed bits as '{other.name}', so neither can be decoded"
            require(isa, where, mask != other_mask, rule)
            nested = mask | other_mask in (mask, other_mask)
            rule = (
                f"some instructions match both it and '{other.name}', and neither is a special "
                "case of the other (all fixed bits of one, and more)"
            )
            require(isa, where, nested, rule)


def check_drawn_forms(isa: Isa) -> None:
    """Nothing that is drawn may decode as a more special form."""
    forms = forms_by_name(isa)
    patterns = [(form, *fixed_bits(form)) for form in isa.forms]
    special: dict[str, list[tuple[Form, int, int]]] = {}
    for form, mask, value in patterns:
        special[form.name] = [
            (other, other_mask, other_value)
            for other, other_mask, other_value in patterns
            if other is not form
            and other_mask.bit_count() > mask.bit_count()
            and not (value ^ other_value) & mask & other_mask
        ]
    for entry in isa.entries:
        for use in (*entry.opening, *entry.closing):
            for other, mask, value in special[use.form]:
                hidden = _can_match(entry, use, forms[use.form], mask, value)
                rule = (
                    f"an instruction of the form '{use.form}' may come out as one of the form "
                    f"'{other.name}'; leave those values out of the variables"
                )
                require(isa, f"entry '{entry.name}'", not hidden, rule)


def _can_match(entry: Entry, use: Use, form: Form, mask: int, value: int) -> bool:
    """Say whether values of the entry's variables can give an instruction with these bits.

    Of a longer form only the bytes that this one has are compared: what follows may be anything.
    """
    for operand, index in zip(form.operands, use.operands, strict=True):
        bits = scatter(operand, -1)
        if index == TARGET or not mask & bits:
            continue
        if not any(
            not (scatter(operand, candidate) ^ value) & mask & bits
            for candidate in _candidates(entry.variables[index], operand, value)
        ):
            return False
    return True


def _candidates(variable: Variable, operand: Operand, value: int) -> Iterable[int]:
    """Return values to try; of a large range the wanted one itself, as if it held every value."""
    if variable.values:
        return variable.values
    if variable.count <= _MAX_LISTED_VALUES:
        return range(
            variable.low,
            variable.low + variable.step * variable.count,
            variable.step,
        )
    wanted = 0
    for piece in operand.pieces:
        wanted |= ((value >> piece.target) & ((1 << piece.bits) - 1)) << piece.source
    return (wanted,)

"""What follows from a table without running anything: sizes, flags, registers of its entries.

Generator, decoder and the check of tables ask here, so that they agree. Nothing is encoded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from simulators.cpu.isa.table import TARGET, Entry, Form, Isa, Operand, Use, Variable, classes_of

MAX_INSTRUCTION_BYTES: Final = 16
_MAX_LISTED: Final = 64
"""Ranges up to so long may name registers; codes are below 64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlagFlow:
    """What a few instructions in a row do to the knowledge of which flags are defined."""

    needs: int
    """Flags that are read and that no earlier one of these instructions sets."""
    sets: int
    undefines: int
    """Flags undefined after the last one; none is in `sets`."""


def forms_by_name(isa: Isa) -> Mapping[str, Form]:
    """Return the table's forms by name."""
    return {form.name: form for form in isa.forms}


def flag_flow(forms: Iterable[Form]) -> FlagFlow:
    """Follow the flags through instructions executed one after another."""
    needs = sets = undefines = 0
    for form in forms:
        needs |= form.reads & ~sets
        sets = (sets & ~form.undefines) | form.sets
        undefines = (undefines | form.undefines) & ~form.sets
    return FlagFlow(needs=needs, sets=sets, undefines=undefines)


def unstable_flags(isa: Isa) -> int:
    """Return the flags that some instruction of the table may leave undefined."""
    unstable = 0
    for form in isa.forms:
        unstable |= form.undefines
    return unstable


def implicit_writes(forms: Iterable[Form]) -> int:
    """Return the mask of registers that instructions write without naming them."""
    writes = 0
    for form in forms:
        writes |= form.writes
    return writes


def num_bytes_of(forms: Iterable[Form]) -> int:
    """Return the size of instructions one after another."""
    return sum(len(form.base) for form in forms)


def forms_of(uses: Iterable[Use], forms: Mapping[str, Form]) -> list[Form]:
    """Return the forms of `uses`."""
    return [forms[use.form] for use in uses]


def values_of(variable: Variable) -> tuple[int, ...] | None:
    """Return all values of a variable, or `None` for a range of more than 64.

    >>> values_of(Variable(low=8, step=4, count=3))
    (8, 12, 16)
    """
    if variable.values:
        return variable.values
    if variable.count > _MAX_LISTED:
        return None
    return tuple(variable.low + variable.step * n for n in range(variable.count))


def registers_of(variable: Variable) -> tuple[int, ...]:
    """Return, for each value of a variable that names a register, the register's code.

    Raises:
        ValueError: there are too many values, or a code is not in 0..63.
    """
    codes = variable.registers or values_of(variable)
    if codes is None:
        raise ValueError(f"a range of {variable.count} values does not name registers")
    wrong = [code for code in codes if not 0 <= code < _MAX_LISTED]
    if wrong:
        raise ValueError(f"{wrong[0]} is no code of a register (0..63)")
    return codes


def mask_of(codes: Iterable[int]) -> int:
    """Return register codes as a mask.

    >>> mask_of([0, 3, 3])
    9
    """
    mask = 0
    for code in codes:
        mask |= 1 << code
    return mask


def written_registers(entry: Entry, forms: Mapping[str, Form]) -> int:
    """Return the mask of registers that an entry may write, its body left out."""
    mask = implicit_writes(forms_of((*entry.opening, *entry.closing), forms))
    for variable in entry.variables:
        if variable.written:
            mask |= mask_of(registers_of(variable))
    return mask


def reserved_in_functions(isa: Isa) -> int:
    """Return the mask of registers that no function writes.

    All counters, because a loop may call; and where calls keep the way back: what the calling
    instruction writes, named or not, other than the stack pointer.
    """
    forms = forms_by_name(isa)
    stack = mask_of(
        register.code
        for register in isa.registers
        if register.name == isa.stack_pointer and register.code is not None
    )
    reserved = mask_of(isa.counters)
    for entry in isa.entries:
        if entry.scope == "call":
            reserved |= implicit_writes(forms_of(entry.opening[-1:], forms)) & ~stack
            if entry.protected is not None:
                reserved |= mask_of(registers_of(entry.variables[entry.protected]))
    return reserved


def is_fallback(entry: Entry, forms: Mapping[str, Form], reserved: int, unstable: int) -> bool:
    """Say whether an entry may be drawn anywhere: in every loop, function and state of flags.

    It opens no scope, reads none of the `unstable` flags, and has registers enough even if all of
    `reserved` (which holds every counter) are protected.
    """
    opening = forms_of(entry.opening, forms)
    if entry.scope != "none" or flag_flow(opening).needs & unstable:
        return False
    if implicit_writes(opening) & reserved:
        return False
    for variable in entry.variables:
        if variable.written or variable.differs_from:
            free = mask_of(registers_of(variable)) & ~(reserved if variable.written else 0)
            if free.bit_count() <= len(variable.differs_from):
                return False
    return True


def find_fallback(isa: Isa, preferred: Iterable[Entry]) -> Entry | None:
    """Return the entry that is drawn where nothing else may be.

    The first that `is_fallback` of the shortest among `preferred`, else among the entries of the
    profile `alu`.
    """
    forms = forms_by_name(isa)
    reserved = reserved_in_functions(isa)
    unstable = unstable_flags(isa)
    alu = [entry for entry in isa.entries if entry.klass in classes_of("alu")]
    for entries in (preferred, alu):
        fitting = [entry for entry in entries if is_fallback(entry, forms, reserved, unstable)]
        if fitting:
            return min(fitting, key=lambda entry: num_bytes_of(forms_of(entry.opening, forms)))
    return None


def target_use(entry: Entry) -> Use | None:
    """Return the use of an entry that goes to a place in the code."""
    for use in (*entry.opening, *entry.closing):
        if TARGET in use.operands:
            return use
    return None


def max_body_bytes(entry: Entry, forms: Mapping[str, Form]) -> int | None:
    """Return how large the body of a scope may be so that its branch reaches; `None`: any size."""
    use = target_use(entry)
    target = forms[use.form].target if use is not None else None
    if use is None or target is None or entry.scope == "call":
        return None
    branch_bytes = len(forms[use.form].base)
    if entry.scope == "forward":
        return target.highest + target.bias - branch_bytes
    before = num_bytes_of(forms_of(entry.closing, forms)) - branch_bytes
    return -target.lowest - target.bias - before


def fixed_bits(form: Form) -> tuple[int, int]:
    """Return (mask, value) of the bits that all instructions of a form share, as numbers.

    >>> tuple(map(hex, fixed_bits(Form(name="nop", klass="move", base=b"\\x90", text="nop"))))
    ('0xff', '0x90')
    """
    mask = (1 << 8 * len(form.base)) - 1
    for operand in form.operands:
        for piece in operand.pieces:
            mask &= ~(((1 << piece.bits) - 1) << piece.target)
    return mask, int.from_bytes(form.base, "little")


def gather(operand: Operand, instruction: int) -> int:
    """Return an operand's value out of an instruction: its pieces put together again."""
    value = 0
    for piece in operand.pieces:
        value |= ((instruction >> piece.target) & ((1 << piece.bits) - 1)) << piece.source
    return value


def scatter(operand: Operand, value: int) -> int:
    """Return the bits of an instruction that hold an operand's value: the inverse of `gather`."""
    bits = 0
    for piece in operand.pieces:
        bits |= ((value >> piece.source) & ((1 << piece.bits) - 1)) << piece.target
    return bits


def width_of(operand: Operand) -> int:
    """Return the bits of an operand's value, those that no piece takes included."""
    return max(piece.source + piece.bits for piece in operand.pieces)


def covered_bits(operand: Operand) -> int:
    """Return the mask of the bits of an operand's value that pieces take."""
    mask = 0
    for piece in operand.pieces:
        mask |= ((1 << piece.bits) - 1) << piece.source
    return mask


def is_instruction(isa: Isa, code: bytes) -> bool:
    """Say whether `code` has the size of an instruction."""
    return 0 < len(code) <= MAX_INSTRUCTION_BYTES and len(code) % isa.alignment == 0

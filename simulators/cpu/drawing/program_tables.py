"""An instruction set under a profile, compiled into the arrays that `programs_kernel` reads.

Every use of a form in an entry becomes one row: the form's fixed bits, and the pieces of its
operands with the entry's variables already in them. Tables are trusted here;
`isa.consistency.check_isa_table` is what refuses a wrong one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from simulators.cpu.drawing import program_columns as columns
from simulators.cpu.drawing.program_choice import check_program_bytes, choose_entries
from simulators.cpu.isa.analysis import (
    flag_flow,
    forms_by_name,
    forms_of,
    implicit_writes,
    mask_of,
    max_body_bytes,
    num_bytes_of,
    registers_of,
    reserved_in_functions,
    unstable_flags,
    values_of,
)
from simulators.cpu.isa.table import (
    CLASSES,
    MAX_SAMPLE_BYTES,
    TARGET,
    Entry,
    Isa,
    Piece,
    Use,
    Variable,
)

_WORD_MASK: Final = 2**64 - 1


def compile_tables(
    isa: Isa, weights: Mapping[str, int], *, program_bytes: int, max_instructions: int
) -> columns.Tables:
    """Return the arrays for programs drawn by the class `weights`.

    Raises:
        ValueError: `program_bytes` cannot hold the largest entry and the stop.
    """
    compiler = _Compiler(isa)
    # Only what is drawn is compiled, each entry once; the order is the table's.
    check_program_bytes(isa, weights, program_bytes)
    choice = choose_entries(isa, weights)
    entries, fallback = choice.entries, choice.fallback
    for entry in entries:
        compiler.add_entry(entry)
    place = {entry.name: i for i, entry in enumerate(entries)}
    stop_use = compiler.add_stop()
    end_use = len(compiler.uses)
    for use in isa.function_end:
        compiler.add_use(use)
    tables = compiler.entries
    define = 0 if choice.define_flags is None else place[choice.define_flags.name]

    numbers = [0] * columns.NUM_NUMBERS
    numbers[columns.PROGRAM_BYTES] = program_bytes
    numbers[columns.MAX_INSTRUCTIONS] = max_instructions
    numbers[columns.STOP_USE] = stop_use
    numbers[columns.STOP_BYTES] = len(isa.stop)
    numbers[columns.FALLBACK] = place[fallback.name]
    numbers[columns.FALLBACK_BYTES] = tables[place[fallback.name]][columns.OPENING_BYTES]
    numbers[columns.DEFINE] = define
    numbers[columns.DEFINE_BYTES] = tables[define][columns.OPENING_BYTES] if isa.define_flags else 0
    numbers[columns.RESERVED] = reserved_in_functions(isa)
    numbers[columns.ALL_FLAGS] = isa.flags_mask
    numbers[columns.MERGED_FLAGS] = isa.flags_mask & ~unstable_flags(isa)
    numbers[columns.FIRST_END] = end_use
    numbers[columns.NUM_END] = len(isa.function_end)
    numbers[columns.END_BYTES] = num_bytes_of(forms_of(isa.function_end, compiler.forms))
    numbers[columns.MAX_VARIABLES] = max(1, *(len(entry.variables) for entry in entries))

    class_slots, class_starts, entry_slots = _slots(choice.drawn, weights, place)
    return columns.Tables(
        numbers=_words(numbers),
        entries=_table(tables, columns.NUM_ENTRY_COLUMNS),
        variables=_table(compiler.variables, columns.NUM_VARIABLE_COLUMNS),
        values=_words(compiler.values),
        value_bits=_words(compiler.value_bits),
        uses=_table(compiler.uses, columns.NUM_USE_COLUMNS),
        pieces=_table(compiler.pieces, columns.NUM_PIECE_COLUMNS),
        class_slots=_words(class_slots),
        class_starts=_words(class_starts),
        entry_slots=_words(entry_slots),
    )


def _slots(
    active: Sequence[Entry], weights: Mapping[str, int], place: Mapping[str, int]
) -> tuple[list[int], list[int], list[int]]:
    """Return the tables to draw a class, and an entry within it, by weight."""
    class_slots: list[int] = []
    class_starts = [0]
    entry_slots: list[int] = []
    for klass in CLASSES:
        members = [entry for entry in active if entry.klass == klass]
        if not members:
            continue
        class_slots += [len(class_starts) - 1] * weights[klass]
        for entry in members:
            entry_slots += [place[entry.name]] * entry.weight
        class_starts.append(len(entry_slots))
    return class_slots, class_starts, entry_slots


class _Compiler:
    """Rows of the tables, as they are added."""

    def __init__(self, isa: Isa) -> None:
        self.isa = isa
        self.forms = forms_by_name(isa)
        self.entries: list[list[int]] = []
        self.variables: list[list[int]] = []
        self.values: list[int] = []
        self.value_bits: list[int] = []
        self.uses: list[list[int]] = []
        self.pieces: list[list[int]] = []

    def add_entry(self, entry: Entry) -> None:
        """Add an entry with its variables and uses."""
        opening = forms_of(entry.opening, self.forms)
        closing = forms_of(entry.closing, self.forms)
        flow, closing_flow = flag_flow(opening), flag_flow(closing)
        body = max_body_bytes(entry, self.forms)
        row = [0] * columns.NUM_ENTRY_COLUMNS
        row[columns.FIRST_VARIABLE] = len(self.variables)
        row[columns.NUM_VARIABLES] = len(entry.variables)
        row[columns.FIRST_OPENING] = len(self.uses)
        row[columns.NUM_OPENING] = len(entry.opening)
        row[columns.OPENING_BYTES] = num_bytes_of(opening)
        row[columns.SCOPE] = columns.SCOPE_NAMES.index(entry.scope)
        row[columns.FIRST_CLOSING] = len(self.uses) + len(entry.opening)
        row[columns.NUM_CLOSING] = len(entry.closing)
        row[columns.CLOSING_BYTES] = num_bytes_of(closing)
        row[columns.PROTECTED] = columns.NOTHING if entry.protected is None else entry.protected
        row[columns.NEEDS] = flow.needs
        row[columns.SETS] = flow.sets
        row[columns.UNDEFINES] = flow.undefines
        row[columns.CLOSING_SETS] = closing_flow.sets
        row[columns.CLOSING_UNDEFINES] = closing_flow.undefines
        row[columns.WRITES] = implicit_writes((*opening, *closing))
        row[columns.MAX_BODY] = MAX_SAMPLE_BYTES if body is None else min(body, MAX_SAMPLE_BYTES)
        self.entries.append(row)
        related = {i for variable in entry.variables for i in variable.differs_from}
        if entry.protected is not None:
            related.add(entry.protected)
        for i, variable in enumerate(entry.variables):
            names_register = variable.written or bool(variable.differs_from) or i in related
            self._add_variable(variable, names_register=names_register)
        for use in (*entry.opening, *entry.closing):
            self.add_use(use)

    def _add_variable(self, variable: Variable, *, names_register: bool) -> None:
        row = [0] * columns.NUM_VARIABLE_COLUMNS
        row[columns.FIRST_VALUE] = len(self.values)
        row[columns.WRITTEN] = int(variable.written)
        row[columns.DIFFERS] = mask_of(variable.differs_from)
        values = values_of(variable) if variable.values or names_register else None
        if values is None:
            row[columns.COUNT] = variable.count
            row[columns.LOW], row[columns.STEP] = variable.low, variable.step
        else:
            row[columns.COUNT] = len(values)
            row[columns.LISTED] = 1
            self.values += values
            codes = registers_of(variable) if names_register else ()
            self.value_bits += [1 << code for code in codes] or [0] * len(values)
        self.variables.append(row)

    def add_use(self, use: Use) -> None:
        """Add one instruction."""
        form = self.forms[use.form]
        first = len(self.pieces)
        for operand, variable in zip(form.operands, use.operands, strict=True):
            if variable != TARGET:
                for piece in operand.pieces:
                    self._add_piece(piece, variable)
        first_target = len(self.pieces)
        if TARGET in use.operands:
            for piece in form.operands[use.operands.index(TARGET)].pieces:
                self._add_piece(piece, 0)
        row = self._use_row(form.base)
        row[columns.FIRST_PIECE] = first
        row[columns.NUM_PIECES] = first_target - first
        row[columns.FIRST_TARGET_PIECE] = first_target
        row[columns.NUM_TARGET_PIECES] = len(self.pieces) - first_target
        if form.target is not None:
            row[columns.BIAS], row[columns.SHIFT] = form.target.bias, form.target.shift
        self.uses.append(row)

    def add_stop(self) -> int:
        """Add the instruction that ends a program; return its number among the uses."""
        self.uses.append(self._use_row(self.isa.stop))
        return len(self.uses) - 1

    def _use_row(self, base: bytes) -> list[int]:
        row = [0] * columns.NUM_USE_COLUMNS
        row[columns.BASE_LOW] = int.from_bytes(base[:8], "little")
        row[columns.BASE_HIGH] = int.from_bytes(base[8:], "little")
        row[columns.LENGTH] = len(base)
        return row

    def _add_piece(self, piece: Piece, variable: int) -> None:
        """Add a piece, in two parts where it lies in both words of an instruction."""
        source, bits, target = piece.source, piece.bits, piece.target
        while bits:
            part = min(bits, 64 - target % 64)
            row = [0] * columns.NUM_PIECE_COLUMNS
            row[columns.VARIABLE] = variable
            row[columns.SOURCE] = source
            row[columns.MASK] = (1 << part) - 1
            row[columns.HIGH_WORD], row[columns.TARGET_BIT] = divmod(target, 64)
            self.pieces.append(row)
            source, bits, target = source + part, bits - part, target + part


def _words(rows: Sequence[int]) -> columns.Words:
    """Return numbers as 64-bit words, negative ones in two's complement."""
    return np.array([number & _WORD_MASK for number in rows], np.uint64)


def _table(rows: Sequence[Sequence[int]], num_columns: int) -> columns.Words:
    """Return rows of numbers as 64-bit words."""
    return _words([number for row in rows for number in row]).reshape(-1, num_columns)

"""Instructions back to the forms of their table: their length, class, operands and text.

A form matches where its fixed bits do; of several, the one with most fixed bits is meant
(`isa.consistency` sees to it that this is the one that was drawn). Only what the table has is
known, so other valid instructions of the machine are unknown here: `disassembly` shows any.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.analysis import fixed_bits, gather, width_of
from simulators.cpu.isa.table import Form, Isa, Operand
from simulators.cpu.kept_parts import kept_part
from simulators.cpu.reading.decoder_kernel import DecoderTables, decode_offset, decode_offsets

_MAX_CANDIDATES: Final = 2
"""A leaf of the tree with so few forms is not divided further."""
_LARGEST_DIGIT: Final = 9
"""Numbers above are shown in hexadecimal, as capstone does."""


class Decoder:
    """The forms of one instruction set, found by their bits."""

    def __init__(self, isa: Isa) -> None:
        self.isa: Final = isa
        self.lengths: Final[NDArray[np.int64]] = np.array(
            [len(form.base) for form in isa.forms], np.int64
        )
        """Bytes of every form."""
        self.classes: Final = [form.klass for form in isa.forms]
        """Class of every form."""
        self.tables: Final[DecoderTables] = _tables(isa)
        """For `decode_offset` and `decode_offsets` in compiled code."""

    def forms_at(self, program: NDArray[np.uint8], pcs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index in `isa.forms` of the instruction at every offset `pcs`.

        -1 where the table has none, where the program ends within it, or outside of the program.
        """
        code = np.require(program, np.uint8, ["C", "WRITEABLE"])
        return decode_offsets(code, np.ascontiguousarray(pcs, np.int64), self.tables)

    def form_at(self, code: bytes, offset: int) -> Form | None:
        """Return the form of the instruction at `offset`, `None` where the table has none."""
        index = int(decode_offset(np.frombuffer(code, np.uint8), offset, self.tables))
        return None if index < 0 else self.isa.forms[index]

    def operands_at(self, code: bytes, offset: int) -> tuple[int, ...]:
        """Return the values of the operands of the instruction at `offset`, as unsigned numbers.

        Raises:
            ValueError: the table has no such instruction.
        """
        form = self._known_form(code, offset)
        number = int.from_bytes(code[offset : offset + len(form.base)], "little")
        return tuple(gather(operand, number) for operand in form.operands)

    def target_at(self, code: bytes, offset: int) -> int | None:
        """Return the offset that the instruction at `offset` branches to or calls, if it does.

        Raises:
            ValueError: the table has no such instruction.
        """
        form = self._known_form(code, offset)
        if form.target is None:
            return None
        value = self.operands_at(code, offset)[form.target.operand]
        if form.target.lowest < 0:
            value = _signed(value, width_of(form.operands[form.target.operand]))
        return offset + form.target.bias + (value << form.target.shift)

    def text_at(self, code: bytes, offset: int) -> str:
        """Return the instruction at `offset` as text, places as addresses in the machine.

        RISC-V's places are shown as distances, as its disassemblers do.

        Raises:
            ValueError: the table has no such instruction.
        """
        form = self._known_form(code, offset)
        texts = [
            _operand_text(operand, value)
            for operand, value in zip(form.operands, self.operands_at(code, offset), strict=True)
        ]
        target = self.target_at(code, offset)
        if form.target is not None and target is not None:
            relative = self.isa.listing_arch == "CS_ARCH_RISCV"
            place = target - offset if relative else self.isa.code_address + target
            texts[form.target.operand] = _number_text(place)
        return form.text.format(*texts).replace("+ -", "- ")

    def _known_form(self, code: bytes, offset: int) -> Form:
        form = self.form_at(code, offset)
        if form is None:
            raise ValueError(
                f"{self.isa.name}: the table has no instruction at offset {offset}: "
                f"{code[offset : offset + 16].hex(' ')}"
            )
        return form


def kept_decoder(isa: Isa) -> Decoder:
    """Return the decoder of a table, made once in a thread: that takes longer than a batch."""
    return kept_part(isa, ("decoder",), lambda: Decoder(isa))


def _signed(value: int, bits: int) -> int:
    """Return the low `bits` as a number in two's complement.

    >>> _signed(0xff, 8)
    -1
    """
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _number_text(number: int) -> str:
    """Return a number as capstone writes it.

    >>> _number_text(9), _number_text(-16)
    ('9', '-0x10')
    """
    sign = "-" if number < 0 else ""
    return f"{sign}{abs(number)}" if abs(number) <= _LARGEST_DIGIT else f"{sign}{abs(number):#x}"


def _operand_text(operand: Operand, value: int) -> str:
    if operand.names is not None:
        return operand.names.get(value, f"?{value}")
    if operand.signed_bits is not None:
        value = _signed(value, operand.signed_bits)
    return _number_text(value * operand.scale)


def _tables(isa: Isa) -> DecoderTables:
    """Grow the tree: every node looks at the byte that leaves the fewest candidates."""
    patterns = [fixed_bits(form) for form in isa.forms]
    positions: list[int] = []
    children: list[list[int]] = []
    leaves: list[tuple[int, ...]] = []
    known_leaves: dict[tuple[int, ...], int] = {}

    def leaf(members: tuple[int, ...]) -> int:
        if members not in known_leaves:
            known_leaves[members] = len(leaves)
            leaves.append(
                tuple(sorted(members, key=lambda form: (-patterns[form][0].bit_count(), form)))
            )
        return -1 - known_leaves[members]

    def grow(members: tuple[int, ...], looked_at: frozenset[int]) -> int:
        best = _best_position(members, patterns, looked_at)
        if len(members) <= _MAX_CANDIDATES or best is None:
            return leaf(members)
        position, groups = best
        node = len(positions)
        positions.append(position)
        children.append([])
        known: dict[tuple[int, ...], int] = {}
        for group in groups:
            if group not in known:
                known[group] = grow(group, looked_at | {position})
        children[node] = [known[group] for group in groups]
        return node

    root = grow(tuple(range(len(isa.forms))), frozenset())
    if root < 0:  # so few forms that one leaf holds them all
        positions, children = [0], [[root] * 256]
    word = 2**64 - 1
    return DecoderTables(
        positions=np.array(positions, np.int64),
        children=np.array(children, np.int32),
        leaf_starts=np.cumsum([0, *(len(members) for members in leaves)], dtype=np.int64),
        candidates=np.array([form for members in leaves for form in members], np.int64),
        patterns=np.array(
            [(mask & word, mask >> 64, value & word, value >> 64) for mask, value in patterns],
            np.uint64,
        ),
        lengths=np.array([len(form.base) for form in isa.forms], np.int64),
    )


def _best_position(
    members: tuple[int, ...], patterns: list[tuple[int, int]], looked_at: frozenset[int]
) -> tuple[int, list[tuple[int, ...]]] | None:
    """Return the byte to look at and the candidates for each of its values; `None`: none helps."""
    best: tuple[int, list[tuple[int, ...]]] | None = None
    best_cost = 256 * len(members) ** 2
    for position in range(16):
        fixed = [
            (form, patterns[form][0] >> 8 * position & 255, patterns[form][1] >> 8 * position & 255)
            for form in members
        ]
        if position in looked_at or not any(mask for _, mask, _ in fixed):
            continue
        groups = [
            tuple(form for form, mask, value in fixed if byte & mask == value)
            for byte in range(256)
        ]
        cost = sum(len(group) ** 2 for group in groups)
        if cost < best_cost:
            best, best_cost = (position, groups), cost
    return best

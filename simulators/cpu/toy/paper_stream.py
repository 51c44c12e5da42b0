"""The authors' stream of random programs: what their script draws out of Python's `random`.

Their generator (arXiv 2402.19155, CPU states) seeds Python's `random` once and draws everything
from it, one program after another, so a draw depends on all before it. Here it is again, number for
number: per program ACC, A to J, the number of instructions, and for every instruction but the last,
HLT, its name, its number of operands, its operands. docs/data-format.md tells the order in full.
`draw_programs` moves from one state of the generator to the next; a state that was kept is where
drawing can begin again.

It knows no corpus: which draws become samples, `pipelines.sources.paper` decides.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.toy import paper_kernel
from simulators.cpu.toy.isa import (
    INSTRUCTION_BYTES,
    INSTRUCTIONS,
    MAX_OPERANDS,
    NUM_OPERAND_REGISTERS,
)
from simulators.cpu.toy.machine import STATE_BYTES
from simulators.cpu.toy.paper_kernel import DONE_AT, NUM_WORDS, ROW_AT, SHIFT_AT, TABLE_BITS
from simulators.protocol import ProgramBatch

PAPER_MEMORY_BYTES: Final = 1024
PAPER_MAX_INSTRUCTIONS: Final = 255
"""The longest program of the authors' setting, HLT included."""

_WORD_BITS: Final = 32


def seeded(seed: int) -> NDArray[np.uint32]:
    """Return the generator's state after `random.seed(seed)`: 624 words and the next one's index.

    These are the numbers of `random.getstate()[1]`.

    >>> seeded(0)[:2].tolist()
    [2147483648, 766982754]
    """
    number = abs(seed)
    num_chunks = max(1, -(-number.bit_length() // _WORD_BITS))
    key = np.frombuffer(number.to_bytes(4 * num_chunks, "little"), "<u4").astype(np.uint32)
    return paper_kernel.seed_words(key)


def draw_programs(
    state: NDArray[np.uint32], count: int, *, max_instructions: int = PAPER_MAX_INSTRUCTIONS
) -> tuple[ProgramBatch, NDArray[np.uint32]]:
    """Draw the next `count` programs, and return them and the state after them.

    Raises:
        ValueError: `state` is none of a generator, or `max_instructions` is out of range.
    """
    if state.shape != (NUM_WORDS + 1,) or not 0 <= int(state[NUM_WORDS]) <= NUM_WORDS:
        raise ValueError(
            f"a state of shape {state.shape} is none of 624 words and an index of 0..624"
        )
    if not 1 <= max_instructions < 1 << (_WORD_BITS - 1):
        raise ValueError(f"max_instructions = {max_instructions} is not within 1..2**31-1")
    moved = np.array(state, np.uint32)
    offsets = np.zeros(count + 1, np.int64)
    code = np.empty(count * max_instructions, np.uint32)
    initial_states = np.zeros((count, STATE_BYTES), np.uint8)
    paper_kernel.draw_programs(
        moved,
        _TABLE,
        np.uint32(max_instructions),
        np.uint32(_WORD_BITS - max_instructions.bit_length()),
        offsets,
        code,
        initial_states,
    )
    batch = ProgramBatch(
        code=code[: offsets[-1]].view(np.uint8),
        offsets=offsets * INSTRUCTION_BYTES,
        initial_states=initial_states,
        data=np.zeros((count, 0), np.uint8),
    )
    return batch, moved


def fingerprints(batch: ProgramBatch) -> NDArray[np.uint64]:
    """Return `[n, 2]`: 128 bits of every program's text, the same for the same text.

    Not cryptographic; that two of two million different programs share all bits has a chance of
    about 1 in 10^26.
    """
    found = np.empty((len(batch), 2), np.uint64)
    paper_kernel.fill_fingerprints(
        batch.code.view(np.uint32), batch.offsets // INSTRUCTION_BYTES, found
    )
    return found


def _make_table() -> NDArray[np.uint32]:
    """Return the kernel's table: one row of 512 entries for every kind of number that may be next.

    The kinds: an instruction's name; a number of operands, by the counts to choose from; LOADI's
    number; operand `i`, counted from 0, with `n` still to come, this one included.
    """
    counts = {row.op: tuple(form.num_operands for form in row.forms) for row in INSTRUCTIONS[1:]}
    operands = [(i, n) for n in range(1, MAX_OPERANDS + 1) for i in range(MAX_OPERANDS + 1 - n)]
    kinds = ["name", "immediate", *(f"count {c}" for c in sorted(set(counts.values())))]
    kinds += [f"operand {i} of {n} left" for i, n in operands]
    rows = np.zeros((len(kinds), 1 << TABLE_BITS), np.uint32)

    def entry(following: str, value: int = 0, byte: int = 0) -> int:
        """Return an entry that puts `value` into a byte of the instruction; "name" ends that."""
        done = int(following == "name")
        row = kinds.index(following) << TABLE_BITS
        return value | 8 * byte << int(SHIFT_AT) | done << int(DONE_AT) | row << int(ROW_AT)

    def fill(kind: str, entries: list[int]) -> None:
        """Fill a row: a number that is not below `len(entries)` is refused, and the row stays."""
        number = kinds.index(kind)
        width = 1 << (TABLE_BITS - len(entries).bit_length())
        rows[number] = number << (TABLE_BITS + int(ROW_AT))
        rows[number, : width * len(entries)] = np.repeat(np.array(entries, np.uint32), width)

    names = [(row.op, row.immediate) for row in INSTRUCTIONS[1:]]
    fill("name", [entry("immediate" if imm else f"count {counts[op]}", op) for op, imm in names])
    fill("immediate", [entry("name", value, 1) for value in range(256)])
    for choices in set(counts.values()):
        following = [f"operand 0 of {count} left" if count else "name" for count in choices]
        fill(f"count {choices}", [entry(kind) for kind in following])
    for i, n in operands:
        following = f"operand {i + 1} of {n - 1} left" if n > 1 else "name"
        fill(
            f"operand {i} of {n} left",
            [entry(following, 1 + value, 1 + i) for value in range(NUM_OPERAND_REGISTERS)],
        )
    return rows.reshape(-1)


_TABLE: Final = _make_table()

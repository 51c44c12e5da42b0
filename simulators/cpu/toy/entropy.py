"""How many bits the toy CPU's random programs hold, by formula, from the table they are drawn from.

An instruction other than the last is uniform over the names but HLT, then over the name's forms,
then over each operand's values; name, form and operands follow from its four bytes, so the bits of
the draws are those of the bytes. What runs is a function of program and first state and adds none.
Source of the distribution: the authors' script as told in the paper (arXiv 2402.19155), and
docs/data-format.md.
"""

import math

from simulators.cpu.toy.isa import INSTRUCTIONS, NUM_OPERAND_REGISTERS, REGISTER_NAMES, Function

_BITS_A_BYTE = 8


def instruction_bits() -> float:
    """Return the entropy in bits of a random instruction that is not the program's last.

    >>> round(instruction_bits(), 2)
    9.63
    """
    rows = [row for row in INSTRUCTIONS if row.function is not Function.STOP]
    bits = 0.0
    for row in rows:
        values = 256 if row.immediate else NUM_OPERAND_REGISTERS
        operands = sum(form.num_operands for form in row.forms) / len(row.forms)
        bits += math.log2(len(row.forms)) + operands * math.log2(values)
    return math.log2(len(rows)) + bits / len(rows)


def file_bits(max_instructions: int) -> float:
    """Return the entropy in bits of a whole simulation, program and first registers drawn freely.

    The length is uniform in 1..`max_instructions` and the last instruction is HLT; ACC and A to J
    are uniform bytes. A corpus keeps every program once and puts it on one side, which takes a
    little off the shortest programs; that is left out here.

    >>> round(file_bits(1), 2)
    88.0
    """
    mean_drawn = (max_instructions - 1) / 2
    registers = _BITS_A_BYTE * len(REGISTER_NAMES)
    return math.log2(max_instructions) + mean_drawn * instruction_bits() + registers


def file_bits_per_byte(memory_bytes: int, max_instructions: int, state_bytes: int) -> float:
    """Return the same by byte of a file of mean length: memory, first state, a state a step."""
    mean_states = 1 + (max_instructions + 1) / 2
    return file_bits(max_instructions) / (memory_bytes + mean_states * state_bytes)

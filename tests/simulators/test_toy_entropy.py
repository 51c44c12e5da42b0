"""The entropy of the toy CPU's programs, by formula, is what counting finds."""

import math
from collections import Counter

import numpy as np
import pytest

from simulators.cpu.toy.entropy import file_bits, file_bits_per_byte, instruction_bits
from simulators.cpu.toy.machine import STATE_BYTES, ToyCpu


def every_instruction() -> dict[bytes, float]:
    """Return the probability of every instruction that can be drawn, enumerated one by one.

    Written from the paper's description: a name out of 20, a number of operands, operands.
    """
    counts: dict[int, list[int]] = {op: [0, 1] for op in range(1, 9)}
    counts |= {9: [1], 10: [1], 12: [1, 2], 20: [2]}
    counts |= {op: [1, 2, 3] for op in range(13, 20)}
    found = {bytes([11, value, 0, 0]): 1 / 20 / 256 for value in range(256)}
    for op, choices in counts.items():
        for count in choices:
            for number in range(10**count):
                operands = [1 + int(digit) for digit in str(number).zfill(count)] if count else []
                code = bytes([op, *operands]).ljust(4, b"\0")
                assert code not in found
                found[code] = 1 / 20 / len(choices) / 10**count
    return found


def test_an_instruction_has_the_entropy_of_all_that_can_be_drawn() -> None:
    chances = every_instruction()
    assert math.isclose(math.fsum(chances.values()), 1)
    entropy = -math.fsum(p * math.log2(p) for p in chances.values())
    assert instruction_bits() == pytest.approx(entropy, rel=1e-12)


def test_programs_that_are_drawn_cost_what_the_formula_says() -> None:
    num, longest = 20_000, 16
    batch = ToyCpu(memory_bytes=64, max_instructions=longest).draw(
        5, np.arange(num, dtype=np.uint64)
    )
    chances = every_instruction()
    words = batch.code.reshape(-1, 4)
    is_last = np.zeros(len(words), bool)
    is_last[batch.offsets[1:] // 4 - 1] = True
    assert not words[is_last].any()
    counted = Counter(word.tobytes() for word in words[~is_last])
    bits = -math.fsum(n * math.log2(chances[word]) for word, n in counted.items())
    drawn = int((~is_last).sum())
    # The code length of what was drawn has the entropy as its mean; its spread is below 3 bits.
    assert bits / drawn == pytest.approx(instruction_bits(), abs=3 * 3 / math.sqrt(drawn))
    lengths = np.diff(batch.offsets) // 4
    mean_bits = math.log2(longest) + bits / num + 8 * 11
    assert file_bits(longest) == pytest.approx(mean_bits, rel=0.01)
    mean_bytes = 64 + STATE_BYTES * (1 + lengths.mean())
    per_byte = file_bits_per_byte(64, longest, STATE_BYTES)
    assert per_byte == pytest.approx(mean_bits / mean_bytes, rel=0.01)


def test_states_are_not_counted_in_a_longer_file() -> None:
    assert file_bits(255) - file_bits(253) == pytest.approx(
        instruction_bits() + math.log2(255 / 253)
    )

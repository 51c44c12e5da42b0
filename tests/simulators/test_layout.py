"""Files with a data window at the end of their memory block, and batches for them."""

import numpy as np
import pytest

from simulators.batches import batch_of
from simulators.cpu.layout import lay_out, split_file, split_memory
from simulators.protocol import TraceBatch

STATES = np.arange(48, dtype=np.uint8).reshape(3, 16)
TRACES = TraceBatch(states=STATES, offsets=np.array([0, 1, 3]), end_reasons=np.zeros(2, np.uint8))
WINDOWS = np.arange(100, 132, dtype=np.uint8).reshape(2, 16)


def test_the_data_window_ends_the_memory_block() -> None:
    programs = batch_of([b"ab", b"cdefg"], STATES[:2], WINDOWS)
    files = lay_out(programs, TRACES, memory_bytes=32)
    first, second = (
        files.data[files.offsets[i] : files.offsets[i + 1]].tobytes() for i in range(2)
    )
    assert first == b"ab" + bytes(14) + WINDOWS[0].tobytes() + STATES[0].tobytes()
    assert second == b"cdefg" + bytes(11) + WINDOWS[1].tobytes() + STATES[1:].tobytes()
    memory, states = split_file(second, memory_bytes=32, state_bytes=16)
    assert split_memory(memory, 16) == (b"cdefg" + bytes(11), WINDOWS[1].tobytes())
    assert states.tolist() == STATES[1:].tolist()


def test_a_program_that_would_reach_into_the_window_is_refused() -> None:
    programs = batch_of([b"", bytes(17)], STATES[:2], WINDOWS)
    message = "program 1 has 17 bytes, more than memory_bytes = 32 without its data window of 16"
    with pytest.raises(ValueError, match=message):
        lay_out(programs, TRACES, memory_bytes=32)


def test_a_batch_without_windows_has_windows_of_no_bytes() -> None:
    assert batch_of([b"ab"], STATES[:1]).data.shape == (1, 0)


def test_a_window_that_is_no_part_of_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="a memory block of 16 bytes has no window of 32"):
        split_memory(bytes(16), 32)

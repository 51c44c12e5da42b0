# pyright: reportUntypedFunctionDecorator=false
"""A simulation's file: the memory block, then every recorded state; batches of them, and back.

It knows sizes only, no system: a memory block (the program padded with zeros, then the data window
where the machine has one), then states. What a state means, the system's `fields` say.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from simulators.protocol import ProgramBatch, TraceBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class FileBatch:
    """Files of a batch; file `i` is `data[offsets[i]:offsets[i + 1]]`."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """`[n + 1]` byte offsets into `data`."""

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.offsets) - 1


def lay_out(programs: ProgramBatch, traces: TraceBatch, *, memory_bytes: int) -> FileBatch:
    """Lay every program and its trace out as one file.

    `memory_bytes` is the whole memory block; `programs.data` fills its end.

    Raises:
        ValueError: the batches differ in length, a program is larger than the memory in front of
            the data window, or memory, data or state is not a multiple of 8 bytes.
    """
    data_bytes = programs.data.shape[1]
    state_bytes = traces.states.shape[1]
    if memory_bytes % 8 or data_bytes % 8 or state_bytes % 8:
        raise ValueError(
            f"memory_bytes = {memory_bytes}, data_bytes = {data_bytes} and "
            f"state_bytes = {state_bytes} must be multiples of 8"
        )
    if len(programs) != len(traces):
        raise ValueError(f"{len(programs)} programs but {len(traces)} traces: not of one run")
    sizes = np.diff(programs.offsets)
    if len(sizes) and int(sizes.max()) > memory_bytes - data_bytes:
        window = f" without its data window of {data_bytes}" if data_bytes else ""
        raise ValueError(
            f"program {int(sizes.argmax())} has {int(sizes.max())} bytes, "
            f"more than memory_bytes = {memory_bytes}{window}"
        )
    file_sizes = memory_bytes + state_bytes * np.diff(traces.offsets)
    offsets = np.zeros(len(programs) + 1, np.int64)
    np.cumsum(file_sizes, out=offsets[1:])
    data = np.empty(int(offsets[-1]) // 8, np.uint64)
    _fill(
        np.require(programs.code, requirements=["C", "WRITEABLE"]),
        programs.offsets,
        np.require(programs.data, requirements=["C", "WRITEABLE"]),
        np.require(traces.states, requirements=["C", "WRITEABLE"]).reshape(-1).view(np.uint64),
        traces.offsets * (state_bytes // 8),
        memory_bytes // 8,
        offsets,
        data.view(np.uint8),
        data,
    )
    return FileBatch(data=data.view(np.uint8), offsets=offsets)


def split_file(
    file: bytes, *, memory_bytes: int, state_bytes: int
) -> tuple[bytes, NDArray[np.uint8]]:
    """Return a file's memory block and its `[num_states, state_bytes]` states.

    Raises:
        ValueError: the file does not hold a memory block and whole states, at least one.
    """
    num_trace_bytes = len(file) - memory_bytes
    if num_trace_bytes < state_bytes or num_trace_bytes % state_bytes:
        raise ValueError(
            f"{len(file)} bytes are not a memory block of {memory_bytes} bytes "
            f"and one or more states of {state_bytes} bytes"
        )
    states = np.frombuffer(file, np.uint8, offset=memory_bytes).reshape(-1, state_bytes)
    return file[:memory_bytes], states


def split_memory(memory: bytes, data_bytes: int) -> tuple[bytes, bytes]:
    """Return a memory block's program, padding included, and its data window.

    >>> split_memory(b"programsdata", 4)
    (b'programs', b'data')

    Raises:
        ValueError: the block is smaller than the window.
    """
    if not 0 <= data_bytes <= len(memory):
        raise ValueError(f"a memory block of {len(memory)} bytes has no window of {data_bytes}")
    return memory[: len(memory) - data_bytes], memory[len(memory) - data_bytes :]


@numba.njit(cache=True)
def _fill(
    code: NDArray[np.uint8],
    code_offsets: NDArray[np.int64],
    windows: NDArray[np.uint8],
    trace: NDArray[np.uint64],
    trace_offsets: NDArray[np.int64],
    memory_words: int,
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    data_words: NDArray[np.uint64],
) -> None:
    """Copy programs, data windows and traces into `data`, and zero the rest of each memory block.

    `data_words` is `data` in words of 8 bytes; so are `trace`, its offsets and `memory_words`.
    Programs may have any size and are copied by bytes. Indices are unsigned because numba checks
    signed ones for being negative, which made this loop 4 to 9 times slower.
    """
    for i in range(len(offsets) - 1):
        memory = np.uint64(offsets[i] // 8)
        for j in range(np.uint64(memory_words)):
            data_words[memory + j] = np.uint64(0)
        start = np.uint64(offsets[i])
        code_start = np.uint64(code_offsets[i])
        for j in range(np.uint64(code_offsets[i + 1]) - code_start):
            data[start + j] = code[code_start + j]
        states = memory + np.uint64(memory_words)
        window_start = states * np.uint64(8) - np.uint64(windows.shape[1])
        for j in range(np.uint64(windows.shape[1])):
            data[window_start + j] = windows[i, j]
        trace_start = np.uint64(trace_offsets[i])
        for j in range(np.uint64(trace_offsets[i + 1]) - trace_start):
            data_words[states + j] = trace[trace_start + j]

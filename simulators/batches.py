"""Batches of programs from single ones, and back.

For the edges (a user's program, a filtered draw, a hash per program); the machines themselves work
on whole batches, because one Python object a program is the slow way.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulators.protocol import ProgramBatch


def programs_of(batch: ProgramBatch) -> list[bytes]:
    """Return every program of a batch as bytes."""
    code = batch.code.tobytes()
    return [code[start:end] for start, end in pairwise(batch.offsets.tolist())]


def batch_of(
    programs: Iterable[bytes],
    initial_states: NDArray[np.uint8],
    data: NDArray[np.uint8] | None = None,
) -> ProgramBatch:
    """Return the batch of given programs.

    `initial_states` is `[n, state_bytes]`, `data` is `[n, data_bytes]`, or `None` for a machine
    without a data window.

    >>> programs_of(batch_of([b"abcd", b""], np.zeros((2, 16), np.uint8)))
    [b'abcd', b'']
    """
    listed = list(programs)
    offsets = np.zeros(len(listed) + 1, np.int64)
    np.cumsum([len(program) for program in listed], out=offsets[1:])
    code = np.frombuffer(b"".join(listed), np.uint8)
    if data is None:
        data = np.zeros((len(listed), 0), np.uint8)
    return ProgramBatch(code=code, offsets=offsets, initial_states=initial_states, data=data)

"""Two rules without likelihoods for CPU traces: copy the state before, and fetch without effect.

`copy` says that nothing ever changes. `rule` knows how an instruction is fetched (PC + 1, the
instruction register from memory) and nothing of what it does; on random programs that alone is
right for most bytes, so byte accuracy flatters.
"""

from collections.abc import Sequence
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from bgpt.protocol import Continuation, Prompt, Scores

STATE_BYTES: Final = 16
PC: Final = 0
IR: Final = slice(2, 6)
INSTRUCTION_BYTES: Final = 4


@final
class CopyState:
    """A `ByteModel` that repeats the state before. It never stops by itself."""

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Predict every state as the true one before it."""
        return [
            Scores(total_nats=None, predicted=_flat(states_before(request), request))
            for request in requests
        ]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Repeat the first state up to the limit."""
        return [
            (prompt.given[-STATE_BYTES:] * (-(-limit // STATE_BYTES)))[:limit]
            for prompt, limit in zip(prompts, max_bytes, strict=True)
        ]


@final
class FetchRule:
    """A `ByteModel` that fetches and changes nothing else; it stops after a fetched HLT (zeros)."""

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Predict every state from the true one before it."""
        return [
            Scores(
                total_nats=None,
                predicted=_flat(fetch(request.prompt, states_before(request)), request),
            )
            for request in requests
        ]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Fetch until HLT."""
        return [
            _run(prompt, limit)[:limit] for prompt, limit in zip(prompts, max_bytes, strict=True)
        ]


def states_before(request: Continuation) -> NDArray[np.uint8]:
    """Return `[states, 16]`: for each state of the target the true one before it."""
    data = request.prompt.given[-STATE_BYTES:] + request.target
    num_states = -(-len(request.target) // STATE_BYTES)
    return np.frombuffer(data, np.uint8)[: num_states * STATE_BYTES].reshape(-1, STATE_BYTES)


def fetch(prompt: Prompt, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the states after the next fetch, all else copied."""
    memory = np.frombuffer(prompt.given[:-STATE_BYTES], np.uint8).reshape(-1, INSTRUCTION_BYTES)
    last = len(memory) - 1
    fetched = states.copy()
    counters = np.minimum(states[:, PC].astype(np.int64), last)
    fetched[:, PC] = np.minimum(counters + 1, last)
    fetched[:, IR] = memory[counters]
    return fetched


def _run(prompt: Prompt, limit: int) -> bytes:
    state = np.frombuffer(prompt.given[-STATE_BYTES:], np.uint8).reshape(1, STATE_BYTES)
    written = b""
    while len(written) < limit:
        state = fetch(prompt, state)
        written += state.tobytes()
        if not state[0, IR.start]:
            break
    return written


def _flat(states: NDArray[np.uint8], request: Continuation) -> NDArray[np.uint16]:
    return states.reshape(-1)[: len(request.target)].astype(np.uint16)

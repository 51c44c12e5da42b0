"""Two rules without likelihoods for CPU traces: copy the state before, and fetch without effect.

`copy` says that nothing ever changes. `rule` knows where the next instruction stands (its length in
memory; on the toy CPU also what its instruction register then holds) and nothing of what
instructions do, nor whether a branch is taken; on random programs that alone is right for most
bytes, so byte accuracy flatters.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from benchmarks.explaining.cpu_parts import states_before
from benchmarks.tasks.cpu import SimulationTask
from bgpt.protocol import Continuation, Prompt, Scores


@final
class CopyState:
    """A `ByteModel` that repeats the state before. It never stops by itself."""

    def __init__(self, task: SimulationTask) -> None:
        self._state_bytes = task.state_bytes

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Predict every state as the true one before it."""
        return [
            Scores(
                total_nats=None,
                predicted=_flat(states_before(request, self._state_bytes), request),
            )
            for request in requests
        ]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Repeat the first state up to the limit."""
        size = self._state_bytes
        return [
            (prompt.given[-size:] * (-(-limit // size)))[:limit]
            for prompt, limit in zip(prompts, max_bytes, strict=True)
        ]


@final
class FetchRule:
    """A `ByteModel` that fetches and changes nothing else; it stops where the program does."""

    def __init__(self, task: SimulationTask) -> None:
        self._task = task

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        """Predict every state from the true one before it."""
        answers: list[Scores] = []
        for request in requests:
            machine = self._task.machine(request.prompt)
            before = states_before(request, machine.state_bytes)
            predicted = machine.fetch(request.prompt.given[: machine.memory_bytes], before)
            answers.append(Scores(total_nats=None, predicted=_flat(predicted, request)))
        return answers

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        """Fetch until the program stops."""
        return [
            self._run(prompt, limit)[:limit]
            for prompt, limit in zip(prompts, max_bytes, strict=True)
        ]

    def _run(self, prompt: Prompt, limit: int) -> bytes:
        machine = self._task.machine(prompt)
        memory = prompt.given[: machine.memory_bytes]
        state = np.frombuffer(prompt.given[machine.memory_bytes :], np.uint8).reshape(1, -1)
        written: list[bytes] = []
        while len(written) * machine.state_bytes < limit and not machine.ended(memory, state)[0]:
            state = machine.fetch(memory, state)
            written.append(state.tobytes())
        return b"".join(written)


def _flat(states: NDArray[np.uint8], request: Continuation) -> NDArray[np.uint16]:
    return states.reshape(-1)[: len(request.target)].astype(np.uint16)

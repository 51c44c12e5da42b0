"""A trace on a terminal while a model writes it: a line a state, what changed, what is wrong.

Nothing is shown where the output is no terminal; the whole trace is printed at the end anyway.
"""

from types import TracebackType
from typing import Final, Self, TextIO, final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.text import Text

from simulators.protocol import System

LINES: Final = 20
"""States shown at once, the latest."""


@final
class LiveTrace:
    """A context that takes bytes as they come and shows the states that they complete."""

    def __init__(
        self, system: System, first: bytes, expected: NDArray[np.uint8] | None, out: TextIO
    ) -> None:
        self._system = system
        self._states = [first]
        self._rest = b""
        self._expected = expected
        self._lines: list[Text] = []
        console = Console(file=out)
        self._live = Live(console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        """Begin to show where there is a terminal."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the view away."""
        if self._live is not None:
            self._live.stop()

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        self._rest += data
        size = self._system.state_bytes
        while len(self._rest) >= size:
            state, self._rest = self._rest[:size], self._rest[size:]
            self._lines = [*self._lines, self.line(state)][-LINES:]
            self._states.append(state)
            if self._live is not None:
                self._live.update(Text("\n").join(self._lines))

    def line(self, state: bytes) -> Text:
        """Return the line of the next state: the fields that changed, those that are wrong in red.

        >>> from io import StringIO
        >>> from simulators.cpu.toy.machine import ToyCpu
        >>> cpu = ToyCpu(memory_bytes=64, max_instructions=16)
        >>> live = LiveTrace(cpu, bytes(16), np.zeros((2, 16), np.uint8), StringIO())
        >>> live.line(bytes([1, 7, *bytes(14)])).plain
        'state 1    PC=01 (not 00) ACC=07 (not 00)'
        """
        number, before = len(self._states), self._states[-1]
        text = Text(f"state {number:<4}")
        known = self._expected is not None and number < len(self._expected)
        right = self._expected[number].tobytes() if known and self._expected is not None else None
        if self._expected is not None and not known:
            text.append(" too many", style="bold red")
        for field in self._system.fields:
            place = slice(field.offset, field.offset + field.num_bytes)
            value = state[place]
            is_wrong = right is not None and right[place] != value
            if value == before[place] and not is_wrong:
                continue
            text.append(f" {field.name}={_number(value)}", style="bold red" if is_wrong else "bold")
            if is_wrong and right is not None:
                text.append(f" (not {_number(right[place])})", style="red")
        return text


def _number(value: bytes) -> str:
    return value[::-1].hex()

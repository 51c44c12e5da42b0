"""Ending at the next safe point when the machine or the user asks for it.

Inside `Interrupts`, SIGTERM and SIGINT only set a flag; the loop looks at it between two steps,
saves, and ends. A second signal acts as it would have without us.
"""

import signal
from types import FrameType, TracebackType
from typing import Any, Self, final

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@final
class Interrupts:
    """A context that catches the first SIGTERM or SIGINT; main thread only."""

    def __init__(self) -> None:
        self.received: int | None = None
        """Number of the signal that came, or None."""
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Start to catch."""
        for number in _SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the former handlers back."""
        self._restore()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        """Remember the signal, and let the next one through."""
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

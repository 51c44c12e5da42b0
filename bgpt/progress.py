"""Telling a person how far a run is: on stderr, a bar on a terminal, else a plain line at times.

It only prints. What is kept for programs goes to `bgpt.telemetry`.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

PLAIN_LINE_SECONDS = 30.0
"""Seconds between two lines where stderr is not a terminal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Where a run stands now."""

    step: int
    done: float
    """Share of the budget, 0..1."""
    bytes_per_second: float
    bits_per_byte: float | None
    """Of the training batches since the last metrics line."""

    def line(self, seconds_left: float | None) -> str:
        """Return one line for a person.

        >>> Status(step=20, done=0.25, bytes_per_second=2.5e5, bits_per_byte=1.5).line(90)
        'step 20, 25 %, 250 kB/s, 1.500 bits per byte, 1:30 left'
        """
        figure = "" if self.bits_per_byte is None else f", {self.bits_per_byte:.3f} bits per byte"
        left = "" if seconds_left is None else f", {_clock(seconds_left)} left"
        rate = f"{self.bytes_per_second / 1000:.0f} kB/s"
        return f"step {self.step}, {100 * self.done:.0f} %, {rate}{figure}{left}"


@final
class ProgressReport:
    """A context that shows `Status` after `Status`.

    The clock and the stream are arguments so that a test can hold them.
    """

    def __init__(
        self,
        title: str,
        *,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._console = console or Console(file=sys.stderr)
        self._clock = clock
        self._started = self._printed = clock()
        self._first_done: float | None = None
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        """Open the bar where there is a terminal."""
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[line]}"),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=1.0, line="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()

    def show(self, status: Status) -> None:
        """Show where the run stands; without a terminal, at most every `PLAIN_LINE_SECONDS`."""
        now = self._clock()
        if self._first_done is None:
            self._first_done, self._started = status.done, now
        gained = status.done - self._first_done
        left = (now - self._started) * (1 - status.done) / gained if gained > 0 else None
        if self._bar is not None:
            line = status.line(left)
            self._bar.update(self._task, completed=min(status.done, 1.0), line=line)
        elif now - self._printed >= PLAIN_LINE_SECONDS:
            self._printed = now
            self._console.out(f"{self._title}: {status.line(left)}", highlight=False)


def _clock(seconds: float) -> str:
    """Return seconds as `m:ss` or `h:mm:ss`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"

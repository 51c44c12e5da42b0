"""A piano roll as text for a terminal: a row a pitch, a column a sixteenth note, wrapped at bars.

Only the pitches that sound have a row, so that a tune stays as low as its scale. A second roll is
laid over the first: what both have, what only one has, and a mark under the first difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulators.music.looking.piano_roll import (
    Roll,
    RollNote,
    first_difference,
    pitch_name,
    shared_and_own,
)

STEP: Final = 0.25
"""Quarter notes in a column; shorter notes still get one."""
MIN_WIDTH: Final = 40
_NAME_COLUMNS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Glyphs:
    """One character for each thing that a cell can show."""

    onset: str
    hold: str
    missing: str
    surplus: str
    bar: str
    beat: str
    mark: str


UNICODE: Final = Glyphs(onset="█", hold="▬", missing="░", surplus="╳", bar="│", beat="·", mark="▲")
ASCII: Final = Glyphs(onset="#", hold="=", missing="-", surplus="x", bar="|", beat=".", mark="^")


def roll_text(
    roll: Roll,
    other: Roll | None = None,
    *,
    width: int = 100,
    glyphs: Glyphs = UNICODE,
    names: tuple[str, str | None] = ("the first", "the second"),
) -> str:
    """Return a roll as lines of at most `width` columns; `other` is laid over it.

    The legend calls the two by their `names`; without a second name it has nothing of its own.

    Notes of `roll` that `other` lacks are shown as missing, notes that only `other` has as surplus.
    """
    shown = [*roll.notes, *(other.notes if other else ())]
    if not shown:
        return "no notes"
    pitches = sorted({note.pitch for note in shown}, reverse=True)
    bars = max(roll.bars, other.bars if other else (), key=len)
    end = max(note.start + note.length for note in shown)
    columns = _Columns(bars, roll.first_bar, end)
    cells = {pitch: columns.empty(glyphs) for pitch in pitches}
    if other is None:
        columns.draw(cells, roll.notes, glyphs.onset, glyphs.hold)
    else:
        shared, missing = shared_and_own(roll, other)
        columns.draw(cells, missing, glyphs.missing, glyphs.missing)
        columns.draw(cells, shared, glyphs.onset, glyphs.hold)
        columns.draw(cells, shared_and_own(other, roll)[1], glyphs.surplus, glyphs.surplus)
    parted = None if other is None else first_difference(roll, other)
    mark = None if parted is None else columns.at(parted)
    lines: list[str] = []
    for first, start, end in columns.systems(max(width, MIN_WIDTH) - _NAME_COLUMNS):
        lines.append(" " * _NAME_COLUMNS + columns.numbers(first, start, end))
        lines += [
            f"{pitch_name(pitch):>{_NAME_COLUMNS - 1}} {''.join(cells[pitch][start:end]).rstrip()}"
            for pitch in pitches
        ]
        if mark is not None and start <= mark < end:
            lines.append(" " * (_NAME_COLUMNS + mark - start) + glyphs.mark)
        lines.append("")
    if parted is not None:
        lines.append(f"{glyphs.mark} first difference: {roll.place(parted)}")
    if other is not None:
        legend = f"{glyphs.onset}{glyphs.hold} both, {glyphs.missing} only in {names[0]}"
        surplus = "" if names[1] is None else f", {glyphs.surplus} only in {names[1]}"
        lines.append(legend + surplus)
    return "\n".join(lines).rstrip("\n")


class _Columns:
    """Columns of a roll: each bar begins with one for its line, then one a step."""

    def __init__(self, bars: Sequence[float], first_bar: int, quarters: float) -> None:
        self._first_bar = first_bar
        self._bars = [round(bar / STEP) for bar in bars]
        self._steps = max(round(quarters / STEP), self._bars[-1] + 1)
        self._starts = [bar + number for number, bar in enumerate(self._bars)]
        """The column of each bar's line."""
        self.total = self._steps + len(self._bars)

    def at(self, quarter: float) -> int:
        """Return the column of a time."""
        step = min(round(quarter / STEP), self._steps - 1)
        passed = sum(bar <= step for bar in self._bars)
        return step + passed

    def empty(self, glyphs: Glyphs) -> list[str]:
        """Return a row without notes."""
        row = [" "] * self.total
        for number, (bar, column) in enumerate(zip(self._bars, self._starts, strict=True)):
            after = self._bars[number + 1] if number + 1 < len(self._bars) else self._steps
            for step in range(0, after - bar, round(1 / STEP)):
                row[column + 1 + step] = glyphs.beat
            row[column] = glyphs.bar
        return row

    def draw(
        self, cells: dict[int, list[str]], notes: Sequence[RollNote], onset: str, hold: str
    ) -> None:
        """Draw notes into their rows; what is held goes on over bar lines."""
        for note in notes:
            row = cells[note.pitch]
            first = self.at(note.start)
            last = max(self.at(note.start + note.length - STEP), first)
            row[first] = onset
            for column in range(first + 1, last + 1):
                row[column] = hold

    def systems(self, width: int) -> list[tuple[int, int, int]]:
        """Return (first bar, first column, end) of each line of bars; a long bar is cut."""
        ends = [*self._starts[1:], self.total]
        found: list[tuple[int, int, int]] = []
        number = 0
        while number < len(ends):
            start, end = self._starts[number], ends[number]
            first = number
            while number + 1 < len(ends) and ends[number + 1] - start <= width:
                number += 1
                end = ends[number]
            found += [(first, at, min(at + width, end)) for at in range(start, end, width)]
            number += 1
        return found

    def numbers(self, first: int, start: int, end: int) -> str:
        """Return the bars' numbers over their lines."""
        row = [" "] * (end - start)
        for number in range(first, len(self._starts)):
            column = self._starts[number] - start
            text = str(number + self._first_bar)
            if column >= 0 and column + len(text) <= len(row):
                row[column : column + len(text)] = text
        return "".join(row).rstrip()

"""A MIDI file's notes over time and pitch: what a piano roll shows, and where two of them part.

Pure: bytes in, a `Roll` out. Times are in quarter notes; bars come from the file's own time
signatures. A broken file gives the notes that can be read, and says what is wrong with it. How a
roll is drawn, `roll_text` and `roll_picture` know.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from simulators.music.midi.files import (
    Event,
    MidiError,
    MidiFile,
    read_score,
    salvage,
    salvage_score,
)

MAX_NOTES = 4_096
MAX_QUARTERS = 1_024
"""A roll ends here, 256 bars of 4/4: a hostile file may last for years."""
_TIME_SIGNATURE = 0x58
_MIN_BAR_QUARTERS = 0.25


class RollNote(NamedTuple):
    """One note of a roll."""

    start: float
    """In quarter notes from the beginning."""
    length: float
    """In quarter notes."""
    pitch: int
    """0..127; 60 is middle C."""
    velocity: int
    """1..127."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roll:
    """Notes and bars of one file."""

    notes: tuple[RollNote, ...]
    """In order of their start."""
    bars: tuple[float, ...]
    """Where each bar begins, in quarter notes; the first one at 0."""
    first_bar: int
    """The first bar's number: 0 where it is an upbeat, else 1."""
    quarters: float
    """Where the last note ends, or 0."""
    left_out: int
    """Notes beyond `MAX_NOTES` or `MAX_QUARTERS`."""
    fault: str | None
    """Why a strict reader refuses the file; `None` if it is well formed."""

    def place(self, quarter: float) -> str:
        """Return a time as a person counts it: "bar 3, beat 2.5"; a beat is a quarter note."""
        bar = max(bisect_right(self.bars, quarter + 1 / 64) - 1, 0)
        beat = max(round(quarter - self.bars[bar], 2), 0.0) + 1
        return f"bar {bar + self.first_bar}, beat {beat:g}"


def pitch_name(pitch: int) -> str:
    """Return a pitch as a letter and an octave.

    >>> pitch_name(60), pitch_name(70)
    ('C4', 'A#4')
    """
    return f"{_PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


_PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def read_roll(data: bytes, upbeat: float = 0.0) -> Roll:
    """Return the roll of a MIDI file, of a broken one as far as it can be read.

    `upbeat` is how many quarter notes come before the first whole bar, which no MIDI file says.
    """
    first_bar = 0 if upbeat else 1
    fault: str | None = None
    try:
        score = read_score(data)
    except MidiError as error:
        fault = str(error)
        score = salvage_score(data)
    if score is None:
        return Roll(
            notes=(), bars=(0.0,), first_bar=first_bar, quarters=0.0, left_out=0, fault=fault
        )
    unit = score.ticks_per_quarter
    notes = tuple(
        RollNote(n.start_tick / unit, n.duration_ticks / unit, n.pitch, n.velocity)
        for n in score.notes[:MAX_NOTES]
        if n.start_tick + n.duration_ticks <= MAX_QUARTERS * unit
    )
    quarters = max((note.start + note.length for note in notes), default=0.0)
    file = salvage(data)
    return Roll(
        notes=notes,
        bars=(0.0,) if file is None else _bars(file, quarters, upbeat),
        first_bar=first_bar,
        quarters=quarters,
        left_out=len(score.notes) - len(notes),
        fault=fault,
    )


def first_difference(one: Roll, other: Roll) -> float | None:
    """Return the time of the first note that only one of two rolls has, or `None`.

    Start, length and pitch count, velocity does not.
    """
    mine, theirs = (Counter(note[:3] for note in roll.notes) for roll in (one, other))
    return min((start for start, _, _ in (mine - theirs) + (theirs - mine)), default=None)


def shared_and_own(one: Roll, other: Roll) -> tuple[list[RollNote], list[RollNote]]:
    """Return the notes of `one` that `other` has too, and those that it lacks."""
    theirs = Counter(note[:3] for note in other.notes)
    shared: list[RollNote] = []
    own: list[RollNote] = []
    for note in one.notes:
        if theirs[note[:3]] > 0:
            theirs[note[:3]] -= 1
            shared.append(note)
        else:
            own.append(note)
    return shared, own


def _bars(file: MidiFile, quarters: float, upbeat: float) -> tuple[float, ...]:
    """Return where bars begin, up to the last note's end; 4/4 where no signature says else."""
    changes = sorted(found for track in file.tracks for found in _signatures(track))
    bars = [0.0]
    length = 4.0
    unit = file.ticks_per_quarter
    while True:
        while changes and changes[0][0] / unit <= bars[-1] + 1 / 64:
            length = max(changes.pop(0)[1], _MIN_BAR_QUARTERS)
        after = bars[-1] + (upbeat if upbeat and len(bars) == 1 else length)
        if changes:
            after = min(after, changes[0][0] / unit)
        if after >= quarters - 1 / 64:
            return tuple(bars)
        bars.append(after)


def _signatures(track: tuple[Event, ...]) -> list[tuple[int, float]]:
    """Return (tick, quarters in a bar) of a track's time signatures."""
    found: list[tuple[int, float]] = []
    tick = 0
    for event in track:
        tick += event.delta_ticks
        if event.status == 0xFF and event.data[0] == _TIME_SIGNATURE and len(event.data) >= 3:
            found.append((tick, event.data[1] * 4 / 2 ** min(event.data[2], 8)))
    return found

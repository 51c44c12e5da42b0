"""A tune as a person wants to see it: its ABC text, then its MIDI file as a piano roll.

Only for looking at; nothing reads it back.
"""

from dataclasses import dataclass

from simulators.music.abc.bars import read_bars
from simulators.music.abc.canonical import canonicalise
from simulators.music.looking.piano_roll import pitch_name, read_roll
from simulators.music.looking.roll_text import UNICODE, Glyphs, roll_text
from simulators.music.midi.files import salvage_score


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneView:
    """What of a tune is shown, and how."""

    notes: bool = False
    """A line for each note, too."""
    against: bytes | None = None
    """Another MIDI file to lay over the tune's own."""
    width: int = 100
    """Columns of the roll."""
    glyphs: Glyphs = UNICODE


def render_tune(abc: bytes, mid: bytes, view: TuneView | None = None) -> str:
    """Return a tune as a person wants to see it: the ABC text, then its notes.

    Starts and lengths are in quarter notes. Neither file has to be valid: what cannot be read is
    said in place, and what can be is shown.
    """
    view = view or TuneView()
    upbeat = upbeat_of(abc)
    lines = [abc.decode("ascii", "backslashreplace").rstrip("\n"), "", *_heading("MIDI", mid)]
    other = None
    if view.against is not None:
        lines += _heading("against", view.against)
        other = read_roll(view.against, upbeat)
    roll = read_roll(mid, upbeat)
    lines += ["", roll_text(roll, other, width=view.width, glyphs=view.glyphs)]
    score = salvage_score(mid)
    if not view.notes or score is None:
        return "\n".join(lines)
    quarter = score.ticks_per_quarter
    lines += ["", "   start  length  pitch  velocity  channel"]
    lines += [
        f"{note.start_tick / quarter:8.3f}{note.duration_ticks / quarter:8.3f}"
        f"  {pitch_name(note.pitch):<5}{note.velocity:10d}{note.channel:9d}"
        for note in score.notes
    ]
    return "\n".join(lines)


def upbeat_of(abc: bytes) -> float:
    r"""Return how many quarter notes of a tune come before its first whole bar.

    >>> upbeat_of(b"X:1\nM:4/4\nL:1/8\nK:G\nGA|B4 c4|"), upbeat_of(b"no tune")
    (1.0, 0.0)
    """
    try:
        bars = read_bars(canonicalise(abc.decode("ascii"))).bars
    except ValueError:
        return 0.0
    if len(bars) < 2 or bars[0].due is None or bars[0].duration >= bars[0].due:
        return 0.0
    return float(4 * bars[0].duration)


def _heading(name: str, mid: bytes) -> list[str]:
    """Return what a MIDI file is, and what is wrong with it."""
    roll, score = read_roll(mid), salvage_score(mid)
    if score is None:
        return [f"{name}, {len(mid)} bytes: not readable: {roll.fault}"]
    unit = f"{score.ticks_per_quarter} ticks per quarter"
    lines = [f"{name}, {len(mid)} bytes, {len(score.notes)} notes, {unit}"]
    if roll.fault is not None:
        lines.append(f"{name} is not well formed: {roll.fault}; shown is what can be read")
    if roll.left_out:
        lines.append(f"{roll.left_out} notes are not in the roll, which ends before them")
    return lines

"""A piano roll as a picture: SVG text or PNG bytes, drawn from the same shapes.

Bars are wrapped into systems as in sheet music; a semitone has the same height everywhere, and the
rows of black keys are shaded. A second roll is laid over the first, with a line where they part.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, Literal, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from simulators.music.looking.piano_roll import (
    Roll,
    RollNote,
    first_difference,
    pitch_name,
    shared_and_own,
)

Role = Literal[
    "paper", "black", "grid", "bar", "note", "missing", "surplus", "mark", "text", "title"
]
COLOURS: Final[dict[Role, str]] = {
    "paper": "#ffffff",
    "black": "#f3f3ef",
    "grid": "#e4e4de",
    "bar": "#8a8f99",
    "note": "#1d4ed8",
    "missing": "#b7bcc6",
    "surplus": "#b45309",
    "mark": "#b91c1c",
    "text": "#585e69",
    "title": "#17191e",
}
WIDTH: Final = 1120
SYSTEM_QUARTERS: Final = 24.0
"""A system holds as many whole bars as fit into this, one at least."""
MAX_SYSTEMS: Final = 64
PNG_SCALE: Final = 2
_LEFT, _RIGHT, _TOP, _GAP = 52.0, 16.0, 76.0, 40.0
_SEMITONE = 8.0
_BLACK_KEYS: Final = frozenset({1, 3, 6, 8, 10})
_MEANINGS: Final[tuple[tuple[Role, str], ...]] = (
    ("note", "in both"),
    ("missing", "only in the first"),
    ("surplus", "only in the second"),
)
_FONT = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'


class Box(NamedTuple):
    """A filled rectangle; lines are thin ones."""

    x: float
    y: float
    width: float
    height: float
    role: Role
    round: float = 0.0


class Words(NamedTuple):
    """A line of text, `y` being its baseline."""

    x: float
    y: float
    text: str
    role: Role
    size: float
    anchor: Literal["start", "end"] = "start"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Shapes in the order in which they are drawn."""

    width: float
    height: float
    shapes: tuple[Box | Words, ...]


class PictureError(ValueError):
    """A picture cannot be written as asked; the message says which forms there are."""


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture in the form that the file's suffix names.

    Raises:
        PictureError: the suffix is neither `.svg` nor `.png`.
    """
    check_suffix(path)
    svg = path.suffix.lower() == ".svg"
    path.write_bytes(svg_text(picture).encode() if svg else png_bytes(picture))


def check_suffix(path: Path) -> None:
    """Refuse a file name that says no form of picture.

    Raises:
        PictureError: the suffix is neither `.svg` nor `.png`.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise PictureError(f"{path}: a picture is written as .svg or .png, not '{path.suffix}'")


def draw_roll(title: str, roll: Roll, other: Roll | None = None) -> Picture:
    """Return the picture of a roll; `other` is laid over it, as in `roll_text`."""
    shown = [*roll.notes, *(other.notes if other else ())]
    bars = max(roll.bars, other.bars if other else (), key=len)
    end = max([note.start + note.length for note in shown] + [bars[-1] + 1])
    pitches = [note.pitch for note in shown] or [60]
    low, high = min(pitches) - 1, max(pitches) + 1
    layers: list[tuple[Role, Sequence[RollNote]]] = [("note", roll.notes)]
    parted = None
    if other is not None:
        shared, missing = shared_and_own(roll, other)
        surplus = shared_and_own(other, roll)[1]
        layers = [("missing", missing), ("note", shared), ("surplus", surplus)]
        parted = first_difference(roll, other)
    shapes: list[Box | Words] = [Words(_LEFT, 26, title, "title", 15)]
    shapes += _legend(roll, other, parted)
    top = _TOP
    systems = _systems(bars, end)
    for start, stop in systems[:MAX_SYSTEMS]:
        system = _System(top, start, stop, low, high, max(b - a for a, b in systems))
        shapes += system.ground(bars, roll.first_bar)
        for role, notes in layers:
            shapes += system.notes(notes, role)
        if parted is not None and start <= parted < stop:
            shapes.append(system.line(parted, "mark", 2.0))
        top += system.height + _GAP
    return Picture(width=WIDTH, height=top - _GAP + 24, shapes=tuple(shapes))


def svg_text(picture: Picture) -> str:
    """Return a picture as one SVG file without script, style or outside references."""
    size = f"{picture.width:g} {picture.height:g}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        f'width="{picture.width:g}" height="{picture.height:g}" font-family=\'{_FONT}\'>',
        f'<rect width="100%" height="100%" fill="{COLOURS["paper"]}"/>',
    ]
    for shape in picture.shapes:
        colour = COLOURS[shape.role]
        if isinstance(shape, Box):
            lines.append(
                f'<rect x="{shape.x:.2f}" y="{shape.y:.2f}" width="{shape.width:.2f}" '
                f'height="{shape.height:.2f}" rx="{shape.round:g}" fill="{colour}"/>'
            )
        else:
            lines.append(
                f'<text x="{shape.x:.2f}" y="{shape.y:.2f}" font-size="{shape.size:g}" '
                f'text-anchor="{shape.anchor}" fill="{colour}">{escape(_printable(shape.text))}'
                "</text>"
            )
    return "\n".join([*lines, "</svg>", ""])


def png_bytes(picture: Picture) -> bytes:
    """Return a picture as a PNG file, `PNG_SCALE` pixels a unit."""
    scale = PNG_SCALE
    size = (round(picture.width * scale), round(picture.height * scale))
    image = Image.new("RGB", size, COLOURS["paper"])
    draw = ImageDraw.Draw(image)
    for shape in picture.shapes:
        colour = COLOURS[shape.role]
        if isinstance(shape, Box):
            left, top = shape.x * scale, shape.y * scale
            corner = (
                max(left + shape.width * scale - 1, left),
                max(top + shape.height * scale - 1, top),
            )
            draw.rounded_rectangle((left, top, *corner), shape.round * scale, colour)
        else:
            font = ImageFont.load_default(shape.size * scale)
            anchor = "ls" if shape.anchor == "start" else "rs"
            text = _printable(shape.text)
            draw.text((shape.x * scale, shape.y * scale), text, colour, font, anchor)
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


class _System:
    """One line of bars: from (quarter, pitch) to places."""

    def __init__(
        self, top: float, start: float, stop: float, low: int, high: int, widest: float
    ) -> None:
        self._top, self._start, self._stop = top, start, stop
        self._low, self._high = low, high
        self._unit = (WIDTH - _LEFT - _RIGHT) / widest
        self.height = (high - low + 1) * _SEMITONE

    def _x(self, quarter: float) -> float:
        return _LEFT + (quarter - self._start) * self._unit

    def _y(self, pitch: int) -> float:
        return self._top + (self._high - pitch) * _SEMITONE

    def line(self, quarter: float, role: Role, width: float = 1.0) -> Box:
        """Return an upright line."""
        return Box(self._x(quarter) - width / 2, self._top, width, self.height, role)

    def ground(self, bars: Sequence[float], first_bar: int) -> list[Box | Words]:
        """Return the rows of keys, the beats, and the bars with their numbers."""
        width = self._x(self._stop) - _LEFT
        shapes: list[Box | Words] = []
        for pitch in range(self._low, self._high + 1):
            if pitch % 12 in _BLACK_KEYS:
                shapes.append(Box(_LEFT, self._y(pitch), width, _SEMITONE, "black"))
            if pitch % 12 in (0, 5) and self._low < pitch < self._high:
                place = self._y(pitch) + _SEMITONE - 0.5
                shapes.append(Words(_LEFT - 8, place, pitch_name(pitch), "text", 11, "end"))
                shapes.append(Box(_LEFT, self._y(pitch) + _SEMITONE - 0.5, width, 0.5, "grid"))
        quarter = self._start + 1
        while quarter < self._stop:
            shapes.append(self.line(quarter, "grid"))
            quarter += 1
        for number, bar in enumerate(bars, first_bar):
            if self._start <= bar < self._stop:
                shapes.append(self.line(bar, "bar"))
                shapes.append(Words(self._x(bar) + 3, self._top - 5, str(number), "text", 11))
        return [*shapes, self.line(self._stop, "bar")]

    def notes(self, notes: Sequence[RollNote], role: Role) -> list[Box | Words]:
        """Return the parts of notes that sound within this system."""
        shapes: list[Box | Words] = []
        for note in notes:
            left = self._x(max(note.start, self._start))
            right = self._x(min(note.start + note.length, self._stop))
            if note.start < self._stop - 1 / 64 and right > left:
                width = max(right - left - 1, 2.0)
                place = (left, self._y(note.pitch) + 0.5)
                shapes.append(Box(*place, width, _SEMITONE - 1, role, 1.5))
        return shapes


def _systems(bars: Sequence[float], end: float) -> list[tuple[float, float]]:
    """Return where each system begins and ends."""
    edges = [*bars[1:], max(end, bars[-1])]
    if len(bars) > 1 and edges[-1] - bars[-1] < bars[-1] - bars[-2]:
        edges[-1] = bars[-1] + bars[-1] - bars[-2]
    found: list[tuple[float, float]] = []
    start, stop = 0.0, 0.0
    for edge in edges:
        if edge - start > SYSTEM_QUARTERS and stop > start:
            found.append((start, stop))
            start = stop
        stop = edge
    found.append((start, stop))
    return found


def _legend(roll: Roll, other: Roll | None, parted: float | None) -> list[Box | Words]:
    """Return the words under the title: what the colours mean, and where the rolls part."""
    if other is None:
        fault = "" if roll.fault is None else f", not well formed: {roll.fault}"
        return [Words(_LEFT, 42, f"{len(roll.notes)} notes{fault}", "text", 11)]
    shapes: list[Box | Words] = []
    at = _LEFT
    for role, text in _MEANINGS:
        shapes.append(Box(at, 35, 14, 7, role, 1.5))
        shapes.append(Words(at + 20, 42, text, "text", 11))
        at += 20 + 6.2 * len(text) + 16
    where = "the same notes" if parted is None else f"first difference: {roll.place(parted)}"
    fault = "" if other.fault is None else f"; the second is not well formed: {other.fault}"
    shapes.append(Words(at, 42, where + fault, "text" if parted is None else "mark", 11))
    return shapes


def _printable(text: str) -> str:
    """Return text without control characters, which XML forbids."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)

"""Piano rolls for the page: truth and written on one time axis, as SVG in the page's colours.

Colours and type come from classes; the places of time are in attributes of the element, so that
the page's script can move a line along while it plays. It reads nothing and decides nothing.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.leaderboard.markup import Markup, join, tag
from simulators.music.looking.piano_roll import Roll, RollNote, pitch_name

WIDTH = 600.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 6.0, 38.0, 6.0
_MAX_SEMITONE, _MAX_FIELD = 7.0, 160.0
_BLACK_KEYS = frozenset({1, 3, 6, 8, 10})


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The axes that all rolls of one tune share."""

    quarters: float
    low: int
    high: int
    bars: tuple[float, ...]

    @property
    def unit(self) -> float:
        """Return the width of a quarter note."""
        return (WIDTH - _LEFT - _RIGHT) / self.quarters

    @property
    def semitone(self) -> float:
        """Return the height of a semitone."""
        return min(_MAX_SEMITONE, _MAX_FIELD / (self.high - self.low + 1))

    @property
    def height(self) -> float:
        """Return the height of the whole drawing."""
        return _TOP + (self.high - self.low + 1) * self.semitone + _BOTTOM

    def x(self, quarter: float) -> float:
        """Return the place of a time."""
        return _LEFT + min(quarter, self.quarters) * self.unit

    def y(self, pitch: int) -> float:
        """Return the upper edge of a pitch's row."""
        return _TOP + (self.high - pitch) * self.semitone


def frame_of(truth: Roll, written: Roll | None) -> Frame:
    """Return axes that hold the truth whole, and of what was written up to twice its length."""
    limit = 2 * max(truth.quarters, 1.0)
    others = [] if written is None else [n for n in written.notes if n.start < limit]
    end = max([truth.quarters, 1.0] + [min(n.start + n.length, limit) for n in others])
    pitches = [note.pitch for note in (*truth.notes, *others)] or [60]
    bars = [bar for bar in truth.bars if bar < end]
    last = bars[-1] - bars[-2] if len(bars) > 1 else 4.0
    while bars[-1] + last < end - 1 / 64:
        bars.append(bars[-1] + last)
    return Frame(
        quarters=max(end, min(bars[-1] + last, end + last)),
        low=min(pitches) - 1,
        high=max(pitches) + 1,
        bars=tuple(bars),
    )


def roll_drawing(
    frame: Frame,
    layers: Sequence[tuple[str, Sequence[RollNote]]],
    parted: float | None,
    parted_name: str | None,
    label: str,
) -> Markup:
    """Draw notes, one path a class, and a line with its name at the time of the first difference.

    The bar in which that stands is shaded.

    `label` is what a screen reader says.
    """
    floor = frame.height - _BOTTOM
    parts = [*_keys(frame), *_bars(frame, floor)]
    parts += [tag("path", d=_path(frame, notes), class_=name) for name, notes in layers if notes]
    if parted is not None:
        parts.insert(0, _parted_bar(frame, parted, floor))
        at = frame.x(parted)
        to_left = at > WIDTH / 2
        top = _TOP if parted_name is None else 3.0
        parts.append(tag("line", x1=at, x2=at, y1=top, y2=floor, class_="parted"))
        if parted_name is not None:
            place, name = (at - 6, "parted-name end") if to_left else (at + 6, "parted-name")
            parts.append(tag("text", parted_name, x=place, y=13.0, class_=name))
    parts.append(tag("line", x1=_LEFT, x2=_LEFT, y1=_TOP, y2=floor, class_="playhead"))
    return tag(
        "svg",
        tag("title", label),
        *parts,
        viewbox=f"0 0 {WIDTH:g} {frame.height:.1f}",
        class_="roll",
        role="img",
        aria_label=label,
        data_left=_LEFT,
        data_unit=round(frame.unit, 4).__repr__(),
        data_right=WIDTH - _RIGHT,
    )


def _keys(frame: Frame) -> list[Markup]:
    """Draw the rows of black keys, and name every C and F."""
    right = WIDTH - _RIGHT
    rows = [p for p in range(frame.low, frame.high + 1) if p % 12 in _BLACK_KEYS]
    path = "".join(
        f"M{_LEFT:g} {frame.y(pitch):.1f}H{right:g}v{frame.semitone:.1f}H{_LEFT:g}z"
        for pitch in rows
    )
    named = [
        p
        for p in range(frame.low, frame.high + 1)
        if p % 12 == 0 or (p % 12 == 5 and _roomy(frame))
    ]
    labels = [
        tag(
            "text",
            pitch_name(p),
            x=_LEFT - 5,
            y=frame.y(p) + frame.semitone,
            class_="key-name between" if p % 12 else "key-name",
        )
        for p in named
    ]
    return [tag("path", d=path, class_="black-keys"), *labels]


def _roomy(frame: Frame) -> bool:
    """Return whether five semitones hold a label."""
    return 5 * frame.semitone >= 16


def _bars(frame: Frame, floor: float) -> list[Markup]:
    """Draw the bar lines, and number every fourth bar."""
    ends = [*frame.bars, frame.quarters]
    path = "".join(f"M{frame.x(bar):.1f} {_TOP:g}V{floor:.1f}" for bar in ends)
    numbers = [
        tag("text", str(number + 1), x=frame.x(bar) + 2, y=_TOP - 5, class_="bar-number")
        for number, bar in enumerate(frame.bars)
        if number % 4 == 0
    ]
    return [tag("path", d=path, class_="bars"), join(*numbers)]


def _parted_bar(frame: Frame, time: float, floor: float) -> Markup:
    """Shade the bar that holds a time."""
    ends = [*frame.bars, frame.quarters]
    number = max(bisect_right(frame.bars, time + 1 / 64) - 1, 0)
    left, right = frame.x(ends[number]), frame.x(ends[number + 1])
    return tag("rect", x=left, y=_TOP, width=right - left, height=floor - _TOP, class_="parted-bar")


def _path(frame: Frame, notes: Sequence[RollNote]) -> str:
    """Return notes as one path of rectangles."""
    height = frame.semitone - 0.6
    parts: list[str] = []
    for note in notes:
        if note.start >= frame.quarters:
            continue
        left, right = frame.x(note.start), frame.x(note.start + note.length)
        width = max(right - left - 0.8, 1.2)
        top = frame.y(note.pitch) + 0.3
        parts.append(f"M{left:.1f} {top:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z")
    return "".join(parts)

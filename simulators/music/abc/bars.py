"""A tune in normal form, read for its time: every token with its start and length, and the bars.

The tokens of `simulators.music.abc.tokens` say what is written; here stands how long it lasts, as
abc2midi has it: unit and metre changes, lengths, broken rhythm, tuplets, chords (as long as their
first note, or as the length behind them), rests of whole bars. Grace notes take no time of their
own. Bars are what stands between bar lines with something in it that lasts; two bar lines in a row
bound one.

It plays nothing (no repeats, no key, no ties across notes) and refuses nothing: a length that means
nothing counts as one unit, a token that has no place lasts nothing. What is no tune at all has no
normal form (`simulators.music.abc.canonical`).

Source: the ABC standard 2.1, sections 4.3 to 4.13, and abc2midi where it differs.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from simulators.music.abc.tokens import Token, TokenKind, note_text, tokens_of


class TimedToken(NamedTuple):
    """One token of the music with its place in time."""

    kind: TokenKind
    """Notes between `{` and `}` are of kind `GRACE`, as the braces are. A field on a line of its
    own is a `FIELD` without brackets."""
    text: str
    start: Fraction
    """Whole notes from the start of the tune, repeats not played."""
    duration: Fraction
    """Whole notes; 0 of what does not sound or rest. The notes of a chord and its closing bracket
    have the chord's."""
    bar: int
    """Number of its bar, from 0. A bar line goes with the bar that it ends, or where it ends none
    (at the start, after another) with the bar that follows. The last bar has all that is left."""
    line: int
    """Number of its line in the form, from 0; the music begins in line 4."""


class Bar(NamedTuple):
    """One bar: a run of the tune's tokens."""

    first_token: int
    end_token: int
    """Its tokens are `tokens[first_token:end_token]`, its bar lines included."""
    start: Fraction
    duration: Fraction
    due: Fraction | None
    """What the metre asks for; None where there is no metre."""
    opens_section: bool
    """It follows the start of the tune, a double bar line or a repeat sign."""
    closes_section: bool
    """It precedes the end of the tune, a double bar line or a repeat sign."""


class Tune(NamedTuple):
    """A tune's header and its music in time."""

    unit: str
    """As the header has it, `1/8`."""
    metre: str
    """`6/8` or `none`."""
    key: str
    tokens: tuple[TimedToken, ...]
    """The texts of a line's tokens joined are the line."""
    bars: tuple[Bar, ...]


class Sound(NamedTuple):
    """A note, chord or rest of a bar, as it is compared."""

    pitches: tuple[str, ...]
    """Accidental, letter and octave of every note as written; none of a rest."""
    duration: Fraction
    tied: bool
    """It goes on into the next note of its pitch."""


def read_bars(form: str) -> Tune:
    r"""Read a tune in normal form.

    >>> tune = read_bars("X:1\nL:1/8\nM:2/4\nK:G\nG|:A>B (3cde:|\n")
    >>> [(token.text, str(token.start), str(token.duration)) for token in tune.tokens[2:5]]
    [('A', '1/8', '3/16'), ('>', '5/16', '0'), ('B', '5/16', '1/16')]
    >>> [(str(bar.duration), str(bar.due)) for bar in tune.bars]
    [('1/8', '1/2'), ('1/2', '1/2')]

    Raises:
        ValueError: it does not begin with the four header lines of the normal form.
    """
    found = _HEADER.match(form)
    if found is None:
        raise ValueError(f"not a tune in normal form: {form[:40]!r}")
    unit, metre, key = found.groups()
    reading = _Reading(Fraction(unit), metre)
    for number, line in enumerate(form[found.end() :].split("\n"), _HEADER_LINES):
        if _FIELD_LINE.match(line):
            reading.read(Token(TokenKind.FIELD, line), number)
        else:
            for token in tokens_of(line):
                reading.read(token, number)
    tokens, dues = reading.finish()
    return Tune(unit, metre, key, tokens, tuple(_bars_of(tokens, dues)))


def sounds_of(tokens: Sequence[TimedToken]) -> list[Sound]:
    """Return what sounds and rests in a run of tokens, spelled as written.

    Left out is what a player may add or leave: grace notes, decorations, slurs, chord symbols; and
    how lengths came about (`A>B` or `A3/2B/`).

    >>> tune = read_bars("X:1\\nL:1/8\\nM:2/4\\nK:G\\n~^A2-[Ac]z|\\n")
    >>> [(sound.pitches, str(sound.duration), sound.tied) for sound in sounds_of(tune.tokens)]
    [(('^A',), '1/4', True), (('A', 'c'), '1/8', False), ((), '1/8', False)]
    """
    sounds: list[Sound] = []
    chord: list[str] | None = None
    for token in tokens:
        match token.kind:
            case TokenKind.NOTE:
                pitch = _pitch_text(token.text)
                if chord is None:
                    sounds.append(Sound((pitch,), token.duration, tied=False))
                else:
                    chord.append(pitch)
            case TokenKind.REST:
                sounds.append(Sound((), token.duration, tied=False))
            case TokenKind.CHORD if token.text == "[":
                chord = []
            case TokenKind.CHORD if chord is not None:
                sounds.append(Sound(tuple(chord), token.duration, tied=False))
                chord = None
            case TokenKind.TIE if sounds and chord is None:
                sounds[-1] = sounds[-1]._replace(tied=True)
            case _:
                pass
    return sounds


_HEADER = re.compile(r"X:1\nL:(\d+/\d+)\nM:(\d+/\d+|none)\nK:([^\n]*)\n")
_HEADER_LINES = 4
_FIELD_LINE = re.compile(r"[KLM]:(?![|:])")


class _Reading:
    """A tune while it is read: lengths first, starts when all are known."""

    def __init__(self, unit: Fraction, metre: str) -> None:
        self._unit = unit
        self._metre = metre
        self._due = _metre_fraction(metre)
        self._tokens: list[tuple[TokenKind, str, int]] = []
        self._lasts: list[Fraction] = []
        """Duration of every token."""
        self._moves: list[Fraction] = []
        """By how much every token moves the clock on: the notes of a chord do not."""
        self._dues: list[Fraction | None] = []
        self._last: list[int] = []
        """Tokens of the last note, chord or rest; the one that moves the clock stands last."""
        self._next_factor = Fraction(1)
        """What broken rhythm does to the note that comes."""
        self._tuplet = (0, Fraction(1))
        """How many notes of it are still to come, and its factor."""
        self._chord: list[int] | None = None
        self._in_grace = False

    def read(self, token: Token, line: int) -> None:
        """Take the next token."""
        kind, text = token
        number = len(self._tokens)
        if kind is TokenKind.GRACE:
            self._in_grace = text == "{"
        elif self._in_grace and kind is TokenKind.NOTE:
            kind = TokenKind.GRACE
        self._tokens.append((kind, text, line))
        self._lasts.append(_ZERO)
        self._moves.append(_ZERO)
        self._dues.append(self._due)
        if self._in_grace:
            return
        match kind:
            case TokenKind.FIELD:
                self._change(text.strip("[]"))
                self._dues[-1] = self._due
            case TokenKind.NOTE if self._chord is not None:
                self._chord.append(number)
            case TokenKind.NOTE:
                self._sound([number], _note_duration(text, self._unit))
            case TokenKind.REST:
                self._sound([number], self._rest(text))
            case TokenKind.CHORD if text == "[":
                self._chord = []
            case TokenKind.CHORD if self._chord is not None:
                notes, self._chord = self._chord, None
                first = note_text(self._tokens[notes[0]][1]).length if notes else ""
                # abc2midi: a length behind the bracket stands for the notes' own.
                units = _length(first if text[1:] in ("", "1") else text[1:])
                self._sound([*notes, number], self._unit * units if notes else _ZERO)
            case TokenKind.BROKEN if self._last and len(text) <= _MAX_BROKEN:
                short = Fraction(1, 2 ** len(text))
                before, after = (2 - short, short) if text[0] == ">" else (short, 2 - short)
                self._stretch(self._last, before)
                self._next_factor *= after
            case TokenKind.TUPLET:
                self._tuplet = _tuplet_of(text, self._metre)
            case _:
                pass

    def finish(self) -> tuple[tuple[TimedToken, ...], list[Fraction | None]]:
        """Return all tokens with their starts and bars, and what the metre asks for at each."""
        starts: list[tuple[Fraction, int]] = []
        at, bar, lasts = _ZERO, 0, False
        for (kind, _, _), move in zip(self._tokens, self._moves, strict=True):
            starts.append((at, bar))
            if move:
                at += move
                lasts = True
            if kind is TokenKind.BAR and lasts:
                bar, lasts = bar + 1, False
        last_bar = bar if lasts else max(bar - 1, 0)
        timed = [
            TimedToken(kind, text, start, duration, min(number, last_bar), line)
            for (kind, text, line), duration, (start, number) in zip(
                self._tokens, self._lasts, starts, strict=True
            )
        ]
        return tuple(timed), self._dues

    def _sound(self, numbers: list[int], duration: Fraction) -> None:
        """Give tokens that sound together their duration; the last one moves the clock."""
        left, factor = self._tuplet
        if left:
            duration *= factor
            self._tuplet = (left - 1, factor)
        if self._next_factor != 1:
            duration *= self._next_factor
            self._next_factor = Fraction(1)
        for number in numbers:
            self._lasts[number] = duration
        self._moves[numbers[-1]] = duration
        self._last = numbers

    def _stretch(self, numbers: list[int], factor: Fraction) -> None:
        for number in numbers:
            self._lasts[number] *= factor
        self._moves[numbers[-1]] *= factor

    def _rest(self, text: str) -> Fraction:
        """Return how long a rest is; `Z` and `X` count bars, as of 4/4 where there is no metre."""
        if text[0] in "ZX":
            return _length(text[1:]) * (self._due or 1)
        return self._unit * _length(text[1:])

    def _change(self, field: str) -> None:
        """Follow a field of the body."""
        letter, _, value = field.partition(":")
        if letter == "L" and _PART.fullmatch(value):
            self._unit = Fraction(value)
        elif letter == "M" and (value == "none" or _PART.fullmatch(value)):
            self._metre = value
            self._due = _metre_fraction(value)


_ZERO = Fraction(0)
_MAX_BROKEN = 3
"""Most signs in a row that abc2midi takes."""
_PART = re.compile(r"[1-9][0-9]?/[1-9][0-9]?")
_SECTION = re.compile(r"::|\|\||[:\[\]]\||\|[:\]]")
"""What in a bar line ends or begins a section; `|`, `|1` and `[2` do not."""


def _bars_of(tokens: Sequence[TimedToken], dues: Sequence[Fraction | None]) -> Iterator[Bar]:
    """Cut timed tokens into bars."""
    ends = [i for i in range(1, len(tokens)) if tokens[i].bar != tokens[i - 1].bar]
    opens, first = True, 0
    for end in [*ends, len(tokens)]:
        lasting = [i for i in range(first, end) if tokens[i].duration]
        if not lasting:
            return
        # The lines at the head of the next bar stand beside the one that ends this bar.
        after = _lines_until_sound(tokens, lasting[-1] + 1)
        closes = end == len(tokens) or any(_SECTION.search(text) for text in after)
        last = tokens[lasting[-1]]
        yield Bar(
            first_token=first,
            end_token=end,
            start=tokens[first].start,
            duration=last.start + last.duration - tokens[first].start,
            due=dues[lasting[0]],
            opens_section=opens,
            closes_section=closes,
        )
        opens, first = closes, end


def _lines_until_sound(tokens: Sequence[TimedToken], first: int) -> Iterator[str]:
    """Yield the bar lines from a token on, up to the next that lasts."""
    for token in tokens[first:]:
        if token.duration:
            return
        if token.kind is TokenKind.BAR:
            yield token.text


@functools.lru_cache(maxsize=4096)
def _note_duration(text: str, unit: Fraction) -> Fraction:
    return unit * _length(note_text(text).length)


@functools.lru_cache(maxsize=4096)
def _pitch_text(text: str) -> str:
    note = note_text(text)
    return note.accidental + note.letter + note.octave


def _tuplet_of(text: str, metre: str) -> tuple[int, Fraction]:
    """Return how many notes `(p:q:r` takes, and by what it multiplies their lengths.

    Without q, five, seven and nine go into the time of three where the metre's beats come in
    threes, of two otherwise (abc2midi does so in 3/4 too).
    """
    notes, time, count = ([_number(part) for part in text[1:].split(":")] + [0, 0])[:3]
    threes = metre != "none" and int(metre.split("/")[0]) % 3 == 0
    default = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(notes, 3 if threes else 2)
    return count or notes, Fraction(time or default, notes)


@functools.lru_cache(maxsize=4096)
def _length(text: str) -> Fraction:
    """Return a length in units: digits, slashes, digits.

    `A0` and `A/0` are `A` and `A/`. A denominator that is no power of two, or a number beyond all
    music, is an error to abc2midi; here it counts as one unit.
    """
    above, slash, below = text.partition("/")
    slashes = 1 + len(below) - len(below.lstrip("/"))
    divisor = _number(below.lstrip("/")) or 2
    if divisor & (divisor - 1) or divisor > _MAX_DIVISOR or slashes > _MAX_SLASHES:
        return Fraction(1)
    return Fraction(_number(above) or 1, divisor * 2 ** (slashes - 1) if slash else 1)


_MAX_DIVISOR = 512
_MAX_SLASHES = 9
_MAX_DIGITS = 6


def _number(digits: str) -> int:
    """Return a written number, 0 where there is none or where it is beyond all music."""
    return int(digits) if 0 < len(digits) <= _MAX_DIGITS else 0


@functools.lru_cache(maxsize=256)
def _metre_fraction(metre: str) -> Fraction | None:
    """Return a bar in whole notes, `None` where there is no metre."""
    return None if metre == "none" else Fraction(metre)

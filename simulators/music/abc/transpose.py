"""Tunes in other keys: a tune in normal form so many semitones higher, exact in pitch and rhythm.

The whole tune moves by one named interval ("up a minor third"), every letter by the same number of
steps: keys with their explicit accidentals, notes, roots and basses of chord symbols. An accidental
is written exactly where one was written before. So whatever the converter makes of a letter at its
place (by the signature, by accidentals earlier in the bar, in another octave or on a grace note; by
where it lets a bar end, what it ties, which neighbour it trills to) it makes of the moved letter
too, and none of it has to be known here. Courtesy accidentals are kept.

Of the intervals of so many semitones (an augmented fourth is as wide as a diminished fifth) the one
is taken that gives the keys the fewest sharps and flats. What cannot be moved so is refused:
nothing comes out a semitone wrong.

Source: the line of fifths, ... F C G D A E B F# ..., on which a name is a number and an interval an
addition; for the writing of names the ABC standard 2.1, sections 3.1.14, 4.2 and 4.18.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from simulators.music.abc.canonical import MAX_TEXT_CHARS
from simulators.music.abc.tokens import TokenKind, tokens_of

SHIFTS: Final = (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)
"""The shifts to the eleven other keys, none further than half an octave; the tritone goes up."""


class NotTransposable(ValueError):  # noqa: N818 - a verdict on a tune, named as such
    """The tune, or this tune by this many semitones, cannot be moved exactly.

    Counted as `DropReason.NOT_TRANSPOSABLE`.
    """


def transpose(form: str, semitones: int) -> str:
    r"""Return a tune in normal form, `semitones` higher, in normal form.

    >>> transpose('X:1\nL:1/8\nM:4/4\nK:Dm\n"Dm"d2^ce "A7/C#"=B_B|\n', 2)
    'X:1\nL:1/8\nM:4/4\nK:Em\n"Em"e2^df "B7/D#"^c=c|\n'

    Raises:
        NotTransposable: as `Transposer` and `Transposer.to`.
        ValueError: as `Transposer`.
    """
    return Transposer(form).to(semitones)


class Transposer:
    """One tune, read once, so that moving it by many a shift costs little."""

    __slots__: tuple[str, ...] = ("_distinct", "_names", "_pieces", "_signatures")

    def __init__(self, form: str) -> None:
        """Read a tune in normal form.

        Raises:
            NotTransposable: it has a bagpipe key (`HP`, `Hp`: the fixed notes of one instrument),
                one with double accidentals, or stray signs that would mean something else beside a
                moved letter.
            ValueError: it does not start as a normal form does.
        """
        if _HEADER.match(form) is None or not form.endswith("\n"):
            raise ValueError(f"the tune is not in normal form: {form[:60]!r}")
        pieces = [""]
        for line in form.splitlines(keepends=True):
            if _FIELD_LINE.match(line) is None:
                _cut_music(line, pieces)
            elif line.startswith("K:"):
                pieces += [line[:-1], line[-1:]]
            else:
                pieces[-1] += line
        self._pieces: list[str] = pieces  # names at odd places, what stands around them at even
        self._names: list[str] = pieces[1::2]
        self._distinct: list[str] = list(dict.fromkeys(self._names))
        keys = [_read_key(name) for name in self._distinct if name.startswith("K:")]
        self._signatures: tuple[int, ...] = tuple(key.signature for key in keys)

    def to(self, semitones: int) -> str:
        """Return the tune so many semitones higher (lower if negative), in normal form.

        Moved by 0 only keys of seven or more accidentals are spelt otherwise: C# becomes Db.

        Raises:
            NotTransposable: it would need a signature of more than 7 sharps or flats or more than a
                double accidental, a note lies or comes too near to MIDI's limits (below `C,,,,` or
                above `d''''`), or the text grows over what a normal form may have.
        """
        why = f"no interval of {semitones} semitones leaves every key 7 accidentals at most"
        for fifths in _intervals(self._signatures, semitones):
            try:
                moved = {name: _moved(name, fifths, semitones) for name in self._distinct}
            except NotTransposable as error:
                why = str(error)
                continue
            pieces = self._pieces.copy()
            pieces[1::2] = [moved[name] for name in self._names]
            text = "".join(pieces)
            if len(text) > MAX_TEXT_CHARS:
                raise NotTransposable(f"{len(text)} > {MAX_TEXT_CHARS} characters")
            return text
        raise NotTransposable(why)


_HEADER = re.compile(r"X:1\nL:.+\nM:.+\nK:.+\n")
_FIELD_LINE = re.compile(r"[XLMK]:(?![:|])")
_COLON_AFTER_NOTE = re.compile(r"[A-Ga-g][,']+:(?![:|])")


def _cut_music(line: str, pieces: list[str]) -> None:
    """Append the names of a line of music to `pieces`, each with what stands after it."""
    if _COLON_AFTER_NOTE.match(line):
        # Without its octave marks the note and its colon would begin a field.
        raise NotTransposable(f"a stray ':' after the first note of {line[:40].strip()!r}")
    kept = pieces.pop()
    for kind, text in tokens_of(line):
        if kind is TokenKind.NOTE:
            name = text.rstrip("0123456789/")
            pieces += [kept, name]
            kept = text[len(name) :]
        elif kind is TokenKind.CHORD_SYMBOL:
            pieces += [kept, text]
            kept = ""
        elif kind is TokenKind.FIELD and text.startswith("[K:"):
            pieces += [f"{kept}[", text[1:-1]]
            kept = "]"
        elif kind is TokenKind.OTHER and text in "^_=":
            raise NotTransposable(f"a stray {text!r} in {line[:40].strip()!r}")
        else:
            kept += text
    pieces.append(kept + "\n")


_LETTERS = "CDEFGAB"
_NATURAL_PITCHES = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the letters above C."""
_LINE_OF_FIFTHS = "FCGDAEB"
"""C is 0 on the line, F is -1; a sharp adds 7, a flat takes 7."""
_MAX_SIGNATURE = 7
_MODES = {"": 0, "m": -3, "dor": -2, "phr": -4, "lyd": 1, "mix": -1, "loc": -5}
"""Sharps (negative: flats) of the modes on C."""
_ALTERATIONS = {"": 0, "=": 0, "^": 1, "#": 1, "_": -1, "b": -1, "^^": 2, "__": -2}
_SIGNS = {0: "=", 1: "^", -1: "_", 2: "^^", -2: "__"}
_SYMBOL_SIGNS = {0: "", 1: "#", -1: "b"}


@lru_cache(maxsize=2**12)
def _intervals(signatures: tuple[int, ...], semitones: int) -> tuple[int, ...]:
    """Return the intervals of so many semitones on the line of fifths, the best one first.

    Fewest accidentals in the keys; of equal ones the nearest, so that sharps remain sharps.
    """
    ranked: list[tuple[int, int, int]] = []
    for fifths in range(7 * semitones % 12 - 24, 2 * _MAX_SIGNATURE + 1, 12):
        moved = [abs(signature + fifths) for signature in signatures]
        if max(moved) <= _MAX_SIGNATURE:
            ranked.append((sum(moved), abs(fifths), -fifths))
    return tuple(-negative for _, _, negative in sorted(ranked))


@lru_cache(maxsize=2**16)
def _moved(name: str, fifths: int, semitones: int) -> str:
    """Return a note's letter, a chord symbol or a key moved by an interval."""
    if name.startswith("K:"):
        return _moved_key(_read_key(name), fifths)
    if name.startswith('"'):
        return _SYMBOL_NAME.sub(lambda found: _moved_symbol_name(found, fifths), name)
    return _moved_note(name, fifths, semitones)


_NOTE_NAME = re.compile(r"([\^_=]*)([A-Ga-g])([,']*)")
_LOWEST_NATURAL, _HIGHEST_NATURAL = 12, 123
"""MIDI pitches. Lower (`B,,,,,`) the converter is a semitone wrong in some keys; higher a double
accidental or a trill to its neighbour may leave MIDI's 127."""


def _moved_note(name: str, fifths: int, semitones: int) -> str:
    """Return accidental, letter and octave of a moved note."""
    found = _NOTE_NAME.fullmatch(name)
    assert found is not None, name
    sign, letter, marks = found.groups()
    octave = letter.islower() + marks.count("'") - marks.count(",")
    step = _LETTERS.index(letter.upper()) + 7 * octave
    # An interval of so many fifths up and octaves down: 7 semitones or 4 steps for each fifth.
    octaves_down = (7 * fifths - semitones) // 12
    moved_step = step + 4 * fifths - 7 * octaves_down
    if any(not _LOWEST_NATURAL <= _natural(at) <= _HIGHEST_NATURAL for at in (step, moved_step)):
        raise NotTransposable(f"{name} comes too near to the limits of MIDI's pitches")
    if sign:
        _, alteration = _moved_name(letter.upper(), _ALTERATIONS[sign], fifths)
        if alteration not in _SIGNS:
            raise NotTransposable(f"{name} needs more than a double accidental")
        sign = _SIGNS[alteration]
    octave, place = divmod(moved_step, 7)
    if octave > 0:
        return f"{sign}{_LETTERS[place].lower()}" + "'" * (octave - 1)
    return f"{sign}{_LETTERS[place]}" + "," * -octave


def _natural(step: int) -> int:
    """Return the MIDI pitch of a letter without accidental; step 0 is middle C."""
    octave, place = divmod(step, 7)
    return 60 + 12 * octave + _NATURAL_PITCHES[place]


def _moved_name(letter: str, alteration: int, fifths: int) -> tuple[str, int]:
    """Return letter and alteration in semitones of a moved name without its octave."""
    alteration, place = divmod(_LINE_OF_FIFTHS.index(letter) + 7 * alteration + fifths, 7)
    return _LINE_OF_FIFTHS[place], alteration


_SYMBOL_NAME = re.compile(r"(/?)([A-G])([#b]?)")


def _moved_symbol_name(name: re.Match[str], fifths: int) -> str:
    """Return root or bass of a chord symbol, where one sharp or flat is all that can be written.

    What needs more takes another name of the same pitch: a chord's octave is the converter's. So
    does a bass Cb, which the converter leaves out (as below its lowest C).
    """
    slash, letter, sign = name.groups()
    if name.group() == "/Cb":
        raise NotTransposable("a chord symbol with the bass Cb, which the converter does not play")
    moved, alteration = _moved_name(letter, _ALTERATIONS[sign], fifths)
    while alteration not in _SYMBOL_SIGNS:
        moved, alteration = _moved_name(moved, alteration, -12 if alteration > 0 else 12)
    text = f"{slash}{moved}{_SYMBOL_SIGNS[alteration]}"
    return "/B" if text == "/Cb" else text


class _Key(NamedTuple):
    """A key as its parts."""

    signature: int
    """Sharps; flats are negative."""
    mode: str
    is_none: bool
    accidentals: tuple[tuple[str, int], ...]
    """Explicit ones: letter and alteration."""


_KEY = re.compile(r"K:([A-G])([#b]?)(m|dor|phr|lyd|mix|loc|)((?: [\^_=][a-g])*)")


@lru_cache(maxsize=2**12)
def _read_key(field: str) -> _Key:
    """Return the parts of a key field.

    `none` has no sharps or flats, as C has; only there is it written again. Double accidentals are
    refused: the converter plays notes by them, and the neighbours of trills by single ones.
    """
    if field == "K:none":
        return _Key(0, "", True, ())
    found = _KEY.fullmatch(field)
    if found is None:
        raise NotTransposable(f"{field}: only tonic, mode and single accidentals can be moved")
    tonic, sign, mode, explicit = found.groups()
    signature = _LINE_OF_FIFTHS.index(tonic) - 1 + 7 * _ALTERATIONS[sign] + _MODES[mode]
    if abs(signature) > _MAX_SIGNATURE:
        # Theoretical keys: the converter plays G# (8 sharps) with the signature of Ab (4 flats).
        signature -= 12 if signature > 0 else -12
    accidentals = tuple((text[-1].upper(), _ALTERATIONS[text[:-1]]) for text in explicit.split())
    return _Key(signature, mode, False, accidentals)


def _moved_key(key: _Key, fifths: int) -> str:
    """Return the field of a moved key."""
    signature = key.signature + fifths
    if key.is_none and signature == 0:
        return "K:none"
    alteration, place = divmod(signature - _MODES[key.mode] + 1, 7)
    text = f"K:{_LINE_OF_FIFTHS[place]}{_SYMBOL_SIGNS[alteration]}{key.mode}"
    for letter, given in key.accidentals:
        moved, alteration = _moved_name(letter, given, fifths)
        if alteration not in _SYMBOL_SIGNS:
            raise NotTransposable(f"{text} needs a double accidental in its signature")
        text += f" {_SIGNS[alteration]}{moved.lower()}"
    return text

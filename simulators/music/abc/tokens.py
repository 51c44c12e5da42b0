"""The music of a tune in normal form, cut into tokens: notes, rests, bar lines, brackets.

One regular expression with a name for every kind, so that whoever reads music (the transposer, the
reader of bars) agrees on where a token ends. The tokens of a line joined give the line again. What
tokens mean together (durations, accidentals, repeats) is not known here.

Source: the ABC standard 2.1, section 4, as far as the normal form lets it through
(`simulators.music.abc.canonical`).
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class TokenKind(StrEnum):
    """What a token is."""

    FIELD = "field"
    """An inline field, `[K:D]`."""
    BAR = "bar"
    """A bar line with repeats and the numbers of endings: `|`, `:|2`, `[1`, `|]`."""
    NOTE = "note"
    """Accidental, letter, octave marks and length: `^c'3/2`."""
    REST = "rest"
    """`z`, `x`, `Z` (whole bars) or `X`, with its length."""
    CHORD_SYMBOL = "chord_symbol"
    """Quoted: `"Am7"`."""
    DECORATION = "decoration"
    """`!trill!`, or one of the letters and signs that stand for one: `~`, `T`, `.`."""
    TUPLET = "tuplet"
    """`(3`, `(3:2:4`."""
    SLUR = "slur"
    """`(` or `)`."""
    CHORD = "chord"
    """`[` or `]` around notes that sound together; `]` with the length that follows it."""
    GRACE = "grace"
    """`{` or `}` around grace notes."""
    BROKEN = "broken"
    """A run of `>` or `<`."""
    TIE = "tie"
    """`-`."""
    SPACE = "space"
    OTHER = "other"
    """A character that has no place here: a length without a note, a stray `:`."""


class Token(NamedTuple):
    """One token."""

    kind: TokenKind
    text: str


class NoteText(NamedTuple):
    """A note's parts as they are written."""

    accidental: str
    """Empty, `=`, `^`, `^^`, `_` or `__`."""
    letter: str
    octave: str
    """Commas and apostrophes."""
    length: str
    """Empty, or digits and slashes, e.g. `3/2`."""


_LENGTH = r"[0-9]*(?:/+[0-9]*)?"
_ENDING = r"[1-9](?:[,-][1-9])*"
_TOKEN = re.compile(
    rf"""
      (?P<field> \[[KLM]:[^\]|]*\] | \[M:C\|\] )
    | (?P<bar> (?: \[(?={_ENDING}) | \[\| | \|\]? | ::? (?=[:|]) | :: | :(?=\[?[1-9]) )
               (?: [|:] | \](?![:|]) )* (?: \[?{_ENDING} | \[(?={_ENDING}) )?
      )
    | (?P<note> (?:\^\^|\^|__|_|=)? [A-Ga-g] [,']* {_LENGTH} )
    | (?P<rest> [zxZX] {_LENGTH} )
    | (?P<chord_symbol> "[^"]*" )
    | (?P<decoration> ![^!]*! | [.~HLMOPSTuv] )
    | (?P<tuplet> \([2-9](?![0-9])(?::[0-9]*){{0,2}} )
    | (?P<slur> [()] )
    | (?P<chord> \[ | \]{_LENGTH} )
    | (?P<grace> [{{}}] )
    | (?P<broken> >+ | <+ )
    | (?P<tie> - )
    | (?P<space> [ ]+ )
    | (?P<other> . )
    """,
    re.VERBOSE,
)
_KINDS: dict[str | None, TokenKind] = {str(kind): kind for kind in TokenKind}
_NOTE = re.compile(rf"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)({_LENGTH})")


def tokens_of(line: str) -> Iterator[Token]:
    r"""Yield the tokens of one line of music.

    >>> [text for _, text in tokens_of('"Am"(3^ABc d3/2>e|[Ac]2:|2[K:D]')]
    ['"Am"', '(3', '^A', 'B', 'c', ' ', 'd3/2', '>', 'e', '|', '[', 'A', 'c', ']2', ':|2', '[K:D]']
    """
    for found in _TOKEN.finditer(line):
        yield Token(_KINDS[found.lastgroup], found.group())


def note_text(text: str) -> NoteText:
    """Return the parts of a note token.

    >>> note_text("^c'3/2")
    NoteText(accidental='^', letter='c', octave="'", length='3/2')

    Raises:
        ValueError: it is no note.
    """
    found = _NOTE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no note")
    accidental, letter, octave, length = found.groups(default="")
    return NoteText(accidental, letter, octave, length)

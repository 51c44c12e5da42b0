"""Phrases of four bars, cut out of tunes so that others of their kind may stand in their place.

A section (what stands between repeat signs and double bar lines) that lasts a multiple of four bars
is cut every four bars from its own start, so a section with a pickup gives phrases that begin with
one and leave room for the next at their end. Phrases are of one kind where unit, metre, key
signature and pickup agree: any of them may follow any other. The last phrase of a section is its
cadence, the others open. What does not come apart cleanly (a note, a tie, a tuplet over the cut),
chords, endings and changes of key or metre give no phrase.

Which phrases make a new tune, `simulators.music.abc.recombine` says.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from simulators.music.abc.bars import TimedToken, read_bars
from simulators.music.abc.fields import key_sharps
from simulators.music.abc.tokens import TokenKind

PHRASE_BARS = 4
MIN_NOTES = 4
"""Fewest notes of a phrase; fewer are rests with a word in between."""


_MAX_SHARPS = 7
"""Of a key that is written; abc2midi plays G#, of 8, as Ab."""


class PhraseKind(NamedTuple):
    """What phrases have in common that may stand in each other's place."""

    unit: str
    metre: str
    sharps: int
    """Of the key signature; flats are negative."""
    pickup: str
    """How long a section's music before its first full bar is, in whole notes, `1/8`; `0`: none."""


class CutPhrase(NamedTuple):
    """One phrase of a tune."""

    kind: PhraseKind
    is_cadence: bool
    text: str
    """One line of music without bar lines at its ends."""
    key: str
    """Of its tune, in normal form."""


def phrases_of(form: str) -> list[CutPhrase]:
    r"""Return the phrases of a tune in normal form, in order; of many tunes there are none.

    >>> tune = "X:1\nL:1/4\nM:2/4\nK:G\n|:G|AB|cd|ef|gf|e2|d2|cA|G:|\n"
    >>> [(phrase.text, phrase.is_cadence) for phrase in phrases_of(tune)]
    [('G|AB|cd|ef|g', False), ('f|e2|d2|cA|G', True)]
    """
    tune = read_bars(form)
    sharps = key_sharps(tune.key)
    if tune.metre == "none" or sharps is None or abs(sharps) > _MAX_SHARPS:
        return []
    if any(token.kind is TokenKind.FIELD for token in tune.tokens):
        return []
    length = PHRASE_BARS * Fraction(tune.metre)
    found: list[CutPhrase] = []
    for section in _sections(tune.tokens):
        pickup = _pickup(section, length / PHRASE_BARS)
        if pickup is None:
            continue
        kind = PhraseKind(tune.unit, tune.metre, sharps, str(pickup))
        parts = _cut(section, length)
        for number, part in enumerate(parts):
            start = section[0].start + number * length
            if _fills(part, start, start + length) and _comes_apart(part, within_bar=pickup > 0):
                is_cadence = number == len(parts) - 1
                found.append(CutPhrase(kind, is_cadence, _text(part), tune.key))
    return found


_SECTION = re.compile(r":|\|\||\|\]|\[\|")
_NOT_IN_PHRASES = frozenset(
    [TokenKind.CHORD, TokenKind.CHORD_SYMBOL, TokenKind.FIELD, TokenKind.OTHER]
)


def _sections(tokens: Sequence[TimedToken]) -> Iterator[list[TimedToken]]:
    """Yield the runs of tokens between repeat signs and double bar lines that last something."""
    section: list[TimedToken] = []
    for token in tokens:
        if token.kind is TokenKind.BAR and _SECTION.search(token.text):
            if any(found.duration for found in section):
                yield section
            section = []
        else:
            section.append(token)
    if any(found.duration for found in section):
        yield section


def _pickup(section: Sequence[TimedToken], bar: Fraction) -> Fraction | None:
    """Return how long the music before the first full bar is; None where bars are irregular.

    All bar lines are plain and a multiple of a bar apart, and the section lasts whole phrases.
    """
    start, end = section[0].start, max(token.start + token.duration for token in section)
    if (end - start) % (PHRASE_BARS * bar):
        return None
    if any(token.kind in _NOT_IN_PHRASES for token in section):
        return None
    lines = [t for t in section if t.kind is TokenKind.BAR and start < t.start < end]
    if not lines or any(line.text != "|" for line in lines):
        return None
    pickup = (lines[0].start - start) % bar
    return pickup if all((line.start - start) % bar == pickup for line in lines) else None


_OF_THE_NEXT = frozenset([TokenKind.DECORATION, TokenKind.GRACE, TokenKind.TUPLET])
"""Kinds that stand before the note that they belong to."""


def _cut(section: Sequence[TimedToken], length: Fraction) -> list[list[TimedToken]]:
    """Cut a section at every multiple of `length`; what belongs to a note stays with it."""
    parts: list[list[TimedToken]] = [[]]
    waiting: list[TimedToken] = []
    for token in section:
        if token.duration:
            if (token.start - section[0].start) // length >= len(parts):
                parts.append([])
            parts[-1] += [*waiting, token]
            waiting = []
        elif waiting or token.kind in _OF_THE_NEXT or token.text == "(":
            waiting.append(token)
        else:
            parts[-1].append(token)
    parts[-1] += waiting
    return parts


def _fills(part: Sequence[TimedToken], start: Fraction, end: Fraction) -> bool:
    """Return whether a part lasts from `start` to `end`, with notes enough."""
    lasting = [token for token in part if token.duration]
    return (
        sum(token.kind is TokenKind.NOTE for token in lasting) >= MIN_NOTES
        and lasting[0].start == start
        and lasting[-1].start + lasting[-1].duration == end
    )


def _comes_apart(part: Sequence[TimedToken], *, within_bar: bool) -> bool:
    """Return whether a part leaves nothing to what follows: no tie, tuplet, rhythm or accidental.

    Accidentals last to the end of the bar, so they matter where the part ends `within_bar`.
    """
    if any(token.kind is TokenKind.REST and token.text[0] in "ZX" for token in part):
        return False
    last = max(i for i, token in enumerate(part) if token.duration)
    if any(token.kind not in _AFTER_A_NOTE for token in part[last + 1 :]):
        return False
    tuplets = [i for i, token in enumerate(part) if token.kind is TokenKind.TUPLET]
    if tuplets:
        opened = part[tuplets[-1]].text
        notes = sum(bool(token.duration) for token in part[tuplets[-1] :])
        if ":" in opened or notes < int(opened[1:]):
            return False
    bars = [i for i, token in enumerate(part) if token.kind is TokenKind.BAR]
    tail = part[bars[-1] if bars else 0 :]
    return not within_bar or not any(
        token.kind in (TokenKind.NOTE, TokenKind.GRACE) and token.text[0] in "^_=" for token in tail
    )


_AFTER_A_NOTE = frozenset([TokenKind.SPACE, TokenKind.BAR, TokenKind.SLUR])


def _text(part: Sequence[TimedToken]) -> str:
    """Return a part on one line, without bar lines at its ends; slurs only where they close."""
    depth = 0
    balanced = True
    for token in part:
        if token.kind is TokenKind.SLUR:
            depth += 1 if token.text == "(" else -1
            balanced = balanced and depth >= 0
    if depth or not balanced:
        part = [token for token in part if token.kind is not TokenKind.SLUR]
    pieces: list[str] = []
    line = part[0].line
    for token in part:
        if token.line != line:
            pieces.append(" ")
            line = token.line
        pieces.append(token.text)
    return " ".join("".join(pieces).split()).strip(" |")

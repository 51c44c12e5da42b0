"""The ABC normal form: one text for one tune, whatever its editor decorated it with.

Four header lines in a fixed order (`X:1`, `L:`, `M:`, `K:`), then the music. What is words (titles,
sources, lyrics, comments), lay-out (`%%` lines, line continuations) or performance hint outside the
notes (`Q:` tempo, `R:` rhythm, `P:` parts) is dropped, because it would leak from one tune into the
next inside the converter or change timing invisibly. The music itself is kept as written, with its
bar lines, single spaces and line ends. `docs/data-format.md` has the rules in
full.

It is no ABC parser: whether the notes make sense is the converter's judgement.
"""

import re
from typing import NamedTuple

from simulators.music.abc.fields import canonical_key, canonical_metre, canonical_unit, default_unit
from simulators.music.reasons import DropReason, TuneRejected

MAX_TEXT_CHARS = 65_536
"""Longest text looked at; the longest real tune has some 20,000 characters."""
MAX_PASSES = 8
"""Most times that the rules are applied, each in time linear in the text; real tunes need 2."""


def canonicalise(text: str) -> str:
    r"""Return the normal form of one tune.

    The same text always gives the same form, and a normal form is its own.

    >>> canonicalise("X: 7\nT:A title\nM:C|\nK: G major % really\n|:\"^slow\"GABc  d4 :|")
    'X:1\nL:1/8\nM:2/2\nK:G\n|:GABc d4 :|\n'

    Raises:
        TuneRejected: the text is not one tune that the converter could take.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise TuneRejected(DropReason.TEXT_TOO_LONG, f"{len(text)} > {MAX_TEXT_CHARS} characters")
    # Dropping something can bring its neighbours together into something new (`"x"K:C` at the start
    # of a line), so the rules are applied until nothing changes: a second time, nearly always.
    for _ in range(MAX_PASSES):
        form = _apply_rules(text)
        if form == text:
            return form
        text = form
    raise TuneRejected(DropReason.NESTED_TOO_DEEPLY, f"it still changes after {MAX_PASSES} passes")


_FIELD = re.compile(r"([A-Za-z+]):(?![:|])(.*)")
"""A field line. `A:|` and `A::` are a note before a repeat."""


class _Header(NamedTuple):
    unit: str | None
    metre: str | None
    key: str
    voices: frozenset[str]
    body_start: int


def _apply_rules(text: str) -> str:
    """Apply every rule once."""
    # `splitlines` would also split at form feeds and other characters that are rubbish to us.
    raw = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [(line.partition("%")[0].strip(" \t"), not line.strip(" \t")) for line in raw]
    if sum(line.startswith("X:") for line, _ in lines) > 1:
        raise TuneRejected(DropReason.SEVERAL_TUNES, "more than one X: line")
    header = _read_header([line for line, _ in lines])
    metre = header.metre or "4/4"
    unit = header.unit or default_unit(metre)
    body = _read_body(lines[header.body_start :], header.voices)
    return f"X:1\nL:{unit}\nM:{metre}\nK:{header.key}\n" + "".join(f"{line}\n" for line in body)


def _read_header(lines: list[str]) -> _Header:
    """Read the fields up to and including the first `K:`; anything else there is dropped."""
    unit: str | None = None
    metre: str | None = None
    voices: set[str] = set()
    for number, line in enumerate(lines):
        field = _FIELD.match(line)
        if field is None:
            continue
        letter, value = field.group(1), field.group(2).strip(" \t")
        match letter:
            case "L":
                unit = canonical_unit(value)
            case "M":
                metre = canonical_metre(value)
            case "V":
                voices.add(_voice_name(value))
            case "K":
                return _Header(unit, metre, canonical_key(value), frozenset(voices), number + 1)
            case _:
                pass
    raise TuneRejected(DropReason.NO_KEY)


def _read_body(lines: list[tuple[str, bool]], header_voices: frozenset[str]) -> list[str]:
    """Return the body's lines in normal form."""
    voices = set(header_voices)
    body: list[str] = []
    sounds = False
    ended = False
    for line, is_blank in lines:
        if is_blank:
            ended = True
            continue
        field = _FIELD.match(line)
        if ended:
            if field is None and "|" in line:
                raise TuneRejected(DropReason.MUSIC_AFTER_END, repr(line[:40]))
            continue
        if field is None:
            music = _canonical_music(line, voices)
            sounds = sounds or _NOTE_LETTER.search(_NO_NOTES.sub("", music)) is not None
        else:
            letter, value = field.group(1), field.group(2).strip(" \t")
            if letter == "V":
                voices.add(_voice_name(value))
            music = _canonical_body_field(letter, value)
        if music:
            body.append(music)
    if len(voices) > 1:
        raise TuneRejected(DropReason.SEVERAL_VOICES, ", ".join(map(repr, sorted(voices))))
    if not sounds:
        raise TuneRejected(DropReason.NO_NOTES)
    return body


_NOTE_LETTER = re.compile(r"[A-Ga-g]")
_NO_NOTES = re.compile(r'"[^"]*"|![^!]*!|\[[KLM]:[^\]|:]*\]')


def _canonical_body_field(letter: str, value: str) -> str:
    """Return a field of the body in normal form, or nothing where it is dropped."""
    match letter:
        case "K":
            return f"K:{canonical_key(value)}"
        case "L":
            return f"L:{canonical_unit(value)}"
        case "M":
            return f"M:{canonical_metre(value)}"
        case _:
            return ""


_PLAIN = r"A-Ga-gzxZX0-9/,'^_=|:()\[\]{}<>.~HLMOPSTuv\-"
_ONLY_PLAIN = re.compile(f"[{_PLAIN} ]*")
_MUSIC = re.compile(
    rf"""
      (?P<plain> [{_PLAIN}]+ )
    | (?P<space> [ \t]+ )
    | (?P<quoted> "[^"]*" )
    | (?P<decoration> ![^!\s|]+! | \+[a-z]*[h-y][a-z]*\+ )
    | (?P<dropped> (?: [`$*;\\hijklmnopqrstwIJKNQRUVWY] | y[0-9]* )+ | ! )
    """,
    re.VERBOSE,
)
_INLINE_FIELD = re.compile(r"\[([A-Za-z]):([^\]|:]*|[ \t]*[Cc]\|[ \t]*)\]")


def _canonical_music(line: str, voices: set[str]) -> str:
    """Return one line of music in normal form; the voices it names are added to `voices`."""
    pieces = _INLINE_FIELD.split(line) if "[" in line else [line]
    parts: list[str] = []
    for number in range(0, len(pieces), 3):
        parts.append(_canonical_notes(pieces[number]))
        if number + 1 < len(pieces):
            letter, value = pieces[number + 1], pieces[number + 2].strip(" \t")
            if letter == "V":
                voices.add(_voice_name(value))
            field = _canonical_body_field(letter, value)
            parts.append(f"[{field}]" if field else "")
    line = _DECORATED_SLURS.sub(_slurs_first, "".join(parts))
    return " ".join(line.split())


_SLUR = r"\((?:[2-9](?![0-9])(?::[0-9]*){0,2})?"
_SLURS = re.compile(_SLUR)
_DECORATION = r"[.~HLMOPSTuv]"
# From the start of a run of decorations, and without stepping back (`++`): linear in the line.
_DECORATED_SLURS = re.compile(rf"(?<!{_DECORATION}){_DECORATION}++(?:{_SLUR}(?:{_DECORATION}*+))++")


def _slurs_first(found: re.Match[str]) -> str:
    """Return decorations and parentheses (slurs, tuplets) with the parentheses first.

    A decoration belongs to a note; before a slur or a tuplet it moves behind the parenthesis.
    """
    run = found.group()
    return "".join(_SLURS.findall(run)) + _SLURS.sub("", run)


def _canonical_notes(music: str) -> str:
    """Return music without inline fields in normal form; spaces are left as they are."""
    if _ONLY_PLAIN.fullmatch(music):
        return music
    parts: list[str] = []
    at = 0
    while at < len(music):
        found = _MUSIC.match(music, at)
        if found is None:
            if music[at] == "&":
                raise TuneRejected(DropReason.SEVERAL_VOICES, "overlay &")
            raise TuneRejected(DropReason.UNEXPECTED_CHARACTER, repr(music[at]))
        at = found.end()
        piece = found.group()
        match found.lastgroup:
            case "plain":
                parts.append(piece)
            case "space":
                parts.append(" ")
            case "quoted" if _CHORD_SYMBOL.fullmatch(piece):
                parts.append(piece)
            case "decoration" if piece[1:-1] in KEPT_DECORATIONS:
                parts.append(f"!{piece[1:-1]}!")
            case _:
                pass
    return "".join(parts)


_CHORD_SYMBOL = re.compile(
    r'"[A-G][#b]?(?:m|7|m7|maj7|M7|6|m6|dim|dim7|aug|\+|sus|sus2|sus4|7sus4|9|m9|maj9|m7b5|5)?'
    r'(?:/[A-G][#b]?)?"'
)
"""Chord symbols that the converter plays. Other quoted text is fingering or words."""

_DYNAMICS = ("pppp", "ppp", "pp", "p", "mp", "mf", "f", "ff", "fff", "ffff", "sfz")
_ORNAMENTS = ("fermata", "trill", "roll", "staccato", "accent", "emphasis", ">", "tenuto")
KEPT_DECORATIONS = frozenset([*_DYNAMICS, *_ORNAMENTS, "arpeggio"])
"""`!...!` decorations that sound; others (fingering, segno, unknown ones) are dropped. Also in the
older spelling `+...+` where that cannot be a chord in the oldest, such as `+E3A3+` or `+f+`."""


def _voice_name(value: str) -> str:
    """Return the name that begins a `V:` field."""
    return value.split(maxsplit=1)[0] if value else ""

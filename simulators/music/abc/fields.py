"""Normal forms of the values of the fields that sound: `L:`, `M:` and `K:`.

What is not understood is rejected and never guessed at, because the converter would guess too, and
in silence. Source: the ABC standard 2.1, sections 3.1.6, 3.1.7 and 3.1.14.
"""

import re

from simulators.music.reasons import DropReason, TuneRejected

_UNIT = re.compile(r"1/(1|2|4|8|16|32|64)")
_METRE = re.compile(r"(\d{1,2}(?:\+\d{1,2})*|\(\d{1,2}(?:\+\d{1,2})*\))/(1|2|4|8|16|32)")
_NAMED_METRES = {"C": "4/4", "c": "4/4", "C|": "2/2", "c|": "2/2", "none": "none", "free": "none"}


def canonical_unit(value: str) -> str:
    """Return a unit note length."""
    if value == "1":
        return "1/1"
    if _UNIT.fullmatch(value) is None:
        raise TuneRejected(DropReason.UNKNOWN_UNIT_LENGTH, repr(value))
    return value


def canonical_metre(value: str) -> str:
    """Return a metre as `n/d` or `none`; composite ones are added up."""
    plain = "".join(value.split())
    if plain in _NAMED_METRES:
        return _NAMED_METRES[plain]
    found = _METRE.fullmatch(plain)
    if found is None:
        raise TuneRejected(DropReason.UNKNOWN_METRE, repr(value))
    beats = sum(int(part) for part in found.group(1).strip("()").split("+"))
    if not 1 <= beats <= 64:
        raise TuneRejected(DropReason.UNKNOWN_METRE, repr(value))
    return f"{beats}/{found.group(2)}"


def default_unit(metre: str) -> str:
    """Return the unit length where none is given (ABC 2.1, section 3.1.7)."""
    if metre == "none":
        return "1/8"
    beats, beat = metre.split("/")
    return "1/16" if 4 * int(beats) < 3 * int(beat) else "1/8"


_KEY = re.compile(
    r"([A-G])([#b]?)\s*([A-Za-z]*)((?:\s*(?:\^\^|__|[\^_=])[A-Ga-g])*)((?:\s.*)?)", re.DOTALL
)
_BARE_KEYS = {"": "none", "none": "none", "HP": "HP", "Hp": "Hp"}
_CLEF = re.compile(r"clef=.*|treble.*|bass.*|alto.*|tenor.*|[+-]8.*")
_STAFF = re.compile(r"\s+(?:middle|stafflines|staffscale|style)=\S+")
"""How a staff looks. What changes the sound (`octave=`, `transpose=`) is not among it."""


def canonical_key(value: str) -> str:
    """Return a key as tonic, mode in three letters and explicit accidentals; clefs are dropped.

    An unknown mode is an error and not a guess: it may be a typing mistake for another key.
    """
    value = _STAFF.sub("", value)
    if value in _BARE_KEYS:
        return _BARE_KEYS[value]
    found = _KEY.fullmatch(value)
    if found is None:
        raise TuneRejected(DropReason.UNKNOWN_KEY, repr(value))
    tonic, sharp_or_flat, mode, accidentals, rest = found.groups()
    if _CLEF.fullmatch(mode):
        mode = ""
    if rest.strip() and _CLEF.fullmatch(rest.strip()) is None:
        raise TuneRejected(DropReason.UNKNOWN_KEY, repr(value))
    if mode not in ("", "m", "M"):
        mode = mode.lower()[:3] if mode.lower() in _MODE_NAMES else "?"
    if mode == "?":
        raise TuneRejected(DropReason.UNKNOWN_KEY, repr(value))
    short = {"maj": "", "ion": "", "M": "", "min": "m", "aeo": "m"}.get(mode, mode)
    extra = "".join(f" {accidental}" for accidental in _ACCIDENTAL.findall(accidentals))
    return f"{tonic}{sharp_or_flat}{short}{extra.lower()}"


def key_sharps(key: str) -> int | None:
    """Return the sharps of a key in normal form, flats negative; None where it is no plain key.

    >>> key_sharps("G"), key_sharps("Dm"), key_sharps("Bbmix"), key_sharps("D =c")
    (1, -1, -3, None)
    """
    found = _PLAIN_KEY.fullmatch(key)
    if found is None:
        return None
    tonic, accidental, mode = found.groups(default="")
    sharp = {"": 0, "#": 7, "b": -7}[accidental]
    return "FCGDAEB".index(tonic) - 1 + sharp - _MODE_FLATS[mode]


_MODE_FLATS = {"": 0, "lyd": -1, "mix": 1, "dor": 2, "m": 3, "phr": 4, "loc": 5}
"""How many flats a mode has more than the major key of its tonic."""
_PLAIN_KEY = re.compile(r"([A-G])([#b]?)(m|mix|dor|phr|lyd|loc)?")

_MODES = ("major", "minor", "ionian", "aeolian", "dorian", "phrygian", "lydian", "mixolydian")
_MODE_NAMES = frozenset(
    name[:length] for name in (*_MODES, "locrian") for length in range(3, len(name) + 1)
)
_ACCIDENTAL = re.compile(r"(?:\^\^|__|[\^_=])[A-Ga-g]")

"""The conversions of display tunes in a report, read and checked: what the page may show and play.

Only display tunes may be published, so an example whose ABC file is not exactly that of the display
tune of its name is refused. It draws nothing.
"""

import re
from dataclasses import dataclass
from typing import Literal

from benchmarks.strict_json import (
    JsonObject,
    JsonRefused,
    as_object,
    items,
    optional_count,
    text,
)
from simulators.music.looking.display_tunes import DisplayTune, display_tunes
from simulators.music.looking.piano_roll import Roll, read_roll

MAX_EXAMPLES = 32
MAX_FILE_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownExample:
    """One display tune with what an entry made of it."""

    tune: DisplayTune
    target: Literal["abc", "mid"]
    """What was to be written."""
    truth: bytes
    written: bytes
    first_different_byte: int | None
    """Offset at which truth and written part; `None` where they are equal."""
    fault: str | None
    """What is wrong with the written file, in words."""
    true_roll: Roll
    written_roll: Roll | None
    """`None` where nothing that was written sounds."""


def read_examples(report: JsonObject, where: str) -> tuple[ShownExample, ...]:
    """Return a report's examples; a report without any has none.

    Raises:
        JsonRefused: too many or too large, not hexadecimal, or of a tune that is no display tune.
    """
    found = items(report, "examples", where)
    if len(found) > MAX_EXAMPLES:
        raise JsonRefused(f"{where}: {len(found)} examples, at most {MAX_EXAMPLES} are read")
    shown = [_read(as_object(item, where), f"{where}: examples") for item in found]
    names = [one.tune.name for one in shown]
    if len(set(names)) != len(names):
        raise JsonRefused(f"{where}: examples: a tune stands twice among {', '.join(names)}")
    return tuple(shown)


def _read(found: JsonObject, where: str) -> ShownExample:
    """Check one example."""
    name = text(found, "name", where)
    tune = next((tune for tune in display_tunes() if tune.name == name), None)
    source, truth = (_file(found, key, where) for key in ("source", "truth"))
    target = None
    if tune is not None:
        abc = tune.abc.encode()
        target = "mid" if source == abc else "abc" if truth == abc else None
    if tune is None or target is None:
        raise JsonRefused(
            f"{where}: {name!r} is none of this version's display tunes, and no other tune may be "
            'published; predict and score again with "bgpt-bench"'
        )
    written = _file(found, "written", where)
    heard = written if target == "mid" else None
    if target == "abc" and found.get("written_midi") is not None:
        heard = _file(found, "written_midi", where)
    roll = None if heard is None else read_roll(heard)
    return ShownExample(
        tune=tune,
        target=target,
        truth=truth,
        written=written,
        first_different_byte=optional_count(found, "first_different_byte", where),
        fault=None if found.get("fault") is None else text(found, "fault", where),
        true_roll=read_roll(truth if target == "mid" else source),
        written_roll=roll if roll is not None and roll.notes else None,
    )


def _file(found: JsonObject, key: str, where: str) -> bytes:
    """Return a file that stands there in hexadecimal."""
    digits = text(found, key, where)
    if len(digits) > 2 * MAX_FILE_BYTES:
        raise JsonRefused(f"{where}: {key}: more than {MAX_FILE_BYTES} bytes")
    if re.fullmatch("(?:[0-9a-f]{2})*", digits) is None:
        raise JsonRefused(f"{where}: {key}: expected a file in lower-case hexadecimal")
    return bytes.fromhex(digits)

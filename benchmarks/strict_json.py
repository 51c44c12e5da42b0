"""Strict reading of JSON that others wrote: one accessor a type, and errors that name the place.

Refuses NaN, infinities, duplicate keys, booleans as numbers and files over 16 MiB, because any of
them would silently misorder a table. It knows no schema; its callers do.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

MAX_FILE_BYTES = 16 * 2**20

JsonObject = Mapping[str, object]


class JsonRefused(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """JSON that is unreadable, of another form or ambiguous; the message says where."""


def load_text(path: Path) -> str:
    """Return the text of `path`.

    Raises:
        JsonRefused: it cannot be read, is over `MAX_FILE_BYTES`, or is not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise JsonRefused(f"{path}: larger than {MAX_FILE_BYTES} bytes; not one of ours")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JsonRefused(f"{path}: cannot be read: {error}") from error


def parse_object(text: str, where: str) -> JsonObject:
    """Parse `text` as one JSON object.

    Raises:
        JsonRefused: not JSON, not an object, or something this module refuses.
    """
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise JsonRefused(f"{where}: not usable as JSON: {error}") from error
    return as_object(value, where)


def as_object(value: object, where: str) -> JsonObject:
    """Return `value` as a JSON object, or raise `JsonRefused`."""
    if not isinstance(value, dict):
        raise JsonRefused(f"{where}: expected an object, found {_shown(value)}")
    return cast("JsonObject", value)


def member(parent: JsonObject, key: str, where: str) -> JsonObject:
    """Return the object below `key`; a missing one is an error."""
    return as_object(parent.get(key), f"{where}: {key}")


def items(parent: JsonObject, key: str, where: str) -> list[object]:
    """Return the list below `key`; null and a missing key are the empty list."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise JsonRefused(f"{where}: {key}: expected a list, found {_shown(value)}")
    return cast("list[object]", value)


def text(parent: JsonObject, key: str, where: str, default: str | None = None) -> str:
    """Return the string below `key`."""
    value = parent.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise JsonRefused(f"{where}: {key}: expected a string, found {_shown(value)}")
    return value


def optional_number(parent: JsonObject, key: str, where: str) -> float | None:
    """Return the finite number below `key`; null and a missing key are None."""
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JsonRefused(f"{where}: {key}: expected a number, found {_shown(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise JsonRefused(f"{where}: {key}: {_shown(value)} is out of range") from error


def optional_count(parent: JsonObject, key: str, where: str) -> int | None:
    """Return the whole number >= 0 below `key`; null and a missing key are None."""
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise JsonRefused(f"{where}: {key}: expected a whole number >= 0, found {_shown(value)}")
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object, refusing a key that stands twice."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> float:
    """Refuse `NaN`, `Infinity` and `-Infinity`, which JSON does not have."""
    raise ValueError(f"{name} is not a number of JSON")


def _finite(literal: str) -> float:
    """Read a float, refusing one that overflows, such as 1e999."""
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal} is out of range")
    return value


def _shown(value: object) -> str:
    """Return a short form of a value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."

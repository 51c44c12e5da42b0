"""The Session's tunes: not a source here, because their licence forbids it.

The data of thesession.org (the repository adactio/TheSession-data) come under a licence of their
own with a "Prohibition on LLM Use", training included. So they are refused as soon as they are
recognised, by

- the name given for a catalogue;
- a data file of the dump below the folder: a CSV header or JSON keys with `tune_id`, `setting_id`
  and `abc`, or the file `thesession.db`. Only a file's first KB is looked at;
- tunes that say so themselves, in bulk: 20 or more with an `S:` or `F:` line that points to
  `thesession.org/tunes/`, as the site's own ABC downloads have.

A single tune that mentions the site is not refused, and nothing recognises its tunes once all signs
of where they come from are gone. This module guards; it gives no legal advice.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.plan import SourceError
from pipelines.sources.tunes import RawTune

NAMES = frozenset(["thesession", "the-session", "the session", "thesession.org"])
BULK_TUNES = 20
"""So many tunes that point to the site are a part of its data, and no quotation."""

_REASON = (
    "The Session's licence forbids the use of its data with language models, training included "
    "(LICENSE.md of adactio/TheSession-data); use music21, irishman or tunes of your own"
)
_HEAD_BYTES = 1024
_DUMP_COLUMNS = ("tune_id", "setting_id", "abc")


def refuse_name(tunes: str) -> None:
    """Refuse the site as the name of a catalogue.

    Raises:
        SourceError: `tunes` is one of its names.
    """
    plain = re.sub(r"^(https?://)?(www\.)?|/$", "", tunes.strip().casefold())
    if plain in NAMES and not Path(tunes).is_dir():
        raise SourceError(f"{tunes}: {_REASON}")


def refuse_dump(folder: Path) -> None:
    """Refuse a folder that holds a data file of the site's dump, at any depth.

    Raises:
        SourceError: it does; names the file.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".csv", ".json", ".jsonl", ".db") and path.is_file():
            try:
                with path.open("rb") as stream:
                    head = stream.read(_HEAD_BYTES)
            except OSError as error:
                raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
            if _is_dump(path, head):
                raise SourceError(f"{path}: this is the dump of thesession.org. {_REASON}")


def _is_dump(path: Path, head: bytes) -> bool:
    """Return whether a file that begins with `head` is a tune table of the dump."""
    if path.suffix.lower() == ".db":
        return path.name.lower() == "thesession.db" and head.startswith(b"SQLite format 3\0")
    text = head.decode("utf-8-sig", "replace")
    if path.suffix.lower() == ".csv":
        names = {name.strip(' "\r') for name in text.partition("\n")[0].split(",")}
        return names.issuperset(_DUMP_COLUMNS)
    return all(re.search(rf'"{name}"\s*:', text) for name in _DUMP_COLUMNS)


_POINTS_THERE = re.compile(r"^[SF]:[^\n]*\bthesession\.org/tunes/", re.MULTILINE | re.IGNORECASE)


def refuse_bulk(folder: Path, tunes: Sequence[RawTune]) -> None:
    """Refuse tunes of which many say that they come from the site.

    Raises:
        SourceError: 20 or more say so; names their number and the first one.
    """
    saying = [tune for tune in tunes if _POINTS_THERE.search(tune.text)]
    if len(saying) >= BULK_TUNES:
        first = saying[0]
        raise SourceError(
            f"{folder}: {len(saying)} of {len(tunes)} tunes say that they come from "
            f"thesession.org (the first: {first.file}, X:{first.number}). {_REASON}"
        )

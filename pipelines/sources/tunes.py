"""Tunes as raw text out of files: the ones inside the music21 package, or a user's own folder.

Files are read as text and cut at their `X:` lines; music21 is neither imported nor asked to parse.
No tune is part of this repository: they come out of the user's installed package. What a tune is
worth is decided by `pipelines.sources.base_tunes`; only files that hold no tune at all are marked
here. A file that cannot be read is an error and no drop: another time it may be read.
"""

import importlib.util
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipelines.plan import SourceError
from pipelines.printable_text import printable_text
from simulators.music.reasons import DropReason

MAX_FILE_BYTES = 16 * 2**20
"""Largest file of a user's folder that is read; music21's largest has 0.2 MB."""


class Licence(StrEnum):
    """What is known of a collection's licence; a corpus can be limited to some of these."""

    NON_COMMERCIAL_UNCLEAR = "non-commercial-unclear"
    """For non-commercial use, by a statement whose standing is unclear (Essen folk songs)."""
    NONE_STATED = "none-stated"
    """The collection states none."""
    MIT_RESEARCH_ONLY = "mit-research-only"
    """MIT, and also "for research use only", by the same card (IrishMAN)."""
    USER = "user"
    """A user's own folder; its owner knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawTune:
    """One tune as it stands in its file."""

    collection: str
    """Name of music21's collection, `irishman`, or `user`."""
    licence: Licence
    file: str
    """Path below the catalogue's folder, with forward slashes; of a data set, the published split.
    As in `number`, what does not print is escaped."""
    number: str
    """What its `X:` line says; not always a number, nor unique; empty where it has none."""
    place: int
    """Its place in the file, from 0."""
    text: str
    """From the `X:` line to the next one."""
    control_codes: str = ""
    """Lines on the tune's form that a data set gives beside it, each ended by a line feed, such as
    `S:2`, `B:9`, `E:4`; empty where there are none, or none were asked for."""
    dropped: DropReason | None = None
    """Why the file as a whole is no source of tunes; `text` is empty then."""


def music21_tunes() -> list[RawTune]:
    """Return every ABC tune that comes with the installed music21 package, in a fixed order.

    Raises:
        SourceError: music21 is not installed, or without its corpus.
    """
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise SourceError("music21 is not installed, which carries the tunes: pip install music21")
    folder = Path(spec.origin).parent / "corpus"
    tunes: list[RawTune] = []
    for path, file in _abc_files(folder):
        collection = file.partition("/")[0]
        licence = (
            Licence.NON_COMMERCIAL_UNCLEAR if collection == "essenFolksong" else Licence.NONE_STATED
        )
        tunes += _tunes_of_file(path, file, collection, licence)
    if not tunes:
        raise SourceError(f"{folder}: this music21 package carries no ABC tunes; reinstall music21")
    return tunes


def folder_tunes(folder: Path) -> list[RawTune]:
    """Return every tune of the `.abc` files in a user's folder and below, in a fixed order.

    Raises:
        SourceError: no such folder, no `.abc` file in it, or a file that cannot be read.
    """
    if not folder.is_dir():
        raise SourceError(
            f"{folder}: no such folder of tunes (or give music21, irishman or irishman:FOLDER)"
        )
    tunes: list[RawTune] = []
    for path, file in _abc_files(folder):
        tunes += _tunes_of_file(path, file, "user", Licence.USER)
    if not tunes:
        raise SourceError(f"{folder}: no .abc file in this folder or below it")
    return tunes


def _abc_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield `.abc` files with their path below `folder`, sorted by that path as text."""
    # What is neither a folder nor a file (a broken link, a pipe) is not passed over in silence.
    files = [
        path for path in folder.rglob("*") if path.suffix.lower() == ".abc" and not path.is_dir()
    ]
    named = sorted((path.relative_to(folder).as_posix(), path) for path in files)
    return ((path, file) for file, path in named)


_TUNE_START = re.compile(r"^(?=X:)", re.MULTILINE)


def _tunes_of_file(path: Path, file: str, collection: str, licence: Licence) -> list[RawTune]:
    """Cut one file at its `X:` lines; what stands before the first is no tune."""

    def tune(
        number: str, text: str, *, place: int = 0, dropped: DropReason | None = None
    ) -> RawTune:
        return RawTune(
            collection=collection,
            licence=licence,
            file=printable_text(file),
            number=printable_text(number),
            place=place,
            text=text,
            dropped=dropped,
        )

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{path}: cannot be read: it is no plain file; move it elsewhere")
        if status.st_size > MAX_FILE_BYTES:
            return [tune("", "", dropped=DropReason.FILE_TOO_LARGE)]
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    if b"\0" in data:
        return [tune("", "", dropped=DropReason.NOT_TEXT)]
    # Any byte is a character of Latin-1. Only words, which are dropped, are ever beyond ASCII.
    text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    parts = [part for part in _TUNE_START.split(text) if part.startswith("X:")]
    if not parts:
        return [tune("", "", dropped=DropReason.NO_TUNE)]
    return [
        tune(part.partition("\n")[0][2:].strip()[:40], part, place=place)
        for place, part in enumerate(parts)
    ]

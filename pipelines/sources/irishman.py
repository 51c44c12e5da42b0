# pyright: reportUnknownMemberType=false
"""IrishMAN: 216,284 Irish tunes from the Hugging Face hub, or from a local folder of the same form.

Its rows have the ABC text in the column `abc notation` and, in `control code`, lines that say what
form the tune has: `S:` the number of sections, then `B:` the bars of each, with `E:` the similarity
of a section to an earlier one between them. The text may or may not begin with an `X:` line, or
with control codes of its own.

Both published splits are pooled, because this project splits by clusters of tunes; which one a tune
came from is its `file`. The `datasets` library does the reading, and is imported here only when
somebody asks for this catalogue. None of its tunes is part of this repository.
"""

import logging
import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast

from pipelines.plan import SourceError
from pipelines.printable_text import printable_text
from pipelines.sources.tunes import Licence, RawTune
from simulators.music.reasons import DropReason

IRISHMAN = "irishman"
DATASET = "sander-wood/irishman"
REVISION = "30902e69ca45266207f8466e0d04e4bc742c5604"
"""The hub's main branch since March 2024; named, so that a corpus does not change with the hub."""
DATA_FILES = {"train": "train.json", "validation": "validation.json"}
"""The repository's other files are MIDI, MusicXML, and lists of row numbers."""

ABC_COLUMN = "abc notation"
CODE_COLUMN = "control code"


class _DataSet(Protocol):
    """What is used of a data set: its rows."""

    def __iter__(self) -> Iterable[Mapping[str, object]]: ...


def irishman_tunes(folder: Path | None, *, control_codes: bool) -> list[RawTune]:
    """Return every tune, the published splits one after the other, each in its own order.

    Args:
        folder: data files (JSON, JSON lines or Parquet) with the columns of IrishMAN, in the
            layout that `datasets.load_dataset` knows; `None` for the hub.
        control_codes: keep the control codes beside the text; else they are left out.

    Raises:
        SourceError: `datasets` is not installed or too old, the data cannot be had or read, or a
            column is missing.
    """
    splits = _load(folder)
    where = DATASET if folder is None else str(folder)
    wanted = (ABC_COLUMN, CODE_COLUMN) if control_codes else (ABC_COLUMN,)
    tunes: list[RawTune] = []
    for split in sorted(splits, key=_split_order):
        for place, row in enumerate(_rows(splits[split], where)):
            for column in wanted:
                if column not in row:
                    raise SourceError(
                        f"{where}: split '{split}' has no column '{column}'; it has "
                        + ", ".join(f"'{name}'" for name in row)
                    )
            tunes.append(_tune(row, split, place, where, control_codes=control_codes))
    if not tunes:
        raise SourceError(f"{where}: this data set has no rows")
    return tunes


def _load(folder: Path | None) -> Mapping[str, _DataSet]:
    """Open the data set: a mapping of its splits."""
    if folder is not None and not folder.is_dir():
        raise SourceError(f"{folder}: no such folder of data files; give irishman:FOLDER")
    try:
        import datasets  # not above: it is slow to import, and an optional part of the installation
    except ImportError as error:
        raise SourceError(
            "the catalogue irishman is read by the datasets library, which is not installed: "
            "pip install 'datasets>=4'"
        ) from error
    if int(datasets.__version__.partition(".")[0]) < _OLDEST_DATASETS:
        raise SourceError(
            f"the datasets library that is installed, {datasets.__version__}, would run a script "
            "that it finds beside the data; get one that never does: pip install 'datasets>=4'"
        )
    try:
        if folder is None:
            with _without_words_of_the_hub():
                found: object = datasets.load_dataset(
                    DATASET, revision=REVISION, data_files=DATA_FILES
                )
        else:
            # Streaming leaves no copy of the user's data in a cache.
            found = datasets.load_dataset(str(folder), streaming=True)
    except _failures() as error:
        raise SourceError(_no_data(folder, error)) from error
    return cast("Mapping[str, _DataSet]", found)


_OLDEST_DATASETS = 4
"""The first version that runs no code of a data set."""


@contextmanager
def _without_words_of_the_hub() -> Generator[None]:
    """Keep the hub's library from printing each of its attempts: what went wrong, our line says."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _rows(split: _DataSet, where: str) -> Iterable[Mapping[str, object]]:
    """Yield the rows of a split; what goes wrong while they are read is one clear line too."""
    try:
        yield from cast("Iterable[Mapping[str, object]]", split)
    except _failures() as error:
        raise SourceError(f"{where}: cannot be read: {_first_line(error)}") from error


def _failures() -> tuple[type[Exception], ...]:
    """Return what `datasets` raises for data that cannot be had or read."""
    from datasets.exceptions import DatasetsError

    return (DatasetsError, OSError, ValueError, KeyError, TypeError)


def _no_data(folder: Path | None, error: Exception) -> str:
    """Return one line on why there is no data, and what to do."""
    if folder is not None:
        return f"{folder}: no data set that datasets.load_dataset could read: {_first_line(error)}"
    return (
        f"{DATASET} could not be had from the Hugging Face hub: {_first_line(error)}. Check the "
        "network (and, if it asks for one, your login: hf auth login), or give a local copy with "
        "irishman:FOLDER"
    )


def _first_line(error: Exception) -> str:
    """Return the first line of what an error says, without its last stop."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def _split_order(split: str) -> tuple[int, str]:
    """Sort the published splits as they are always named, then any others."""
    names = ("train", "validation", "test")
    return (names.index(split) if split in names else len(names), split)


_CODE_LINES = re.compile(r"(?:[SBE]:[0-9]{1,4}\n)*")
_LEADING_CODES = re.compile(r"(?:X:[^\n]*\n)?((?:[SBE]:[ \t]*[0-9]+[ \t]*\n)+)")
_NUMBER = re.compile(r"X:([^\n]*)")


def _tune(
    row: Mapping[str, object], split: str, place: int, where: str, *, control_codes: bool
) -> RawTune:
    """Return one row as a tune."""
    text = _text(row, ABC_COLUMN, f"{where}: split '{split}', row {place}")
    leading = _LEADING_CODES.match(text)
    if leading is not None:
        text = text[: leading.start(1)] + text[leading.end(1) :]
    codes = ""
    dropped = DropReason.NO_TUNE if not text.strip() else None
    if control_codes:
        codes = _text(row, CODE_COLUMN, f"{where}: split '{split}', row {place}")
        codes = _tidy(codes) or _tidy(leading.group(1) if leading else "")
        if dropped is None and _CODE_LINES.fullmatch(codes) is None:
            dropped = DropReason.UNKNOWN_CONTROL_CODE
    number = _NUMBER.match(text)
    return RawTune(
        collection=IRISHMAN,
        licence=Licence.MIT_RESEARCH_ONLY,
        file=printable_text(split),
        number=printable_text(number.group(1).strip()[:40]) if number else "",
        place=place,
        text="" if dropped else text,
        control_codes="" if dropped else codes,
        dropped=dropped,
    )


def _text(row: Mapping[str, object], column: str, where: str) -> str:
    """Return a cell as text with line feeds; an empty cell is empty text."""
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SourceError(f"{where}: column '{column}' holds {type(value).__name__}, not text")
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _tidy(codes: str) -> str:
    """Return control codes without spaces or empty lines, each line ended."""
    lines = ("".join(line.split()) for line in codes.split("\n"))
    return "".join(f"{line}\n" for line in lines if line)

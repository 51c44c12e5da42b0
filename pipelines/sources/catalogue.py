"""The one door to tunes: a name or a folder in, raw tunes and what is known of their terms out.

| `tunes` | read from |
|---|---|
| `music21` | the ABC files inside the installed music21 package |
| `irishman` | the data set IrishMAN on the Hugging Face hub, through `datasets` |
| `irishman:FOLDER` | a local copy of it, or any data files with its columns |
| anything else | a folder of `.abc` files |

A folder of tunes that happens to be called `music21` is `./music21`. The Session's data are refused
(`pipelines.sources.the_session`). What a tune is worth is not decided here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.plan import JsonValue, SourceError
from pipelines.sources.irishman import DATASET, IRISHMAN, REVISION, irishman_tunes
from pipelines.sources.the_session import refuse_bulk, refuse_dump, refuse_name
from pipelines.sources.tunes import RawTune, folder_tunes, music21_tunes

MUSIC21 = "music21"
FOLDER = "folder"

CatalogueKind = Literal["music21", "folder", "irishman"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All tunes of one source, as they stand there."""

    kind: CatalogueKind
    """Which source; never a path, so that it can stand in a plan's settings."""
    tunes: Sequence[RawTune]
    """In a fixed order, the ones that are no tunes (an empty file, an empty row) included."""
    provenance: Mapping[str, JsonValue]
    """What a manifest shows: `material`, `licence`, `terms` by collection, and for a data set its
    `citation`, `revision` and `published_splits`. Holds no path of the user's machine."""


def read_catalogue(tunes: str, *, control_codes: bool = False) -> Catalogue:
    """Read every tune of a catalogue.

    Args:
        tunes: `music21`, `irishman`, `irishman:FOLDER` or a folder of `.abc` files.
        control_codes: keep the control codes that the data set gives beside each tune.

    Raises:
        SourceError: it cannot be had, is empty or refused, or control codes were asked of a
            catalogue that has none.
    """
    refuse_name(tunes)
    name, colon, path = tunes.partition(":")
    if name == IRISHMAN and colon and not path:
        raise SourceError(
            f"{tunes}: a folder is missing after the colon; give irishman:FOLDER, or irishman for "
            "the Hugging Face hub"
        )
    if name == IRISHMAN:
        return _irishman(Path(path) if path else None, control_codes=control_codes)
    if control_codes:
        raise SourceError(
            f"{tunes}: only the catalogue irishman has control codes; leave control_codes out"
        )
    if tunes == MUSIC21:
        return Catalogue(kind="music21", tunes=music21_tunes(), provenance=_MUSIC21_PROVENANCE)
    return _folder(Path(tunes))


def _irishman(folder: Path | None, *, control_codes: bool) -> Catalogue:
    """Return IrishMAN, from the hub or from a local folder."""
    if folder is not None:
        refuse_dump(folder)
    tunes = irishman_tunes(folder, control_codes=control_codes)
    if folder is not None:
        refuse_bulk(folder, tunes)
    origin: dict[str, JsonValue] = {"material": "the user's own data files in the form of IrishMAN"}
    if folder is None:
        origin = {
            "material": "IrishMAN: ABC tunes of the Hugging Face data set " + DATASET,
            "revision": REVISION,
        }
    splits = Counter(tune.file for tune in tunes)
    return Catalogue(
        kind="irishman",
        tunes=tunes,
        provenance={**_IRISHMAN_PROVENANCE, **origin, "published_splits": dict(splits)},
    )


def _folder(folder: Path) -> Catalogue:
    """Return a user's own folder."""
    if folder.is_dir():
        refuse_dump(folder)
    try:
        tunes = folder_tunes(folder)
    except SourceError as error:
        if folder.is_dir() and _holds_data_files(folder):
            raise SourceError(
                f"{error}; it holds data files, which are read as irishman:{folder}"
            ) from error
        raise
    refuse_bulk(folder, tunes)
    return Catalogue(kind="folder", tunes=tunes, provenance=_FOLDER_PROVENANCE)


def _holds_data_files(folder: Path) -> bool:
    """Return whether a folder holds files that `datasets` reads."""
    kinds = {".json", ".jsonl", ".parquet"}
    return any(path.suffix.lower() in kinds for path in folder.rglob("*"))


_NONE_STATED = "music21 states none for this collection"
_MUSIC21_PROVENANCE: Mapping[str, JsonValue] = {
    "material": "ABC tunes of the music21 package",
    "licence": "mixed; the column licence says it of every sample",
    "terms": {
        "essenFolksong": "non-commercial distribution and use, by permission of the project's "
        "present head, as music21 reports it; the data's legal status is unclear, it says",
        "airdsAirs": _NONE_STATED,
        "josquin": _NONE_STATED,
        "miscFolk": _NONE_STATED,
        "nottingham-dataset": _NONE_STATED,
        "oneills1850": _NONE_STATED,
        "ryansMammoth": _NONE_STATED,
    },
    "citation": "M. S. Cuthbert and C. Ariza, music21: A Toolkit for Computer-Aided Musicology "
    "and Symbolic Music Data, ISMIR 2010",
}
_IRISHMAN_PROVENANCE: Mapping[str, JsonValue] = {
    "licence": "MIT; research use only",
    "terms": {
        IRISHMAN: "the card states MIT, and also that the data set is for research use only and "
        "not for commercial purposes; it says that the tunes were collected from thesession.org "
        "and abcnotation.com and are believed to be in the public domain",
    },
    "citation": "S. Wu et al., TunesFormer: Forming Irish Tunes with Control Codes by Bar "
    "Patching, arXiv 2301.02884",
}
_FOLDER_PROVENANCE: Mapping[str, JsonValue] = {
    "material": "the user's own folder of .abc files",
    "licence": "the user's own tunes; their owner knows",
    "terms": {"user": "the user's own tunes; their owner knows"},
}

"""The door to tunes: which name opens which catalogue, IrishMAN's form, and what is refused."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.plan import SourceError, canonical_json
from pipelines.sources import irishman
from pipelines.sources.catalogue import read_catalogue
from pipelines.sources.the_session import BULK_TUNES
from pipelines.sources.tunes import Licence, folder_tunes, music21_tunes
from simulators.music.abc.canonical import canonicalise
from simulators.music.conversion.golden import golden_tunes
from simulators.music.reasons import DropReason

Row = Mapping[str, object]
CODES = "S:2\nB:4\nE:5\nB:4\n"


def rows() -> list[Row]:
    """Rows in IrishMAN's form, of this project's golden tunes: with and without an `X:` line."""
    texts = [tune.abc for tune in golden_tunes()]
    texts[1:] = [text.removeprefix("X:1\n") for text in texts[1:]]
    return [{"abc notation": text, "control code": CODES} for text in texts]


def write(folder: Path, name: str, data: Sequence[Row]) -> Path:
    """Write one split as a JSON array (as on the hub), JSON lines or Parquet."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in data]), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    else:
        path.write_text(json.dumps(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
def test_irishman_is_read_from_a_local_copy_both_published_splits_pooled(
    tmp_path: Path, suffix: str
) -> None:
    data = rows()
    write(tmp_path, f"validation{suffix}", data[:2])
    write(tmp_path, f"train{suffix}", data)
    # The hub's repository has such lists beside the data.
    (tmp_path / "leadsheet_ids.json").write_text('{"train": ["1"], "validation": ["2"]}')
    catalogue = read_catalogue(f"irishman:{tmp_path}")
    assert catalogue.kind == "irishman"
    assert [tune.file for tune in catalogue.tunes] == ["train"] * len(data) + ["validation"] * 2
    assert [tune.place for tune in catalogue.tunes] == [*range(len(data)), 0, 1]
    assert catalogue.provenance["published_splits"] == {"train": len(data), "validation": 2}
    assert catalogue.provenance["licence"] == "MIT; research use only"
    assert "path" not in canonical_json(catalogue.provenance)
    assert str(tmp_path) not in canonical_json(catalogue.provenance)
    assert {tune.licence for tune in catalogue.tunes} == {Licence.MIT_RESEARCH_ONLY}
    assert {tune.control_codes for tune in catalogue.tunes} == {""}
    forms = [canonicalise(tune.text) for tune in catalogue.tunes]
    assert forms[: len(data)] == [tune.abc for tune in golden_tunes()]


def test_control_codes_are_kept_when_asked_for_wherever_they_stand(tmp_path: Path) -> None:
    abc = "L:1/8\nM:4/4\nK:D\nDEFG|\n"
    folder = write(
        tmp_path,
        "train.jsonl",
        [
            {"abc notation": abc, "control code": CODES},
            {"abc notation": f"X:1\n{CODES}{abc}", "control code": None},
            {"abc notation": f"{CODES}{abc}", "control code": ""},
            {"abc notation": f"X:7\n{abc}", "control code": " S: 2\r\nB:4\r\n\r\nE:5\r\nB:4"},
            {"abc notation": abc, "control code": ""},
            {"abc notation": abc, "control code": "S:2\nT:words"},
            {"abc notation": None, "control code": CODES},
        ],
    )
    tunes = read_catalogue(f"irishman:{folder}", control_codes=True).tunes
    assert [tune.control_codes for tune in tunes] == [CODES] * 4 + [""] * 3
    assert [tune.dropped for tune in tunes] == [
        *[None] * 5,
        DropReason.UNKNOWN_CONTROL_CODE,
        DropReason.NO_TUNE,
    ]
    assert [tune.number for tune in tunes] == ["", "1", "", "7", "", "", ""]
    assert {canonicalise(tune.text) for tune in tunes[:5]} == {"X:1\n" + abc}
    without = read_catalogue(f"irishman:{folder}").tunes
    assert [tune.text for tune in without[:5]] == [tune.text for tune in tunes[:5]]
    assert [tune.dropped for tune in without] == [*[None] * 6, DropReason.NO_TUNE]


def test_a_missing_column_is_named_with_the_columns_found(tmp_path: Path) -> None:
    folder = write(tmp_path, "train.json", [{"abc": "K:C\nC", "title": "x"}])
    with pytest.raises(
        SourceError, match=r"split 'train' has no column 'abc notation'; it has 'abc', 'title'$"
    ):
        read_catalogue(f"irishman:{folder}")
    write(folder, "train.json", [{"abc notation": "K:C\nC"}])
    assert len(read_catalogue(f"irishman:{folder}").tunes) == 1
    with pytest.raises(SourceError, match=r"no column 'control code'; it has 'abc notation'$"):
        read_catalogue(f"irishman:{folder}", control_codes=True)
    write(folder, "train.json", [{"abc notation": 7}])
    with pytest.raises(SourceError, match="row 0: column 'abc notation' holds int, not text"):
        read_catalogue(f"irishman:{folder}")


def test_data_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none: no such folder of data files"):
        read_catalogue(f"irishman:{tmp_path / 'none'}")
    with pytest.raises(SourceError, match=r"no data set that datasets\.load_dataset could read"):
        read_catalogue(f"irishman:{tmp_path}")
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match=f"^{tmp_path}: [^\n]*$"):
        read_catalogue(f"irishman:{tmp_path}")


def test_a_missing_datasets_library_is_one_line_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SourceError, match=r"not installed: pip install 'datasets>=4'$"):
        read_catalogue(f"irishman:{tmp_path}")


def test_a_datasets_library_that_would_run_scripts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    write(tmp_path, "train.json", rows())
    monkeypatch.setattr(datasets, "__version__", "3.6.0")
    with pytest.raises(SourceError, match=r"3\.6\.0, would run a .*pip install 'datasets>=4'$"):
        read_catalogue(f"irishman:{tmp_path}")
    monkeypatch.setattr(datasets, "__version__", "4.0.0")
    assert read_catalogue(f"irishman:{tmp_path}").tunes


def test_a_colon_with_no_folder_behind_it_is_one_clear_line() -> None:
    with pytest.raises(SourceError, match=r"^irishman:: a folder is missing after the colon; give"):
        read_catalogue("irishman:")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach 'sander-wood/irishman' on the Hub.\nRetrying"),
        FileNotFoundError("Dataset 'sander-wood/irishman' is a gated dataset on the Hub."),
    ],
)
def test_a_hub_that_is_out_of_reach_is_one_line_with_its_cure(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import datasets
    from huggingface_hub.utils import logging as hub_logging

    asked: list[tuple[str, object]] = []
    logger = hub_logging.get_logger("huggingface_hub.utils._http")  # which tells of every attempt
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "propagate", True)

    def load(name: str, *, revision: str, data_files: object) -> object:
        asked.append((name, revision))
        logger.warning("Retrying in 1s")
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(
        SourceError, match=r"^[^\n]*hub: [^\n]*on the Hub\. Check the network[^\n]*$"
    ):
        read_catalogue("irishman")
    assert asked == [(irishman.DATASET, irishman.REVISION)]
    assert caplog.text == ""
    logger.warning("Retrying in 1s")  # told again by now
    assert "Retrying" in caplog.text


def test_every_name_opens_its_catalogue(tmp_path: Path) -> None:
    catalogue = read_catalogue("music21")
    assert (catalogue.kind, catalogue.tunes) == ("music21", music21_tunes())
    terms = catalogue.provenance["terms"]
    assert isinstance(terms, Mapping)
    assert set(terms) == {tune.collection for tune in catalogue.tunes}
    (tmp_path / "a.abc").write_text("X:1\nK:C\nC")
    catalogue = read_catalogue(str(tmp_path))
    assert (catalogue.kind, catalogue.tunes) == ("folder", folder_tunes(tmp_path))
    with pytest.raises(SourceError, match="only the catalogue irishman has control codes"):
        read_catalogue(str(tmp_path), control_codes=True)
    with pytest.raises(SourceError, match=r"none: no such folder of tunes \(or give music21, iri"):
        read_catalogue(str(tmp_path / "none"))


def test_a_folder_of_data_files_says_how_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, "train.jsonl", rows())
    with pytest.raises(SourceError, match=rf"which are read as irishman:{tmp_path}$"):
        read_catalogue(str(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "thesession",
        "the-session",
        "TheSession.org",
        "https://thesession.org/",
        "www.thesession.org",
    ],
)
def test_the_session_is_refused_by_name(name: str) -> None:
    with pytest.raises(SourceError, match="The Session's licence forbids"):
        read_catalogue(name)


COLUMNS = ["tune_id", "setting_id", "name", "type", "meter", "mode", "abc", "date", "username"]


@pytest.mark.parametrize(
    ("file", "head"),
    [
        ("csv/tunes.csv", (",".join(COLUMNS) + ",composer\n1,1,Name,jig,6/8,").encode()),
        ("renamed.CSV", ("\ufeff" + ", ".join(f'"{name}"' for name in COLUMNS) + "\r\n").encode()),
        ("json/tunes.json", json.dumps([dict.fromkeys(COLUMNS, "1")], indent=4).encode()),
        ("lines.jsonl", json.dumps(dict.fromkeys(COLUMNS, "1")).encode()),
        ("thesession.db", b"SQLite format 3\0 and pages"),
    ],
)
def test_a_folder_with_the_sessions_dump_is_refused(tmp_path: Path, file: str, head: bytes) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / "own.abc").write_text("X:1\nK:C\nC")
    (tmp_path / file).write_bytes(head)
    with pytest.raises(SourceError, match=rf"{file}: this is the dump of thesession\.org"):
        read_catalogue(str(tmp_path))
    with pytest.raises(SourceError, match=r"this is the dump of thesession\.org"):
        read_catalogue(f"irishman:{tmp_path}")


def test_other_tables_beside_tunes_are_not_taken_for_the_dump(tmp_path: Path) -> None:
    (tmp_path / "own.abc").write_text("X:1\nK:C\nC")
    (tmp_path / "index.csv").write_text("tune_id,title,abc\n1,x,CDE\n")
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0")
    (tmp_path / "settings.json").write_text('{"tune_id": 1, "abc": "CDE"}')
    assert len(read_catalogue(str(tmp_path)).tunes) == 1


def test_tunes_that_say_in_bulk_that_they_come_from_the_session_are_refused(
    tmp_path: Path,
) -> None:
    def fill(said: int, others: int) -> str:
        line = "S: https://thesession.org/tunes/{0}#setting{0}\n"
        tunes = [f"X:{n}\n{line.format(n) if n < said else ''}K:C\nC{n % 8 + 1}|\n"
                 for n in range(said + others)]  # fmt: skip
        (tmp_path / "tunes.abc").write_text("\n".join(tunes))
        return str(tmp_path)

    assert len(read_catalogue(fill(1, 0)).tunes) == 1
    assert len(read_catalogue(fill(BULK_TUNES - 1, 500)).tunes) == BULK_TUNES + 499
    with pytest.raises(
        SourceError, match=rf"{BULK_TUNES} of {BULK_TUNES + 500} tunes say .*first: tunes.abc, X:0"
    ):
        read_catalogue(fill(BULK_TUNES, 500))
    # A mention is no source.
    text = (tmp_path / "tunes.abc").read_text().replace("S: ", "N: learnt at ")
    (tmp_path / "tunes.abc").write_text(text)
    assert len(read_catalogue(str(tmp_path)).tunes) == BULK_TUNES + 500

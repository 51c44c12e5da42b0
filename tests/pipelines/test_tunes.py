"""Catalogues of tunes: music21's files as text, and a user's folder."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipelines.plan import SourceError
from pipelines.sources import tunes
from pipelines.sources.tunes import Licence, folder_tunes, music21_tunes
from simulators.music.reasons import DropReason


def test_music21_carries_the_tunes_in_a_fixed_order() -> None:
    found = music21_tunes()
    assert len(found) > 12_000
    collections = Counter(tune.collection for tune in found)
    assert collections["essenFolksong"] > 8000
    assert all(tune.text.startswith("X:") for tune in found)
    assert all(
        (tune.licence is Licence.NON_COMMERCIAL_UNCLEAR) == (tune.collection == "essenFolksong")
        for tune in found
    )
    files = list(dict.fromkeys(tune.file for tune in found))
    assert files == sorted(files)
    assert music21_tunes() == found
    assert not any("\\" in tune.file + tune.number for tune in found)  # nothing to escape there


def test_music21_is_never_imported() -> None:
    code = (
        "import sys; from pipelines.sources.tunes import music21_tunes; music21_tunes();"
        "assert not {'music21', 'symusic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_folder_is_cut_at_its_x_lines(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.abc").write_bytes(b"Words.\r\n\r\nX: 7\r\nK:C\r\nCDE\r\nX:8\r\nK:D\r\nDEF")
    (tmp_path / "sub" / "a.ABC").write_bytes(b"\xef\xbb\xbfX:1\nT:\xc3\xa9\nK:C\nC")
    (tmp_path / "notes.txt").write_text("X:1\nK:C\nC")
    found = folder_tunes(tmp_path)
    assert [(tune.file, tune.number, tune.licence) for tune in found] == [
        ("b.abc", "7", Licence.USER),
        ("b.abc", "8", Licence.USER),
        ("sub/a.ABC", "1", Licence.USER),
    ]
    assert found[0].text == "X: 7\nK:C\nCDE\n"
    assert all(tune.dropped is None for tune in found)


def test_what_a_terminal_would_obey_is_escaped_in_names_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "red\x1b[31m é.abc").write_bytes(b"X:2\x1b[2J \xe9\x9b\nK:C\nC")
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.abc", os.O_CREAT))  # no UTF-8
    assert [(tune.file, tune.number) for tune in folder_tunes(tmp_path)] == [
        ("red\\x1b[31m é.abc", "2\\x1b[2J é\\x9b"),
        ("\\udcff.abc", ""),
    ]


def test_a_file_without_a_tune_or_too_large_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunes, "MAX_FILE_BYTES", 50)
    (tmp_path / "large.abc").write_bytes(b"X:1\nK:C\n" + b"C" * 50)
    (tmp_path / "words.abc").write_bytes(b"No tune here, only X: in a line.")
    assert [(tune.file, tune.dropped) for tune in folder_tunes(tmp_path)] == [
        ("large.abc", DropReason.FILE_TOO_LARGE),
        ("words.abc", DropReason.NO_TUNE),
    ]


def test_a_file_that_holds_something_else_is_marked(tmp_path: Path) -> None:
    (tmp_path / "picture.abc").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\nX:1\n")
    (tmp_path / "empty.abc").write_bytes(b"")
    assert [(tune.file, tune.dropped) for tune in folder_tunes(tmp_path)] == [
        ("empty.abc", DropReason.NO_TUNE),
        ("picture.abc", DropReason.NOT_TEXT),
    ]


def test_a_file_that_cannot_be_read_is_an_error_and_no_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.abc").write_text("X:1\nK:C\nC")
    link = tmp_path / "link.abc"
    link.symlink_to("nowhere.abc")
    with pytest.raises(SourceError, match=r"link\.abc: cannot be read: No such file"):
        folder_tunes(tmp_path)
    link.unlink()
    os.mkfifo(link)  # reading it would wait for ever
    with pytest.raises(SourceError, match=r"link\.abc: cannot be read: it is no plain file"):
        folder_tunes(tmp_path)
    link.unlink()

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(SourceError, match=r"good\.abc: cannot be read: Permission denied"):
        folder_tunes(tmp_path)


def test_a_missing_or_empty_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no \.abc file in this folder"):
        folder_tunes(tmp_path)
    with pytest.raises(SourceError, match="none: no such folder of tunes"):
        folder_tunes(tmp_path / "none")


def test_a_missing_music21_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match="music21 is not installed"):
        music21_tunes()

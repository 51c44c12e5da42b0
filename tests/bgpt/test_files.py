from io import BytesIO, StringIO
from pathlib import Path

import pytest

from bgpt.files import (
    HexStream,
    RawStream,
    TextStream,
    check_writable,
    read_segment,
    stream_for,
    write_file,
)

# bytes as they come -> what is shown
TEXT = [
    ([b"X:1\n", b"K:C\n"], "X:1\nK:C\n"),
    ([b"no end"], "no end\n"),
    ([b"caf\xc3", b"\xa9"], "café\n"),
    # a terminal is never steered, and nothing is hidden
    ([b"a\x1b[31mb\rc\0"], "a\\x1b[31mb\\x0dc\\x00\n"),
    ([b"\xff\xc3"], "\\xff\\xc3\n"),
    ([], ""),
]


@pytest.mark.parametrize(("parts", "expected"), TEXT)
def test_text_is_shown_as_text(parts: list[bytes], expected: str) -> None:
    out = StringIO()
    stream = TextStream(out)
    for part in parts:
        stream.write(part)
    stream.close()
    assert out.getvalue() == expected


def test_other_bytes_are_shown_in_hexadecimal_whatever_the_parts() -> None:
    shown: list[str] = []
    for size in (1, 7, 40):
        out = StringIO()
        stream = HexStream(out)
        for at in range(0, 20, size):
            stream.write(bytes(range(20))[at : at + size])
        stream.close()
        shown.append(out.getvalue())
    assert shown[0] == shown[1] == shown[2]
    assert shown[0].splitlines() == [
        "000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
        "000010  10 11 12 13",
    ]


def test_the_extension_says_what_is_text() -> None:
    assert isinstance(stream_for("abc", StringIO()), TextStream)
    assert isinstance(stream_for("mid", StringIO()), HexStream)
    raw = BytesIO()
    RawStream(raw).write(b"\0\xff")
    assert raw.getvalue() == b"\0\xff"


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/a.mid"
    check_writable(path)
    assert list(path.parent.iterdir()) == []
    write_file(path, b"MThd")
    assert (path.read_bytes(), list(path.parent.iterdir())) == (b"MThd", [path])


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for action in (check_writable, lambda path: write_file(path, b"x")):
        with pytest.raises(OSError, match=r"file/a\.mid: cannot be written: "):
            action(tmp_path / "file/a.mid")
    with pytest.raises(OSError, match="cannot be written: is a folder"):
        check_writable(tmp_path)


def test_a_folder_without_permission_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(OSError, match=r"a\.mid: cannot be written: Permission denied$"):
        check_writable(tmp_path / "a.mid")


def test_a_name_without_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a suffix"):
        read_segment(tmp_path / "tune")

"""`bgpt compress` and `bgpt decompress` as a user meets them: files, models, refusals."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bgpt.checkpoint import save_model
from bgpt.model import Bgpt
from tests.bgpt.test_help_examples import run

DATA = bytes(range(100)) + b"\0" * 20


@pytest.fixture
def home(
    tmp_path: Path, tiny_model: Callable[[str], Bgpt], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with two models, the first of them a run's, and a file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BGPT_MODEL", raising=False)
    save_model(tmp_path / "runs" / "one" / "model", tiny_model("compact-cpu"), {"directions": {}})
    save_model(tmp_path / "other", tiny_model("paper"))
    (tmp_path / "a.bin").write_bytes(DATA)
    return tmp_path


def made(home: Path) -> Path:
    """Return a.bgz, made of a.bin with the run."""
    assert run("compress", "a.bin", "--model", "runs/one", "-o", "a.bgz")[0] == 0
    return home / "a.bgz"


def listing(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def refused(home: Path, *arguments: str) -> tuple[int, str]:
    """Run what must fail; return exit code and its one line. It leaves nothing behind."""
    before = listing(home)
    code, out, err = run(*arguments)
    assert out == ""
    assert err.endswith("\n")
    assert err.count("error: ") == 1
    assert listing(home) == before
    return code, err.splitlines()[-1]


@pytest.mark.parametrize(
    "model", [("--model", "runs/one"), ("-m", "runs/one/model"), ("first",), ("variable",)]
)
def test_a_file_comes_back_however_the_model_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: tuple[str, ...]
) -> None:
    first = ["runs/one"] if model == ("first",) else []
    last = list(model) if len(model) == 2 else []
    if model == ("variable",):
        monkeypatch.setenv("BGPT_MODEL", "runs/one")
    code, out, err = run("compress", *first, "a.bin", *last, "-o", "deep/a.bgz")
    assert (code, out) == (0, "")
    size = (home / "deep/a.bgz").stat().st_size
    assert f"a.bin: 120 -> {size} bytes, {8 * size / 120:.4f} bits per byte" in err
    assert run("decompress", *first, "deep/a.bgz", *last, "-o", "b.bin")[0] == 0
    assert (home / "b.bin").read_bytes() == DATA


def test_the_model_that_made_a_file_is_found_among_the_runs(home: Path) -> None:
    made(home)
    code, _, err = run("decompress", "a.bgz", "-o", "b.bin")
    assert (code, (home / "b.bin").read_bytes()) == (0, DATA)
    assert "model: runs/one" in err
    run("compress", "a.bin", "--model", "other", "-o", "c.bgz")
    code, line = refused(home, "decompress", "c.bgz", "-o", "c.bin")
    assert code == 2
    assert "no run in folder runs is the model that made this file, whose hash begins" in line


def test_an_empty_file_and_one_without_a_suffix_come_back(home: Path) -> None:
    for name, data in {"empty.bin": b"", "README": DATA, "a.tar~1": DATA}.items():
        (home / name).write_bytes(data)
        assert run("compress", name, "--model", "other", "-o", "x")[0] == 0
        assert run("decompress", "x", "--model", "other", "-o", "y")[0] == 0
        assert (home / "y").read_bytes() == data


def test_dash_writes_to_stdout(home: Path) -> None:
    packed = made(home).read_bytes()
    assert run("compress", "runs/one", "a.bin", "-o", "-")[1].encode("latin-1") == packed
    assert run("decompress", "runs/one", "a.bgz", "-o", "-")[1].encode("latin-1") == DATA


def test_damage_another_model_and_other_files_are_refused(home: Path) -> None:
    packed = made(home).read_bytes()
    (home / "cut.bgz").write_bytes(packed[:-1])
    (home / "flipped.bgz").write_bytes(packed[:30] + bytes([packed[30] ^ 1]) + packed[31:])
    # file, model -> what is said
    said = {
        ("cut.bgz", "runs/one"): "cut.bgz: damaged or cut: ",
        ("flipped.bgz", "runs/one"): "flipped.bgz: damaged or cut: ",
        ("a.bin", "runs/one"): 'a.bin: not a file that "bgpt compress" made',
        ("a.bgz", "other"): "a.bgz: made with the model whose hash begins with ",
    }
    for (file, model), words in said.items():
        code, line = refused(home, "decompress", file, "--model", model, "-o", "new/b.bin")
        assert (code, line.startswith(f"error: {words}")) == (1, True), line
    (home / "b.bin").write_bytes(b"kept")
    assert refused(home, "decompress", "runs/one", "cut.bgz", "-o", "b.bin")[0] == 1
    assert (home / "b.bin").read_bytes() == b"kept"


def test_mistakes_are_one_line_and_exit_code_2(home: Path) -> None:
    made(home)
    (home / "empty.abc").touch()
    # arguments -> what is said
    said = {
        ("compress", "none.bin", "-m", "other", "-o", "x"): "none.bin",
        ("compress", "a.bin", "-m", "none", "-o", "x"): "none: not a model",
        ("compress", "a.bin", "-m", "other", "-o", "a.bin"): "a.bin is read; write to another file",
        ("compress", "a.bin", "-m", "other", "-o", "./a.bin"): "a.bin is read",
        ("compress", "a.bin", "-m", "other", "-o", "runs"): "runs: cannot be written: is a folder",
        ("compress", "a.bin", "-m", "other", "-o", "a.bgz/x"): "a.bgz/x: cannot be written",
        ("compress", "other", "a.bin", "-m", "other", "-o", "x"): "two models: other and other",
        ("compress", "a.bin", "-o", "x"): "no run in folder runs is trained to write .bin",
        ("compress", "a.bin", "-m", "other", "--given", "empty.abc", "-o", "x"): "an empty file",
        (
            "compress",
            "a.bin",
            "-m",
            "other",
            "--begin",
            "empty.abc",
            "-o",
            "x",
        ): "leave --begin out",
        ("compress", "a.bin", "-m", "other", "--given", "a.bin", "-o", "a.bin"): "a.bin is read",
        ("decompress", "a.bgz", "-m", "runs/one", "-o", "a.bgz"): "a.bgz is read",
        ("decompress", "none.bgz", "-m", "runs/one", "-o", "x"): "none.bgz",
    }
    for arguments, words in said.items():
        code, line = refused(home, *arguments)
        assert (code, words in line) == (2, True), f"{arguments}: {line}"


def test_a_given_file_is_needed_again(home: Path) -> None:
    (home / "s.abc").write_bytes(b"X:1\nK:C\n")
    assert run("compress", "other", "a.bin", "--given", "s.abc", "-o", "x")[0] == 0
    code, line = refused(home, "decompress", "other", "x", "-o", "b.bin")
    assert (code, "name it with --given or --begin" in line) == (1, True)
    assert run("decompress", "other", "x", "--given", "s.abc", "-o", "b.bin")[0] == 0
    assert (home / "b.bin").read_bytes() == DATA


def test_what_a_file_begins_with_is_needed_again_and_not_coded(home: Path) -> None:
    (home / "program.bin").write_bytes(DATA[:50])
    assert run("compress", "other", "a.bin", "--begin", "program.bin", "-o", "x")[0] == 0
    assert run("compress", "other", "a.bin", "-o", "whole")[0] == 0
    assert (home / "x").stat().st_size < (home / "whole").stat().st_size - 30
    assert run("decompress", "other", "x", "--begin", "program.bin", "-o", "b.bin")[0] == 0
    assert (home / "b.bin").read_bytes() == DATA
    (home / "program.bin").write_bytes(DATA[1:50])
    code, line = refused(home, "compress", "other", "a.bin", "--begin", "program.bin", "-o", "y")
    assert (code, "does not begin with the 49 bytes of program.bin" in line) == (2, True)
    code, line = refused(home, "decompress", "other", "x", "--begin", "program.bin", "-o", "y")
    assert (code, "made with something else given" in line) == (1, True)


def test_an_older_result_gives_way_whole(home: Path) -> None:
    made(home)
    (home / "b.bin").write_bytes(b"older and longer" * 100)
    assert run("decompress", "runs/one", "a.bgz", "-o", "b.bin")[0] == 0
    assert (home / "b.bin").read_bytes() == DATA


def test_a_place_without_permission_is_found_before_the_model_works(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(home)
    shut = home / "shut"
    shut.mkdir()
    if os.geteuid() == 0:  # root may write anywhere: the system's answer is made up
        touch = Path.touch

        def forbidden(path: Path, *args: object, **more: object) -> None:
            if path.parent == Path("shut"):
                raise PermissionError(13, "Permission denied", str(path))
            touch(path)

        monkeypatch.setattr(Path, "touch", forbidden)
    else:
        shut.chmod(0o500)
    shutil.rmtree(home / "other")  # with no weights to read, only the place can be complained of
    code, line = refused(home, "compress", "runs/one", "a.bin", "-o", "shut/x")
    assert (code, line) == (2, "error: shut/x: cannot be written: Permission denied")
    code, line = refused(home, "decompress", "runs/one", "a.bgz", "-o", "shut/x")
    assert (code, line) == (2, "error: shut/x: cannot be written: Permission denied")


def test_a_model_too_large_for_memory_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(home)
    monkeypatch.setattr("bgpt.model_predictor.available_memory", lambda: 100_000)
    for arguments in (("compress", "runs/one", "a.bin"), ("decompress", "runs/one", "a.bgz")):
        code, line = refused(home, *arguments, "-o", "x")
        assert code == 2
        assert "runs/one: needs about" in line

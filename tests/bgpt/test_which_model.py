"""Calls that name no model: which one they use, and what they say where it is not clear."""

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bgpt.__main__ import main
from bgpt.checkpoint import CheckpointError, save_model
from bgpt.model import Bgpt
from bgpt.which_model import Fits, ModelNotNamed, converts, find_model, simulates, writes

PROVENANCES: dict[str, dict[str, Any]] = {
    "to-midi": {"corpus": "tunes", "directions": {"abc-to-midi": 1.0}, "prompt_bytes": 0},
    "cpu": {
        "corpus": "toys", "prompt_bytes": 80, "directions": {},
        "cpu": {"system": "toy", "memory_bytes": 64, "max_instructions": 16},
    },
    "text": {"corpus": "texts", "directions": {}, "prompt_bytes": 0},
}  # fmt: skip
BOTH = {"corpus": "tunes", "directions": {"abc-to-midi": 1.0, "midi-to-abc": 1.0}}
TWO = {
    "corpora": [{"name": name, "prompt_bytes": 80, "cpu": PROVENANCES["cpu"]["cpu"]}
                for name in ("toys", "others")]
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, tiny_model: Callable[[str], Bgpt]) -> Path:
    """A folder with three finished runs, one that has not ended, and no run at all."""
    for name, provenance in PROVENANCES.items():
        save_model(tmp_path / "runs" / name / "model", tiny_model("compact-cpu"), provenance)
    (tmp_path / "runs/unfinished").mkdir()
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "runs/broken/config.json").write_text("{")
    (tmp_path / "runs/notes.txt").write_text("no run")
    return tmp_path


# what is asked -> the run
CHOSEN: list[tuple[Fits, str]] = [
    (converts("abc", "mid"), "to-midi"),
    (converts("abc", None), "to-midi"),
    (converts(None, None), "to-midi"),
    (simulates(), "cpu"),
    (simulates("toys"), "cpu"),
    (writes("mid"), "to-midi"),
    (writes("bin"), "cpu"),
]


@pytest.mark.parametrize(("fits", "run"), CHOSEN)
def test_the_only_run_that_fits_is_taken(home: Path, fits: Fits, run: str) -> None:
    assert find_model("do it", fits, {}, home / "runs") == home / "runs" / run
    assert find_model("do it", fits, {"BGPT_MODEL": ""}, home / "runs") == home / "runs" / run


@pytest.mark.parametrize("fits", [converts("mid", "abc"), simulates("risc"), writes("txt")])
def test_no_run_that_fits_is_one_line_with_all_there_are(home: Path, fits: Fits) -> None:
    runs = home / "runs"
    expected = f"in folder {runs} is trained to do it; it holds {runs / 'cpu'}, {runs / 'text'}, "
    with pytest.raises(ModelNotNamed) as raised:
        find_model("do it", fits, {}, runs)
    assert expected in str(raised.value)
    assert "broken" not in str(raised.value)
    with pytest.raises(ModelNotNamed, match=r"BGPT_MODEL is not set, and no run .* to do it$"):
        find_model("do it", fits, {}, home / "absent")


def test_the_variable_goes_before_every_run(home: Path, tiny_model: Callable[[str], Bgpt]) -> None:
    save_model(home / "else", tiny_model("paper"))
    named = {"BGPT_MODEL": str(home / "else")}
    assert find_model("do it", simulates(), named, home / "runs") == home / "else"
    with pytest.raises(CheckpointError, match="absent: not a model"):
        find_model("do it", simulates(), {"BGPT_MODEL": str(home / "absent")}, home / "runs")


def bgpt(home: Path, *arguments: str, model: str = "") -> tuple[int, bytes, str]:
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    with pytest.MonkeyPatch().context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(home)
        patch.setenv("BGPT_MODEL", model)
        patch.setattr(sys, "argv", ["bgpt", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    out.flush()
    code: Any = ended.value.code
    return code or 0, raw.getvalue(), err.getvalue()


# the call without a MODEL -> the run it takes, and the place of MODEL in the full call
CALLS = [
    (["generate", "--ext", "mid", "-o", "-"], "to-midi"),
    (["generate", "--ext", "bin", "-o", "-"], "cpu"),
    (["convert", "tune.abc", "-o", "-"], "to-midi"),
    (["convert", "tune.abc", "-o", "-", "--to", "mid"], "to-midi"),
    (["simulate", "program.bin", "-o", "-"], "cpu"),
]


@pytest.mark.parametrize(("call", "run"), CALLS)
def test_a_call_without_a_model_is_the_call_with_it_and_says_which(
    home: Path, call: list[str], run: str
) -> None:
    (home / "tune.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    (home / "program.bin").write_bytes(bytes([11, 7, 0, 0]) + bytes(60 + 16))
    limited = [*call, "--max-bytes", "20"]
    full = [limited[0], f"runs/{run}", *limited[1:]]
    code, out, err = bgpt(home, *limited)
    named_code, named_out, named_err = bgpt(home, *full)
    assert (code, out, err) == (named_code, named_out, f"model: runs/{run}\n{named_err}")
    assert (code, len(out) > 0) == (0, True)
    (home / "runs").rename(home / "elsewhere")
    assert bgpt(home, *limited, model=f"elsewhere/{run}")[1] == out
    assert bgpt(home, *limited)[0] == 2


def test_several_that_fit_are_listed_and_nothing_is_done(
    home: Path, tiny_model: Callable[[str], Bgpt]
) -> None:
    save_model(home / "runs/both", tiny_model("compact-music"), BOTH)
    save_model(home / "runs/two", tiny_model("compact-cpu"), TWO)
    (home / "tune.abc").write_text("X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n")
    (home / "program.bin").write_bytes(bytes(80))
    where = "no MODEL is named and BGPT_MODEL is not set, and several runs are trained to"
    for call, rest in (
        (["convert", "tune.abc", "-o", "x.mid"], "convert .abc into .mid: runs/both, runs/to-midi"),
        (["generate", "--ext", "mid", "-o", "x.mid"], "write .mid: runs/both, runs/to-midi"),
        (["simulate", "program.bin", "-o", "x.mid"], "simulate: runs/cpu, runs/two"),
    ):
        code, out, err = bgpt(home, *call)
        assert (code, out, err) == (2, b"", f"error: {where} {rest}; name one\n")
        assert not (home / "x.mid").exists()
    code, _, err = bgpt(home, "simulate", "program.bin", "--corpus", "others", "-o", "x.bin")
    assert (code, err.splitlines()[0]) == (0, "model: runs/two")
    for command in ("convert", "simulate"):
        code, _, err = bgpt(home, command, "runs/cpu", "-o", "x.mid")
        assert code == 2
        assert err == "error: Invalid value: runs/cpu is a model; name the FILE after it\n"
    code, _, err = bgpt(home, "convert", "tune.abc", "tune.abc", "-o", "x.mid")
    assert (code, "tune.abc: not a model" in err) == (2, True)

"""What a model was trained to do: out of its provenance, or said of imported weights."""

import io
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from bgpt.__main__ import main
from bgpt.checkpoint import read_config, save_model
from bgpt.interop import export_pth
from bgpt.model import Bgpt
from bgpt.simulation import system_of
from bgpt.trained_for import declared, directions_of, is_silent, simulation_of, simulations_of

MODEL = Path("runs/some")
TOY = {"system": "toy", "memory_bytes": 64, "max_instructions": 16}
MIXED: dict[str, Any] = {
    "corpus": "toys + tunes + riscs",
    "corpora": [
        {"name": "toys", "prompt_bytes": 80, "cpu": TOY},
        {"name": "tunes", "prompt_bytes": 0},
        {"name": "riscs", "prompt_bytes": 704, "cpu": {"system": "rv64", "memory_bytes": 640}},
    ],
    "directions": {"abc-to-midi": 1.0},
}
IMPORTED = {"imported_from": "authors", "epoch": 3}
TUNE = "X:1\nT:x\nL:1/8\nM:4/4\nK:C\nCDEF|\n"
PROGRAM = bytes([11, 7, 0, 0]) + bytes(60 + 16)


def test_a_mixture_knows_the_machine_of_each_corpus() -> None:
    assert list(simulations_of(MIXED)) == ["toys", "riscs"]
    riscs = simulation_of(MODEL, MIXED, "riscs")
    assert (riscs["prompt_bytes"], system_of(MODEL, riscs).name) == (704, "rv64")
    assert system_of(MODEL, simulation_of(MODEL, MIXED, "toys")).name == "toy"
    assert directions_of(MIXED) == [("abc", "mid")]
    two = {**MIXED, "corpora": MIXED["corpora"][:2]}
    assert simulation_of(MODEL, two)["corpus"] == "toys"


# provenance, corpus asked for -> what the one line says
REFUSED: list[tuple[Mapping[str, Any], str | None, str]] = [
    (MIXED, None, "simulates the machines of riscs and toys; say which with --corpus"),
    (MIXED, "tunes", "unknown corpus 'tunes'.*Known: riscs, toys"),
    ({"corpus": "toys", "prompt_bytes": 80}, "toy", "did you mean 'toys'"),
    ({"corpus": "tunes", "prompt_bytes": 0}, None, "was not trained to simulate"),
    (IMPORTED, None, "pass --system and --memory-bytes here, or to bgpt import"),
]


@pytest.mark.parametrize(("provenance", "corpus", "message"), REFUSED)
def test_a_machine_that_is_not_known_is_asked_for(
    provenance: Mapping[str, Any], corpus: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^runs/some: .*{message}"):
        simulation_of(MODEL, provenance, corpus)


def test_what_is_declared_reads_as_what_training_writes() -> None:
    said = declared(directions=["midi-to-abc"], system="rv64", memory_bytes=640, layout="full")
    assert directions_of(said) == [("mid", "abc")]
    system = system_of(MODEL, simulation_of(MODEL, said))
    assert (system.name, system.memory_bytes) == ("rv64", 640)
    assert said["prompt_bytes"] == 640 + system.state_bytes
    assert said["cpu"]["layout"] == "full"
    assert is_silent({**IMPORTED, **declared()})
    assert not is_silent(said)


WRONG = [
    ({"directions": ["abc-to-mid"]}, "unknown direction 'abc-to-mid': did you mean 'abc-to-midi'"),
    ({"system": "toy"}, "--system and --memory-bytes together"),
    ({"memory_bytes": 64}, "--system and --memory-bytes together"),
    ({"system": "toi", "memory_bytes": 64}, "unknown system 'toi': did you mean 'toy'"),
    ({"system": "toy", "memory_bytes": 70}, "must be a multiple of 16"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_cannot_be_is_not_declared(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        declared(**arguments)


# -- the authors' weights, end to end -------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, tiny_model: Callable[[str], Bgpt]) -> Path:
    """A folder with a file in the authors' naming, a tune and a program."""
    save_model(tmp_path / "ours", tiny_model("paper"))
    export_pth(tmp_path / "ours", tmp_path / "theirs.pth")
    (tmp_path / "tune.abc").write_text(TUNE)
    (tmp_path / "program.bin").write_bytes(PROGRAM)
    return tmp_path


def bgpt(home: Path, *arguments: str) -> tuple[int, str, str]:
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline=""), io.StringIO()
    with pytest.MonkeyPatch().context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(home)
        patch.setattr(sys, "argv", ["bgpt", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    out.seek(0)
    code: Any = ended.value.code
    return code or 0, out.read(), err.getvalue()


def imported(home: Path, *said: str) -> str:
    assert bgpt(home, "import", "theirs.pth", "-o", "m", "--heads", "2", *said)[0] == 0
    return "m"


LIMIT = ("--max-bytes", "40")


def test_imported_weights_convert_and_simulate_as_was_said_at_the_import(home: Path) -> None:
    model = imported(
        home, "--direction", "abc-to-midi", "--system", "toy", "--memory-bytes", "64"
    )  # fmt: skip
    assert read_config(home / model)[1] == {
        "imported_from": "authors", "directions": {"abc-to-midi": 1.0}, "prompt_bytes": 80,
        "cpu": TOY, "epoch": 0, "best_epoch": 0, "min_eval_loss": 100.0,
    }  # fmt: skip
    assert bgpt(home, "convert", model, "tune.abc", "-o", "tune.mid", *LIMIT)[0] == 0
    assert 0 < (home / "tune.mid").stat().st_size <= 40
    code, out, _ = bgpt(home, "simulate", model, "program.bin", "--compare", *LIMIT)
    assert (code, "LOADI 7 -> ACC" in out, "first wrong state: 1 of 0 to 2" in out) == (
        1, True, True,
    )  # fmt: skip
    code, _, err = bgpt(home, "convert", model, "tune.mid", "-o", "tune2.abc", "--to", "abc")
    assert code == 2
    assert "was trained on abc-to-mid; it cannot turn .mid into .abc" in err
    code, _, err = bgpt(
        home, "simulate", model, "program.bin", "--system", "toy", "--memory-bytes", "32"
    )
    assert (code, "m: was trained with 80 bytes of memory and first state, not with 48" in err) == (
        2, True,
    )  # fmt: skip


def test_imported_weights_of_which_nothing_is_known_are_told_for_one_call(home: Path) -> None:
    model = imported(home)
    code, _, err = bgpt(home, "convert", model, "tune.abc", "-o", "tune.mid", *LIMIT)
    assert (code, "m: does not say what it was trained to convert; pass --to mid" in err) == (
        2, True,
    )  # fmt: skip
    assert bgpt(home, "convert", model, "tune.abc", "-o", "a.mid", "--to", "mid", *LIMIT)[0] == 0
    code, _, err = bgpt(home, "simulate", model, "program.bin", *LIMIT)
    assert (code, "m: does not say what it was trained to simulate; pass --system" in err) == (
        2, True,
    )  # fmt: skip
    said = ("--system", "toy", "--memory-bytes", "64")
    code, out, _ = bgpt(home, "simulate", model, "program.bin", *said, *LIMIT)
    assert (code, "LOADI 7 -> ACC" in out) == (0, True)
    assert bgpt(home, "simulate", model, "program.bin", "-o", "t.bin", *said, *LIMIT)[0] == 0
    assert (home / "t.bin").read_bytes()[:80] == PROGRAM

    again = bgpt(
        home, "import", "theirs.pth", "-o", "n", "--heads", "2", "--direction", "abc-to-midi"
    )
    assert again[0] == 0
    assert bgpt(home, "convert", "n", "tune.abc", "-o", "b.mid", *LIMIT)[0] == 0
    assert (home / "a.mid").read_bytes() == (home / "b.mid").read_bytes()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["--direction", "abc-to-mid"], "did you mean 'abc-to-midi'"),
        (["--system", "toy"], "--system and --memory-bytes together"),
        (["--memory-bytes", "64"], "--system and --memory-bytes together"),
    ],
)
def test_a_wrong_word_at_the_import_is_one_line_and_leaves_nothing(
    home: Path, said: list[str], message: str
) -> None:
    code, out, err = bgpt(home, "import", "theirs.pth", "-o", "m", "--heads", "2", *said)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (home / "m").exists()

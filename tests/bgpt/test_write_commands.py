"""`bgpt generate`, `convert` and `simulate` end to end, on untrained models."""

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

from bgpt.__main__ import main
from bgpt.byte_model import load_byte_model
from bgpt.checkpoint import save_model
from bgpt.decoder import Written
from bgpt.model import Bgpt
from bgpt.protocol import EOP, Prompt
from bgpt.simulation import run_real
from pipelines.sample import Segment
from simulators.registry import make_system

Make = Callable[[str], Bgpt]
TUNE = "X:1\nT:x\nL:1/8\nM:4/4\nK:C\n{}|\n"
TOY = make_system("toy", memory_bytes=64, max_instructions=16)
PROGRAM = bytes([11, 7, 0, 0]) + bytes(60 + 16)
"""LOADI 7, HLT in 64 bytes of memory, and a first state of zeros."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def home(tmp_path: Path, tiny_model: Make) -> Path:
    """A folder with a model that converts, one that simulates the toy CPU, and one of text."""
    options = {"system": "toy", "memory_bytes": 64, "max_instructions": 16}
    provenances: Mapping[str, tuple[str, dict[str, Any]]] = {
        "music": ("compact-music", {"directions": {"abc-to-midi": 1.0}, "prompt_bytes": 0}),
        "both": ("compact-music", {"directions": {"abc-to-midi": 1.0, "midi-to-abc": 1.0}}),
        "cpu": ("compact-cpu", {"cpu": options, "prompt_bytes": 80}),
    }
    for name, (architecture, provenance) in provenances.items():
        model = tiny_model(architecture)
        model.byte_level.head.weight.data[EOP] *= 1.5
        save_model(tmp_path / name, model, provenance)
    (tmp_path / "program.bin").write_bytes(PROGRAM)
    return tmp_path


def bgpt(home: Path, *arguments: str) -> tuple[int, bytes, str]:
    """Run a command in folder `home`; return exit code, what stdout got, and stderr."""
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    with pytest.MonkeyPatch().context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(home)
        patch.setattr(sys, "argv", ["bgpt", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    out.flush()
    code: Any = ended.value.code
    return code or 0, raw.getvalue(), err.getvalue()


def test_a_generated_file_is_the_same_shown_raw_and_in_a_file(home: Path) -> None:
    (home / "start.bin").write_bytes(b"a\0b")
    command = ["generate", "cpu", "--prompt", "start.bin", "--max-bytes", "30", "--top-k", "50"]
    assert bgpt(home, *command, "-o", "file.bin")[0] == 0
    whole = (home / "file.bin").read_bytes()
    assert whole.startswith(b"a\0b")
    assert len(whole) > 5
    assert bgpt(home, *command, "-o", "-")[1] == whole
    code, shown, err = bgpt(home, *command)
    assert code == 0
    digits = "".join(line[8:] for line in shown.decode().splitlines())
    assert bytes.fromhex(digits) == whole
    assert err in ("", "stopped at the limit of bytes, before the end mark\n")


def test_text_is_shown_as_text(home: Path) -> None:
    (home / "start.txt").write_text("Once\n")
    code, shown, _ = bgpt(home, "generate", "cpu", "--prompt", "start.txt", "--max-bytes", "9")
    assert code == 0
    assert shown.startswith(b"Once\n")


def test_a_folder_of_samples_is_the_same_in_any_number(home: Path) -> None:
    command = ["generate", "music", "--ext", "mid", "--temperature", "1", "--max-bytes", "40"]
    assert bgpt(home, *command, "--num", "5", "-o", "five")[0] == 0
    assert bgpt(home, *command, "--num", "2", "-o", "two")[0] == 0
    five = [path.read_bytes() for path in sorted((home / "five").iterdir())]
    assert [path.name for path in sorted((home / "two").iterdir())] == ["000000.mid", "000001.mid"]
    assert [path.read_bytes() for path in sorted((home / "two").iterdir())] == five[:2]
    assert len(set(five)) == 5
    bgpt(home, *command, "--num", "2", "--seed", "1", "-o", "other")
    assert (home / "other/000000.mid").read_bytes() not in five


def test_int8_writes_too(home: Path) -> None:
    command = ["generate", "cpu", "--ext", "bin", "--max-bytes", "20", "--int8", "-o", "-"]
    assert bgpt(home, *command)[0] == 0


def test_a_folder_is_converted_and_a_bad_file_is_named(home: Path) -> None:
    (home / "tunes/more").mkdir(parents=True)
    texts = {f"{i}.abc": TUNE.format("CDEFGAB"[i:]) for i in range(5)}
    texts |= {"more/in.ABC": TUNE.format("c4"), "bad.abc": "no tune", "empty.abc": ""}
    texts |= {
        "long.abc": TUNE.format("CDEFGAB|" * 90),
        "notes.md": "not asked",
        "0.ABC": TUNE.format("G2"),
    }
    for name, text in texts.items():
        (home / "tunes" / name).write_text(text)
    code, out, err = bgpt(home, "convert", "music", "tunes", "-o", "made", "--max-bytes", "60")
    assert (code, out) == (1, b"")
    made = sorted(str(p.relative_to(home / "made")) for p in (home / "made").rglob("*.*"))
    assert made == ["0.mid", "1.mid", "2.mid", "3.mid", "4.mid", "more/in.mid"]
    refused = [line for line in err.splitlines() if line.startswith("not converted: ")]
    assert [line.split()[2] for line in refused] == [
        "tunes/0.abc:", "tunes/bad.abc:", "tunes/empty.abc:", "tunes/long.abc:",
    ]  # fmt: skip
    assert "tunes/0.abc: made/0.mid is made of tunes/0.ABC already" in refused[0]
    assert "6 converted, 4 not\n" in err
    # As one by one, and as the benchmark's door has it.
    assert bgpt(home, "convert", "music", "tunes/2.abc", "-o", "2.mid", "--max-bytes", "60")[0] == 0
    assert (home / "2.mid").read_bytes() == (home / "made/2.mid").read_bytes()
    assert (
        bgpt(home, "convert", "music", "tunes/2.abc", "-o", "-", "--max-bytes", "60")[1]
        == (home / "2.mid").read_bytes()
    )


def test_a_model_of_both_directions_has_to_be_told(home: Path) -> None:
    (home / "tunes").mkdir()
    (home / "tunes/a.abc").write_text(TUNE.format("C"))
    (home / "tunes/b.mid").write_bytes(b"MThd")
    code, _, err = bgpt(home, "convert", "both", "tunes", "-o", "made")
    assert (code, "converts into abc and mid; say which with --to" in err) == (2, True)
    limit = ["--max-bytes", "9"]
    assert bgpt(home, "convert", "both", "tunes", "-o", "made", "--to", "abc", *limit)[0] == 0
    assert [path.name for path in (home / "made").iterdir()] == ["b.abc"]
    assert bgpt(home, "convert", "both", "tunes/a.abc", "-o", "made", *limit)[0] == 0
    assert sorted(path.name for path in (home / "made").iterdir()) == ["a.mid", "b.abc"]


def test_a_simulation_is_shown_and_compared(home: Path) -> None:
    states = run_real(TOY, PROGRAM)
    code, out, err = bgpt(home, "simulate", "cpu", "program.bin", "--compare", "-o", "trace.bin")
    assert (code, err.splitlines()[0]) == (
        1, f"trace.bin: {(home / 'trace.bin').stat().st_size} bytes"
    )  # fmt: skip
    assert out.startswith(f"first wrong state: 1 of 0 to {len(states) - 1};".encode())
    written = load_byte_model(home / "cpu").generate(
        [Prompt(source=None, extension="bin", given=PROGRAM)], [8000]
    )
    assert written is not None
    assert (home / "trace.bin").read_bytes() == PROGRAM + written[0]
    assert bgpt(home, "simulate", "cpu", "program.bin", "-o", "-")[1] == PROGRAM + written[0]
    code, out, _ = bgpt(home, "simulate", "cpu", "program.bin")
    assert (code, b"LOADI 7 -> ACC" in out) == (0, True)


def test_a_right_simulation_is_right(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bgpt.decoder import Written
    from bgpt.write import Writer

    rest = run_real(TOY, PROGRAM).tobytes()[16:]

    def written(_: Writer, prompts: list[Prompt], **options: Any) -> list[Written]:
        options["on_bytes"](0, rest)
        return [Written(data=rest, ended=True)]

    monkeypatch.setattr(Writer, "write", written)
    code, out, err = bgpt(home, "simulate", "cpu", "program.bin", "--compare", "-o", "t.bin")
    assert (code, out, err) == (0, b"all 3 states are right\n", "t.bin: 112 bytes\n")


def test_a_whole_sample_is_cut_to_what_is_given_and_that_is_said(home: Path) -> None:
    (home / "whole.bin").write_bytes(PROGRAM + b"\xee" * 32)
    arguments = ["-o", "-", "--max-bytes", "16"]
    assert (
        bgpt(home, "simulate", "cpu", "whole.bin", *arguments)[1]
        == (bgpt(home, "simulate", "cpu", "program.bin", *arguments)[1])
    )
    _, _, err = bgpt(home, "simulate", "cpu", "whole.bin", *arguments)
    assert "begins with 80 bytes of memory and first state; the 32 after them" in err


def test_a_conversion_reads_the_canonical_tune(home: Path) -> None:
    from bgpt.write import Writer

    prompt = Writer(home / "music").conversion_prompt(
        "t.abc", Segment(extension="abc", data=TUNE.format("C D").encode()), "mid"
    )
    assert prompt.source is not None
    assert prompt.source.data != TUNE.format("C D").encode()


def test_a_written_midi_file_declares_its_true_length(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = bytes.fromhex("4d546864 00000006 0000 0001 0060") + b"MTrk"
    notes = bytes.fromhex("00903c40 60803c00 00ff2f00")
    guessed, true = (head + n.to_bytes(4, "big") + notes for n in (99, len(notes)))
    monkeypatch.setattr("bgpt.write.decode", lambda *_, **__: [Written(data=guessed, ended=True)])
    (home / "in").mkdir()
    for path in (home / "tune.abc", home / "in" / "tune.abc"):
        path.write_text(TUNE.format("CDEF GABc"))
    for options, expected in ((), true), (("--as-written",), guessed):
        code, _, err = bgpt(home, "convert", "music", "tune.abc", "-o", "tune.mid", *options)
        assert (code, (home / "tune.mid").read_bytes()) == (0, expected), err
        code, _, err = bgpt(home, "convert", "music", "in", "-o", "made", "--to", "mid", *options)
        assert (code, (home / "made" / "tune.mid").read_bytes()) == (0, expected), err

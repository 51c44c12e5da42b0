"""`bgpt-data trace`: a user's program step by step, and every mistake in one line."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import __main__ as command
from pipelines import tracing
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.layout import split_file
from simulators.cpu.tracing import user_run
from simulators.cpu.tracing.user_run import Died
from tests.simulators.elf_files import make_elf

EBREAK = bytes.fromhex("73001000")
ADDI = bytes.fromhex("13055500")  # addi a0, a0, 5
STORE = bytes.fromhex("2334a040")  # sd a0, 0x408(zero)
LOAD = bytes.fromhex("833580ff")  # ld a1, -8(zero)
ECALL = bytes.fromhex("73000000")
FOREVER = bytes.fromhex("6f000000")


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """Run the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["bgpt-data", "trace", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        command.main()
    code = caught.value.code
    out, err = capsys.readouterr()
    return (code if isinstance(code, int) else 0), out, err


@pytest.fixture(autouse=True)
def no_child(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Run programs here: a child takes a second to start, and these are harmless."""
    if "real_child" not in request.fixturenames:

        def here(*arguments: Any, **options: Any) -> list[Any]:
            return list(user_run.run_here(*arguments, **options))

        monkeypatch.setattr(tracing, "run_user_programs", here)


@pytest.fixture
def real_child() -> None:
    """Let programs run in a child."""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.bin"
    path.write_bytes(ADDI + STORE)
    return path


@pytest.mark.usefixtures("real_child")
def test_a_trace_shows_each_step_its_changes_its_writes_and_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    code, out, err = run(
        capsys, monkeypatch, "--isa", "rv64", program, "--set", "a0=0x10,s1=-1", "--data", "0102"
    )
    assert (code, err) == (0, "")
    assert out.startswith(f"{program}: RISC-V")
    assert "it does not end with the stop instruction (73 00 10 00): appended" in out
    assert re.search(r"400 +01 02 00", out)
    assert re.search(r"\n +1  10000 .*addi +a0, a0, 5 +a0=0000000000000015\*\n", out)
    assert re.search(r"\n +2  10004 .*sd +a0, .* \[408\] <- 15 00 00 00 00 00 00 00\n", out)
    assert "s1 ffffffffffffffff" in out
    assert out.splitlines()[-1] == "end: stopped at 0x10008 (ebreak) after 2 instructions"
    assert "\033" not in out


def test_a_fault_names_the_address(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    program.write_bytes(ADDI + LOAD)
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program)
    assert "end: faulted at 0x10004 (ld" in out
    assert "reading 8 bytes at 0xfffffffffffffff8, where there is no memory, after" in out


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (FOREVER, "end: the limit of 7 steps is reached, at 0x10000 ("),
        (ADDI + ECALL, "end: met a system call at 0x10004 (ecall) after 1 instruction"),
        (ADDI + b"\xff" * 4, "end: met an instruction that is not run here at 0x10004"),
        (bytes.fromhex("67800000"), "end: left the program for 0x0 after 1 instruction"),
    ],
)
def test_the_end_is_said_in_words(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Path,
    code: bytes,
    words: str,
) -> None:
    program.write_bytes(code)
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program, "--max-steps", 7)
    assert words in out


def test_an_elf_starts_at_its_entry_point(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    program.write_bytes(make_elf(EBREAK + ADDI + EBREAK, "EM_RISCV", 64, entry=0x400004))
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program, "--json")
    content = json.loads(out)
    assert [step["address"] for step in content["steps"]] == [None, 0x10004]
    assert content["steps"][1]["registers"]["A0"] == 5
    assert content["steps"][1]["instruction"].split()[0] == "addi"
    assert (content["end"], content["isa"], content["layout"]) == ("halted", "rv64", "full")


@pytest.mark.parametrize("layout", ["narrow", "full"])
def test_a_sample_is_written_as_corpora_have_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Path,
    tmp_path: Path,
    layout: str,
) -> None:
    out = tmp_path / "sample.bin"
    words = ["--isa", "rv64", program, "--data", "ff", "--out", out, "--layout", layout]
    code, text, err = run(capsys, monkeypatch, *words)
    assert (code, err) == (0, "")
    size = 64 if layout == "narrow" else 256
    assert text == (
        f"{out}: {512 + 3 * size:,} bytes, 3 states; stopped at 0x10008 (ebreak) "
        "after 2 instructions\n"
    )
    memory, states = split_file(out.read_bytes(), memory_bytes=512, state_bytes=size)
    assert memory == (ADDI + STORE + EBREAK).ljust(448, b"\0") + b"\xff" + bytes(63)
    assert len(states) == 3


def test_data_may_come_from_a_file(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Path,
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"\xab" * 64)
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program, "--data", data)
    assert out.count("ab ab ab ab ab ab ab ab") == 8


def test_the_whole_data_window_may_be_given_as_digits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    program.write_bytes(bytes.fromhex("f4"))
    words = "--isa", "x86_64", program, "--data", "ab" * 128
    code, out, err = run(capsys, monkeypatch, *words)
    assert (code, err) == (0, "")
    assert out.count("ab ab ab ab ab ab ab ab") == 16


@pytest.mark.parametrize(
    ("isa", "setting", "shown"),
    [
        ("rv32", "x10=5", "a0 00000005"),
        ("rv64", "fp=5,x31=6", "s0 0000000000000005"),
        ("aarch64", "x30=5,FP=6", "lr 0000000000000005"),
        ("thumb", "r13=0x300,ip=5", "r12 00000005"),
    ],
)
def test_registers_have_the_other_names_of_their_manual_too(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Path,
    isa: str,
    setting: str,
    shown: str,
) -> None:
    program.write_bytes(find_isa(isa).stop)
    code, out, _ = run(capsys, monkeypatch, "--isa", isa, program, "--set", setting)
    assert code == 0
    assert shown in out


def test_what_makes_a_trace_doubtful_is_noted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    program.write_bytes(bytes.fromhex("31c0 f7e1 0f94c0 f4"))
    _, out, _ = run(capsys, monkeypatch, "--isa", "x86_64", program)
    note = "step 3, at 0x100004, reads ZF, undefined there: other processors may go on otherwise\n"
    assert note in out
    program.write_bytes(bytes.fromhex("0545 0545"))  # c.li a0, 1; c.li a0, 1
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program, "--json")
    assert json.loads(out)["notes"][-1] == (
        "it ends at what looks like a compressed instruction: compile with -march=rv32im or rv64im"
    )


def test_a_function_that_returns_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    program.write_bytes(bytes.fromhex("40 c3"))  # inc ax; ret
    _, out, _ = run(capsys, monkeypatch, "--isa", "x86_16", program)
    assert "end: returned at 0x1001 (ret) after 1 instruction: the stack is empty" in out
    _, out, _ = run(capsys, monkeypatch, "--isa", "x86_16", program, "--json")
    assert json.loads(out)["end"] == "returned"
    program.write_bytes(bytes.fromhex("40 58"))  # inc ax; pop ax
    _, out, _ = run(capsys, monkeypatch, "--isa", "x86_16", program)
    assert "reading 2 bytes at 0x4000: taking something from the empty stack" in out


def test_a_store_among_the_code_is_told_from_missing_memory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    program.write_bytes(bytes.fromhex("97020000 23b05200"))  # auipc t0, 0; sd t0, 0(t0)
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program)
    assert "writing 8 bytes at 0x10000, among the code, which programs may not write" in out


# Words on the command line ({file}: addi and sd; {tmp}: a folder), and the line on stderr.
MISTAKES = [
    (["{file}"], "error: Missing option '--isa'"),
    (["--isa", "rv46", "{file}"], "error: unknown instruction set 'rv46': did you mean 'rv64'"),
    (["--isa", "rv64", "{tmp}/none"], "error: {tmp}/none: cannot be read: No such file"),
    (["--isa", "rv64", "{tmp}"], "error: {tmp}: cannot be read: "),
    (["--isa", "rv64", "{tmp}/empty"], "error: {tmp}/empty: the program is empty: there is"),
    (["--isa", "rv64", "{tmp}/large"], "error: {tmp}/large: the program has "),
    (["--isa", "rv64", "{tmp}/elf"], "error: {tmp}/elf: the ELF is for another machine: EM_386"),
    (["--isa", "rv64", "{file}", "--max-steps", "0"], "error: --max-steps 0: give 1 to 100,000"),
    (["--isa", "rv64", "{file}", "--layout", "ful"], "error: unknown layout 'ful': did you mean"),
    (["--isa", "rv64", "{file}", "--set", "ao=1"], "error: --set: unknown register 'ao': did you"),
    (["--isa", "rv64", "{file}", "--set", "a0=x"], "error: --set 'a0=x': give a number, as in a0="),
    (["--isa", "rv64", "{file}", "--set", "a0"], "error: --set 'a0': give a number"),
    (
        ["--isa", "rv64", "{file}", "--set", "pc=1"],
        "error: --set pc: the program counter is not set",
    ),
    (["--isa", "rv64", "{file}", "--set", "x0=1"], "error: --set x0: it is always 0"),
    (["--isa", "rv64", "{file}", "--set", "a0=1,a0=2"], "error: --set a0: is given twice"),
    (["--isa", "rv64", "{file}", "--set", "a0=1,x10=2"], "error: --set x10: is given twice (as a0"),
    (["--isa", "rv64", "{file}", "--set", "a0=1,"], "error: --set 'a0=1,': nothing stands before"),
    (["--isa", "x86_64", "{file}", "--set", "rip=1"], "error: --set rip: the program counter is"),
    (["--isa", "rv64", "/dev/zero"], "error: /dev/zero: more than the 67,108,864 bytes that are"),
    (["--isa", "rv64", "{file}", "--data", "00" * 129], "error: --data: 129 bytes, but the data w"),
    (["--isa", "rv64", "{file}", "--out", "{tmp}/x", "--json"], "error: --out writes a sample and"),
    (
        ["--isa", "rv64", "{tmp}/forever", "--out", "{tmp}/x.bin", "--layout", "narrow"],
        "error: {tmp}/x.bin: 1,001 states, but a sample has room for 119 beside a memory of 512 "
        "bytes; use --max-steps 118\n",
    ),
    (
        ["--isa", "rv64", "{file}", "--set", "a0=0x10000000000000000"],
        "error: --set a0=0x10000000000000000: it has 64 bits",
    ),
    (
        ["--isa", "rv64", "{file}", "--set", "s11=1", "--layout", "narrow"],
        "error: --set s11: layout 'narrow' does not record it; use --layout full",
    ),
    (["--isa", "rv64", "{file}", "--data", "xy"], "error: --data 'xy': neither a file nor hex"),
    (["--isa", "rv64", "{file}", "--data", "00" * 65], "error: --data: 65 bytes, but the data wi"),
    (
        ["--isa", "rv64", "{tmp}/forever", "--out", "{tmp}/x.bin"],
        "error: {tmp}/x.bin: 1,001 states, but a sample has room for 29 beside a memory of 512 "
        "bytes; use --max-steps 28 or --layout narrow",
    ),
    (["--isa", "rv64", "{file}", "--out", "{tmp}/no/x.bin"], "error: {tmp}/no/x.bin: cannot write"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Path,
    tmp_path: Path,
    words: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "large").write_bytes(ADDI * (find_isa("rv64").code_bytes // 4))
    (tmp_path / "elf").write_bytes(make_elf(EBREAK, "EM_386", 32))
    (tmp_path / "forever").write_bytes(FOREVER)
    places = {"file": program, "tmp": tmp_path}
    code, out, err = run(capsys, monkeypatch, *[word.format(**places) for word in words])
    assert (code, out) == (2, "")
    assert err.startswith(message.format(**places))
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("death", "words"),
    [
        (Died.CRASHED, "the emulator crashed on this program; nothing can be shown of it"),
        (Died.TIME, "the emulator took too long over this program"),
    ],
)
def test_a_dead_emulator_is_one_clear_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    program: Path,
    death: Died,
    words: str,
) -> None:
    monkeypatch.setattr(tracing, "run_user_programs", lambda *a, **k: [death])
    code, out, err = run(capsys, monkeypatch, "--isa", "rv64", program)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {program}: {words}")


def test_colours_take_the_place_of_stars_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, program: Path
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program)
    assert "a0=\033[1;33m0000000000000005\033[0m\n" in out
    assert "0000000000000005*" not in out
    monkeypatch.setenv("NO_COLOR", "1")
    _, out, _ = run(capsys, monkeypatch, "--isa", "rv64", program)
    assert "0000000000000005*" in out


def test_the_help_shows_an_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capsys, monkeypatch, "--help")
    assert code == 0
    assert "Example: bgpt-data trace" in out

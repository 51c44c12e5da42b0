"""`bgpt-data check-isa`: its table, its JSON, its exit codes."""

import json
import sys

import pytest

from pipelines import __main__ as command
from pipelines import check_isa_command as module
from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.oracles import check_isa
from simulators.cpu.oracles.oracle import OracleResult
from simulators.cpu.oracles.trace_difference import Difference

NAMES = [
    "interpreter = emulator",
    "emulator = silicon",
    "table = capstone",
    "same bytes everywhere",
    "one worker = two workers",
]


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bgpt-data", "check-isa", *arguments])
    with pytest.raises(SystemExit) as caught:
        command.main()
    code = caught.value.code
    out, err = capsys.readouterr()
    return (code if isinstance(code, int) else 0), out, err


def result(name: str, differences: int = 0, reason: str | None = None) -> OracleResult:
    found = Difference(
        source="profile alu, narrow layout, seed 0, counter 4",
        step=3,
        pc=0x10000C,
        instruction="48 ff c0 (inc rax)",
        field="RAX",
        expected="0x6",
        found="0x7",
    )
    return OracleResult(
        name=name,
        compared=0 if reason else 12345,
        unit="states",
        num_differences=differences,
        differences=(found,) * min(differences, 2),
        seconds=1.25,
        not_applicable=reason,
    )


def plant(monkeypatch: pytest.MonkeyPatch, *, differences: int) -> None:
    """Put oracles that compare nothing in place of the real ones."""
    results = [result(name, differences if name == "table = capstone" else 0) for name in NAMES]
    results[0] = result(NAMES[0], reason="only RISC-V")
    places = [
        (check_isa, "check_interpreter"),
        (check_isa, "check_silicon"),
        (check_isa, "check_listing"),
        (check_isa, "check_same_bytes"),
        (module, "check_workers"),
    ]
    for (where, name), given in zip(places, results, strict=True):
        monkeypatch.setattr(where, name, lambda *_, given=given, **__: given)


def test_a_small_check_passes_and_says_what_it_compared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, monkeypatch, "rv32", "--rows", "300", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [oracle["name"] for oracle in found] == NAMES
    assert [oracle["num_differences"] for oracle in found] == [0] * 5
    # One program a machine for the bytes, however long it is; 9 files.
    assert [oracle["compared"] >= 200 for oracle in found] == [True, False, True, True, False]
    assert "rv32 programs do not run" in found[1]["not_applicable"]
    # two shards of train, one of test, their indices, the manifest, the corpus' index, its card
    assert (found[4]["compared"], found[4]["unit"]) == (9, "files")


def test_the_table_has_a_line_for_every_oracle(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, differences=0)
    code, out, err = run(capsys, monkeypatch, "x86_64")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"x86_64: {find_isa('x86_64').title}",
        "oracle                    compared         differences  seconds",
        "interpreter = emulator         n/a (only RISC-V)",
        "emulator = silicon          12,345 states            0      1.2",
        "table = capstone            12,345 states            0      1.2",
        "same bytes everywhere       12,345 states            0      1.2",
        "one worker = two workers    12,345 states            0      1.2",
    ]


def test_a_difference_is_told_in_full_and_ends_with_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, differences=3)
    code, out, _ = run(capsys, monkeypatch, "x86_64")
    assert code == 1
    line = (
        "table = capstone: profile alu, narrow layout, seed 0, counter 4, step 3, pc 0x10000c, "
        "48 ff c0 (inc rax): RAX is 0x7, not 0x6"
    )
    assert out.splitlines()[-3:] == [line, line, "table = capstone: and 1 more"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x86_46"], "unknown instruction set 'x86_46': did you mean 'x86_64'?"),
        (["rv32", "--rows", "0"], "Invalid value for '--rows'"),
        (["rv32", "--seed", "-1"], "Invalid value for '--seed'"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, out, err = run(capsys, monkeypatch, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1

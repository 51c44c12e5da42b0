"""The oracles agree on every instruction set, at reduced counts, and find what is planted."""

import dataclasses

import numpy as np
import pytest

from simulators.cpu.interpreter.riscv import RiscvInterpreter
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import Isa
from simulators.cpu.oracles import check_isa, oracle
from simulators.cpu.oracles import check_silicon as silicon_oracle
from simulators.cpu.oracles.check_isa import (
    check_interpreter,
    check_listing,
    check_same_bytes,
    check_silicon,
    digests,
)
from simulators.cpu.oracles.oracle import MAX_SHOWN, OracleResult, machines_of
from simulators.cpu.oracles.silicon import FinalMemory, Silicon, unavailable
from simulators.protocol import ProgramBatch, TraceBatch

RISCV = [name for name, isa in ISAS.items() if isa.emulator_arch == "UC_ARCH_RISCV"]


def assert_same(result: OracleResult, at_least: int) -> None:
    assert result.not_applicable is None
    assert [str(difference) for difference in result.differences] == []
    assert result.num_differences == 0
    assert result.compared >= at_least


@pytest.mark.parametrize("name", RISCV)
def test_interpreter_and_emulator_agree(name: str) -> None:
    assert_same(check_interpreter(ISAS[name], rows=20_000, seed=1), 20_000)


@pytest.mark.parametrize("name", [name for name in ISAS if name not in RISCV])
def test_other_instruction_sets_have_no_interpreter(name: str) -> None:
    result = check_interpreter(ISAS[name], rows=1_000)
    assert (result.compared, result.not_applicable) == (0, "the interpreter is for RISC-V")


def test_an_interpreter_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RiscvInterpreter.run

    def wrong(self: RiscvInterpreter, batch: ProgramBatch) -> TraceBatch:
        traces = run(self, batch)
        traces.states[traces.offsets[0] + 1, 4] ^= 1
        return traces

    monkeypatch.setattr(RiscvInterpreter, "run", wrong)
    result = check_interpreter(ISAS["rv32"], rows=100, seed=7)
    assert result.num_differences >= 12  # one a batch, at least one batch a profile and layout
    first = result.differences[0]
    assert first.source == "profile alu, narrow layout, seed 7, counter 0"
    assert (first.step, first.pc) == (0, ISAS["rv32"].code_address)


def test_emulator_and_processor_agree() -> None:
    reason = unavailable()
    result = check_silicon(ISAS["x86_64"], rows=3_000, per_form=1, seed=1)
    if reason is not None:
        assert (result.compared, result.not_applicable) == (0, reason)
        return
    assert_same(result, 3_000 + 2 * len(ISAS["x86_64"].forms))


@pytest.mark.parametrize("name", [name for name in ISAS if name != "x86_64"])
def test_other_instruction_sets_are_not_the_processors(name: str) -> None:
    result = check_silicon(ISAS[name], rows=1_000, per_form=1)
    assert result.compared == 0
    assert result.not_applicable is not None
    assert result.not_applicable.startswith(f"{name} programs do not run on an x86-64 processor")


def test_a_processor_that_computes_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Silicon.run_with_memory

    def wrong(self: Silicon, batch: ProgramBatch) -> tuple[TraceBatch, list[FinalMemory]]:
        traces, memories = run(self, batch)
        memories[0] = dataclasses.replace(memories[0], stack=b"\1" + memories[0].stack)
        return traces, memories

    monkeypatch.setattr(Silicon, "run_with_memory", wrong)
    monkeypatch.setattr(silicon_oracle, "_compare_forms", lambda *_: None)
    machines = list(machines_of(ISAS["x86_64"]))[-1:]
    monkeypatch.setattr(oracle, "machines_of", lambda _: machines)
    result = check_silicon(ISAS["x86_64"], rows=100, per_form=1)
    if unavailable() is not None:
        assert result.not_applicable == unavailable()
        return
    assert result.num_differences >= 1  # one a batch
    assert result.differences[0].source == "profile fault, full layout, seed 0, counter 0"
    assert "of the stack at the end" in result.differences[0].field


@pytest.mark.parametrize("name", ISAS)
def test_capstone_reads_what_the_table_means(name: str) -> None:
    isa = ISAS[name]
    result = check_listing(isa, instructions=1_000, per_form=2, seed=1)
    assert_same(result, 1_000 + 2 * len(isa.forms))


def broken(isa: Isa, index: int, **changes: object) -> Isa:
    forms = list(isa.forms)
    forms[index] = dataclasses.replace(forms[index], **changes)  # pyright: ignore[reportArgumentType]
    return dataclasses.replace(isa, forms=tuple(forms))


def test_a_form_that_encodes_or_says_something_else_is_found() -> None:
    isa = ISAS["rv32"]
    index = next(i for i, form in enumerate(isa.forms) if form.name == "add")
    other = isa.forms[index].base[:3] + bytes([isa.forms[index].base[3] | 0x40])  # sub
    for wrong in (broken(isa, index, base=other), broken(isa, index, text="add {1}, {0}, {2}")):
        result = check_listing(wrong, instructions=1, per_form=40)
        assert result.num_differences >= 20
        assert len(result.differences) == MAX_SHOWN
        assert result.differences[0].source.startswith("form 'add', operands (")


def test_an_alias_that_hides_an_operand_is_found() -> None:
    isa = ISAS["rv32"]
    index = next(i for i, form in enumerate(isa.forms) if form.name == "addi")
    # as if all printed texts were `addi` of the two registers
    texts = {"text": "addi {0}, {1}, {2}", "aliases": (*isa.forms[index].aliases, "li {0}, {2}")}
    assert check_listing(broken(isa, index, **texts), instructions=1, per_form=9).compared
    number = isa.forms[index].operands[2]
    fixed = dataclasses.replace(number, names=dict.fromkeys(range(4096), "5"), signed_bits=None)
    operands = (*isa.forms[index].operands[:2], fixed)
    result = check_listing(broken(isa, index, operands=operands), instructions=1, per_form=9)
    assert result.num_differences >= 5


def test_bytes_do_not_depend_on_process_or_path() -> None:
    # 12 machines, 2 programs each, on the other path and in another process, 2 states or more
    assert_same(check_same_bytes(ISAS["x86_16"], rows=1_000, seed=1), 12 * 2 * 2 * 2)


def test_another_path_with_other_bytes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def otherwise(name: str, programs: int, seed: int, path: str) -> dict[str, tuple[str, int]]:
        return {"profile alu": (f"{name} {programs} {seed}" + "?" * (path == "python"), 9)}

    monkeypatch.setattr(check_isa, "digests", otherwise)
    monkeypatch.setattr(check_isa, "_digests_elsewhere", otherwise)
    result = check_same_bytes(ISAS["x86_16"], rows=1_000, seed=3)
    assert (result.num_differences, result.compared) == (1, 18)
    assert str(result.differences[0]) == (
        "profile alu, seed 3, counters 0-1: SHA-256 of programs and states by path 'python' "
        "is x86_16 2 3?, not x86_16 2 3"
    )


def test_a_seed_draws_other_programs() -> None:
    one, other = (digests("x86_16", 2, seed, "native") for seed in (1, 2))
    assert len(one) == 12
    assert all(one[name][0] != other[name][0] for name in one)
    assert np.min([count for _, count in one.values()]) >= 2

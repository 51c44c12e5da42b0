"""A corpus of a user's own programs: what is kept, what is dropped and why."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.build import build_corpus
from pipelines.corpora import change_corpus, make_source, packaged_corpora
from pipelines.corpus import Corpus, cure
from pipelines.inspect import find_sample, render_sample
from pipelines.plan import SIDES, SourceError
from pipelines.sources import program_files, programs
from pipelines.sources.cpu_options import CpuOptions
from pipelines.sources.cpu_samples import RETURNED, end_name, group_of_program
from pipelines.sources.programs import ProgramsSource
from pipelines.split import side_of_group
from pipelines.verify import verify_corpus
from simulators.cpu.layout import split_file
from simulators.cpu.machine import Machine
from simulators.cpu.tracing import user_run
from simulators.cpu.tracing.user_code import Problem
from simulators.protocol import EndReason
from tests.simulators.elf_files import make_elf

OPTIONS = CpuOptions(system="rv64", memory_bytes=512, max_instructions=20, profile="memory")
EBREAK = bytes.fromhex("73001000")
ECALL = bytes.fromhex("73000000")
RET = bytes.fromhex("67800000")
FOREVER = bytes.fromhex("6f000000")  # j 0
NOWHERE = bytes.fromhex("033580ff")  # ld a0, -8(zero)


def addi(number: int) -> bytes:
    """Return `addi a0, a0, number`."""
    return ((number << 20) | 0x50513).to_bytes(4, "little")


KEPT = {
    "a/one.bin": addi(1) + EBREAK,
    "a/two.bin": addi(2),
    "exit": addi(3) + ECALL + EBREAK,
    "function.bin": addi(4) + RET,
    "linked.elf": make_elf(EBREAK + addi(5) + EBREAK, "EM_RISCV", 64, entry=0x400004),
}
DROPPED = {
    "empty.bin": (b"", "empty"),
    "f.c": (b"int f(void) { return 1; }\n", "other_file"),
    "forever.bin": (FOREVER, "too_long"),
    "large.bin": (addi(1) * 120, "too_large"),
    "load.bin": (addi(6) + NOWHERE, "faulted"),
    "nothing.bin": (EBREAK, "no_step"),
    "other.elf": (make_elf(EBREAK, "EM_X86_64", 64), "other_machine"),
    "README": ("Prüfsummen, see README\n".encode() * 400, "text_file"),
    "text.elf": (make_elf(EBREAK, "EM_RISCV", 64, name=".data"), "no_text_section"),
    "uneven.bin": (b"\1\2\3", "not_whole_instructions"),
    "unknown.bin": (addi(7) + b"\xff" * 4, "invalid_instruction"),
    "with-data.elf": (
        make_elf(addi(8) + EBREAK, "EM_RISCV", 64, other=(".data", 1, 3, 4)),
        "needs_data",
    ),
    "with-relocations.elf": (
        make_elf(addi(9) + EBREAK, "EM_RISCV", 64, kind="ET_REL", other=(".rela.text", 4, 0, 24)),
        "needs_linking",
    ),
    "z-again.bin": (addi(1) + EBREAK, "same_program"),
}


@pytest.fixture(scope="module", autouse=True)
def no_child() -> Iterator[None]:
    """Run programs here: a child takes a second to start, and these are harmless."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            programs, "run_user_programs", lambda *a, **k: list(user_run.run_here(*a, **k))
        )
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs")
    (path / "a").mkdir()
    (path / ".hidden").write_bytes(b"not looked at")
    for name, content in KEPT.items():
        (path / name).write_bytes(content)
    for name, (content, _) in DROPPED.items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture(scope="module")
def corpus(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    out = tmp_path_factory.mktemp("built") / "mine"
    source = ProgramsSource(corpus="mine", seed=0, options=OPTIONS, folder=folder)
    build_corpus(source, {"train": 100, "test": 100}, out)
    assert not verify_corpus(out).problems
    return Corpus.open(out)


def test_every_file_is_a_sample_or_dropped_with_a_reason(corpus: Corpus) -> None:
    planning = corpus.manifest.planning
    assert planning.read == len(KEPT) + len(DROPPED)
    assert planning.available is not None
    assert sum(planning.available.values()) == len(KEPT)
    assert sum(len(corpus.side(side)) for side in SIDES) == len(KEPT)
    assert planning.dropped == {reason: 1 for _, reason in DROPPED.values()}
    by_file = corpus.manifest.provenance["dropped_by_file"]
    assert {name: drops[0].partition(":")[0] for name, drops in by_file.items()} == {
        name: reason for name, (_, reason) in DROPPED.items()
    }
    assert by_file["z-again.bin"] == ["same_program: that of a/one.bin"]


def test_samples_stand_in_the_order_of_names_on_the_side_of_their_program(corpus: Corpus) -> None:
    codes = [addi(1) + EBREAK, addi(2) + EBREAK, KEPT["exit"], addi(4) + RET + EBREAK]
    codes.append(EBREAK + addi(5) + EBREAK)
    ends = ["halted", "halted", "system_call", "left_program", "halted"]
    for side in SIDES:
        wanted = [
            (code, end)
            for code, end in zip(codes, ends, strict=True)
            if side_of_group(group_of_program(code)) == side
        ]
        reader = corpus.side(side)
        found = [
            (reader.read(i)[0][:448].rstrip(b"\0"), reader.column("end")[i])
            for i in range(len(reader))
        ]
        assert [(code, end) for code, end in found] == [
            (code.rstrip(b"\0"), end) for code, end in wanted
        ]


def test_programs_start_from_random_registers_and_run(corpus: Corpus) -> None:
    machine = OPTIONS.make_system()
    field = next(part for part in machine.fields if part.name == "A0")
    seen: set[int] = set()
    for side in SIDES:
        reader = corpus.side(side)
        for i in range(len(reader)):
            memory, states = split_file(
                reader.read(i)[0], memory_bytes=512, state_bytes=machine.state_bytes
            )
            raw = states[:, field.offset : field.offset + 8]
            before, after = raw.copy().view("<u8")[:2, 0].tolist()
            assert (after - before) % 2**64 in range(1, 6)
            assert np.frombuffer(memory[448:], np.uint8).any()
            seen.add(before)
    assert len(seen) == len(KEPT)


def test_another_file_beside_them_leaves_samples_as_they_are_and_is_another_corpus(
    folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "one.bin").write_bytes(KEPT["a/one.bin"])
    source = ProgramsSource(corpus="mine", seed=0, options=OPTIONS, folder=tmp_path)
    plan = source.plan({"train": 5, "test": 5})
    assert plan.config_sha256 != corpus.manifest.config_sha256
    assert plan.numbers is not None
    (side,) = [side for side in SIDES if plan.numbers[side]]
    (alone,) = source.shard(plan, side, 0, 1).samples
    assert alone.segments[0].data == corpus.side(side).read(0)[0]
    reseeded = ProgramsSource(corpus="mine", seed=1, options=OPTIONS, folder=tmp_path)
    assert reseeded.shard(reseeded.plan({}), side, 0, 1).samples[0].segments != alone.segments


def test_the_number_of_samples_can_be_capped(folder: Path) -> None:
    plan = ProgramsSource(corpus="mine", seed=0, options=OPTIONS, folder=folder).plan(
        {"train": 2, "test": 0}
    )
    assert plan.numbers == {"train": 2, "test": 0}


def test_faults_are_kept_where_the_profile_has_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "load.bin").write_bytes(DROPPED["load.bin"][0])
    config = change_corpus(
        packaged_corpora()["cpu-rv64"], programs=str(tmp_path), cpu={"profile": "fault"}
    )
    plan = make_source("cpu-rv64", config).plan(config.needed)
    assert plan.available is not None
    assert sum(plan.available.values()) == 1


def test_a_return_on_an_empty_stack_is_an_end_of_its_own_and_a_pop_is_a_fault(
    tmp_path: Path,
) -> None:
    (tmp_path / "function.bin").write_bytes(bytes.fromhex("40 c3"))  # inc ax; ret
    (tmp_path / "pop.bin").write_bytes(bytes.fromhex("40 58"))  # inc ax; pop ax
    options = CpuOptions(system="x86_16", memory_bytes=512, profile="call")
    source = ProgramsSource(corpus="mine", seed=0, options=options, folder=tmp_path)
    plan = source.plan({"train": 9, "test": 9})
    assert plan.dropped == {"faulted": 1}
    (side,) = [side for side, number in (plan.numbers or {}).items() if number]
    shard = source.shard(plan, side, 0, 1)
    assert shard.samples[0].meta["end"] == "returned"
    assert shard.counts["end.returned"] == 1


def test_a_program_that_reads_an_undefined_flag_is_dropped(tmp_path: Path) -> None:
    code = "31 c0 f7 e1 0f 94 c0 f4"  # xor eax, eax; mul ecx; sete al; hlt
    (tmp_path / "reads.bin").write_bytes(bytes.fromhex(code))
    options = CpuOptions(system="x86_64", memory_bytes=512, profile="call")
    source = ProgramsSource(corpus="mine", seed=0, options=options, folder=tmp_path)
    with pytest.raises(
        SourceError, match=r"reads_undefined_flag 1; the first, reads.bin: ZF at 0x100004, which"
    ):
        source.plan({})


def test_a_program_that_is_too_large_says_what_memory_is_enough(corpus: Corpus) -> None:
    by_file = corpus.manifest.provenance["dropped_by_file"]
    assert by_file["large.bin"][0].endswith("there is room for 448; give --memory-bytes 560")
    assert 120 * 4 + 4 <= 560 - 64 < 120 * 4 + 4 + 16


def test_a_file_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = Path("/dev/zero")
    monkeypatch.setattr(program_files, "MAX_FILE_BYTES", 5000)
    drops: list[program_files.Drop] = []
    machine = OPTIONS.make_system()
    assert isinstance(machine, Machine)
    assert not program_files.read_programs([("zeros", zeros)], machine, drops)
    assert [(drop.reason, drop.detail) for drop in drops] == [
        ("too_large", "more than 5,000 bytes")
    ]


def test_only_what_decides_something_is_recorded(folder: Path) -> None:
    settings: dict[str, object] = {}
    for profile, alike in (("alu", "alu"), ("memory", "memory"), ("call", "memory")):
        options = CpuOptions(system="rv64", memory_bytes=512, profile=profile)
        source = ProgramsSource(corpus="mine", seed=0, options=options, folder=folder)
        settings[profile] = source.plan({}).settings["options"]
        assert settings[profile] == {
            "system": "rv64",
            "memory_bytes": 512,
            "layout": "narrow",
            "profile": alike,
        }


def test_the_cure_names_memory_and_profile_and_no_length(corpus: Corpus) -> None:
    words = "--seed 0 --profile memory --layout narrow --memory-bytes 512 --programs FOLDER --out "
    assert words in cure(corpus.path, corpus.manifest)


def test_the_page_of_formats_names_every_reason_and_every_end() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data-format.md").read_text("utf-8")
    section = page[page.index("### A user's own programs") : page.index("## Music: ")]
    reasons = [*programs.DropReason, *program_files.FileReason, *Problem, *user_run.Died]
    for word in [*reasons, *(end_name(end) for end in EndReason), RETURNED]:
        assert f"`{word}`" in section, word


def test_a_sample_is_shown_with_its_end(corpus: Corpus) -> None:
    side = next(side for side in SIDES if "left_program" in corpus.side(side).column("end"))
    number = corpus.side(side).column("end").index("left_program")
    text = render_sample(find_sample(corpus.path, None, side, number))
    assert "end: left_program" in text
    assert "end: left the program for 0x" in text


def test_a_folder_without_a_usable_program_says_what_is_wrong(tmp_path: Path) -> None:
    source = ProgramsSource(corpus="mine", seed=0, options=OPTIONS, folder=tmp_path)
    with pytest.raises(SourceError, match="no file in this folder or below it"):
        source.plan({})
    (tmp_path / "empty.bin").write_bytes(b"")
    with pytest.raises(
        SourceError, match=r"no program is left of 1 files: empty 1; the first, empty.bin: the prog"
    ):
        source.plan({})
    missing = ProgramsSource(corpus="mine", seed=0, options=OPTIONS, folder=tmp_path / "no")
    with pytest.raises(SourceError, match="no such folder of programs"):
        missing.plan({})


def test_the_toy_has_no_programs_of_users(tmp_path: Path) -> None:
    options = CpuOptions(system="toy", memory_bytes=64, max_instructions=16)
    source = ProgramsSource(corpus="mine", seed=0, options=options, folder=tmp_path)
    with pytest.raises(SourceError, match="--programs goes with a real machine, not 'toy'"):
        source.plan({})

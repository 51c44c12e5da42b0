"""A user's program out of a raw file or an ELF, and every way in which a file is none."""

import dataclasses
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.cpu.isa.catalogue import find_isa
from simulators.cpu.tracing.user_code import Problem, UserCodeError, read_user_code
from tests.simulators.elf_files import make_elf

RV64 = find_isa("rv64")
ADDI = bytes.fromhex("13055500")  # addi a0, a0, 5
EBREAK = bytes.fromhex("73001000")


def test_raw_code_that_ends_with_the_stop_is_taken_as_it_is() -> None:
    user = read_user_code(ADDI + EBREAK, RV64, max_bytes=8)
    assert (user.code, user.entry) == (ADDI + EBREAK, 0)
    assert user.notes == ("raw code of 8 bytes",)


def test_code_without_the_stop_gets_it_and_says_so() -> None:
    user = read_user_code(ADDI, RV64, max_bytes=8)
    assert user.code == ADDI + EBREAK
    assert user.notes[1] == ("it does not end with the stop instruction (73 00 10 00): appended")


@pytest.mark.parametrize(
    ("isa", "bits", "machine"),
    [(RV64, 64, "EM_RISCV"), (find_isa("rv32"), 32, "EM_RISCV")],
)
def test_the_text_section_of_an_elf_is_found(isa: object, bits: int, machine: str) -> None:
    assert isinstance(isa, type(RV64))
    user = read_user_code(make_elf(ADDI + EBREAK, machine, bits), isa, max_bytes=100)
    assert (user.code, user.entry) == (ADDI + EBREAK, 0)
    assert user.notes == (
        f"section .text of an ELF, 8 bytes, linked at 0x400000, run at {isa.code_address:#x}",
    )


def test_the_entry_point_within_the_text_is_kept() -> None:
    elf = make_elf(ADDI + ADDI + EBREAK, "EM_RISCV", 64, entry=0x400004)
    user = read_user_code(elf, RV64, max_bytes=100)
    assert user.entry == 4
    assert "the entry point is 0x4 bytes into it" in user.notes


def test_an_entry_point_elsewhere_means_the_first_byte_and_is_told() -> None:
    elf = make_elf(ADDI + EBREAK, "EM_RISCV", 64, entry=0x10)
    user = read_user_code(elf, RV64, max_bytes=100)
    assert user.entry == 0
    assert "the entry point lies outside .text: run from its first byte" in user.notes


def test_compressed_instructions_are_warned_of() -> None:
    elf = bytearray(make_elf(ADDI + EBREAK, "EM_RISCV", 64))
    elf[48] |= 1  # e_flags: EF_RISCV_RVC
    (_, note) = read_user_code(bytes(elf), RV64, max_bytes=100).notes
    assert note == (
        "it may have compressed instructions, which end the run: "
        "compile with -march=rv32im or rv64im"
    )


# Another section (name, type, flags: 2 is in memory, size), and whether the program may use it.
OTHERS = [
    (".data", 1, 3, 4, True),
    (".rodata", 1, 2, 4, True),
    (".bss", 8, 3, 4, True),
    (".got", 1, 3, 4, True),
    (".init", 1, 6, 4, True),
    (".init_array", 14, 3, 4, True),
    (".data", 1, 3, 0, False),
    (".comment", 1, 0, 4, False),
    (".eh_frame", 1, 2, 4, False),
    (".note.gnu.property", 7, 2, 4, False),
]


@pytest.mark.parametrize(("name", "kind", "flags", "size", "used"), OTHERS)
def test_other_sections_that_a_program_may_use_are_told(
    name: str, kind: int, flags: int, size: int, used: bool
) -> None:
    elf = make_elf(ADDI + EBREAK, "EM_RISCV", 64, other=(name, kind, flags, size))
    user = read_user_code(elf, RV64, max_bytes=100)
    assert user.not_loaded == ((name,) if used else ())
    note = f"section {name} is not loaded: what the program reads there is wrong"
    assert (note in user.notes) == used


def test_relocations_are_told() -> None:
    elf = make_elf(ADDI + EBREAK, "EM_RISCV", 64, kind="ET_REL", other=(".rela.text", 4, 0, 24))
    user = read_user_code(elf, RV64, max_bytes=100)
    assert user.unresolved
    assert user.notes[-1] == "it has relocations, which are not applied: link it first"
    assert not read_user_code(ADDI, RV64, max_bytes=100).unresolved


def test_an_object_file_starts_at_its_first_byte() -> None:
    elf = make_elf(ADDI + EBREAK, "EM_RISCV", 64, kind="ET_REL", address=0, entry=0)
    assert read_user_code(elf, RV64, max_bytes=100).entry == 0


def test_the_thumb_bit_of_an_entry_point_is_no_part_of_the_address() -> None:
    thumb = dataclasses.replace(
        RV64, name="t", bits=32, elf_machine="EM_ARM", start_bit=1, alignment=2
    )
    elf = make_elf(ADDI + EBREAK, "EM_ARM", 32, entry=0x400005)
    assert read_user_code(elf, thumb, max_bytes=100).entry == 4


# A file, and what it is told.
CASES = [
    (b"", Problem.EMPTY, "the program is empty: there is nothing to run"),
    (ADDI * 25, Problem.TOO_LARGE, "the program has 104 bytes, stop included; there is room for"),
    (ADDI * 26, Problem.TOO_LARGE, "the program has 104 bytes, stop included; there is room for"),
    (b"\x13\x05\x55", Problem.NOT_WHOLE_INSTRUCTIONS, "3 bytes are not whole instructions of"),
    (make_elf(b"", "EM_RISCV", 64), Problem.EMPTY, "the program is empty"),
    (
        make_elf(EBREAK, "EM_X86_64", 64),
        Problem.OTHER_MACHINE,
        "the ELF is for another machine: EM_X86_64, 64 bits; rv64 needs EM_RISCV, 64 bits",
    ),
    (
        make_elf(EBREAK, "EM_RISCV", 32),
        Problem.OTHER_MACHINE,
        "the ELF is for another machine: EM_RISCV, 32 bits; rv64 needs EM_RISCV, 64 bits",
    ),
    (make_elf(EBREAK, "EM_RISCV", 64, big_endian=True), Problem.OTHER_MACHINE, "big-endian"),
    (make_elf(EBREAK, "EM_RISCV", 64, name=".data"), Problem.NO_TEXT_SECTION, "no section .text"),
    (
        make_elf(EBREAK, "EM_RISCV", 64, section_type=8),
        Problem.NO_TEXT_SECTION,
        "section .text holds no plain bytes of code",
    ),
    (make_elf(ADDI * 26, "EM_RISCV", 64), Problem.TOO_LARGE, "the section .text has 104 bytes"),
    (make_elf(EBREAK, "EM_RISCV", 64)[:70], Problem.MALFORMED_ELF, "the ELF is malformed"),
    (b"\x7fELF", Problem.MALFORMED_ELF, "the ELF is malformed"),
    (b"\x7fELF" + bytes(100), Problem.MALFORMED_ELF, "the ELF is malformed"),
]


@pytest.mark.parametrize(("data", "problem", "message"), CASES)
def test_a_file_that_is_no_program_says_why_in_one_line(
    data: bytes, problem: Problem, message: str
) -> None:
    with pytest.raises(UserCodeError) as caught:
        read_user_code(data, RV64, max_bytes=100)
    assert caught.value.problem is problem
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


WHOLE = make_elf(ADDI + EBREAK, "EM_RISCV", 64)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(4, len(WHOLE) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_elf_is_a_program_or_one_clear_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    with suppress(UserCodeError):
        assert read_user_code(bytes(data), RV64, max_bytes=100).code

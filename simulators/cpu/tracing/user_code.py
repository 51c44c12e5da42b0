# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""A user's own program: the bytes of a raw file, or of the `.text` section of an ELF.

The only importer of pyelftools. Files are strangers' bytes: sizes are checked before anything is
read at them, and whatever is wrong is one `UserCodeError`. Nothing is linked, loaded or relocated
(only `.text` is taken, as it stands) and nothing is run: `tracing.user_run` does that.
"""

import struct
from dataclasses import dataclass, replace
from enum import StrEnum
from io import BytesIO
from typing import Final

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

from simulators.cpu.isa.table import Isa
from simulators.cpu.tracing.counted import counted

MAX_FILE_BYTES: Final = 64 * 2**20
"""An ELF larger than this is not looked into."""

COMPILE_WITHOUT_COMPRESSED: Final = "compile with -march=rv32im or rv64im"
"""What helps against compressed instructions of RISC-V, which the machines here do not have."""

_MAGIC: Final = b"\x7fELF"
_SECTION_HEADER_BYTES: Final = {32: 40, 64: 64}
_COMPRESSED: Final = 0x800
"""SHF_COMPRESSED of the ELF specification."""
_COMPRESSED_INSTRUCTIONS: Final = 1
"""EF_RISCV_RVC of the RISC-V ELF specification."""
_LOADED: Final = 0x2
"""SHF_ALLOC of the ELF specification: it is in memory when the program runs."""
_FOR_LOADERS: Final = (".eh_frame", ".gcc_except_table", ".interp")
"""How names begin of sections with contents that a program itself does not read."""
_WITH_CONTENTS: Final = ("SHT_PROGBITS", "SHT_NOBITS", "SHT_INIT_ARRAY", "SHT_FINI_ARRAY")
"""Types of sections that a program reads; others are for linkers and loaders."""
_MALFORMED: Final = (
    ELFError,
    ConstructError,
    struct.error,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    ArithmeticError,
    AssertionError,
)
"""What pyelftools raises on headers that make no sense (found by cutting and flipping bytes)."""


class Problem(StrEnum):
    """Why a file is no program that can be run."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_WHOLE_INSTRUCTIONS = "not_whole_instructions"
    MALFORMED_ELF = "malformed_elf"
    OTHER_MACHINE = "other_machine"
    NO_TEXT_SECTION = "no_text_section"


class UserCodeError(ValueError):
    """A file that is no program for this instruction set; one line, without the file's name."""

    def __init__(self, problem: Problem, message: str) -> None:
        super().__init__(message)
        self.problem: Problem = problem


@dataclass(frozen=True, kw_only=True, slots=True)
class UserCode:
    """A program as it goes to the start of the memory block."""

    code: bytes
    """It ends with the instruction set's stop instruction."""
    entry: int
    """Offset of its first instruction."""
    notes: tuple[str, ...]
    """What a user should know: where it was taken from, what was appended or left out."""
    not_loaded: tuple[str, ...] = ()
    """Names of other sections that the program may use, which are not in its memory."""
    unresolved: bool = False
    """It has relocations, which are not applied."""


def read_user_code(data: bytes, isa: Isa, *, max_bytes: int) -> UserCode:
    """Return the program in a file of `data`: a raw one, or an ELF's `.text`.

    A program that does not end with the stop instruction gets it appended, so that it cannot run
    on into the zeros behind it. `max_bytes` counts with it.

    Raises:
        UserCodeError: empty, too large, or no program for this machine; says which.
    """
    if data.startswith(_MAGIC):
        user = _text_section(data, isa, max_bytes)
    else:
        note = f"raw code of {counted(len(data), 'byte')}"
        user = UserCode(code=data, entry=0, notes=(note,))
    _check_size(user.code, isa, max_bytes)
    if user.code.endswith(isa.stop):
        return user
    code = user.code + isa.stop
    _check_size(code, isa, max_bytes)
    note = f"it does not end with the stop instruction ({isa.stop.hex(' ')}): appended"
    return replace(user, code=code, notes=(*user.notes, note))


def _check_size(code: bytes, isa: Isa, max_bytes: int) -> None:
    """Refuse what does not fit, and what no sequence of instructions has as its size."""
    if not code:
        raise UserCodeError(Problem.EMPTY, "the program is empty: there is nothing to run")
    if len(code) > max_bytes:
        raise UserCodeError(
            Problem.TOO_LARGE,
            f"the program has {len(code):,} bytes, stop included; there is room for {max_bytes:,}",
        )
    if len(code) % isa.alignment:
        riscv = isa.elf_machine == "EM_RISCV"
        hint = f"; if they are compressed, {COMPILE_WITHOUT_COMPRESSED}" if riscv else ""
        raise UserCodeError(
            Problem.NOT_WHOLE_INSTRUCTIONS,
            f"{counted(len(code), 'byte')} are not whole instructions of {isa.title}, "
            f"which begin at multiples of {isa.alignment}{hint}",
        )


def _text_section(data: bytes, isa: Isa, max_bytes: int) -> UserCode:
    """Return the bytes of `.text` as they stand, with the offset of the entry point, and notes."""
    if len(data) > MAX_FILE_BYTES:
        raise UserCodeError(
            Problem.TOO_LARGE,
            f"the ELF has {len(data):,} bytes, more than the {MAX_FILE_BYTES:,} that are looked at",
        )
    try:
        elf = ELFFile(BytesIO(data))
        _check_machine(elf, isa)
        text = _find_text(elf, data)
        start, size = int(text["sh_addr"]), int(text["sh_size"])
        if size > max_bytes:
            raise UserCodeError(
                Problem.TOO_LARGE,
                f"the section .text has {size:,} bytes; there is room for {max_bytes:,}",
            )
        code = bytes(text.data())
        if len(code) != size:
            raise UserCodeError(Problem.MALFORMED_ELF, "the section .text is cut off")
        linked = elf["e_type"] != "ET_REL"
        # The lowest bit of an entry point on ARM says Thumb.
        entry = (int(elf["e_entry"]) & ~isa.start_bit) - start if linked else 0
        compressed = (
            isa.elf_machine == "EM_RISCV" and int(elf["e_flags"]) & _COMPRESSED_INSTRUCTIONS
        )
        unresolved = any(elf.get_section_by_name(f".rel{kind}.text") for kind in ("", "a"))
        not_loaded = tuple(
            str(section.name) for section in elf.iter_sections() if _may_be_used(section)
        )
    except UserCodeError:
        raise
    except _MALFORMED as error:
        raise UserCodeError(Problem.MALFORMED_ELF, f"the ELF is malformed: {error}") from error
    notes = [f"section .text of an ELF, {counted(size, 'byte')}"]
    if linked:
        notes[0] += f", linked at {start:#x}, run at {isa.code_address:#x}"
    if not 0 <= entry < max(size, 1):
        notes.append("the entry point lies outside .text: run from its first byte")
        entry = 0
    elif entry:
        notes.append(f"the entry point is {entry:#x} bytes into it")
    if not_loaded:
        some = len(not_loaded) > 1
        notes.append(
            f"section{'s' if some else ''} {', '.join(not_loaded)} {'are' if some else 'is'} not "
            "loaded: what the program reads there is wrong"
        )
    if compressed:
        notes.append(
            "it may have compressed instructions, which end the run: " + COMPILE_WITHOUT_COMPRESSED
        )
    if unresolved:
        notes.append("it has relocations, which are not applied: link it first")
    return UserCode(
        code=code,
        entry=entry,
        notes=tuple(notes),
        not_loaded=not_loaded,
        unresolved=unresolved,
    )


def _may_be_used(section: Section) -> bool:
    """Say whether a program may read a section, or run it, that is not `.text`."""
    if not int(section["sh_flags"]) & _LOADED or not int(section["sh_size"]):
        return False
    name = str(section.name)
    return (
        section["sh_type"] in _WITH_CONTENTS
        and name != ".text"
        and not name.startswith(_FOR_LOADERS)
    )


def _check_machine(elf: ELFFile, isa: Isa) -> None:
    """Refuse another architecture, width or byte order."""
    wanted = 64 if isa.bits == 64 else 32
    found = str(elf["e_machine"])
    if found != isa.elf_machine or elf.elfclass != wanted or not elf.little_endian:
        order = "" if elf.little_endian else ", big-endian"
        raise UserCodeError(
            Problem.OTHER_MACHINE,
            f"the ELF is for another machine: {found}, {elf.elfclass} bits{order}; "
            f"{isa.name} needs {isa.elf_machine}, {wanted} bits",
        )


def _find_text(elf: ELFFile, data: bytes) -> Section:
    """Return the section `.text`, once the headers can be walked through at all."""
    number = elf.num_sections()
    smallest = _SECTION_HEADER_BYTES[elf.elfclass]
    if (number and int(elf["e_shentsize"]) < smallest) or number * smallest > len(data):
        raise UserCodeError(
            Problem.MALFORMED_ELF, f"the ELF is malformed: {number} sections in {len(data)} bytes"
        )
    text = elf.get_section_by_name(".text") if number else None
    if text is None:
        raise UserCodeError(Problem.NO_TEXT_SECTION, "the ELF has no section .text")
    if text["sh_type"] != "SHT_PROGBITS" or int(text["sh_flags"]) & _COMPRESSED:
        raise UserCodeError(
            Problem.NO_TEXT_SECTION, "the ELF's section .text holds no plain bytes of code"
        )
    return text

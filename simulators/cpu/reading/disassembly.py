# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportAny=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
"""Machine code as text, by Capstone: for traces and listings that people read, and as an oracle.

The only file that imports capstone, and only when something is to be shown. It knows every
instruction of a family; what our own tables know, `decoder` says.
"""

from functools import cache
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final

from simulators.cpu.isa.table import Isa
from simulators.protocol import InstructionLine

_LONGEST_INSTRUCTION: Final = 16

_REAL_MODE: Final = ("CS_MODE_16",)
_WRONG_IN_REAL_MODE: Final = MappingProxyType({"cwde": "cbw", "cdq": "cwd"})
"""A bug of capstone 5.0.9: in 16-bit mode it gives 98 and 99 the names that they have with 32 bits,
which are right behind the prefix 66 only."""
_OTHER_SIZE: Final = 0x66


class CapstoneMissing(ValueError):  # noqa: N818 - a state of the installation
    """The capstone package is not installed; the message says how to install it."""


def disassemble(isa: Isa, code: bytes, address: int) -> list[InstructionLine]:
    """Return the instructions of `code`, which stands at `address` in the machine.

    Bytes that are no instruction are shown as `.byte 0x..`, as many as instructions are aligned
    to, and the next ones are read after them; so the lines' bytes together are always `code`.

    Raises:
        CapstoneMissing: capstone is not installed.
    """
    reader = _reader(isa.listing_arch, isa.listing_mode)
    lines: list[InstructionLine] = []
    at = 0
    while at < len(code):
        for _, size, name, operands in reader.disasm_lite(code[at:], address + at):
            found = code[at : at + size]
            text = f"{_name(isa, found, name)} {operands}".rstrip()
            lines.append(InstructionLine(offset=at, code=found, text=text))
            at += size
        if at < len(code):
            skipped = code[at : at + isa.alignment]
            text = ".byte " + ", ".join(f"{byte:#04x}" for byte in skipped)
            lines.append(InstructionLine(offset=at, code=skipped, text=text))
            at += len(skipped)
    return lines


def disassemble_program(isa: Isa, program: bytes) -> list[InstructionLine]:
    """Return a program's instructions as they stand in the machine, zeros at its end left out.

    Raises:
        CapstoneMissing: capstone is not installed.
    """
    used = len(program.rstrip(b"\0"))
    # The last instruction may end in zeros.
    lines = disassemble(isa, program[: used + _LONGEST_INSTRUCTION], isa.code_address)
    return [line for line in lines if line.offset < used]


def _name(isa: Isa, code: bytes, name: str) -> str:
    """Return the name of an instruction that capstone calls `name`."""
    if isa.listing_mode == _REAL_MODE and _OTHER_SIZE not in code[:-1]:
        return _WRONG_IN_REAL_MODE.get(name, name)
    return name


@cache
def _reader(arch: str, modes: tuple[str, ...]) -> Any:
    capstone = _import_capstone()
    mode = 0
    for name in modes:
        mode |= int(getattr(capstone, name))
    return capstone.Cs(getattr(capstone, arch), mode)


def _import_capstone() -> ModuleType:
    try:
        return import_module("capstone")
    except ImportError as error:
        raise CapstoneMissing(
            'the package capstone is missing: install it with pip install "capstone>=5.0.9"'
        ) from error

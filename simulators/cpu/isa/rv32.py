"""RV32IM: the base integer set of 32 bits with multiplication and division, not compressed.

Its forms and what the generator draws are shared with RV64 (`riscv.forms`, `riscv.entries`).
"""

from typing import Final

from simulators.cpu.isa.riscv.entries import (
    CLASS_WEIGHTS,
    COUNTERS,
    DATA_ADDRESS,
    DATA_BYTES,
    FUNCTION_END,
    entries_of,
)
from simulators.cpu.isa.riscv.forms import PROGRAM_REGISTERS, fields_of, forms_of, registers_of
from simulators.cpu.isa.table import Isa

_REGISTERS: Final = registers_of(32)

ISA: Final = Isa(
    name="rv32",
    title="RISC-V RV32IM",
    version="1",
    bits=32,
    emulator_arch="UC_ARCH_RISCV",
    emulator_mode=("UC_MODE_RISCV32",),
    listing_arch="CS_ARCH_RISCV",
    listing_mode=("CS_MODE_RISCV32",),
    elf_machine="EM_RISCV",
    code_address=0x10000,
    code_bytes=8192,
    data_address=DATA_ADDRESS,
    data_bytes=DATA_BYTES,
    stack_address=0x20000,
    stack_bytes=4096,
    registers=_REGISTERS,
    narrow=fields_of(32, ("PC", *PROGRAM_REGISTERS)),
    full=fields_of(32, tuple(register.name for register in _REGISTERS)),
    program_counter="PC",
    stack_pointer="SP",
    flags=None,
    program_registers=PROGRAM_REGISTERS,
    counters=COUNTERS,
    alignment=4,
    stop=bytes.fromhex("73001000"),  # ebreak
    forms=forms_of(32),
    entries=entries_of(32),
    class_weights=CLASS_WEIGHTS,
    function_end=FUNCTION_END,
)

"""AArch64: the 64-bit Arm machine with its A64 instructions, without floating point and vectors.

Its instructions stand in `a64.forms`, `a64.shifts`, `a64.memory` and
`a64.branches`, what is drawn of them in `a64.entries` and the files named there. Nothing in
A64 is left undefined: every flag has a value after every instruction, a division by zero gives 0.
"""

from types import MappingProxyType
from typing import Final

from simulators.cpu.isa.a64.branches import branch_forms
from simulators.cpu.isa.a64.control_entries import COUNTERS, control_entries
from simulators.cpu.isa.a64.entries import PROGRAM_CODES, data_entries
from simulators.cpu.isa.a64.forms import data_forms
from simulators.cpu.isa.a64.memory import memory_forms
from simulators.cpu.isa.a64.memory_entries import DATA_ADDRESS, DATA_BYTES, memory_entries
from simulators.cpu.isa.a64.operands import LINK_REGISTER
from simulators.cpu.isa.a64.shift_entries import shift_entries
from simulators.cpu.isa.a64.shifts import shift_forms
from simulators.cpu.isa.table import Isa, LayoutField, Register, Use

_GENERAL: Final = tuple(
    Register(
        name="LR" if code == LINK_REGISTER else f"X{code}",
        emulator=f"UC_ARM64_REG_X{code}",
        num_bytes=8,
        code=code,
    )
    for code in range(31)
)
_REGISTERS: Final = (
    Register(name="PC", emulator="UC_ARM64_REG_PC", num_bytes=8),
    Register(name="NZCV", emulator="UC_ARM64_REG_NZCV", num_bytes=8),
    *_GENERAL,
    Register(name="SP", emulator="UC_ARM64_REG_SP", num_bytes=8, code=31),
)
_PROGRAM_REGISTERS: Final = tuple(f"X{code}" for code in PROGRAM_CODES)

ISA: Final = Isa(
    name="aarch64",
    title="Arm AArch64 (A64)",
    version="1",
    bits=64,
    emulator_arch="UC_ARCH_ARM64",
    emulator_mode=("UC_MODE_ARM",),
    listing_arch="CS_ARCH_ARM64",
    listing_mode=("CS_MODE_ARM",),
    elf_machine="EM_AARCH64",
    code_address=0x10000,
    code_bytes=8192,
    data_address=DATA_ADDRESS,
    data_bytes=DATA_BYTES,
    stack_address=0x20000,
    stack_bytes=4096,
    registers=_REGISTERS,
    narrow=(
        LayoutField(register="PC", num_bytes=4),
        LayoutField(register="NZCV", num_bytes=4),
        *(LayoutField(register=name, num_bytes=8) for name in (*_PROGRAM_REGISTERS, "LR")),
    ),
    full=tuple(LayoutField(register=part.name, num_bytes=8) for part in _REGISTERS),
    program_counter="PC",
    stack_pointer="SP",
    flags="NZCV",
    flag_bits=MappingProxyType({"N": 31, "Z": 30, "C": 29, "V": 28}),
    program_registers=_PROGRAM_REGISTERS,
    counters=COUNTERS,
    alignment=4,
    stop=bytes.fromhex("000020d4"),  # brk #0
    forms=(*data_forms(), *shift_forms(), *memory_forms(), *branch_forms()),
    entries=(*data_entries(), *shift_entries(), *memory_entries(), *control_entries()),
    class_weights=MappingProxyType(
        {
            "move": 12,
            "arithmetic": 20,
            "logic": 12,
            "shift": 10,
            "compare": 8,
            "multiply": 6,
            "divide": 4,
            "load": 12,
            "store": 10,
            "branch": 10,
            "loop": 5,
            "call": 5,
            "stack": 4,
            "fault": 1,
        }
    ),
    function_end=(Use(form="ret"),),
)

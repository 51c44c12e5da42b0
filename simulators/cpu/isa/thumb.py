"""Thumb: the 32-bit Armv7-M machine, as a Cortex-M3 or M4 is one, without floating point and DSP.

Its instructions, of 16 and 32 bits, stand in `t32.narrow`, `t32.wide`, `t32.bits`,
`t32.memory` and `t32.branches`; what is drawn of them in `t32.entries` and the files named
there. Every flag has a value after every instruction; a division by zero gives 0, as the trap that
could be set for it is not.
"""

from types import MappingProxyType
from typing import Final

from simulators.cpu.isa.t32.bits import bit_forms
from simulators.cpu.isa.t32.branches import branch_forms
from simulators.cpu.isa.t32.control_entries import COUNTERS, control_entries
from simulators.cpu.isa.t32.entries import PROGRAM_CODES, data_entries
from simulators.cpu.isa.t32.memory import memory_forms
from simulators.cpu.isa.t32.memory_entries import DATA_ADDRESS, DATA_BYTES, memory_entries
from simulators.cpu.isa.t32.narrow import narrow_forms
from simulators.cpu.isa.t32.operands import LINK_REGISTER, STACK_POINTER
from simulators.cpu.isa.t32.shift_entries import shift_entries
from simulators.cpu.isa.t32.wide import wide_forms
from simulators.cpu.isa.table import Isa, LayoutField, Register, Use

_GENERAL: Final = (
    *((f"R{code}", code) for code in range(13)),
    ("SP", STACK_POINTER),
    ("LR", LINK_REGISTER),
)
_REGISTERS: Final = (
    Register(name="PC", emulator="UC_ARM_REG_PC", num_bytes=4),
    Register(name="APSR", emulator="UC_ARM_REG_APSR", num_bytes=4),
    *(
        Register(name=name, emulator=f"UC_ARM_REG_{name}", num_bytes=4, code=code)
        for name, code in _GENERAL
    ),
)
_PROGRAM_REGISTERS: Final = tuple(f"R{code}" for code in PROGRAM_CODES)

ISA: Final = Isa(
    name="thumb",
    title="Arm Thumb-2 (Armv7-M)",
    version="1",
    bits=32,
    emulator_arch="UC_ARCH_ARM",
    emulator_mode=("UC_MODE_THUMB", "UC_MODE_MCLASS"),
    emulator_cpu="UC_CPU_ARM_CORTEX_M4",
    start_bit=1,
    listing_arch="CS_ARCH_ARM",
    listing_mode=("CS_MODE_THUMB", "CS_MODE_MCLASS"),
    elf_machine="EM_ARM",
    code_address=0x10000,
    code_bytes=8192,
    data_address=DATA_ADDRESS,
    data_bytes=DATA_BYTES,
    stack_address=0x20000,
    stack_bytes=4096,
    registers=_REGISTERS,
    narrow=tuple(
        LayoutField(register=name, num_bytes=4)
        for name in ("PC", "APSR", "LR", *_PROGRAM_REGISTERS)
    ),
    full=tuple(LayoutField(register=part.name, num_bytes=4) for part in _REGISTERS),
    program_counter="PC",
    stack_pointer="SP",
    flags="APSR",
    flag_bits=MappingProxyType({"N": 31, "Z": 30, "C": 29, "V": 28, "Q": 27}),
    program_registers=_PROGRAM_REGISTERS,
    counters=COUNTERS,
    alignment=2,
    stop=bytes.fromhex("00be"),  # bkpt #0
    forms=(*narrow_forms(), *wide_forms(), *bit_forms(), *memory_forms(), *branch_forms()),
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
    function_end=(Use(form="bx lr"),),
)

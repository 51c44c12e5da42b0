# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateUsage=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false, reportAny=false
"""One engine of Unicorn with a machine's memory, registers and hooks; runs nothing by itself.

The only file that imports unicorn, once an engine is made.
"""

import ctypes
import weakref
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.emulation.native_hook import NUM_SLOTS, Slot, on_instruction, on_interrupt
from simulators.cpu.emulation.program_ends import Kind
from simulators.cpu.emulation.rows import Columns
from simulators.cpu.isa.table import Isa

_PAGE_BYTES: Final = 4096
_TRANSLATION_BYTES: Final = 8 * 2**20
"""For translated code; the default reserves 1 GiB of address space for each engine."""

_ZEROED: Final = {
    Kind.X86_16: ("UC_X86_REG_E", ("AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP")),
    Kind.X86_64: (
        "UC_X86_REG_R",
        ("AX", "BX", "CX", "DX", "SI", "DI", "BP", "SP", *(str(n) for n in range(8, 16))),
    ),
    Kind.AARCH64: ("UC_ARM64_REG_", ("SP", *(f"X{n}" for n in range(31)))),
    Kind.THUMB: ("UC_ARM_REG_", ("SP", "LR", *(f"R{n}" for n in range(13)))),
    Kind.RISCV: ("UC_RISCV_REG_", tuple(f"X{n}" for n in range(1, 32))),
}
"""Registers that a fresh machine has zero; a reset leaves some of them otherwise (EDX holds the
processor's model, LR on Arm is all ones)."""

_FLAGS: Final = {
    Kind.X86_16: "UC_X86_REG_EFLAGS",
    Kind.X86_64: "UC_X86_REG_EFLAGS",
    Kind.AARCH64: "UC_ARM64_REG_NZCV",
    # On Arm M, APSR reads N Z C V Q alone and can be written; XPSR adds the Thumb bit, CPSR shows
    # bits of modes that M does not have, and APSR_NZCV reads as 0 with a warning. The mode has to
    # be UC_MODE_THUMB and UC_MODE_MCLASS: without the latter a jump to an even address goes on in
    # ARM code, where it must end the program. PC reads without the Thumb bit, `start_bit` is 1.
    Kind.THUMB: "UC_ARM_REG_APSR",
}


class EmulatorMissing(ValueError):  # noqa: N818 - a state of the installation
    """The unicorn package is not installed; the message says how to install it."""


class EmulatorFailed(RuntimeError):  # noqa: N818 - a state of the engine
    """The library refused what it must be able to do: a mistake of ours or of a table."""


class Engine:
    """The library's engine with its memory, its context and the control block of its hooks."""

    def __init__(self, isa: Isa, columns: Columns, entry: int = 0) -> None:
        unicorn = _import_unicorn()
        self.kind: Final = _kind_of(isa)
        self.isa: Final = isa
        self.names: Final = _constants(unicorn, isa)
        self.unicorn: Final = unicorn
        self.begin: Final = (isa.code_address + entry) | isa.start_bit
        # Where nothing can be fetched: a jump there is like one to any such address.
        data_page = isa.data_address & -_PAGE_BYTES
        self.until: Final = data_page
        try:
            self.uc: Any = unicorn.Uc(self._number(isa.emulator_arch), self._mode(isa))
            if isa.emulator_cpu is not None:
                self.uc.ctl_set_cpu_model(self._number(isa.emulator_cpu))
            self.uc.ctl_set_tcg_buffer_size(_TRANSLATION_BYTES)
            self.code_area: Final = self._map(unicorn, isa.code_address, isa.code_bytes, "code")
            self.data_offset: Final = isa.data_address - data_page
            num_bytes = -(-(self.data_offset + isa.data_bytes) // _PAGE_BYTES) * _PAGE_BYTES
            self.data_area: Final = self._map(unicorn, data_page, num_bytes, "data")
            self.stack_area: Final = self._map(unicorn, isa.stack_address, isa.stack_bytes, "stack")
            for name in self._zeroed():
                self.uc.reg_write(self._number(name), 0)
            if self.kind in _FLAGS:
                self.uc.reg_write(self._number(_FLAGS[self.kind]), 0)
            stack_pointer = isa.register(isa.stack_pointer)
            top = (isa.stack_address + isa.stack_bytes) % (1 << 8 * stack_pointer.num_bytes)
            self.uc.reg_write(self._number(stack_pointer.emulator), top)
            self.context: Any = self.uc.context_save()
        except unicorn.UcError as error:
            raise EmulatorFailed(
                f"{isa.name}: the emulator refuses the table's machine: {error}"
            ) from error
        self.read_ids: Final = np.array([self._number(name) for name in columns.read], np.int32)
        self.write_ids: Final = np.array([self._number(name) for name in columns.write], np.int32)
        self.control: Final = np.zeros(NUM_SLOTS, np.int64)
        self._pointers: Final = np.zeros((2, 64), np.int64)
        self._library: Final[Any] = unicorn.unicorn_py3.unicorn.uclib

    def _number(self, name: str) -> int:
        if name not in self.names:
            raise EmulatorFailed(f"{self.isa.name}: the emulator has no constant {name}")
        return self.names[name]

    def _mode(self, isa: Isa) -> int:
        mode = 0
        for name in isa.emulator_mode:
            mode |= self._number(name)
        return mode

    def _zeroed(self) -> list[str]:
        prefix, names = _ZEROED[self.kind]
        # R8 to R15 have no letter of their own in front: UC_X86_REG_R8.
        return [prefix + name for name in names]

    def _map(
        self, unicorn: ModuleType, address: int, num_bytes: int, what: str
    ) -> NDArray[np.uint8]:
        """Map fresh memory of this process; code can be read and run, never written."""
        buffer = np.zeros(num_bytes + _PAGE_BYTES, np.uint8)
        area = buffer[-buffer.ctypes.data % _PAGE_BYTES :][:num_bytes]
        rights = unicorn.UC_PROT_READ
        rights |= unicorn.UC_PROT_EXEC if what == "code" else unicorn.UC_PROT_WRITE
        self.uc.mem_map_ptr(address, num_bytes, rights, ctypes.c_void_p(area.ctypes.data))
        # The engine reads and writes the array until it is closed.
        weakref.finalize(self.uc, _nothing, buffer)
        return area

    def prepare_native(self, columns: Columns, program_bytes: int, max_states: int) -> None:
        """Fill the control block and add the compiled hooks."""
        library, control, isa = self._library, self.control, self.isa
        for slot, name in (
            (Slot.READ_BATCH, "uc_reg_read_batch"),
            (Slot.EMU_STOP, "uc_emu_stop"),
            (Slot.EMU_START, "uc_emu_start"),
            (Slot.WRITE_BATCH, "uc_reg_write_batch"),
            (Slot.RESTORE, "uc_context_restore"),
            (Slot.CTL, "uc_ctl"),
        ):
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            if address is None:
                raise EmulatorFailed(f"the emulator's library has no function {name}")
            control[slot] = address
        handle = self.uc._uch  # noqa: SLF001 - the engine's own address has no public name
        control[Slot.ENGINE] = handle.value
        control[Slot.CONTEXT] = self.context.context.value
        # UC_CTL_WRITE(UC_CTL_TB_FLUSH, 0) of the library's header.
        control[Slot.FLUSH] = self._number("UC_CTL_TB_FLUSH") | (
            self._number("UC_CTL_IO_WRITE") << 30
        )
        control[Slot.BEGIN] = self.begin
        control[Slot.UNTIL] = self.until
        control[Slot.READ_IDS] = self.read_ids.ctypes.data
        control[Slot.READ_POINTERS] = self._pointers[0].ctypes.data
        control[Slot.NUM_READ] = len(self.read_ids)
        control[Slot.WRITE_IDS] = self.write_ids.ctypes.data
        control[Slot.WRITE_POINTERS] = self._pointers[1].ctypes.data
        control[Slot.NUM_WRITE] = len(self.write_ids)
        control[Slot.CODE] = self.code_area.ctypes.data
        control[Slot.CODE_ADDRESS] = isa.code_address
        control[Slot.PROGRAM_BYTES] = program_bytes
        control[Slot.STOP] = int.from_bytes(isa.stop, "little")
        control[Slot.STOP_BYTES] = len(isa.stop)
        control[Slot.ALIGNMENT] = isa.alignment
        control[Slot.KIND] = self.kind
        control[Slot.MAX_STATES] = max_states
        control[Slot.PC_COLUMN] = columns.pc
        control[Slot.DATA_OFFSET] = self.data_offset
        for callback, kind in (
            (on_instruction, "UC_HOOK_CODE"),
            (on_interrupt, "UC_HOOK_INTR"),
        ):
            error = library.uc_hook_add(
                handle,
                ctypes.byref(ctypes.c_size_t()),
                self._number(kind),
                ctypes.c_void_p(callback.address or 0),
                ctypes.c_void_p(control.ctypes.data),
                ctypes.c_uint64(1),
                ctypes.c_uint64(0),
            )
            if error:
                raise EmulatorFailed(f"{isa.name}: the emulator takes no hook: error {error}")

    def fill(self, program: NDArray[np.uint8], window: NDArray[np.uint8]) -> None:
        """Make memory fresh for a program."""
        self.code_area[: len(program)] = program
        self.code_area[len(program) :] = 0
        self.data_area[:] = 0
        self.data_area[self.data_offset : self.data_offset + len(window)] = window
        self.stack_area[:] = 0

    def check_open(self) -> None:
        """Refuse a closed engine: the library would be given what it has freed.

        Raises:
            EmulatorFailed: the engine is closed.
        """
        if self.uc is None:
            raise EmulatorFailed(f"{self.isa.name}: the emulator is closed, make a new one")

    def close(self) -> None:
        """Free the engine."""
        self.control[Slot.ENGINE] = 0
        self.context = None
        self.uc = None


def _nothing(buffer: NDArray[np.uint8]) -> None:
    """Do nothing, but be what keeps `buffer` alive."""


def _kind_of(isa: Isa) -> Kind:
    """Return the family of a machine."""
    if isa.emulator_arch == "UC_ARCH_X86":
        return Kind.X86_64 if isa.bits == 64 else Kind.X86_16
    kinds = {
        "UC_ARCH_ARM64": Kind.AARCH64,
        "UC_ARCH_ARM": Kind.THUMB,
        "UC_ARCH_RISCV": Kind.RISCV,
    }
    if isa.emulator_arch not in kinds:
        raise EmulatorFailed(
            f"{isa.name}: {isa.emulator_arch} is a family that the emulator's hooks do not know; "
            "simulators/cpu/emulation/native_hook.py says how its programs end"
        )
    return kinds[isa.emulator_arch]


def _import_unicorn() -> ModuleType:
    try:
        return import_module("unicorn")
    except ImportError as error:
        raise EmulatorMissing(
            'the package unicorn is missing: install it with "pip install unicorn>=2.1.4"'
        ) from error


def _constants(unicorn: ModuleType, isa: Isa) -> dict[str, int]:
    """Return the library's constants by name: its own and those of the machine's family."""
    module = import_module(f"unicorn.{isa.emulator_arch.removeprefix('UC_ARCH_').lower()}_const")
    found = {**vars(unicorn.unicorn_const), **vars(module)}
    return {name: value for name, value in found.items() if name.startswith("UC_")}

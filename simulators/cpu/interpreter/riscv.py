"""RV32IM and RV64IM interpreted: the fast path of `rv32` and `rv64`, row for row the emulator's.

It is written against the manual, not the emulator, so the two are oracles of each other. It knows
I and M only: what other cores have beside them (compressed, atomic or floating-point instructions,
control registers, `fence.i`) ends with INVALID_INSTRUCTION, as does a jump to no multiple of four;
that jump itself has completed.

What an instruction does stands in `riscv_kernel`; here are sizes, buffers and the tables for it.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.interpreter.riscv_decode import OPERATIONS, PC, operation_key
from simulators.cpu.interpreter.riscv_kernel import PAGE_BYTES, run_programs
from simulators.cpu.isa.analysis import fixed_bits
from simulators.cpu.isa.table import Isa, LayoutName, state_bytes_of
from simulators.cpu.states import check_batch, plain
from simulators.protocol import EndReason, ProgramBatch, TraceBatch

_CHUNK_BYTES: Final = 256 * 2**20
"""Room that is asked for at once. A run needs room for the most states of all its programs before
it knows how many there are; pages that no state reaches are never touched, so they cost nothing."""

_ENDS: Final = {
    "invalid": EndReason.INVALID_INSTRUCTION,
    "stop": EndReason.HALTED,
    "system call": EndReason.SYSTEM_CALL,
    "left program": EndReason.LEFT_PROGRAM,
    "memory fault": EndReason.MEMORY_FAULT,
    "step limit": EndReason.STEP_LIMIT,
}
_END_REASONS: Final = np.array([_ENDS[name] for name in OPERATIONS[: len(_ENDS)]], np.uint8)

_WORD_OPERATIONS: Final = frozenset(
    {"add", "sub", "sll", "srl", "sra", "mul", "mulh", "mulhsu", "mulhu"}
    | {"div", "divu", "rem", "remu"}
)
"""What is done on all bits of a register, and so on words in RV32."""
_SPECIAL_CASES: Final = frozenset({"li", "j", "call", "ret"})
"""Forms that have all their bits in common with another one, and do the same."""


class RiscvInterpreter:
    """A machine of one size; runs any number of batches, each as on a fresh machine.

    Raises:
        ValueError: not a RISC-V table, or one with other pages than the interpreter has.
    """

    def __init__(
        self,
        isa: Isa,
        *,
        layout: LayoutName,
        program_bytes: int,
        data_bytes: int,
        max_states: int,
    ) -> None:
        _check_table(isa)
        fields = isa.layout(layout)
        self._isa: Final = isa
        self._layout: Final[LayoutName] = layout
        self._program_bytes: Final = program_bytes
        self._data_bytes: Final = data_bytes
        self._max_states: Final = max_states
        self._state_bytes: Final = state_bytes_of(fields)
        self._word: Final[np.dtype[Any]] = np.dtype(f"<u{isa.bits // 8}")
        self._places: Final = np.array(
            [
                PC if code is None else code
                for code in (isa.register(field.register).code for field in fields)
            ],
            np.uint64,
        )
        self._operations: Final = operations_of(isa)
        self._machine: Final = np.array(
            [
                isa.bits,
                isa.code_address,
                isa.code_bytes,
                program_bytes,
                isa.data_address,
                isa.stack_address,
                max_states,
            ],
            np.uint64,
        )

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end; one state at the start and one after each instruction.

        Raises:
            ValueError: the batch is not one of programs of this machine.
        """
        check_batch(
            self._isa,
            self._layout,
            program_bytes=self._program_bytes,
            data_bytes=self._data_bytes,
            batch=batch,
        )
        code, offsets, data = plain(batch.code), plain(batch.offsets), plain(batch.data)
        initial = plain(np.ascontiguousarray(batch.initial_states).view(self._word))
        rows = np.zeros(len(batch) + 1, np.int64)
        ends = np.zeros(len(batch), np.uint8)
        num_words = self._state_bytes // self._word.itemsize
        chunk = max(1, _CHUNK_BYTES // (self._max_states * self._state_bytes))
        parts: list[NDArray[np.uint8]] = []
        for first in range(0, len(batch), chunk):
            last = min(first + chunk, len(batch))
            states = np.empty((last - first) * self._max_states * num_words, self._word)
            run_programs(
                code,
                offsets[first : last + 1],
                initial[first:last],
                data[first:last],
                self._operations,
                self._places,
                self._machine,
                states,
                rows[first : last + 1],
                ends[first:last],
            )
            num_states = int(rows[last] - rows[first])
            parts.append(states[: num_states * num_words].view(np.uint8))
        joined = parts[0] if len(parts) == 1 else np.concatenate([*parts, np.zeros(0, np.uint8)])
        return TraceBatch(
            states=joined.reshape(-1, self._state_bytes),
            offsets=rows,
            end_reasons=_END_REASONS[ends],
        )


def operations_of(isa: Isa) -> NDArray[np.uint8]:
    """Return the kernel's table: an instruction's opcode, funct3 and funct7 to its operation."""
    keys = np.arange(1 << 15)
    table = np.full(len(keys), OPERATIONS.index("invalid"), np.uint8)
    for form in isa.forms:
        if form.name not in _SPECIAL_CASES:
            mask, value = (operation_key(bits) for bits in fixed_bits(form))
            table[keys & mask == value] = OPERATIONS.index(_operation(isa, form.name))
    # `fence` orders what one machine alone never sees out of order.
    fence = operation_key(0x0F)
    table[keys & ~operation_key(0x7F << 25) == fence] = OPERATIONS.index("nothing")
    return table


def _operation(isa: Isa, name: str) -> str:
    """Return the operation of a form: that of `addi` is `add`, or `addw` on RV32."""
    if name == "lui":
        return "add"
    if name not in OPERATIONS:
        name = name.replace("i", "", 1)  # addi, sltiu, srliw
    return f"{name}w" if isa.bits == 32 and name in _WORD_OPERATIONS else name


def _check_table(isa: Isa) -> None:
    """Refuse a machine whose memory is not what the kernel has."""
    if isa.emulator_arch != "UC_ARCH_RISCV" or isa.bits not in (32, 64):
        raise ValueError(f"'{isa.name}' is no RISC-V of 32 or 64 bits")
    if isa.stack_bytes != PAGE_BYTES or isa.data_address % PAGE_BYTES + isa.data_bytes > PAGE_BYTES:
        raise ValueError(f"'{isa.name}' needs a stack and a data window of one page each")
    if any(field.num_bytes != isa.bits // 8 for field in (*isa.narrow, *isa.full)):
        raise ValueError(f"'{isa.name}' records parts of registers; only whole ones are kept here")

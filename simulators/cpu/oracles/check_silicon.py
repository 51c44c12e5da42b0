"""The oracle of x86-64: the emulator's states against the host's own processor.

Random programs of every profile, and every form of the table alone on random registers, which is
where an emulator's mistake or a wrong flag mask shows. Where single steps are not to be had, the
result says why.
"""

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np

from simulators.batches import batch_of
from simulators.cpu.emulation.emulator import Emulator
from simulators.cpu.isa.table import LAYOUTS, Isa, LayoutName
from simulators.cpu.oracles.form_samples import draw_form_samples
from simulators.cpu.oracles.oracle import BATCH, OracleResult, Tally, draw_batches, run_oracle
from simulators.cpu.oracles.silicon import FinalMemory, Silicon, unavailable
from simulators.cpu.oracles.trace_difference import memory_differences, trace_differences
from simulators.cpu.states import state_fields
from simulators.protocol import ProgramBatch

_PROGRAM_BYTES: Final = 256
"""Of the programs of one instruction: room for a jump to somewhere."""
_MAX_STATES: Final = 4


def check_silicon(isa: Isa, *, rows: int, per_form: int, seed: int = 0) -> OracleResult:
    """Compare the host's own processor with the emulator, states and memory.

    `rows` states of programs over all profiles and both layouts, and `per_form` instructions of
    every form in each layout.
    """

    def compare(tally: Tally) -> str | None:
        if isa.elf_machine != "EM_X86_64":
            return f"{isa.name} programs do not run on an x86-64 processor under a 64-bit kernel"
        reason = unavailable()
        if reason is not None:
            return reason
        for machine, batch, source_of in draw_batches(isa, rows, seed, tally):
            sizes = (machine.program_bytes, machine.max_states)
            _compare(isa, machine.layout, batch, sizes, source_of, tally)
        for layout in LAYOUTS:
            _compare_forms(isa, layout, per_form, seed, tally)
        return None

    return run_oracle("emulator = silicon", "states", compare)


def _compare_forms(isa: Isa, layout: LayoutName, per_form: int, seed: int, tally: Tally) -> None:
    """Compare single instructions of every form."""
    places = (16, _PROGRAM_BYTES - 16)
    samples = list(draw_form_samples(isa, per_form, seed, places=places))
    random = Random(seed)
    for start in range(0, len(samples), BATCH):
        part = samples[start : start + BATCH]
        batch = _form_batch(isa, layout, [sample.code for sample in part], random)
        names = [f"form '{sample.form.name}', {layout} layout" for sample in part]
        sizes = (_PROGRAM_BYTES, _MAX_STATES)
        _compare(isa, layout, batch, sizes, names.__getitem__, tally)


def _compare(
    isa: Isa,
    layout: LayoutName,
    batch: ProgramBatch,
    sizes: tuple[int, int],
    source_of: Callable[[int], str],
    tally: Tally,
) -> None:
    """Run a batch on both; `sizes` are the program's bytes and the most states."""
    program_bytes, max_states = sizes
    data_bytes = batch.data.shape[1]
    emulator = Emulator(
        isa,
        layout=layout,
        program_bytes=program_bytes,
        data_bytes=data_bytes,
        max_states=max_states,
    )
    silicon = Silicon(
        isa,
        layout=layout,
        program_bytes=program_bytes,
        data_bytes=data_bytes,
        max_states=max_states,
    )
    try:
        expected, kept = emulator.run_with_memory(batch)
    finally:
        emulator.close()
    found, left = silicon.run_with_memory(batch)
    tally.compared += len(found.states)
    tally.add(trace_differences(isa, layout, batch, expected, found, source_of))
    for kind in ("data window", "stack"):
        one, other = _memory(kind, isa, kept), _memory(kind, isa, left)
        tally.add(memory_differences(kind, one, other, source_of))


def _memory(kind: str, isa: Isa, memories: list[FinalMemory]) -> list[bytes]:
    if kind == "stack":
        return [memory.stack.rjust(isa.stack_bytes, b"\0") for memory in memories]
    return [memory.data for memory in memories]


def _form_batch(isa: Isa, layout: LayoutName, codes: list[bytes], random: Random) -> ProgramBatch:
    """Return programs of one instruction, stops around it, on random registers.

    Half of the registers point into the data window, so that loads and stores find memory.
    """
    fill = isa.stop * (_PROGRAM_BYTES // len(isa.stop))
    programs = [code + fill[len(code) :] for code in codes]
    fields = state_fields(isa, layout)
    states: list[bytes] = []
    for _ in codes:
        state = bytearray()
        for field in fields:
            value = _register_value(isa, field.name, random) % (1 << 8 * field.num_bytes)
            state += value.to_bytes(field.num_bytes, "little")
        states.append(bytes(state))
    initial_states = np.frombuffer(b"".join(states), np.uint8).reshape(len(codes), -1)
    windows = random.randbytes(len(codes) * isa.data_bytes)
    data = np.frombuffer(windows, np.uint8).reshape(len(codes), -1)
    return batch_of(programs, initial_states, data)


def _register_value(isa: Isa, name: str, random: Random) -> int:
    if name == isa.program_counter:
        return isa.code_address
    if name == isa.flags:
        return random.getrandbits(isa.bits) & isa.flags_mask
    if name == isa.stack_pointer:
        return isa.stack_address + isa.stack_bytes - 8 * random.randrange(32)
    if name not in {register.name for register in isa.registers}:
        return 0  # padding
    if random.random() < 0.5:
        return isa.data_address + random.randrange(isa.data_bytes)
    value = random.getrandbits(random.randint(1, isa.bits))
    return -value if random.random() < 0.3 else value

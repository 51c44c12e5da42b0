"""Tables against the machine: an instruction changes no register that its entries do not own up to.

A variable that is not marked `written` though its register is would let a loop's body overwrite the
counter; nothing static can see that, a run can.
"""

from itertools import pairwise

import numpy as np
import pytest

from simulators.batches import programs_of
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import TARGET, Isa
from simulators.cpu.machine import Machine
from simulators.cpu.reading.decoder import Decoder

NUM_PROGRAMS = 100


def declared(isa: Isa) -> dict[str, list[tuple[int, dict[int, int]]]]:
    """Form to (operand, its values' register codes) of every use of a written variable."""
    found: dict[str, list[tuple[int, dict[int, int]]]] = {form.name: [] for form in isa.forms}
    for entry in isa.entries:
        for use in (*entry.opening, *entry.closing):
            for i, index in enumerate(use.operands):
                if index == TARGET or not entry.variables[index].written:
                    continue
                variable = entry.variables[index]
                values = variable.values or range(variable.low, variable.low + variable.count)
                codes = dict(zip(values, variable.registers or values, strict=True))
                if (i, codes) not in found[use.form]:
                    found[use.form].append((i, codes))
    return found


@pytest.mark.parametrize("name", ISAS)
def test_no_instruction_changes_a_register_that_its_entries_do_not_declare(name: str) -> None:
    isa = ISAS[name]
    machine = Machine(
        isa=isa, profile="fault", layout="full", memory_bytes=1024, max_instructions=60
    )
    batch = machine.draw(0, np.arange(NUM_PROGRAMS, dtype=np.uint64))
    traces = machine.run(batch)
    decoder, written = Decoder(isa), declared(isa)
    fields = {field.name: field for field in machine.fields}
    counter = fields[isa.program_counter]
    codes = {
        register.code: fields[register.name]
        for register in isa.registers
        if register.code is not None and register.name != isa.stack_pointer
    }
    changes = 0
    for i, code in enumerate(programs_of(batch)):
        states = traces.states[traces.offsets[i] : traces.offsets[i + 1]]
        for before, after in pairwise(states):
            place = before[counter.offset : counter.offset + counter.num_bytes].tobytes()
            offset = int.from_bytes(place, "little") - isa.code_address
            form = decoder.form_at(code, offset)
            assert form is not None
            operands = decoder.operands_at(code, offset)
            allowed = {
                registers[operands[operand]]
                for operand, registers in written[form.name]
                if operands[operand] in registers
            }
            for register, field in codes.items():
                part = slice(field.offset, field.offset + field.num_bytes)
                if (before[part] != after[part]).any():
                    changes += 1
                    assert register in allowed or form.writes >> register & 1, (
                        f"program {i}: '{decoder.text_at(code, offset)}' changes {field.name}"
                    )
    assert changes > 1000

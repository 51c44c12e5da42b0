"""The examples of docs/data-format.md for real machines: one file byte by byte, one worked draw.

The draw is worked out here in plain Python, from the page's words and the instruction set's table.
When a set's version is raised, run this file as a program: it prints the page's new example.
"""

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np

from simulators.batches import batch_of, programs_of
from simulators.cpu.drawing.program_choice import choose_entries, class_weights_of
from simulators.cpu.isa.table import CLASSES, Entry, Variable
from simulators.cpu.layout import lay_out, split_file, split_memory
from simulators.cpu.machine import Machine
from simulators.protocol import EndReason
from simulators.registry import make_system

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data-format.md").read_text("utf-8")
HEX = (ROOT / "tests" / "golden" / "x86_16-file.hex").read_text("utf-8")
COUNTER: Final = 7
_MASK: Final = 2**64 - 1


def machine(profile: str, memory_bytes: int) -> Machine:
    system = make_system("x86_16", memory_bytes=memory_bytes, max_instructions=8, profile=profile)
    assert isinstance(system, Machine)
    return system


def test_the_file_shown_byte_by_byte_is_what_the_machine_makes() -> None:
    assert HEX in PAGE
    content = bytes.fromhex(re.sub("#.*", "", HEX))
    cpu = machine("memory", 96)
    memory, states = split_file(content, memory_bytes=96, state_bytes=cpu.state_bytes)
    program, data = split_memory(memory, cpu.data_bytes)
    code = program.rstrip(b"\0")
    lines = {line.offset: line.text for line in cpu.listing(code)}
    assert list(lines) == [0, 3, 7, 10]
    for offset, text in lines.items():
        assert f"# {cpu.isa.code_address + offset:#x}  {text}" in HEX
    row = np.frombuffer(data, np.uint8).reshape(1, -1)
    batch = batch_of([code], states[:1].copy(), row)
    traces = cpu.run(batch)
    assert traces.end_reasons.tolist() == [EndReason.HALTED]
    assert lay_out(batch, traces, memory_bytes=96).data.tobytes() == content


def splitmix64(seed: int, index: int) -> int:
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return z ^ z >> 31


def below(bits: int, bound: int) -> tuple[int, int]:
    return bits * bound >> 64, bits * bound & _MASK


def count_of(variable: Variable) -> int:
    return len(variable.values) or variable.count


def value_of(variable: Variable, pick: int) -> int:
    return variable.values[pick] if variable.values else variable.low + variable.step * pick


class WorkedDraw:
    """A draw of x86_16, profile `alu`, programs of up to 8 instructions, seed 0."""

    def __init__(self, counter: int) -> None:
        cpu = machine("alu", 512)
        self.entries: list[Entry] = []
        self.rows: list[tuple[str, str, str]] = []
        text = f"x86_16/{cpu.version}/0"
        key = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
        self.start = splitmix64(key, counter)
        self._row("key", key, f"of `{text}`")
        self._row("start", self.start, f"of counter {counter}")
        wanted = 1 + below(self._word(0), 8)[0]
        some = f"{wanted} instruction{'' if wanted == 1 else 's'}"
        self._row("word 0", self._word(0), f"{some} before the one that ends")
        self._draw_entries(cpu, wanted)
        self.flags = self._word(2**32) & cpu.isa.flags_mask
        self._row("word 2^32", self._word(2**32), f"& {cpu.isa.flags_mask:#06x}: {self.flags:#06x}")
        first = 2**32 + 1
        width, bits = below(self._word(first), 3)
        inverted = below(bits, 4)[0] == 0
        self._row("word 2^32 + 1", self._word(first), f"{4 << width} bits, {_kept(inverted)}")
        value = self._word(first + 1) >> 64 - (4 << width)
        self.register = (value ^ (0xFFFF if inverted else 0)) & 0xFFFF
        name = cpu.isa.program_registers[0]
        self._row("word 2^32 + 2", self._word(first + 1), f"{name} {self.register:#06x}")

    def _draw_entries(self, cpu: Machine, wanted: int) -> None:
        weights = class_weights_of(cpu.isa, "alu", None)
        drawn = choose_entries(cpu.isa, weights).drawn
        word, count = 1, 0
        while count < wanted:
            slot, bits = below(self._word(word), sum(weights.values()))
            slots = [name for name in CLASSES for _ in range(weights.get(name, 0))]
            of_class = [e for e in drawn if e.klass == slots[slot] for _ in range(e.weight)]
            number, _ = below(bits, len(of_class))
            entry = of_class[number]
            assert entry.scope == "none"
            said = f"{slot} below {len(slots)}: class {entry.klass}; then {number} below "
            said += f"{len(of_class)}: the entry `{entry.name}`"
            self._row(f"word {word}", self._word(word), said)
            word += 1
            for variable in entry.variables:
                bound = count_of(variable)
                if bound > 1:
                    pick, _ = below(self._word(word), bound)
                    value = value_of(variable, pick)
                    what = f"{pick} below {bound}: the value {value}"
                    self._row(f"word {word}", self._word(word), what)
                    word += 1
            self.entries.append(entry)
            count += len(entry.opening)

    def _word(self, index: int) -> int:
        return splitmix64(self.start, index)

    def _row(self, name: str, value: int, meaning: str) -> None:
        self.rows.append((name, f"`{value:#018x}`", meaning))

    def text(self) -> str:
        lines = [f"| {name} | {value} | {meaning} |" for name, value, meaning in self.rows]
        cpu = machine("alu", 512)
        code = programs_of(cpu.draw(0, np.array([COUNTER], np.uint64)))[0]
        listing = "; ".join(line.text for line in cpu.listing(code))
        return "\n".join([*lines, "", f"The program is `{code.hex(' ')}`: `{listing}`."])


def _kept(inverted: bool) -> str:
    return "complemented" if inverted else "as they are"


def test_the_worked_draw_is_what_the_machine_draws() -> None:
    worked = WorkedDraw(COUNTER)
    assert worked.text() in PAGE, "run python tests/simulators/test_format_examples.py"
    cpu = machine("alu", 512)
    drawn = cpu.draw(0, np.array([COUNTER], np.uint64))
    state = drawn.initial_states[0].tobytes()
    found = {
        part.name: int.from_bytes(state[part.offset : part.offset + part.num_bytes], "little")
        for part in cpu.fields
    }
    assert found["FLAGS"] == worked.flags
    assert found[cpu.isa.program_registers[0]] == worked.register
    forms = [use.form for entry in worked.entries for use in entry.opening]
    code = programs_of(drawn)[0]
    from simulators.cpu.reading.decoder import kept_decoder

    decoder = kept_decoder(cpu.isa)
    starts = [line.offset for line in cpu.listing(code)][:-1]
    decoded = [decoder.form_at(code, offset) for offset in starts]
    assert [None if form is None else form.name for form in decoded] == forms


if __name__ == "__main__":
    print(WorkedDraw(COUNTER).text())

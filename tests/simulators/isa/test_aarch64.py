"""The AArch64 table: encodings against capstone, and every entry run on the emulator alone."""

from random import Random

import capstone
import pytest
import unicorn
from unicorn import arm64_const as registers

from simulators.cpu.isa.a64.operands import bit_masks
from simulators.cpu.isa.aarch64 import ISA
from simulators.cpu.isa.checks.consistency import check_isa_table
from simulators.cpu.isa.table import TARGET, Entry, Use, state_bytes_of
from simulators.cpu.oracles.form_samples import draw_form_samples, draw_variables, encode
from simulators.cpu.reading.listing_text import expected_texts, same_text

SAMPLES_PER_FORM = 12
RUNS_PER_ENTRY = 4
BODY = bytes.fromhex("1f2003d5")  # nop
FORMS = {form.name: form for form in ISA.forms}
MEMORY_FAULTS = {
    unicorn.UC_ERR_READ_UNMAPPED,
    unicorn.UC_ERR_WRITE_UNMAPPED,
    unicorn.UC_ERR_WRITE_PROT,
}
STACK_TOP = ISA.stack_address + ISA.stack_bytes


def test_the_table_is_consistent() -> None:
    check_isa_table(ISA)


def test_states_have_64_and_272_bytes() -> None:
    assert state_bytes_of(ISA.narrow) == sum(part.num_bytes for part in ISA.narrow) == 64
    assert state_bytes_of(ISA.full) == sum(part.num_bytes for part in ISA.full) == 272


def test_every_form_is_drawn_by_some_entry() -> None:
    uses = [use for entry in ISA.entries for use in (*entry.opening, *entry.closing)]
    drawn = {use.form for use in (*uses, *ISA.function_end)}
    assert drawn == set(FORMS)


@pytest.mark.parametrize(("width", "number"), [(32, 1302), (64, 5334)])
def test_the_masks_are_all_that_the_architecture_has(width: int, number: int) -> None:
    masks = bit_masks(width)
    assert len(masks) == len(set(masks.values())) == number
    # A run of ones within an element, turned: as the circle of an element's bits is followed,
    # it changes exactly twice.
    for mask in masks:
        bits = [mask >> i & 1 for i in range(width)]
        size = next(n for n in (2, 4, 8, 16, 32, 64) if bits == bits[:n] * (width // n))
        changes = sum(bits[i] != bits[i - 1] for i in range(1, size)) + (bits[0] != bits[size - 1])
        assert changes == 2


def test_capstone_reads_every_form_as_the_table_means_it() -> None:
    reader = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    compared = 0
    for sample in draw_form_samples(ISA, SAMPLES_PER_FORM, seed=1):
        line = next(reader.disasm(sample.code, ISA.code_address), None)
        assert line is not None, f"{sample.form.name} {sample.operands}: {sample.code.hex()}"
        texts = [
            wanted.text for wanted in expected_texts(sample.form, sample.operands, ISA.code_address)
        ]
        text = f"{line.mnemonic} {line.op_str}"
        assert any(same_text(text, wanted) for wanted in texts), (text, texts)
        compared += 1
    assert compared == SAMPLES_PER_FORM * len(ISA.forms)


def test_capstone_reads_the_stop_as_a_breakpoint() -> None:
    reader = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    (line,) = reader.disasm(ISA.stop, 0)
    assert (line.mnemonic, line.op_str) == ("brk", "#0")


def _encode(uses: tuple[Use, ...], values: list[int], place: int) -> bytes:
    """Encode instructions; a target lies `place` bytes from the one that names it."""
    return b"".join(
        encode(
            FORMS[use.form],
            tuple(place if index == TARGET else values[index] for index in use.operands),
        )
        for use in uses
    )


def _code_of(entry: Entry, values: list[int]) -> bytes:
    """Return an entry with one instruction as its body, and the stop."""
    if entry.scope == "call":
        assert len(entry.opening) == 1
        return (
            _encode(entry.opening, values, 8) + ISA.stop + BODY + _encode(ISA.function_end, [], 0)
        )
    opening = _encode(entry.opening, values, 4 + len(BODY))
    if entry.scope == "none":
        return opening + ISA.stop
    closing = _encode(entry.closing, values, 4 - 4 * len(entry.closing) - len(BODY))
    return opening + BODY + closing + ISA.stop


class _Machine:
    """The emulator, and what a run did."""

    def __init__(self) -> None:
        self.engine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.engine.mem_map(
            ISA.code_address, ISA.code_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        )
        self.engine.mem_map(0, 4096, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self.engine.mem_map(
            ISA.stack_address, ISA.stack_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
        )
        self.engine.hook_add(unicorn.UC_HOOK_CODE, self._step)
        access = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        self.engine.hook_add(access, self._access)
        self.pcs: list[int] = []
        self.touched: list[tuple[int, int]] = []

    def _step(self, engine: unicorn.Uc, address: int, size: int, _: object) -> None:
        self.pcs.append(address)

    def _access(
        self, engine: unicorn.Uc, kind: int, address: int, size: int, value: int, _: object
    ) -> None:
        self.touched.append((address, address + size))

    def run(self, code: bytes, random: Random) -> bool:
        """Run until the stop; say whether an access to memory failed."""
        self.pcs, self.touched = [], []
        self.engine.mem_write(ISA.code_address, code)
        self.engine.ctl_flush_tb()
        for name in ISA.program_registers:
            value = random.getrandbits(64) >> random.choice((0, 32, 48, 56, 60))
            self.engine.reg_write(getattr(registers, ISA.register(name).emulator), value)
        self.engine.reg_write(registers.UC_ARM64_REG_NZCV, random.getrandbits(4) << 28)
        self.engine.reg_write(registers.UC_ARM64_REG_SP, STACK_TOP)
        stop = ISA.code_address + code.index(ISA.stop)
        try:
            self.engine.emu_start(ISA.code_address, stop, count=200)
        except unicorn.UcError as error:
            if error.errno not in MEMORY_FAULTS:
                raise RuntimeError(f"{code.hex(' ', 4)}: error {error.errno}") from error
            return True
        assert self.engine.reg_read(registers.UC_ARM64_REG_PC) == stop
        return False


def test_every_entry_runs_to_its_end_and_stays_in_its_memory() -> None:
    machine = _Machine()
    random = Random(2)
    window = range(ISA.data_address, ISA.data_address + ISA.data_bytes + 1)
    stack = range(STACK_TOP - 256, STACK_TOP + 1)
    faults: dict[str, int] = {}
    rounds: dict[str, list[int]] = {}
    for entry in ISA.entries:
        for _ in range(RUNS_PER_ENTRY):
            code = _code_of(entry, draw_variables(entry, random))
            failed = machine.run(code, random)
            if entry.klass == "fault":
                faults[entry.name] = faults.get(entry.name, 0) + failed
                continue
            assert not failed, f"{entry.name}: {code.hex(' ', 4)}"
            memory = stack if entry.klass == "stack" else window
            for first, last in machine.touched:
                assert first in memory, f"{entry.name}: {first:#x}: {code.hex(' ', 4)}"
                assert last in memory, f"{entry.name}: {last:#x}: {code.hex(' ', 4)}"
            assert bool(machine.touched) == (entry.klass in {"load", "store", "stack"}), entry.name
            assert machine.engine.reg_read(registers.UC_ARM64_REG_SP) == STACK_TOP
            if entry.scope == "loop":
                body = ISA.code_address + 4 * len(entry.opening)
                rounds.setdefault(entry.name, []).append(machine.pcs.count(body))
    assert rounds
    assert all(1 <= number <= 7 for numbers in rounds.values() for number in numbers), rounds
    assert max(max(numbers) for numbers in rounds.values()) > 1
    for name, number in faults.items():
        assert number == RUNS_PER_ENTRY or name.endswith("perhaps unmapped"), name
    perhaps = [number for name, number in faults.items() if name.endswith("perhaps unmapped")]
    assert 0 < sum(perhaps) < RUNS_PER_ENTRY * len(perhaps)


def test_flags_lie_in_the_bits_that_the_table_says() -> None:
    machine = _Machine()
    compare = encode(FORMS["cmp x, #"], (0, 1, 0))
    machine.engine.mem_write(ISA.code_address, compare)
    flags: dict[int, int] = {}
    for value in (0, 1, 2, 1 << 63):
        machine.engine.reg_write(registers.UC_ARM64_REG_X0, value)
        machine.engine.emu_start(ISA.code_address, ISA.code_address + 4)
        flags[value] = machine.engine.reg_read(registers.UC_ARM64_REG_NZCV)
    n, z, c, v = (1 << ISA.flag_bits[name] for name in "NZCV")
    assert flags == {0: n, 1: z | c, 2: c, 1 << 63: c | v}
    assert n | z | c | v == ISA.flags_mask

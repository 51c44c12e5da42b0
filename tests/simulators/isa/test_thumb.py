"""The Thumb table: encodings against capstone, and every entry run on the emulator alone."""

from collections import Counter
from random import Random

import capstone
import pytest
import unicorn
from unicorn import arm_const as registers

from simulators.cpu.isa.checks.consistency import check_isa_table
from simulators.cpu.isa.t32.operands import ENCODINGS, IMMEDIATES
from simulators.cpu.isa.table import TARGET, Entry, Use, state_bytes_of
from simulators.cpu.isa.thumb import ISA
from simulators.cpu.oracles.form_samples import draw_form_samples, draw_variables, encode
from simulators.cpu.reading.listing_text import expected_texts, same_text

SAMPLES_PER_FORM = 12
RUNS_PER_ENTRY = 4
BODY = bytes.fromhex("00bf")  # nop
FORMS = {form.name: form for form in ISA.forms}
WINDOW = range(ISA.data_address, ISA.data_address + ISA.data_bytes + 1)
STACK_TOP = ISA.stack_address + ISA.stack_bytes
STACK = range(STACK_TOP - 64, STACK_TOP + 1)
MEMORY_FAULTS = {
    unicorn.UC_ERR_READ_UNMAPPED,
    unicorn.UC_ERR_WRITE_UNMAPPED,
    unicorn.UC_ERR_WRITE_PROT,
}
ALIGNED = ("ldrd", "strd", "ldm", "stm")


def reader() -> capstone.Cs:
    return capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)


def test_the_table_is_consistent() -> None:
    check_isa_table(ISA)


def test_states_have_32_and_80_bytes() -> None:
    assert state_bytes_of(ISA.narrow) == sum(part.num_bytes for part in ISA.narrow) == 32
    assert state_bytes_of(ISA.full) == 80
    assert sum(part.num_bytes for part in ISA.full) == 4 * 17


def test_every_form_is_drawn_by_some_entry() -> None:
    uses = [use for entry in ISA.entries for use in (*entry.opening, *entry.closing)]
    drawn = {use.form for use in (*uses, *ISA.function_end)}
    assert drawn == set(FORMS)


def test_forms_have_16_and_32_bits() -> None:
    # The five highest bits of the first halfword say which: 0b11101, 0b11110 and 0b11111.
    sizes: Counter[int] = Counter()
    for form in ISA.forms:
        first = int.from_bytes(form.base[:2], "little") >> 11
        assert len(form.base) == (4 if first in {0b11101, 0b11110, 0b11111} else 2), form.name
        sizes[len(form.base)] += 1
    assert min(sizes[2], sizes[4]) > 50, sizes


def test_immediates_are_what_capstone_reads() -> None:
    form, read = FORMS["mov.w r, #"], reader()
    for encoding, value in IMMEDIATES.items():
        (line,) = read.disasm(encode(form, (0, encoding)), 0)
        assert int(line.op_str.removeprefix("r0, #"), 0) % (1 << 32) == value, line.op_str
    # Of three patterns with a byte of 0 the manual does not say what they mean.
    assert len(IMMEDIATES) == len(ENCODINGS) == 4096 - 3


def test_capstone_reads_every_form_as_the_table_means_it() -> None:
    read = reader()
    compared = 0
    for sample in draw_form_samples(ISA, SAMPLES_PER_FORM, seed=1):
        line = next(read.disasm(sample.code, ISA.code_address), None)
        assert line is not None, f"{sample.form.name} {sample.operands}: {sample.code.hex()}"
        assert line.size == len(sample.code)
        texts = [
            wanted.text for wanted in expected_texts(sample.form, sample.operands, ISA.code_address)
        ]
        text = f"{line.mnemonic} {line.op_str}".rstrip()
        assert any(same_text(text, wanted) for wanted in texts), (text, texts)
        compared += 1
    assert compared == SAMPLES_PER_FORM * len(ISA.forms)


def test_capstone_reads_the_stop_as_a_breakpoint() -> None:
    (line,) = reader().disasm(ISA.stop, 0)
    assert (line.mnemonic, line.op_str) == ("bkpt", "#0")


def _num_bytes(uses: tuple[Use, ...]) -> int:
    return sum(len(FORMS[use.form].base) for use in uses)


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
    """Return an entry around a body of 4 bytes, and the stop."""
    body, branch = 2 * BODY, _num_bytes(entry.opening[-1:])
    if entry.scope == "call":
        # The function stands behind the stop.
        place = branch + len(ISA.stop)
        function = body + _encode(ISA.function_end, [], 0)
        return _encode(entry.opening, values, place) + ISA.stop + function
    opening = _encode(entry.opening, values, branch + len(body))
    if entry.scope == "none":
        return opening + ISA.stop
    back = -len(body) - _num_bytes(entry.closing[:-1])
    return opening + body + _encode(entry.closing, values, back) + ISA.stop


class _Machine:
    """The emulator, and what a run did."""

    def __init__(self) -> None:
        mode = unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        self.engine = unicorn.Uc(unicorn.UC_ARCH_ARM, mode)
        self.engine.ctl_set_cpu_model(registers.UC_CPU_ARM_CORTEX_M4)
        for address, size, rights in (
            (ISA.code_address, ISA.code_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC),
            (0, 4096, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE),
            (ISA.stack_address, ISA.stack_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE),
        ):
            self.engine.mem_map(address, size, rights)
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

    def run(self, code: bytes, values: dict[str, int], stop: int) -> bool:
        """Run to the offset `stop`; say whether an access to memory failed."""
        self.pcs, self.touched = [], []
        self.engine.mem_write(ISA.code_address, code)
        self.engine.ctl_flush_tb()
        for name, value in {"SP": STACK_TOP, "LR": 0, **values}.items():
            self.engine.reg_write(getattr(registers, ISA.register(name).emulator), value)
        end = ISA.code_address + stop
        try:
            self.engine.emu_start(ISA.code_address | ISA.start_bit, end, count=200)
        except unicorn.UcError as error:
            if error.errno not in MEMORY_FAULTS:
                raise RuntimeError(f"{code.hex(' ', 2)}: error {error.errno}") from error
            return True
        assert self.read("PC") == end, code.hex(" ", 2)
        return False

    def read(self, name: str) -> int:
        return self.engine.reg_read(getattr(registers, ISA.register(name).emulator))


def _random_values(random: Random) -> dict[str, int]:
    values = {
        name: random.getrandbits(32) >> random.choice((0, 0, 16, 24, 28))
        for name in ISA.program_registers
    }
    return values | {"APSR": random.getrandbits(5) << 27}


def test_every_entry_runs_to_its_end_and_stays_in_its_memory() -> None:
    machine = _Machine()
    random = Random(2)
    faults: dict[str, int] = {}
    rounds: dict[str, list[int]] = {}
    for entry in ISA.entries:
        for _ in range(RUNS_PER_ENTRY):
            code = _code_of(entry, draw_variables(entry, random))
            stop = _num_bytes(entry.opening) if entry.scope == "call" else len(code) - 2
            failed = machine.run(code, _random_values(random), stop)
            where = f"{entry.name}: {code.hex(' ', 2)}"
            if entry.klass == "fault":
                faults[entry.name] = faults.get(entry.name, 0) + failed
                continue
            assert not failed, where
            memory = STACK if entry.klass == "stack" else WINDOW
            for first, last in machine.touched:
                assert first in memory, where
                assert last in memory, where
                assert not entry.name.startswith(ALIGNED) or first % 4 == 0, where
            assert bool(machine.touched) == (entry.klass in {"load", "store", "stack"}), where
            assert machine.read("SP") == STACK_TOP, where
            if entry.scope == "loop":
                body = ISA.code_address + _num_bytes(entry.opening)
                rounds.setdefault(entry.name, []).append(machine.pcs.count(body))
    assert rounds
    assert all(1 <= number <= 7 for numbers in rounds.values() for number in numbers), rounds
    assert max(max(numbers) for numbers in rounds.values()) > 1
    for name, number in faults.items():
        assert number == RUNS_PER_ENTRY or name.endswith("perhaps unmapped"), name
    perhaps = [number for name, number in faults.items() if name.endswith("perhaps unmapped")]
    assert 0 < sum(perhaps) < RUNS_PER_ENTRY * len(perhaps)


def test_a_flag_that_a_form_sets_does_not_depend_on_what_it_was() -> None:
    machine = _Machine()
    random = Random(3)
    mask = ISA.flags_mask
    changed: Counter[str] = Counter()
    for entry in ISA.entries:
        if entry.scope != "none" or len(entry.opening) > 1:
            continue
        form = FORMS[entry.opening[0].form]
        for _ in range(RUNS_PER_ENTRY):
            code = _encode(entry.opening, draw_variables(entry, random), 0)
            values = _random_values(random)
            results = set[int]()
            for others in (0, mask):
                before = others & ~form.reads | values["APSR"] & form.reads
                assert not machine.run(code + ISA.stop, {**values, "APSR": before}, len(code))
                results.add(machine.read("APSR") & form.sets)
                changed[form.name] += machine.read("APSR") != before
            assert len(results) == 1, f"{form.name}: {code.hex(' ', 2)}"
    # What sets no flags leaves them as they were; saturation alone is not said to set one.
    quiet = {name for name in changed if not FORMS[name].sets}
    assert {name for name in quiet if changed[name]} <= {form for form in FORMS if "sat " in form}
    assert min(changed[name] for name in changed if FORMS[name].sets) > 0


N, Z, C, V, Q = (1 << ISA.flag_bits[name] for name in "NZCVQ")
LEAST = 1 << 31
ALL = (1 << 32) - 1
RESULTS = [
    # form, operands, registers before, APSR before, R0 and APSR after
    ("cmp r, #", (0, 1), {"R0": 0}, 0, (0, N)),
    ("cmp r, #", (0, 1), {"R0": 1}, 0, (1, Z | C)),
    ("cmp r, #", (0, 1), {"R0": 2}, 0, (2, C)),
    ("cmp r, #", (0, 1), {"R0": LEAST}, 0, (LEAST, C | V)),
    ("movs r, #", (0, 0), {"R0": 5}, C | V, (0, Z | C | V)),
    ("adcs r, r", (0, 1), {"R0": ALL, "R1": 0}, C, (0, Z | C)),
    ("lsls r, r", (0, 1), {"R0": 1, "R1": 32}, 0, (0, Z | C)),
    ("lsls r, r", (0, 1), {"R0": 1, "R1": 256}, C, (1, C)),
    ("lsrs r, r, #", (0, 1, 0), {"R1": LEAST}, 0, (0, Z | C)),
    ("rrxs r, r", (0, 1), {"R1": 1}, C, (LEAST, N | C)),
    ("ands.w r, r, #", (0, 1, ENCODINGS[LEAST]), {"R1": ALL}, 0, (LEAST, N | C)),
    ("sdiv r, r, r", (0, 1, 2), {"R1": 7, "R2": 0}, 0, (0, 0)),
    ("udiv r, r, r", (0, 1, 2), {"R1": 7, "R2": 0}, 0, (0, 0)),
    ("sdiv r, r, r", (0, 1, 2), {"R1": LEAST, "R2": ALL}, 0, (LEAST, 0)),
    ("ssat r, #, r, shift", (0, 7, 1, 0), {"R1": 128}, 0, (127, Q)),
    ("ssat r, #, r, shift", (0, 7, 1, 0), {"R1": 127}, Q, (127, Q)),
    ("usat r, #, r, shift", (0, 7, 1, 0), {"R1": ALL}, N, (0, N | Q)),
    ("clz r, r", (0, 17), {"R1": 1}, 0, (31, 0)),
    ("ubfx r, r, #, #", (0, 1, 4 << 5 | 7), {"R1": 0xABC0}, 0, (0xBC, 0)),
    ("bfi r, r, #, #", (0, 1, 4 << 5 | 7), {"R0": ALL, "R1": 0}, 0, (0xFFFFFF0F, 0)),
]


@pytest.mark.parametrize(("form", "operands", "before", "flags", "after"), RESULTS)
def test_results_and_flags_are_those_of_the_manual(
    form: str,
    operands: tuple[int, ...],
    before: dict[str, int],
    flags: int,
    after: tuple[int, int],
) -> None:
    machine = _Machine()
    code = encode(FORMS[form], operands)
    assert not machine.run(code + ISA.stop, {**before, "APSR": flags}, len(code))
    assert (machine.read("R0"), machine.read("APSR")) == after
    assert ISA.flags_mask == N | Z | C | V | Q

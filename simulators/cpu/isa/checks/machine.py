"""The check of a table, its machine: registers, layouts of a state, memory map."""

from itertools import combinations
from typing import Final

from simulators.cpu.isa.analysis import (
    MAX_INSTRUCTION_BYTES,
    is_instruction,
)
from simulators.cpu.isa.checks.finding import require, unique
from simulators.cpu.isa.table import (
    LAYOUTS,
    MAX_SAMPLE_BYTES,
    Isa,
    LayoutField,
    state_bytes_of,
)
from simulators.suggest import unknown_name

_PAGE: Final = 4096


def check_machine(isa: Isa) -> None:
    """Check registers, memory map and layouts."""
    _check_registers(isa)
    _check_memory_map(isa)
    for name in LAYOUTS:
        _check_layout(isa, name, isa.layout(name))


def _check_registers(isa: Isa) -> None:
    unique(isa, "register", (register.name for register in isa.registers))
    require(isa, "bits", isa.bits in (16, 32, 64), f"{isa.bits} is not 16, 32 or 64")
    codes: dict[int, str] = {}
    for register in isa.registers:
        where = f"register '{register.name}'"
        require(isa, where, register.name != "pad", "'pad' names the zeros that end a state")
        require(isa, where, 1 <= register.num_bytes <= 8, f"{register.num_bytes} bytes, not 1 to 8")
        if register.code is not None:
            require(isa, where, 0 <= register.code < 64, f"code {register.code} is not in 0..63")
            other = codes.setdefault(register.code, register.name)
            require(isa, where, other == register.name, f"has the code of '{other}'")
    names = [register.name for register in isa.registers]
    special = [isa.program_counter, isa.stack_pointer, *([isa.flags] if isa.flags else [])]
    for name in (isa.program_counter, *([isa.flags] if isa.flags else [])):
        require(isa, "registers", name in names, f"'{name}' is missing")
    unique(isa, "program register", isa.program_registers)
    for name in isa.program_registers:
        where = f"program register '{name}'"
        require(isa, where, name in names, unknown_name("register", name, names))
        require(isa, where, isa.register(name).code is not None, "has no code")
        require(isa, where, name not in special, "is the program counter, stack pointer or flags")
        size = isa.register(name).num_bytes
        require(isa, where, 8 * size == isa.bits, f"has {size} bytes, but isa.bits is {isa.bits}")
    known = {isa.register(name).code for name in isa.program_registers}
    require(isa, "counters", bool(isa.counters), "is empty: no register may count a loop")
    for code in isa.counters:
        require(isa, "counters", code in known, f"{code} is no program register's code")
    free = len(known - set(isa.counters))
    require(isa, "counters", free >= 2, f"leave {free} program registers free; 2 are needed")
    require(isa, "flag_bits", bool(isa.flags) == bool(isa.flag_bits), "and flags: one is missing")
    require(
        isa,
        "flag_bits",
        len(set(isa.flag_bits.values())) == len(isa.flag_bits),
        "two flags have one bit",
    )


def _check_layout(isa: Isa, name: str, fields: tuple[LayoutField, ...]) -> None:
    where = f"layout '{name}'"
    names = [register.name for register in isa.registers]
    recorded = [part.register for part in fields]
    unique(isa, f"{where}, field", recorded)
    for part in fields:
        field = f"{where}, field '{part.register}'"
        require(isa, field, part.register in names, unknown_name("register", part.register, names))
        size = isa.register(part.register).num_bytes
        fits = 1 <= part.num_bytes <= size
        require(isa, field, fits, f"{part.num_bytes} bytes, but the register has 1 to {size}")
        if part.register in isa.program_registers:
            whole = part.num_bytes == size
            require(isa, field, whole, f"a program register is recorded whole, {size} bytes")
        if part.register == isa.program_counter:
            end = isa.code_address + isa.code_bytes
            rule = f"{part.num_bytes} bytes cannot hold the end of the code, {end:#x}"
            require(isa, field, end >> 8 * part.num_bytes == 0, rule)
        if part.register == isa.flags:
            rule = f"{part.num_bytes} bytes cannot hold flag bits {isa.flags_mask:#x}"
            require(isa, field, isa.flags_mask >> 8 * part.num_bytes == 0, rule)
    for needed in (
        isa.program_counter,
        *isa.program_registers,
        *([isa.flags] if isa.flags else []),
    ):
        require(isa, where, needed in recorded, f"does not record '{needed}'")
    if name == "full":
        require(isa, where, recorded == names, f"records {recorded}, but the registers are {names}")
    size = state_bytes_of(fields)
    rule = f"a state has {size} bytes; a sample of {MAX_SAMPLE_BYTES} bytes holds too few"
    require(isa, where, size <= MAX_SAMPLE_BYTES // 8, rule)


def _check_memory_map(isa: Isa) -> None:
    for name in ("code_address", "code_bytes", "stack_address", "stack_bytes"):
        value: int = getattr(isa, name)
        require(isa, name, value % _PAGE == 0, f"{value:#x} is not a multiple of {_PAGE:#x}")
    rule = f"{isa.data_bytes} is not a multiple of 16 from 64 to 256"
    require(isa, "data_bytes", isa.data_bytes % 16 == 0 and 64 <= isa.data_bytes <= 256, rule)
    offset = isa.data_address % _PAGE
    rule = f"the window {isa.data_address:#x} + {isa.data_bytes} leaves its page"
    require(isa, "data_address", offset + isa.data_bytes <= _PAGE, rule)
    areas = {
        "code": (isa.code_address, isa.code_bytes),
        "data": (isa.data_address - offset, _PAGE),
        "stack": (isa.stack_address, isa.stack_bytes),
    }
    for name, (start, size) in areas.items():
        require(isa, f"{name} area", size > 0 and start >= 0, f"{size} bytes at {start:#x}")
        fits = start + size <= 1 << isa.bits
        require(isa, f"{name} area", fits, f"ends at {start + size:#x}, beyond {isa.bits} bits")
    for (one, (start, size)), (other, (other_start, other_size)) in combinations(areas.items(), 2):
        apart = start + size <= other_start or other_start + other_size <= start
        require(isa, f"{one} area", apart, f"lies over the {other} area (whole pages of 4,096)")
    rule = f"{isa.alignment} is not 1, 2 or 4"
    require(isa, "alignment", isa.alignment in (1, 2, 4), rule)
    rule = f"{len(isa.stop)} bytes, not a multiple of {isa.alignment} up to {MAX_INSTRUCTION_BYTES}"
    require(isa, "stop", is_instruction(isa, isa.stop), rule)

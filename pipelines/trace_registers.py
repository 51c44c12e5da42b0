"""Registers that a user sets before a trace: from text like `a0=5,x11=0x10` to values by name.

Beside a table's own names stand the other ones of its architecture's manual. It reads text only.
"""

from simulators.cpu.isa.table import Isa, LayoutName
from simulators.suggest import unknown_name


class RegisterError(ValueError):
    """What was given with `--set` is wrong; one line."""


def read_registers(text: str, isa: Isa, layout: LayoutName) -> dict[str, int]:
    """Return registers by name, from text like `a0=5,x11=0x10`.

    Raises:
        RegisterError: no such register in this layout, one that cannot be set or is set twice, or
            no number that it can hold.
    """
    found: dict[str, int] = {}
    for part in text.split(",") if text.strip() else []:
        if not part.strip():
            raise RegisterError(f"--set {text!r}: nothing stands before or behind a comma")
        name, _, number = (word.strip() for word in part.partition("="))
        register, num_bytes = _find_register(name, isa, layout)
        if register in found:
            also = "" if name.lower() == register.lower() else f" (as {register.lower()})"
            raise RegisterError(f"--set {name}: is given twice{also}")
        try:
            value = int(number, 0)
        except ValueError as error:
            raise RegisterError(
                f"--set {part.strip()!r}: give a number, as in {name}=5 or {name}=0x10"
            ) from error
        bits = 8 * num_bytes
        if not -(1 << (bits - 1)) <= value < 1 << bits:
            raise RegisterError(f"--set {name}={number}: it has {bits} bits")
        if register == isa.flags and value & ~isa.flags_mask:
            raise RegisterError(f"--set {name}={number}: it records {isa.flags_mask:#x} only")
        found[register] = value
    return found


def _find_register(name: str, isa: Isa, layout: LayoutName) -> tuple[str, int]:
    """Return a register's name in the table, and how many of its bytes a state records."""
    aliases = _aliases(isa)
    word = aliases.get(name.lower(), name).lower()
    sizes = {part.register.lower(): part for part in isa.layout(layout)}
    counter = isa.program_counter.lower()
    if word in (counter, "pc"):
        raise RegisterError(
            f"--set {name}: the program counter is not set; it starts at the program's entry point"
        )
    if isa.elf_machine == "EM_RISCV" and word in ("x0", "zero"):
        raise RegisterError(f"--set {name}: it is always 0")
    if word in sizes:
        return sizes[word].register, sizes[word].num_bytes
    if word in {part.register.lower() for part in isa.full}:
        raise RegisterError(
            f"--set {name}: layout '{layout}' does not record it; use --layout full"
        )
    known = [register for register in sizes if register != counter]
    raise RegisterError(f"--set: {unknown_name('register', name, known)}")


def _aliases(isa: Isa) -> dict[str, str]:
    """Return other names of registers, in small letters, and what the table calls them."""
    if isa.elf_machine == "EM_RISCV":
        numbered = {f"x{r.code}": r.name for r in isa.registers if r.code is not None}
        return {**numbered, "fp": "S0"}
    return {
        "EM_AARCH64": {"x30": "LR", "fp": "X29", "ip0": "X16", "ip1": "X17"},
        "EM_ARM": {"r13": "SP", "r14": "LR", "sb": "R9", "sl": "R10", "fp": "R11", "ip": "R12"},
    }.get(isa.elf_machine, {})

"""A64 branches, calls and returns, as forms; of those through a register `ret` alone."""

from collections.abc import Iterable

from simulators.cpu.isa.a64.operands import (
    CONDITIONS,
    LINK_REGISTER,
    NZCV,
    REGISTERS,
    SIZES,
    is_wide,
    make_form,
    named,
    number,
)
from simulators.cpu.isa.table import (
    Form,
    Operand,
    Target,
)


def branch_forms() -> tuple[Form, ...]:
    """Return these forms."""
    return (*(form for size in SIZES for form in _branches(size)), *_jumps())


def _place(at: int, bits: int, operand: int) -> tuple[Operand, Target]:
    """Return a distance in instructions from the branch itself, `bits` wide."""
    return number(at, bits, signed=True, scale=4), Target(
        operand=operand, bias=0, shift=2, lowest=-4 << (bits - 1), highest=(4 << (bits - 1)) - 4
    )


def _branches(size: str) -> Iterable[Form]:
    """Yield cbz, cbnz, tbz and tbnz; bits 32 to 63 are tested in the 64-bit register."""
    distance, target = _place(5, 19, 1)
    for i, mnemonic in enumerate(("cbz", "cbnz")):
        yield make_form(
            f"{mnemonic} {size}",
            "branch",
            0x34000000 | is_wide(size) << 31 | i << 24,
            f"{mnemonic} {{0}}, #{{1}}",
            named(0, 5, REGISTERS[size]),
            distance,
            target=target,
        )
    distance, target = _place(5, 14, 2)
    tested = {bit: f"#{bit + 32 * is_wide(size)}" for bit in range(32)}
    for i, mnemonic in enumerate(("tbz", "tbnz")):
        yield make_form(
            f"{mnemonic} {size}, #",
            "branch",
            0x36000000 | is_wide(size) << 31 | i << 24,
            f"{mnemonic} {{0}}, {{1}}, #{{2}}",
            named(0, 5, REGISTERS[size]),
            named(19, 5, tested),
            distance,
            target=target,
        )


def _jumps() -> Iterable[Form]:
    """Yield b.cond, b, bl and ret."""
    distance, target = _place(5, 19, 1)
    yield make_form(
        "b.cond",
        "branch",
        0x54000000,
        "b.{0} #{1}",
        named(0, 4, dict(enumerate(CONDITIONS))),
        distance,
        target=target,
        reads=NZCV,
    )
    distance, target = _place(0, 26, 0)
    yield make_form("b", "branch", 0x14000000, "b #{0}", distance, target=target)
    yield make_form(
        "bl", "call", 0x94000000, "bl #{0}", distance, target=target, writes=1 << LINK_REGISTER
    )
    yield make_form("ret", "call", 0xD65F03C0, "ret")

"""What the generator draws for Thumb in registers: moves, arithmetic, logic and compares.

Programs use R0 to R4, and read the link register and the stack pointer here and there. Other
entries, made of the words defined here, stand in `t32.shift_entries`, `t32.memory_entries` and
`t32.control_entries`.

There are no IT blocks: the emulator gives no state for an instruction that one skips, what the
others do depends on bits that no state records, and their listing on the instruction before.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from simulators.cpu.isa.t32.bits import ROTATIONS
from simulators.cpu.isa.t32.operands import (
    ENCODINGS,
    IMMEDIATES,
    LINK_REGISTER,
    STACK_POINTER,
)
from simulators.cpu.isa.table import Entry, Scope, Use, Variable

Instruction: TypeAlias = tuple[str, *tuple[int, ...]]
"""A form's name and, for each of its operands, the place of a variable."""

PROGRAM_CODES: Final = (0, 1, 2, 3, 4)
TO: Final = Variable(values=PROGRAM_CODES, written=True)
FROM: Final = Variable(values=PROGRAM_CODES)
FROM_OR_LINK: Final = Variable(values=(*PROGRAM_CODES, LINK_REGISTER))
ZERO: Final = Variable(values=(0,))
"""The number, and the shift by nothing."""
BYTE: Final = Variable(count=256)
SMALL: Final = Variable(low=1, count=32)
IMMEDIATE: Final = Variable(values=tuple(IMMEDIATES))
"""Every value that an immediate of a 32-bit instruction can have, as encoded."""
CONDITION: Final = Variable(count=14)

_SHIFT: Final = Variable(count=128)
_TWICE: Final = Variable(values=tuple(17 * code for code in PROGRAM_CODES))


def data_entries() -> tuple[Entry, ...]:
    """Return these entries."""
    families = (
        _moves,
        _constants,
        _sums,
        _two_registers,
        _operations,
        _carries,
        _compares,
    )
    return tuple(entry for family in families for entry in family())


def make_entry(
    name: str,
    klass: str,
    variables: Iterable[Variable],
    *opening: Instruction,
    weight: int = 1,
    scope: Scope = "none",
    closing: tuple[Instruction, ...] = (),
    protected: int | None = None,
) -> Entry:
    """Return an entry whose instructions name their operands by place among `variables`."""
    return Entry(
        name=name,
        klass=klass,
        weight=weight,
        variables=tuple(variables),
        opening=_uses(opening),
        scope=scope,
        closing=_uses(closing),
        protected=protected,
    )


def constant(value: int) -> Variable:
    """Return a variable of one value."""
    return Variable(values=(value,))


def immediates(*values: int) -> Variable:
    """Return a variable of values that 32-bit instructions can hold, encoded."""
    return Variable(values=tuple(ENCODINGS[value] for value in values))


def other_than(*places: int) -> Variable:
    """Return a register to write that is none of some earlier ones."""
    return Variable(values=PROGRAM_CODES, written=True, differs_from=places)


def _uses(instructions: tuple[Instruction, ...]) -> tuple[Use, ...]:
    return tuple(Use(form=form, operands=tuple(places)) for form, *places in instructions)


def one(form: str, klass: str, *variables: Variable, weight: int = 1) -> Entry:
    """Return an entry of one instruction that is called as its form."""
    places = range(len(variables))
    return make_entry(form, klass, variables, (form, *places), weight=weight)


def _moves() -> Iterable[Entry]:
    yield one("movs r, r", "move", TO, FROM, weight=4)
    source = Variable(values=(*PROGRAM_CODES, *PROGRAM_CODES, STACK_POINTER, LINK_REGISTER))
    yield one("mov any, any", "move", TO, source, weight=4)
    for flags in ("", "s"):
        yield one(f"mov{flags}.w r, r", "move", TO, FROM_OR_LINK)
    for mnemonic in ("sxth", "sxtb", "uxth", "uxtb"):
        yield one(f"{mnemonic} r, r", "move", TO, FROM)
        rotations = Variable(values=tuple(ROTATIONS))
        yield one(f"{mnemonic}.w r, r, ror", "move", TO, FROM, rotations)


def _constants() -> Iterable[Entry]:
    halfword = Variable(count=1 << 16)
    yield one("movs r, #", "move", TO, BYTE, weight=6)
    for form in ("mov.w r, #", "movs.w r, #", "mvn.w r, #", "mvns.w r, #"):
        yield one(form, "move", TO, IMMEDIATE, weight=2)
    yield one("movw r, #", "move", TO, halfword, weight=3)
    yield one("movt r, #", "move", TO, halfword, weight=3)
    yield make_entry(
        "movw and movt",
        "move",
        (TO, halfword, halfword),
        ("movw r, #", 0, 1),
        ("movt r, #", 0, 2),
        weight=2,
    )


def _sums() -> Iterable[Entry]:
    """Yield additions and subtractions without a shift."""
    for mnemonic in ("add", "sub"):
        yield one(f"{mnemonic}s r, r, r", "arithmetic", TO, FROM, FROM, weight=4)
        yield one(f"{mnemonic}s r, r, #", "arithmetic", TO, FROM, Variable(count=8), weight=3)
        yield one(f"{mnemonic}s r, #", "arithmetic", TO, BYTE, weight=3)
        yield one(f"{mnemonic}w r, r, #", "arithmetic", TO, FROM, Variable(count=1 << 12), weight=2)
    yield one("add any, any", "arithmetic", TO, FROM_OR_LINK, weight=3)
    yield one("add any, sp", "arithmetic", TO)
    yield one("add r, sp, #", "arithmetic", TO, Variable(count=16))
    yield one("rsbs r, r", "arithmetic", TO, FROM, weight=2)


def _two_registers() -> Iterable[Entry]:
    """Yield logic, moves of the complement, and reversals with 16 bits."""
    for mnemonic in ("ands", "eors", "orrs", "bics", "mvns"):
        yield one(f"{mnemonic} r, r", "logic", TO, FROM, weight=4)
    for flags in ("", "s"):
        yield one(f"mvn{flags}.w r, r, shift", "logic", TO, FROM, _SHIFT)
    for mnemonic in ("rev", "rev16", "revsh"):
        yield one(f"{mnemonic} r, r", "logic", TO, FROM)
        yield one(f"{mnemonic}.w r, r", "logic", TO, _TWICE)
    yield one("clz r, r", "logic", TO, _TWICE, weight=2)
    yield one("rbit r, r", "logic", TO, _TWICE, weight=2)


def _operations() -> Iterable[Entry]:
    """Yield the 32-bit arithmetic and logic: with an immediate, a register, a shifted one."""
    for klass, mnemonics in (
        ("logic", ("and", "bic", "orr", "orn", "eor")),
        ("arithmetic", ("add", "adc", "sbc", "sub", "rsb")),
    ):
        for mnemonic in mnemonics:
            for name in (f"{mnemonic}.w", f"{mnemonic}s.w"):
                yield one(f"{name} r, r, #", klass, TO, FROM, IMMEDIATE, weight=2)
                yield make_entry(
                    f"{name} r, r, r",
                    klass,
                    (TO, FROM, FROM_OR_LINK, ZERO),
                    (f"{name} r, r, r, shift", 0, 1, 2, 3),
                )
                yield one(f"{name} r, r, r, shift", klass, TO, FROM, FROM, _SHIFT)


def _carries() -> Iterable[Entry]:
    """Yield adcs and sbcs of 16 bits, and sums and differences of 64 bits."""
    for mnemonic in ("adcs", "sbcs"):
        yield one(f"{mnemonic} r, r", "arithmetic", TO, FROM, weight=3)
    for low, high in (("adds", "adcs"), ("subs", "sbcs")):
        yield make_entry(
            f"{low} and {high}",
            "arithmetic",
            (TO, FROM, FROM, other_than(0), FROM),
            (f"{low} r, r, r", 0, 1, 2),
            (f"{high} r, r", 3, 4),
            weight=2,
        )


def _compares() -> Iterable[Entry]:
    yield one("cmp r, r", "compare", FROM, FROM, weight=5)
    yield one("cmp r, #", "compare", FROM, BYTE, weight=4)
    yield one("tst r, r", "compare", FROM, FROM, weight=3)
    yield one("cmn r, r", "compare", FROM, FROM, weight=2)
    high = Variable(values=(STACK_POINTER, LINK_REGISTER))
    yield one("cmp any, any", "compare", FROM, high)
    for mnemonic in ("tst", "teq", "cmn", "cmp"):
        yield one(f"{mnemonic}.w r, #", "compare", FROM, IMMEDIATE, weight=2)
        form = f"{mnemonic}.w r, r, shift"
        yield make_entry(f"{mnemonic}.w r, r", "compare", (FROM, FROM, ZERO), (form, 0, 1, 2))
        yield one(form, "compare", FROM, FROM, _SHIFT)

"""What the generator draws for AArch64 in registers: moves, arithmetic, logic and compares.

Programs use X0 to X5, with the zero register as a source here and there. Other entries, which are
made of the words defined here, stand in `a64.shift_entries`, `a64.memory_entries` and
`a64.control_entries`. Idioms bring about what independent random operands would hardly ever
show: a divisor of 0 or -1, a remainder, the carry of one addition in the next.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from simulators.cpu.isa.a64.operands import (
    CONDITIONS,
    EXTENSIONS,
    MASKS,
    MOVN_VALUES,
    SIZES,
    is_wide,
)
from simulators.cpu.isa.table import Entry, Scope, Use, Variable

Instruction: TypeAlias = tuple[str, *tuple[int, ...]]
"""A form's name and, for each of its operands, the place of a variable."""

PROGRAM_CODES: Final = (0, 1, 2, 3, 4, 5)
TO: Final = Variable(values=PROGRAM_CODES, written=True)
FROM: Final = Variable(values=PROGRAM_CODES)
FROM_OR_ZERO: Final = Variable(values=(*PROGRAM_CODES, 31))
ZERO: Final = Variable(values=(0,))
"""The number, not the register."""
ZERO_REGISTER: Final = Variable(values=(31,))
CONDITION: Final = Variable(count=len(CONDITIONS))
NUMBER_12: Final = Variable(count=1 << 12)
SMALL: Final = Variable(low=1, count=32)


def data_entries() -> tuple[Entry, ...]:
    """Return the entries of moves, arithmetic, logic and compares."""
    families = (_moves, _arithmetic, _logic, _compares)
    by_size = [entry for family in families for size in SIZES for entry in family(size)]
    return (*by_size, *_selections())


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


def signed(bits: int, values: Iterable[int]) -> Variable:
    """Return a variable of numbers in two's complement."""
    return Variable(values=tuple(value & ((1 << bits) - 1) for value in values))


def other_than(*places: int) -> Variable:
    """Return a register to write that is none of some earlier ones."""
    return Variable(values=PROGRAM_CODES, written=True, differs_from=places)


def masks_of(size: str) -> Variable:
    """Return the masks that programs use, as encoded.

    Patterns that repeat within 8 bits, and single runs of ones that begin or end at an end of the
    register, are one bit long, or lack one bit.
    """
    width = 32 << is_wide(size)
    full = (1 << width) - 1
    runs = [(1 << bits) - 1 for bits in range(1, width)]
    bits = [1 << bit for bit in range(width)]
    chosen = {*runs, *(full ^ run for run in runs), *bits, *(full ^ bit for bit in bits)}
    chosen |= {mask for mask in MASKS[size] if mask == (mask & 0xFF) * (full // 0xFF)}
    return Variable(values=tuple(sorted(MASKS[size][mask] for mask in chosen)))


def _uses(instructions: tuple[Instruction, ...]) -> tuple[Use, ...]:
    return tuple(Use(form=form, operands=tuple(places)) for form, *places in instructions)


def _moves(s: str) -> Iterable[Entry]:
    anything = Variable(count=1 << 16)
    yield make_entry(f"mov {s}, {s}", "move", (TO, FROM), (f"mov {s}, {s}", 0, 1), weight=8)
    yield make_entry(f"mov {s}, wzr", "move", (TO, ZERO_REGISTER), (f"mov {s}, {s}", 0, 1))
    small = Variable(count=256)
    yield make_entry(
        f"mov {s}, small", "move", (TO, small), (f"movz {s}, #, lsl 0", 0, 1), weight=6
    )
    for position in range(2 + 2 * is_wide(s)):
        form = f"movz {s}, #, lsl {16 * position}"
        yield make_entry(form, "move", (TO, anything), (form, 0, 1), weight=2)
    inverted = Variable(values=MOVN_VALUES)
    yield make_entry(f"movn {s}", "move", (TO, inverted), (f"movn {s}, #", 0, 1), weight=4)
    yield make_entry(
        f"mov {s}, mask", "move", (TO, masks_of(s)), (f"mov {s}, mask", 0, 1), weight=2
    )
    extensions = ("sxtb", "sxth", "sxtw") if is_wide(s) else ("uxtb", "uxth", "sxtb", "sxth")
    for mnemonic in extensions:
        yield make_entry(f"{mnemonic} {s}, w", "move", (TO, FROM), (f"{mnemonic} {s}, w", 0, 1))
    position = Variable(count=2 + 2 * is_wide(s))
    keep = f"movk {s}, #, lsl"
    yield make_entry(keep, "move", (TO, anything, position), (keep, 0, 1, 2), weight=4)
    yield make_entry(
        f"movz and movk {s}",
        "move",
        (TO, anything, anything, constant(1)),
        (f"movz {s}, #, lsl 0", 0, 1),
        (keep, 0, 2, 3),
        weight=2,
    )


def _selections() -> Iterable[Entry]:
    """Yield what depends on a condition, by the flags as they are and after a compare."""
    for s in SIZES:
        # Of twice the same register, a listing would show csinc and its like by another name.
        second = Variable(values=PROGRAM_CODES, differs_from=(1,))
        for mnemonic in ("csel", "csinc", "csinv", "csneg"):
            form = f"{mnemonic} {s}, {s}, {s}, cond"
            yield make_entry(
                form, "move", (TO, FROM, second, CONDITION), (form, 0, 1, 2, 3), weight=2
            )
        for mnemonic in ("cset", "csetm"):
            form = f"{mnemonic} {s}, cond"
            yield make_entry(form, "move", (TO, CONDITION), (form, 0, 1), weight=2)
        compare = f"cmp {s}, {s}, shift"
        for mnemonic, places in (("csel", (0, 1, 2, 4)), ("cset", (0, 4))):
            form = f"csel {s}, {s}, {s}, cond" if mnemonic == "csel" else f"cset {s}, cond"
            yield make_entry(
                f"cmp and {mnemonic} {s}",
                "move",
                (TO, FROM, second, ZERO, CONDITION),
                (compare, 1, 2, 3, 3),
                (form, *places),
                weight=2,
            )


def _arithmetic(s: str) -> Iterable[Entry]:
    """Yield additions and subtractions, plain, shifted, extended, and with the carry."""
    kind, amount = Variable(count=3), Variable(count=32 << is_wide(s))
    for mnemonic in ("add", "sub", "adds", "subs"):
        form = f"{mnemonic} {s}, {s}, "
        number = (f"{form}#", 0, 1, 2, 3)
        shifted = f"{form}{s}, shift"
        for name, variables, instruction, weight in (
            ("small", (TO, FROM, SMALL, ZERO), number, 3),
            ("#", (TO, FROM, NUMBER_12, Variable(count=2)), number, 2),
            (f"{s}", (TO, FROM, FROM, ZERO), (shifted, 0, 1, 2, 3, 3), 5),
            (f"{s}, shift", (TO, FROM, FROM, kind, amount), (shifted, 0, 1, 2, 3, 4), 2),
            (
                "w, extend",
                (TO, FROM, FROM, Variable(values=tuple(EXTENSIONS)), Variable(count=5)),
                (f"{form}w, extend", 0, 1, 2, 3, 4),
                1,
            ),
        ):
            yield make_entry(f"{form}{name}", "arithmetic", variables, instruction, weight=weight)
    for mnemonic in ("adc", "adcs", "sbc", "sbcs"):
        form = f"{mnemonic} {s}, {s}, {s}"
        yield make_entry(form, "arithmetic", (TO, FROM, FROM_OR_ZERO), (form, 0, 1, 2), weight=2)
    for mnemonic, negation in (("sub", "neg"), ("subs", "negs")):
        yield make_entry(
            f"{negation} {s}",
            "arithmetic",
            (TO, ZERO_REGISTER, FROM, ZERO),
            (f"{mnemonic} {s}, {s}, {s}, shift", 0, 1, 2, 3, 3),
        )
    yield make_entry(
        f"adds and adc {s}",
        "arithmetic",
        (TO, FROM, FROM, ZERO, other_than(0), FROM, FROM),
        (f"adds {s}, {s}, {s}, shift", 0, 1, 2, 3, 3),
        (f"adc {s}, {s}, {s}", 4, 5, 6),
    )


def _logic(s: str) -> Iterable[Entry]:
    """Yield logical instructions, and what turns or counts the bits of one register."""
    kind, amount, masks = Variable(count=4), Variable(count=32 << is_wide(s)), masks_of(s)
    for mnemonic in ("and", "bic", "orr", "orn", "eor", "eon", "ands", "bics"):
        form = f"{mnemonic} {s}, {s}, {s}, shift"
        weight = 4 if mnemonic in {"and", "orr", "eor"} else 2
        name = f"{mnemonic} {s}, {s}, {s}"
        yield make_entry(
            name, "logic", (TO, FROM, FROM, ZERO), (form, 0, 1, 2, 3, 3), weight=weight
        )
        yield make_entry(form, "logic", (TO, FROM, FROM, kind, amount), (form, 0, 1, 2, 3, 4))
    for mnemonic in ("and", "orr", "eor", "ands"):
        form = f"{mnemonic} {s}, {s}, #"
        yield make_entry(form, "logic", (TO, FROM, masks), (form, 0, 1, 2), weight=3)
    form = f"orn {s}, {s}, {s}, shift"
    yield make_entry(f"mvn {s}", "logic", (TO, ZERO_REGISTER, FROM, ZERO), (form, 0, 1, 2, 3, 3))
    for mnemonic in ("rbit", "rev16", "clz", "cls", "rev", *(("rev32",) if is_wide(s) else ())):
        yield make_entry(f"{mnemonic} {s}", "logic", (TO, FROM), (f"{mnemonic} {s}, {s}", 0, 1))


def _compares(s: str) -> Iterable[Entry]:
    """Yield compares and tests, and those that depend on a condition themselves."""
    kind, amount = Variable(count=3), Variable(count=32 << is_wide(s))
    for mnemonic in ("cmp", "cmn"):
        shifted = f"{mnemonic} {s}, {s}, shift"
        for name, variables, instruction, weight in (
            ("small", (FROM, SMALL, ZERO), (f"{mnemonic} {s}, #", 0, 1, 2), 2),
            ("#", (FROM, NUMBER_12, Variable(count=2)), (f"{mnemonic} {s}, #", 0, 1, 2), 1),
            (s, (FROM, FROM, ZERO), (shifted, 0, 1, 2, 2), 4),
            (f"{s}, shift", (FROM, FROM, kind, amount), (shifted, 0, 1, 2, 3), 1),
            (
                "w, extend",
                (FROM, FROM, Variable(values=tuple(EXTENSIONS)), Variable(count=5)),
                (f"{mnemonic} {s}, w, extend", 0, 1, 2, 3),
                1,
            ),
        ):
            yield make_entry(
                f"{mnemonic} {s}, {name}", "compare", variables, instruction, weight=weight
            )
    yield make_entry(
        f"tst {s}, {s}",
        "compare",
        (FROM, FROM, ZERO),
        (f"tst {s}, {s}, shift", 0, 1, 2, 2),
        weight=2,
    )
    yield make_entry(f"tst {s}, #", "compare", (FROM, masks_of(s)), (f"tst {s}, #", 0, 1), weight=2)
    flags = Variable(count=16)
    for mnemonic in ("ccmp", "ccmn"):
        for kinds, second in ((s, FROM), ("#", Variable(count=32))):
            form = f"{mnemonic} {s}, {kinds}, #, cond"
            yield make_entry(form, "compare", (FROM, second, flags, CONDITION), (form, 0, 1, 2, 3))

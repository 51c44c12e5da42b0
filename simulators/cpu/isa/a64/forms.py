"""The A64 instructions that programs use, as forms: moves, arithmetic, logic and compares.

Every form exists for 32-bit (`w`) and 64-bit (`x`) registers. Where the architecture makes one
instruction a special case of another (`cmp` is `subs` into register 31), it is a form of its own if
that is of another class, else only an alias. The others stand in `a64.shifts`,
`a64.memory` and `a64.branches`; what is drawn, `a64.entries` says.
"""

from collections.abc import Iterable

from simulators.cpu.isa.a64.operands import (
    CARRY,
    CONDITIONS,
    EXTENSIONS,
    MASKS,
    MOVN_VALUES,
    NZCV,
    REGISTERS,
    REGISTERS_OR_STACK,
    SHIFTS,
    SIZES,
    first_register,
    is_wide,
    make_form,
    named,
    number,
    second_register,
    to_register,
)
from simulators.cpu.isa.table import Form, Operand


def data_forms() -> tuple[Form, ...]:
    """Return the forms of moves, arithmetic, logic and compares."""
    families = (_arithmetic, _carries, _logic, _moves, _selections, _compares)
    return tuple(form for family in families for size in SIZES for form in family(size))


def _shift(size: str, kinds: int) -> tuple[Operand, Operand]:
    """Return kind and amount of a shifted register; `ror` exists for logical instructions only."""
    return (
        named(22, 2, {kind: SHIFTS[kind] for kind in range(kinds)}),
        number(10, 5 + is_wide(size)),
    )


def _arithmetic(size: str) -> Iterable[Form]:
    """Yield add, sub, adds, subs, cmn, cmp: immediate, shifted and extended register.

    `cmn` and `cmp` are adds and subs into register 31, the zero register.
    """
    wide = is_wide(size) << 31
    registers_or_stack = named(5, 5, REGISTERS_OR_STACK[size])
    for mnemonic, bits, kind in (
        ("add", 0 << 29, "plain"),
        ("sub", 2 << 29, "plain"),
        ("adds", 1 << 29, "flags"),
        ("subs", 3 << 29, "flags"),
        ("cmn", 1 << 29 | 31, "compare"),
        ("cmp", 3 << 29 | 31, "compare"),
    ):
        compare = kind == "compare"
        klass = "compare" if compare else "arithmetic"
        sets = 0 if kind == "plain" else NZCV
        # A compare has no destination: its operands' numbers begin one earlier.
        names = f"{mnemonic} {size}" if compare else f"{mnemonic} {size}, {size}"
        text = f"{mnemonic} {{0}}" if compare else f"{mnemonic} {{0}}, {{1}}"
        a, b, c = (1, 2, 3) if compare else (2, 3, 4)
        target = () if compare else (to_register(size),)
        target_or_stack = target if sets else (named(0, 5, REGISTERS_OR_STACK[size]),)
        yield make_form(
            f"{names}, #",
            klass,
            0x11000000 | wide | bits,
            f"{text}, #{{{a}}}, lsl #{{{b}}}",
            *target_or_stack,
            registers_or_stack,
            number(10, 12),
            number(22, 1, scale=12),
            aliases=(f"{text}, #{{{a}}}",),
            sets=sets,
        )
        negation = {"sub": "neg", "subs": "negs"}.get(mnemonic)
        yield make_form(
            f"{names}, {size}, shift",
            klass,
            0x0B000000 | wide | bits,
            f"{text}, {{{a}}}, {{{b}}} #{{{c}}}",
            *target,
            first_register(size),
            second_register(size),
            *_shift(size, 3),
            aliases=(
                f"{text}, {{{a}}}",
                *(
                    (f"{negation} {{0}}, {{2}}, {{3}} #{{4}}", f"{negation} {{0}}, {{2}}")
                    if negation
                    else ()
                ),
            ),
            sets=sets,
        )
        yield make_form(
            f"{names}, w, extend",
            klass,
            0x0B200000 | wide | bits,
            f"{text}, {{{a}}}, {{{b}}} #{{{c}}}",
            *target_or_stack,
            registers_or_stack,
            second_register("w"),
            named(13, 3, EXTENSIONS),
            number(10, 3),
            aliases=(f"{text}, {{{a}}}, {{{b}}}",),
            sets=sets,
        )


def _carries(size: str) -> Iterable[Form]:
    """Yield adc, adcs, sbc, sbcs."""
    for i, mnemonic in enumerate(("adc", "adcs", "sbc", "sbcs")):
        yield make_form(
            f"{mnemonic} {size}, {size}, {size}",
            "arithmetic",
            0x1A000000 | is_wide(size) << 31 | i << 29,
            f"{mnemonic} {{0}}, {{1}}, {{2}}",
            to_register(size),
            first_register(size),
            second_register(size),
            aliases=(f"ngc{mnemonic[3:]} {{0}}, {{2}}",) if i >= 2 else (),
            reads=CARRY,
            sets=NZCV if i % 2 else 0,
        )


def _logic(size: str) -> Iterable[Form]:
    """Yield logical instructions with a shifted register or a mask.

    `tst` is ands into register 31, `mov` is orr with register 31 first.
    """
    wide = is_wide(size) << 31
    masks = {encoding: f"#{mask:#x}" for mask, encoding in MASKS[size].items()}
    for i, mnemonic in enumerate(("and", "bic", "orr", "orn", "eor", "eon", "ands", "bics")):
        sets = NZCV if i >= 6 else 0
        base = 0x0A000000 | wide | i >> 1 << 29 | (i & 1) << 21
        aliases = ("mvn {0}, {2}, {3} #{4}", "mvn {0}, {2}") if mnemonic == "orn" else ()
        yield make_form(
            f"{mnemonic} {size}, {size}, {size}, shift",
            "logic",
            base,
            f"{mnemonic} {{0}}, {{1}}, {{2}}, {{3}} #{{4}}",
            to_register(size),
            first_register(size),
            second_register(size),
            *_shift(size, 4),
            aliases=(f"{mnemonic} {{0}}, {{1}}, {{2}}", *aliases),
            sets=sets,
        )
        if i & 1:
            continue
        yield make_form(
            f"{mnemonic} {size}, {size}, #",
            "logic",
            0x12000000 | wide | i >> 1 << 29,
            f"{mnemonic} {{0}}, {{1}}, {{2}}",
            named(0, 5, (REGISTERS if sets else REGISTERS_OR_STACK)[size]),
            first_register(size),
            named(10, 12 + is_wide(size), masks),
            sets=sets,
        )
    yield make_form(
        f"mov {size}, mask",
        "move",
        0x320003E0 | wide,
        "mov {0}, {1}",
        named(0, 5, REGISTERS_OR_STACK[size]),
        named(10, 12 + is_wide(size), masks),
    )
    yield make_form(
        f"tst {size}, {size}, shift",
        "compare",
        0x6A00001F | wide,
        "tst {0}, {1}, {2} #{3}",
        first_register(size),
        second_register(size),
        *_shift(size, 4),
        aliases=("tst {0}, {1}",),
        sets=NZCV,
    )
    yield make_form(
        f"tst {size}, #",
        "compare",
        0x7200001F | wide,
        "tst {0}, {1}",
        first_register(size),
        named(10, 12 + is_wide(size), masks),
        sets=NZCV,
    )


def _moves(size: str) -> Iterable[Form]:
    """Yield mov of a register, and movz (one form a position, printed as mov), movn and movk."""
    wide = is_wide(size) << 31
    yield make_form(
        f"mov {size}, {size}",
        "move",
        0x2A0003E0 | wide,
        "mov {0}, {1}",
        to_register(size),
        second_register(size),
    )
    for position in range(2 + 2 * is_wide(size)):
        shift = 16 * position
        yield make_form(
            f"movz {size}, #, lsl {shift}",
            "move",
            0x52800000 | wide | position << 21,
            "mov {0}, #{1}",
            to_register(size),
            number(5, 16, scale=1 << shift),
            aliases=(f"movz {{0}}, #{{1}}, lsl #{shift}",),
        )
    yield make_form(
        f"movn {size}, #",
        "move",
        0x12800000 | wide,
        "mov {0}, {1}",
        to_register(size),
        named(5, 16, {value: f"#{-value - 1}" for value in MOVN_VALUES}),
    )
    yield make_form(
        f"movk {size}, #, lsl",
        "move",
        0x72800000 | wide,
        "movk {0}, #{1}, lsl #{2}",
        to_register(size),
        number(5, 16),
        number(21, 1 + is_wide(size), scale=16),
        aliases=("movk {0}, #{1}",),
    )


def _selections(size: str) -> Iterable[Form]:
    """Yield csel, csinc, csinv, csneg, and cset and csetm, which are of the zero register.

    A listing prints csinc, csinv and csneg of twice the same register by another name and with
    the opposite condition, so entries keep their sources apart.
    """
    wide = is_wide(size) << 31
    conditions = dict(enumerate(CONDITIONS))
    for mnemonic, bits in (
        ("csel", 0),
        ("csinc", 1 << 10),
        ("csinv", 1 << 30),
        ("csneg", 1 << 30 | 1 << 10),
    ):
        yield make_form(
            f"{mnemonic} {size}, {size}, {size}, cond",
            "move",
            0x1A800000 | wide | bits,
            f"{mnemonic} {{0}}, {{1}}, {{2}}, {{3}}",
            to_register(size),
            first_register(size),
            second_register(size),
            named(12, 4, conditions),
            reads=NZCV,
        )
    opposites = {condition ^ 1: name for condition, name in conditions.items()}
    for mnemonic, bits in (("cset", 1 << 10), ("csetm", 1 << 30)):
        yield make_form(
            f"{mnemonic} {size}, cond",
            "move",
            0x1A9F03E0 | wide | bits,
            f"{mnemonic} {{0}}, {{1}}",
            to_register(size),
            named(12, 4, opposites),
            reads=NZCV,
        )


def _compares(size: str) -> Iterable[Form]:
    """Yield ccmn and ccmp, with a register or a number below 32."""
    for mnemonic, bits in (("ccmn", 0), ("ccmp", 1 << 30)):
        for kind, bit, second in ((size, 0, second_register(size)), ("#", 1 << 11, number(16, 5))):
            yield make_form(
                f"{mnemonic} {size}, {kind}, #, cond",
                "compare",
                0x3A400000 | is_wide(size) << 31 | bits | bit,
                f"{mnemonic} {{0}}, {'#' if bit else ''}{{1}}, #{{2}}, {{3}}",
                first_register(size),
                second,
                number(0, 4),
                named(12, 4, dict(enumerate(CONDITIONS))),
                reads=NZCV,
                sets=NZCV,
            )

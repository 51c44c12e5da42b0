"""A made-up instruction set for the tests: every feature of a table, on a machine nobody built.

Instructions of 1 to 10 bytes, the first one tells the form. Branches reach 15 bytes only, so that
scopes must close early; `mul` and `div` leave flags undefined; `mull` writes A without naming it.
"""

from typing import Final

from simulators.cpu.isa.table import (
    TARGET,
    Entry,
    Form,
    Isa,
    LayoutField,
    Operand,
    Piece,
    Register,
    Scope,
    Target,
    Use,
    Variable,
)

C, Z = 1, 2
NAMES: Final = ("a", "b", "c", "d", "e", "f")
WIDE: Final = dict(enumerate(NAMES))
HALVES: Final = WIDE | {8 + i: f"{name}h" for i, name in enumerate(NAMES)}


def low(names: dict[int, str] = WIDE) -> Operand:
    return Operand(pieces=(Piece(source=0, bits=4, target=8),), names=names)


def high(names: dict[int, str] = WIDE) -> Operand:
    return Operand(pieces=(Piece(source=0, bits=4, target=12),), names=names)


def number(bits: int, *, signed: bool = False, target: int = 16) -> Operand:
    pieces = (Piece(source=0, bits=bits, target=target),)
    return Operand(pieces=pieces, signed_bits=bits if signed else None)


def form(name: str, klass: str, op: int, size: int, text: str, *operands: Operand, **more) -> Form:
    base = bytes([op]) + bytes(size - 1)
    return Form(name=name, klass=klass, base=base, text=text, operands=operands, **more)


# The condition stands in the low bits of the first byte; the distance in two pieces around a bit
# that is always one.
CONDITION: Final = Operand(pieces=(Piece(source=0, bits=1, target=0),), names={0: "c", 1: "z"})
SPLIT: Final = Operand(
    pieces=(Piece(source=0, bits=3, target=8), Piece(source=3, bits=2, target=12))
)
FORMS: Final = (
    form("mov", "move", 0x10, 3, "mov {0}, {1}", low(), number(8, signed=True)),
    form("movl", "move", 0x11, 10, "movl {0}, {1}", low(), number(64)),
    form("add", "arithmetic", 0x20, 2, "add {0}, {1}", low(), high(), sets=C | Z),
    form("addh", "arithmetic", 0x21, 2, "addh {0}, {1}", low(HALVES), high(HALVES), sets=C | Z),
    form("adc", "arithmetic", 0x22, 2, "adc {0}, {1}", low(), high(), reads=C, sets=C | Z),
    form("dec", "arithmetic", 0x23, 2, "dec {0}", low(), sets=Z),
    form("xchg", "move", 0x24, 2, "xchg {0}, {1}", low(), high()),
    form("cmp", "compare", 0x30, 2, "cmp {0}, {1}", low(), high(), sets=C | Z),
    form("mul", "multiply", 0x40, 2, "mul {0}, {1}", low(), high(), sets=C, undefines=Z),
    form("mull", "multiply", 0x41, 2, "mull {0}", low(), undefines=C | Z, writes=0b11),
    form("and", "logic", 0x42, 3, "and {0}, {1}", low(), number(8), sets=Z),
    form("load", "load", 0x50, 3, "load {0}, [{1} + {2}]", low(), high(), number(8)),
    form("store", "store", 0x51, 3, "store [{1} + {2}], {0}", low(), high(), number(8)),
    Form(
        name="jump",
        klass="branch",
        base=bytes([0x60, 0x08]),
        text="j{0} {1}",
        operands=(CONDITION, SPLIT),
        target=Target(operand=1, bias=2, shift=0, lowest=-16, highest=15),
        reads=C | Z,
    ),
    form(
        "loop",
        "branch",
        0x62,
        2,
        "loop {0}",
        number(8, target=8),
        target=Target(operand=0, bias=2, shift=0, lowest=-40, highest=0),
        reads=Z,
    ),
    form(
        "jump if zero",
        "branch",
        0x63,
        3,
        "jr {0}, {1}",
        low(),
        number(8),
        target=Target(operand=1, bias=3, shift=0, lowest=0, highest=20),
    ),
    form(
        "call",
        "call",
        0x70,
        3,
        "call {0}",
        number(16, target=8),
        target=Target(operand=0, bias=3, shift=0, lowest=-32768, highest=32767),
        writes=1 << 6,
    ),
    form("return", "call", 0x71, 1, "return"),
    form("push", "stack", 0x72, 2, "push {0}", low(), writes=1 << 6),
    form("pop", "stack", 0x73, 2, "pop {0}", low(), writes=1 << 6),
    form("peek", "fault", 0x74, 3, "peek {0}, {1}", low(), number(8)),
)
ANY: Final = Variable(values=(0, 1, 2, 3, 4, 5))
TO: Final = Variable(values=(0, 1, 2, 3, 4, 5), written=True)
TO_RANGE: Final = Variable(count=6, written=True)
HALF: Final = Variable(
    values=(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13),
    registers=(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5),
    written=True,
)
OTHER: Final = Variable(count=6, written=True, differs_from=(0,))
BYTE: Final = Variable(low=-128, count=256)
ODD: Final = Variable(low=-(2**63) + 1, step=2**31 + 2, count=2**32)
OFFSET: Final = Variable(low=0, step=4, count=16)
COUNTER: Final = Variable(values=(1, 2, 3), written=True)


def entry(
    name: str,
    klass: str,
    variables: tuple[Variable, ...],
    *opening: tuple[str, tuple[int, ...]],
    weight: int = 1,
    scope: Scope = "none",
    closing: tuple[tuple[str, tuple[int, ...]], ...] = (),
    protected: int | None = None,
) -> Entry:
    return Entry(
        name=name,
        klass=klass,
        weight=weight,
        variables=variables,
        opening=tuple(Use(form=form, operands=operands) for form, operands in opening),
        scope=scope,
        closing=tuple(Use(form=form, operands=operands) for form, operands in closing),
        protected=protected,
    )


ENTRIES: Final = (
    entry("mov", "move", (TO, BYTE), ("mov", (0, 1)), weight=3),
    entry("movl", "move", (TO_RANGE, ODD), ("movl", (0, 1))),
    entry("xchg", "move", (TO, OTHER), ("xchg", (0, 1))),
    entry("add", "arithmetic", (TO, ANY), ("add", (0, 1)), weight=4),
    entry("addh", "arithmetic", (HALF, HALF), ("addh", (0, 1))),
    entry("adc", "arithmetic", (TO, ANY), ("adc", (0, 1)), weight=2),
    entry("cmp", "compare", (ANY, ANY), ("cmp", (0, 1))),
    entry("mul", "multiply", (TO, ANY), ("mul", (0, 1)), weight=2),
    entry("mull", "multiply", (ANY,), ("mull", (0,))),
    entry("and", "logic", (TO, BYTE), ("and", (0, 1))),
    entry(
        "load at an index",
        "load",
        (TO, Variable(values=(31,)), ANY, OFFSET),
        ("and", (0, 1)),
        ("load", (0, 0, 3)),
        ("cmp", (0, 2)),
    ),
    entry("store", "store", (ANY, ANY, OFFSET), ("store", (0, 1, 2))),
    entry("if", "branch", (Variable(count=2),), ("jump", (0, TARGET)), scope="forward"),
    entry("if zero", "branch", (ANY,), ("jump if zero", (0, TARGET)), scope="forward"),
    entry(
        "count down",
        "loop",
        (COUNTER, Variable(low=1, count=4)),
        ("mov", (0, 1)),
        scope="loop",
        closing=(("dec", (0,)), ("loop", (TARGET,))),
        protected=0,
    ),
    entry("call", "call", (), ("call", (TARGET,)), scope="call"),
    entry(
        "push and pop",
        "stack",
        (ANY, TO),
        ("push", (0,)),
        scope="bracket",
        closing=(("pop", (1,)),),
    ),
    entry("peek", "fault", (TO, BYTE), ("peek", (0, 1))),
)

REGISTERS: Final = (
    Register(name="pc", emulator="PC", num_bytes=2),
    Register(name="flags", emulator="FLAGS", num_bytes=2),
    *(Register(name=name, emulator=name, num_bytes=2, code=i) for i, name in enumerate(NAMES)),
    Register(name="sp", emulator="SP", num_bytes=2, code=6),
)
NARROW: Final = (
    LayoutField(register="pc", num_bytes=2),
    *(LayoutField(register=name, num_bytes=2) for name in NAMES),
    LayoutField(register="flags", num_bytes=1),
)
FULL: Final = tuple(
    LayoutField(register=register.name, num_bytes=register.num_bytes) for register in REGISTERS
)

TINY: Final = Isa(
    name="tiny",
    title="made up",
    version="1",
    bits=16,
    emulator_arch="",
    emulator_mode=(),
    listing_arch="",
    listing_mode=(),
    elf_machine="",
    code_address=0x1000,
    code_bytes=0x4000,
    data_address=0x8000,
    data_bytes=64,
    stack_address=0xA000,
    stack_bytes=0x1000,
    registers=REGISTERS,
    narrow=NARROW,
    full=FULL,
    program_counter="pc",
    stack_pointer="sp",
    flags="flags",
    flag_bits={"c": 0, "z": 1},
    program_registers=NAMES,
    counters=(1, 2, 3),
    alignment=1,
    stop=b"\xf4",
    forms=FORMS,
    entries=ENTRIES,
    class_weights={
        "move": 3,
        "arithmetic": 4,
        "logic": 2,
        "compare": 1,
        "multiply": 3,
        "load": 3,
        "store": 3,
        "branch": 4,
        "loop": 3,
        "call": 3,
        "stack": 3,
        "fault": 1,
    },
    define_flags="cmp",
    function_end=(Use(form="return"),),
)

WRITTEN_OPERANDS: Final = {
    "mov": (0,),
    "movl": (0,),
    "add": (0,),
    "addh": (0, 1),
    "adc": (0,),
    "dec": (0,),
    "xchg": (0, 1),
    "mul": (0,),
    "and": (0,),
    "load": (0,),
    "pop": (0,),
    "peek": (0,),
}
"""What each form writes; the table says it of entries only."""

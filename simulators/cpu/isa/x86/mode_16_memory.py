"""x86 in real mode: its ways to address memory, and what only it does with the stack."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from simulators.cpu.isa.table import Variable
from simulators.cpu.isa.x86.control import add_division_faults
from simulators.cpu.isa.x86.entries import Draft, Memory
from simulators.cpu.isa.x86.forms import (
    ALL,
    AX,
    BX,
    CONDITIONS,
    CX,
    DI,
    DX,
    NONE,
    SI,
    SP,
    Effect,
    Place,
    Shape,
    one_of,
    range_of,
)
from simulators.cpu.isa.x86.memory import (
    add_access,
    add_extending_loads,
    add_memory,
    add_strings,
    memory_form,
)
from simulators.cpu.isa.x86.operations import move_number_form, number_form

DATA_ADDRESS: Final = 0x2000

DATA_BYTES: Final = 64

BYTES: Final = Shape(width=8, values=tuple(range(8)))

WORDS: Final = Shape(width=16, values=(AX, CX, DX, BX, SI, DI), weight=2)

_ABSOLUTE: Final = Place(
    label="address", mod_rm=0x06, text="{size} ptr [{0}]", displacement_bits=16
)

BASES: Final = MappingProxyType(
    dict(enumerate(("bx + si", "bx + di", "bp + si", "bp + di", "si", "di", "bp", "bx")))
)

_INDEXED: Final = Place(
    label="index",
    mod_rm=0x80,
    text="{size} ptr [{0} + {1}]",
    registers=((0, 3, -1),),
    names=BASES,
    displacement_bits=16,
)

_INDEXES: Final = ((BX, 7), (SI, 4), (DI, 5))

"""Registers that may index memory, and what ModRM calls them."""

_MASKS: Final = one_of(0x07, 0x0E, 0x0F, 0x1C, 0x1F)

_LARGEST_INDEX: Final = 0x1F

_FAULT_ADDRESSES: Final = (
    range_of(240, step=16),
    range_of(0xB00, low=0x4000, step=16),
)

"""Nothing is mapped below the code and behind the stack; no access reaches the last byte."""


def address_of(width: int) -> Variable:
    """Return any address in the window of a value that lies at a multiple of half its size."""
    step = max(1, width // 16)
    return range_of((DATA_BYTES - width // 8) // step + 1, low=DATA_ADDRESS, step=step)


def _by_address(_draft: Draft, _shape: Shape, width: int) -> Iterator[Memory]:
    yield Memory(place=_ABSOLUTE, variables=(address_of(width),))


def _all_ways(draft: Draft, shape: Shape, width: int) -> Iterator[Memory]:
    yield from _by_address(draft, shape, width)
    mask = number_form(draft, "and", WORDS, small=True)
    free = DATA_BYTES - _LARGEST_INDEX - width // 8
    for code, number in _INDEXES:
        yield Memory(
            place=_INDEXED,
            variables=(
                WORDS.register(code, written=True),
                _MASKS,
                one_of(number),
                range_of(free + 1, low=DATA_ADDRESS),
            ),
            opening=((mask, (0, 1)),),
        )


def _two_registers(draft: Draft, width: int) -> Iterator[Memory]:
    """Address by the sum of BX and SI or DI."""
    mask = number_form(draft, "and", WORDS, small=True)
    free = DATA_BYTES - 2 * 15 - width // 8
    for code, number in ((SI, 0), (DI, 1)):
        yield Memory(
            place=_INDEXED,
            variables=(
                WORDS.register(BX, written=True),
                WORDS.register(code, written=True),
                one_of(0x07, 0x0E, 0x0F),
                one_of(number),
                range_of(free + 1, low=DATA_ADDRESS),
            ),
            opening=((mask, (0, 2)), (mask, (1, 2))),
        )


def add_window(draft: Draft) -> None:
    """Add loads and stores in the data window."""
    add_memory(draft, _all_ways, _by_address)
    for memory in _two_registers(draft, 16):
        for text, klass, opcode in (
            ("mov {reg}, {rm}", "load", b"\x8b"),
            ("mov {rm}, {reg}", "store", b"\x89"),
        ):
            name = "mov r16"
            form = memory_form(draft, name, klass, opcode, text, NONE, WORDS, memory.place)
            register = WORDS.register(written=klass == "load")
            add_access(draft, form, memory, register, weight=8)
    for memory in _all_ways(draft, WORDS, 8):
        names = (("movzx", b"\x0f\xb6"), ("movsx", b"\x0f\xbe"))
        add_extending_loads(draft, WORDS, memory, 8, names)
    for memory in _by_address(draft, BYTES, 8):
        for code, (condition, flags) in enumerate(CONDITIONS):
            form = memory_form(
                draft,
                f"set{condition}",
                "store",
                bytes([0x0F, 0x90 | code]),
                f"set{condition} {{rm}}",
                Effect(reads=flags),
                BYTES,
                memory.place,
                register=0,
            )
            add_access(draft, form, memory)
    add_strings(draft, DATA_ADDRESS, DATA_BYTES)


def add_short_stack(draft: Draft) -> None:
    """Add pushes and pops of memory, of all registers and of the flags."""
    forms = {
        name: draft.form(
            name,
            "stack",
            opcode,
            f"{name.split()[0]} {{rm}}",
            shape=WORDS,
            place=_ABSOLUTE,
            register=code,
            writes=1 << SP,
        )
        for name, opcode, code in (("push m16", b"\xff", 6), ("pop m16", b"\x8f", 0))
    }
    simple = {form.name: form for form in draft.forms}
    address = address_of(16)
    source, to = WORDS.register(), WORDS.register(written=True)
    push, pop = simple["push r16"], simple["pop r16"]
    for name, variables, first, last in (
        ("push m16; pop", (address, to), forms["push m16"], pop),
        ("push; pop m16", (source, address), push, forms["pop m16"]),
        ("push m16; pop m16", (address, address), forms["push m16"], forms["pop m16"]),
    ):
        draft.idiom(
            name,
            "stack",
            variables,
            (first, (0,)),
            scope="bracket",
            closing=((last, (1,)),),
            weight=2,
        )
    everything = sum(1 << code for code in range(8))
    for name, opening, closing in (
        (
            "pushaw",
            draft.form("pushaw", "stack", b"\x60", "pushaw", writes=1 << SP),
            draft.form("popaw", "stack", b"\x61", "popaw", writes=everything),
        ),
        (
            "pushf",
            draft.form("pushf", "stack", b"\x9c", "pushf", Effect(reads=ALL), writes=1 << SP),
            draft.form("popf", "stack", b"\x9d", "popf", Effect(sets=ALL), writes=1 << SP),
        ),
    ):
        draft.idiom(
            name, "stack", (), (opening, ()), scope="bracket", closing=((closing, ()),), weight=2
        )


def add_faults(draft: Draft) -> None:
    """Add failing divisions, and accesses where nothing is mapped."""
    add_division_faults(draft)
    forms = {form.name: form for form in draft.forms}
    point = move_number_form(draft, WORDS)
    for address in _FAULT_ADDRESSES:
        for name in ("mov r16, [address]", "mov r8 [address]", "add r16 [address]"):
            shape = BYTES if " r8" in name else WORDS
            register = shape.register(written="," in name)
            draft.idiom(
                f"{name} unmapped", "fault", (address, register), (forms[name], (0, 1)), weight=2
            )
        for code, number in _INDEXES:
            draft.idiom(
                "mov r16, [index] unmapped",
                "fault",
                (
                    WORDS.register(code, written=True),
                    address,
                    one_of(number),
                    range_of(16),
                    WORDS.register(written=True),
                ),
                (point, (0, 1)),
                (forms["mov r16, [index]"], (2, 3, 4)),
            )

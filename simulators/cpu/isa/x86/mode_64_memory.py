"""x86 in 64-bit mode: its ways to address memory, and what only it does with the stack."""

from collections.abc import Iterator
from typing import Final

from simulators.cpu.isa.table import Variable
from simulators.cpu.isa.x86.control import add_division_faults
from simulators.cpu.isa.x86.entries import Draft, Memory
from simulators.cpu.isa.x86.forms import (
    CONDITIONS,
    NONE,
    R8,
    SP,
    Effect,
    Place,
    Shape,
    one_of,
    range_of,
    register_names,
)
from simulators.cpu.isa.x86.memory import (
    add_access,
    add_extending_loads,
    add_memory,
    add_strings,
    memory_form,
)
from simulators.cpu.isa.x86.operations import OPERATIONS, move_number_form, number_form

DATA_ADDRESS: Final = 0x200000

DATA_BYTES: Final = 128

NAMES: Final = register_names(64, rex=True)

_ABSOLUTE: Final = Place(
    label="address", mod_rm=0x04, sib=0x25, text="{size} ptr [{0}]", displacement_bits=32
)

_INDEXED: Final = Place(
    label="index",
    mod_rm=0x80,
    text="{size} ptr [{0} + {1}]",
    registers=((0, 3, 0),),
    names=NAMES,
    displacement_bits=32,
)

_STACK_TOP: Final = Place(label="stack", mod_rm=0x04, sib=0x24, text="{size} ptr [rsp]")

_MASKS: Final = one_of(0x07, 0x0F, 0x1C, 0x1F, 0x38, 0x3F)

_LARGEST_INDEX: Final = 0x3F

_FAULT_ADDRESSES: Final = (
    range_of(256, step=8),
    range_of(200, low=0x310000, step=0x1008),
)

"""The first page, and behind the stack, below where any process keeps something of its own."""


def _scaled(width: int) -> Place:
    """Return the place at an index times the width, without a base."""
    size = width // 8
    return Place(
        label="scaled",
        mod_rm=0x04,
        sib=(size.bit_length() - 1) << 6 | 5,
        text=f"{{size}} ptr [{{0}}*{size} + {{1}}]",
        registers=((11, 3, 1),),
        names=NAMES,
        displacement_bits=32,
    )


def _address(width: int) -> Variable:
    """Return any address in the window of a value that lies at a multiple of half its size."""
    step = max(1, width // 16)
    return range_of((DATA_BYTES - width // 8) // step + 1, low=DATA_ADDRESS, step=step)


def _by_address(_draft: Draft, _shape: Shape, width: int) -> Iterator[Memory]:
    yield Memory(place=_ABSOLUTE, variables=(_address(width),))


def _all_ways(draft: Draft, shape: Shape, width: int) -> Iterator[Memory]:
    yield from _by_address(draft, shape, width)
    # A mask of 32 bits clears the high half as well, so R8 takes the mask of 64 bits.
    index = shape if shape.width == 64 else draft.shape("r32")
    mask = number_form(draft, "and", index, small=True)
    register = index.register(written=True)
    free = DATA_BYTES - _LARGEST_INDEX - width // 8
    yield Memory(
        place=_INDEXED,
        variables=(_MASKS, register, range_of(free + 1, low=DATA_ADDRESS)),
        opening=((mask, (1, 0)),),
    )
    if width > 8:
        largest = DATA_BYTES // (width // 8) - 1
        masks = tuple(value for value in (0x03, 0x06, 0x07, 0x0F, 0x1F) if value <= largest)
        free = DATA_BYTES - (masks[-1] + 1) * (width // 8)
        yield Memory(
            place=_scaled(width),
            variables=(one_of(*masks), register, range_of(free + 1, low=DATA_ADDRESS)),
            opening=((mask, (1, 0)),),
        )


def add_window(draft: Draft) -> None:
    """Add loads and stores in the data window."""
    add_memory(draft, _all_ways, _by_address)
    word, legacy = draft.word, draft.shape("r32")
    extensions = {
        8: (("movzx", b"\x0f\xb6"), ("movsx", b"\x0f\xbe")),
        16: (("movzx", b"\x0f\xb7"), ("movsx", b"\x0f\xbf")),
    }
    for shape in (word, legacy):
        for width, names in extensions.items():
            for memory in _all_ways(draft, shape, width):
                add_extending_loads(draft, shape, memory, width, names)
    for memory in _all_ways(draft, word, 32):
        add_extending_loads(draft, word, memory, 32, (("movsxd", b"\x63"),))
    byte = draft.shape("r8")
    for code, (condition, flags) in enumerate(CONDITIONS):
        for memory in _by_address(draft, byte, 8):
            form = memory_form(
                draft,
                f"set{condition}",
                "store",
                bytes([0x0F, 0x90 | code]),
                f"set{condition} {{rm}}",
                Effect(reads=flags),
                byte,
                memory.place,
                register=0,
            )
            add_access(draft, form, memory, weight=4)
        for memory in _by_address(draft, word, 64):
            form = memory_form(
                draft,
                f"cmov{condition} r64",
                "load",
                bytes([0x0F, 0x40 | code]),
                f"cmov{condition} {{reg}}, {{rm}}",
                Effect(reads=flags),
                word,
                memory.place,
            )
            add_access(draft, form, memory, word.register(written=True), weight=3)
    add_strings(draft, DATA_ADDRESS, DATA_BYTES)


def add_wide_stack(draft: Draft) -> None:
    """Add pushes and pops of R8 and of memory, and work on the top of the stack."""
    forms = {form.name: form for form in draft.forms}
    high = Shape(width=64, prefix=b"\x41", values=(0,))  # a REX with B for R8 to R15
    names = {code: f"r{code + 8}" for code in range(8)}
    r8 = Variable(values=(0,), registers=(R8,), written=True)
    source = draft.shape("r32").register()
    to = draft.shape("r32").register(written=True)
    push, pop = forms["push r64"], forms["pop r64"]
    push_high, pop_high = (
        draft.form(
            f"{name} r64x",
            "stack",
            opcode,
            f"{name} {{reg}}",
            shape=high,
            register=names,
            in_opcode=True,
            writes=1 << SP,
        )
        for name, opcode in (("push", b"\x50"), ("pop", b"\x58"))
    )
    push_memory, pop_memory = (
        draft.form(
            f"{name} m64",
            "stack",
            opcode,
            f"{name} {{rm}}",
            place=_ABSOLUTE,
            size=64,
            register=code,
            writes=1 << SP,
        )
        for name, opcode, code in (("push", b"\xff", 6), ("pop", b"\x8f", 0))
    )
    address = _address(64)
    for name, variables, first, last, weight in (
        ("push r8; pop", (r8, to), push_high, pop, 3),
        ("push; pop r8", (source, r8), push, pop_high, 3),
        ("push m64; pop", (address, to), push_memory, pop, 2),
        ("push; pop m64", (source, address), push, pop_memory, 2),
        ("push m64; pop m64", (address, address), push_memory, pop_memory, 1),
    ):
        draft.idiom(
            name,
            "stack",
            variables,
            (first, (0,)),
            scope="bracket",
            closing=((last, (1,)),),
            weight=weight,
        )
    word = draft.word
    for code, (name, _, effect, _) in enumerate(OPERATIONS[:7]):
        form = memory_form(
            draft,
            f"{name} r64",
            "stack",
            bytes([code << 3 | 1]),
            f"{name} {{rm}}, {{reg}}",
            effect,
            word,
            _STACK_TOP,
        )
        draft.idiom(
            f"push; {name}; pop",
            "stack",
            (source, word.register(), to),
            (push, (0,)),
            (form, (1,)),
            (pop, (2,)),
        )
    load = memory_form(
        draft, "mov r64", "stack", b"\x8b", "mov {reg}, {rm}", NONE, word, _STACK_TOP
    )
    draft.idiom(
        "push; mov; pop",
        "stack",
        (source, word.register(written=True), to),
        (push, (0,)),
        (load, (1,)),
        (pop, (2,)),
        weight=3,
    )


def add_faults(draft: Draft) -> None:
    """Add failing divisions, and accesses where nothing is mapped."""
    add_division_faults(draft)
    forms = {form.name: form for form in draft.forms}
    word, legacy = draft.word, draft.shape("r32")
    point = move_number_form(draft, legacy)
    for address in _FAULT_ADDRESSES:
        for name in ("mov r64, [address]", "mov r64 [address]", "add r64 [address]"):
            register = word.register(written="," in name)
            draft.idiom(
                f"{name} unmapped", "fault", (address, register), (forms[name], (0, 1)), weight=4
            )
        for name in ("mov r64, [index]", "mov r32 [index]"):
            shape = word if "r64" in name else legacy
            draft.idiom(
                f"{name} unmapped",
                "fault",
                (
                    legacy.register(written=True),
                    address,
                    range_of(64, step=8),
                    shape.register(written="," in name),
                ),
                (point, (0, 1)),
                (forms[name], (0, 2, 3)),
                weight=4,
            )

"""x86 instructions on the data window, for the tables of both modes.

A table gives the ways to address the window (`Memory`): by address, or by a register that a mask
has brought within bounds just before. Every access stays in the window.
"""

from collections.abc import Callable, Iterable

from simulators.cpu.isa.table import Form, Variable
from simulators.cpu.isa.x86.entries import Draft, Memory, Step
from simulators.cpu.isa.x86.forms import (
    ARITHMETIC,
    AX,
    BIT,
    BX,
    COUNTING,
    DI,
    LOGIC,
    NONE,
    SI,
    Effect,
    Number,
    Place,
    Shape,
    range_of,
)
from simulators.cpu.isa.x86.operations import (
    ANY_BYTE,
    BYTE,
    OPERATIONS,
    SIGNED_BYTE,
    any_number,
    full_number,
    move_number_form,
)
from simulators.cpu.isa.x86.shifts import BIT_OPERATIONS, SHIFTS

Ways = Callable[[Draft, Shape, int], Iterable[Memory]]
"""The ways to address operands of a width with instructions of a shape."""


def add_memory(draft: Draft, ways: Ways, simple_ways: Ways) -> None:
    """Add loads, stores and read-modify-writes; rarer instructions only by `simple_ways`."""
    for shape in draft.shapes:
        if shape.only_rex:
            continue
        for memory in ways(draft, shape, shape.width):
            _add_loads(draft, shape, memory)
            _add_stores(draft, shape, memory)
        for memory in simple_ways(draft, shape, shape.width):
            _add_numbers(draft, shape, memory)
            _add_shifts(draft, shape, memory)
            _add_rarer(draft, shape, memory)


def add_access(
    draft: Draft, form: Form, memory: Memory, *variables: Variable, weight: int = 1
) -> None:
    """Add an entry of one access; `variables` are its operands other than the place's."""
    first = len(memory.variables)
    others = tuple(range(first, first + len(variables)))
    draft.idiom(
        f"{form.name} [{memory.place.label}]" if memory.opening else form.name,
        form.klass,
        (*memory.variables, *variables),
        *memory.opening,
        (form, (*memory.operands(), *others)),
        weight=weight,
    )


def memory_form(
    draft: Draft,
    name: str,
    klass: str,
    opcode: bytes,
    text: str,
    effect: Effect,
    shape: Shape,
    place: Place,
    *,
    register: bool | int = True,
    number: Number | None = None,
    size: int | None = None,
    writes: int = 0,
    aliases: tuple[str, ...] = (),
) -> Form:
    """Add a form with a memory operand; `register` is one of the shape's, or a fixed number."""
    return draft.form(
        f"{name}, [{place.label}]" if klass == "load" else f"{name} [{place.label}]",
        klass,
        opcode,
        text,
        effect,
        shape=shape,
        place=place,
        register=shape.names if register is True else int(register),
        number=number,
        size=size,
        writes=writes,
        aliases=aliases,
    )


def _add_loads(draft: Draft, shape: Shape, memory: Memory) -> None:
    load = memory_form(
        draft,
        f"mov {shape.name}",
        "load",
        bytes([0x8A | shape.byte_bit()]),
        "mov {reg}, {rm}",
        NONE,
        shape,
        memory.place,
    )
    add_access(draft, load, memory, shape.register(written=True), weight=16 * shape.weight)
    for code, (name, _, effect, weight) in enumerate(OPERATIONS):
        form = memory_form(
            draft,
            f"{name} {shape.name}",
            "load",
            bytes([code << 3 | 2 | shape.byte_bit()]),
            f"{name} {{reg}}, {{rm}}",
            effect,
            shape,
            memory.place,
        )
        register = shape.register(written=name != "cmp")
        add_access(draft, form, memory, register, weight=weight * shape.weight)


def _add_stores(draft: Draft, shape: Shape, memory: Memory) -> None:
    for name, klass, opcode, effect, weight in (
        ("mov", "store", 0x88, NONE, 20),
        *(
            (name, "load" if name == "cmp" else "store", code << 3, effect, weight)
            for code, (name, _, effect, weight) in enumerate(OPERATIONS)
        ),
        ("test", "load", 0x84, LOGIC, 2),
    ):
        form = memory_form(
            draft,
            f"{name} m{shape.width}" if klass == "load" else f"{name} {shape.name}",
            klass,
            bytes([opcode | shape.byte_bit()]),
            f"{name} {{rm}}, {{reg}}",
            effect,
            shape,
            memory.place,
        )
        add_access(draft, form, memory, shape.register(), weight=weight * shape.weight)


def _add_numbers(draft: Draft, shape: Shape, memory: Memory) -> None:
    byte = shape.byte_bit()
    full = full_number(shape)
    for name, klass, opcode, code, effect, number, weight in (
        ("mov", "store", 0xC6 | byte, 0, NONE, full, 12),
        ("test", "load", 0xF6 | byte, 0, LOGIC, full, 2),
        *(
            (name, "load" if name == "cmp" else "store", opcode, code, effect, number, weight)
            for code, (name, _, effect, weight) in enumerate(OPERATIONS)
            for opcode, number in (
                (0x80 | byte, full),
                *(((0x83, SIGNED_BYTE),) if byte else ()),
            )
        ),
    ):
        form = memory_form(
            draft,
            f"{name} m{shape.width}, {'i8' if number == SIGNED_BYTE else 'imm'}",
            klass,
            bytes([opcode]),
            f"{name} {{rm}}, {{imm}}",
            effect,
            shape,
            memory.place,
            register=code,
            number=number,
        )
        value = ANY_BYTE if number == SIGNED_BYTE else any_number(shape)
        add_access(draft, form, memory, value, weight=weight * shape.weight)


def _add_shifts(draft: Draft, shape: Shape, memory: Memory) -> None:
    byte = shape.byte_bit()
    for name, code, by_one, by_number, by_cl in SHIFTS:
        for operand, opcode, effect in (
            ("1", 0xD0, by_one),
            ("{imm}", 0xC0, by_number),
            ("cl", 0xD2, by_cl),
        ):
            number = BYTE if operand == "{imm}" else None
            form = memory_form(
                draft,
                f"{name} m{shape.width}, {operand.strip('{}')}",
                "store",
                bytes([opcode | byte]),
                f"{name} {{rm}}, {operand}",
                effect,
                shape,
                memory.place,
                register=code,
                number=number,
                # capstone leaves the 1 of this one out.
                aliases=("rcl {rm}",) if (name, operand) == ("rcl", "1") else (),
            )
            counts = (range_of(shape.width - 2, low=2),) if number else ()
            add_access(draft, form, memory, *counts, weight=shape.weight)


def _add_rarer(draft: Draft, shape: Shape, memory: Memory) -> None:
    """Add what is on one operand, exchanges, and bits."""
    byte = shape.byte_bit()
    for name, opcode, code, effect in (
        ("inc", 0xFE, 0, COUNTING),
        ("dec", 0xFE, 1, COUNTING),
        ("not", 0xF6, 2, NONE),
        ("neg", 0xF6, 3, ARITHMETIC),
    ):
        form = memory_form(
            draft,
            f"{name} m{shape.width}",
            "store",
            bytes([opcode | byte]),
            f"{name} {{rm}}",
            effect,
            shape,
            memory.place,
            register=code,
        )
        add_access(draft, form, memory, weight=4 * shape.weight)
    for name, opcode, effect in (
        ("xchg", bytes([0x86 | byte]), NONE),
        ("xadd", bytes([0x0F, 0xC0 | byte]), ARITHMETIC),
    ):
        form = memory_form(
            draft,
            f"{name} {shape.name}",
            "store",
            opcode,
            f"{name} {{rm}}, {{reg}}",
            effect,
            shape,
            memory.place,
        )
        add_access(draft, form, memory, shape.register(written=True), weight=4 * shape.weight)
    if shape.width == 8:
        return
    for name, code in BIT_OPERATIONS:
        form = memory_form(
            draft,
            f"{name} m{shape.width}, imm",
            "load" if name == "bt" else "store",
            b"\x0f\xba",
            f"{name} {{rm}}, {{imm}}",
            BIT,
            shape,
            memory.place,
            register=code,
            number=BYTE,
        )
        add_access(draft, form, memory, range_of(shape.width), weight=shape.weight)


def add_extending_loads(
    draft: Draft, to: Shape, memory: Memory, width: int, names: tuple[tuple[str, bytes], ...]
) -> None:
    """Add `movzx` and its like from memory operands of a smaller width."""
    for name, opcode in names:
        form = memory_form(
            draft,
            f"{name} {to.name}, m{width}",
            "load",
            opcode,
            f"{name} {{reg}}, {{rm}}",
            NONE,
            to,
            memory.place,
            size=width,
        )
        add_access(draft, form, memory, to.register(written=True), weight=8 * to.weight)


def add_strings(draft: Draft, data_address: int, data_bytes: int) -> None:
    """Add the string instructions that point SI or DI into the window first, and `xlatb`.

    The direction flag is never set, so they count upwards.
    """
    word = draft.word
    pointer = draft.shape("r16") if draft.bits == 16 else draft.shape("r32")
    point = move_number_form(draft, pointer)
    prefix = "r" if draft.bits == 64 else ""
    source, target = f"[{prefix}si]", f"[{prefix}di]"
    es = "es:" if draft.bits == 16 else ""
    for shape in draft.shapes:
        if shape.only_rex:
            continue
        size = shape.width // 8
        letter = {1: "b", 2: "w", 4: "d", 8: "q"}[size]
        kind = {1: "byte", 2: "word", 4: "dword", 8: "qword"}[size]
        accumulator = shape.names[0]
        m_source, m_target = f"{kind} ptr {source}", f"{kind} ptr {es}{target}"
        address = range_of(data_bytes - size + 1, low=data_address)
        rows = (
            ("lods", 0xAC, f"{accumulator}, {m_source}", NONE, (SI,), 1 << AX),
            ("stos", 0xAA, f"{m_target}, {accumulator}", NONE, (DI,), 0),
            ("movs", 0xA4, f"{m_target}, {m_source}", NONE, (SI, DI), 0),
            ("cmps", 0xA6, f"{m_source}, {m_target}", ARITHMETIC, (SI, DI), 0),
            ("scas", 0xAE, f"{accumulator}, {m_target}", ARITHMETIC, (DI,), 0),
        )
        for name, opcode, operands, effect, pointers, writes in rows:
            form = draft.form(
                f"{name}{letter}",
                "store" if name in ("stos", "movs") else "load",
                bytes([opcode | shape.byte_bit()]),
                f"{name}{letter} {operands}",
                effect,
                shape=shape,
                writes=writes | sum(1 << code for code in pointers),
            )
            variables: list[Variable] = []
            steps: list[Step] = []
            for code in pointers:
                steps.append((point, (len(variables), len(variables) + 1)))
                variables += [pointer.register(code, written=True), address]
            draft.idiom(form.name, form.klass, variables, *steps, (form, ()), weight=3)
    translate = draft.form("xlatb", "load", b"\xd7", "xlatb", writes=1 << AX)
    byte_number = move_number_form(draft, draft.shape("r8"))
    draft.idiom(
        "xlatb",
        "load",
        (
            pointer.register(BX, written=True),
            range_of(data_bytes - 31, low=data_address),
            draft.shape("r8").register(0, written=True),
            range_of(32),
        ),
        (point, (0, 1)),
        (byte_number, (2, 3)),
        (translate, ()),
        weight=3 * word.weight,
    )

"""Thumb loads and stores as forms: every width and sign, every way to address, pairs and lists.

Which addresses programs use, `t32.memory_entries` says. Lists that are loaded have R0 to R2 only,
which no loop counts with: what one writes is not among its operands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from simulators.cpu.isa.t32.operands import (
    FIRST,
    LAST,
    SECOND,
    list_names,
    low_register,
    named,
    narrow,
    number,
    register,
    wide,
)
from simulators.cpu.isa.table import Form, Operand, Piece


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """One load or store."""

    mnemonic: str
    shift: int
    """Binary logarithm of the bytes in memory."""
    first: int
    """First halfword of the 32-bit encodings with all operand bits zero, by a short offset."""
    by_number: int | None
    """The 16-bit encoding by an offset; loads with a sign have none."""
    by_register: int
    """The 16-bit encoding by a register."""

    @property
    def klass(self) -> str:
        """Return `load` or `store`."""
        return "load" if self.mnemonic.startswith("ld") else "store"


ACCESSES: Final = tuple(
    Access(
        mnemonic=mnemonic, shift=shift, first=first, by_number=by_number, by_register=by_register
    )
    for mnemonic, shift, first, by_number, by_register in (
        ("ldrb", 0, 0xF810, 0x7800, 0x5C00),
        ("ldrsb", 0, 0xF910, None, 0x5600),
        ("ldrh", 1, 0xF830, 0x8800, 0x5A00),
        ("ldrsh", 1, 0xF930, None, 0x5E00),
        ("ldr", 2, 0xF850, 0x6800, 0x5800),
        ("strb", 0, 0xF800, 0x7000, 0x5400),
        ("strh", 1, 0xF820, 0x8000, 0x5200),
        ("str", 2, 0xF840, 0x6000, 0x5000),
    )
)
LISTED: Final = (0, 1, 2)
"""What lists load."""
PUSHED: Final = (0, 1, 2, 3, 4)
"""What lists store, the link register besides."""

_LOADED: Final = sum(1 << code for code in LISTED)
_VALUE: Final = register(SECOND + 12)
MOVES: Final = (
    ("negative", 0x0C00, "[{1}, #-{2}]"),
    ("post +", 0x0B00, "[{1}], #{2}"),
    ("post -", 0x0900, "[{1}], #-{2}"),
    ("pre +", 0x0F00, "[{1}, #{2}]!"),
    ("pre -", 0x0D00, "[{1}, #-{2}]!"),
)
"""How a short offset is applied: below the base, or with the base moved after or before."""


def memory_forms() -> tuple[Form, ...]:
    """Return the forms of loads and stores."""
    return (
        *(form for access in ACCESSES for form in (*_narrow(access), *_wide(access))),
        *_stack_words(),
        *_pairs(),
        *_lists(),
    )


def _narrow(access: Access) -> Iterable[Form]:
    """Yield the 16-bit encodings: by a register, by an offset of up to 31 times the width."""
    m = access.mnemonic
    yield narrow(
        f"{m} r, [r, r]",
        access.klass,
        access.by_register,
        f"{m} {{0}}, [{{1}}, {{2}}]",
        low_register(0),
        low_register(3),
        low_register(6),
    )
    if access.by_number is not None:
        yield narrow(
            f"{m} r, [r, #]",
            access.klass,
            access.by_number,
            f"{m} {{0}}, [{{1}}, #{{2}}]",
            low_register(0),
            low_register(3),
            number(6, 5, scale=1 << access.shift),
            aliases=(f"{m} {{0}}, [{{1}}]",),
        )


def _wide(access: Access) -> Iterable[Form]:
    """Yield the 32-bit encodings: by an offset below 4,096, a shifted register, a short offset."""
    m, klass = access.mnemonic, access.klass
    yield wide(
        f"{m}.w r, [r, #]",
        klass,
        access.first | 1 << 7,
        0,
        f"{m}.w {{0}}, [{{1}}, #{{2}}]",
        _VALUE,
        FIRST,
        number(SECOND, 12),
        aliases=(f"{m}.w {{0}}, [{{1}}]",),
    )
    yield wide(
        f"{m}.w r, [r, r, lsl]",
        klass,
        access.first,
        0,
        f"{m}.w {{0}}, [{{1}}, {{2}}, lsl #{{3}}]",
        _VALUE,
        FIRST,
        LAST,
        number(SECOND + 4, 2),
        aliases=(f"{m}.w {{0}}, [{{1}}, {{2}}]",),
    )
    for name, bits, place in MOVES:
        yield wide(
            f"{m} r, {name}",
            klass,
            access.first,
            bits,
            f"{m} {{0}}, {place}",
            _VALUE,
            FIRST,
            number(SECOND, 8),
        )


def _stack_words() -> Iterable[Form]:
    """Yield str and ldr at a word above the stack pointer."""
    for i, mnemonic in enumerate(("str", "ldr")):
        yield narrow(
            f"{mnemonic} r, [sp, #]",
            "stack",
            0x9000 | i << 11,
            f"{mnemonic} {{0}}, [sp, #{{1}}]",
            low_register(8),
            number(0, 8, scale=4),
            aliases=(f"{mnemonic} {{0}}, [sp]",),
        )


def _pairs() -> Iterable[Form]:
    """Yield ldrd and strd by an offset in words, above and below, and with the base moved."""
    for load, mnemonic in enumerate(("strd", "ldrd")):
        for name, bits, place in (
            ("[r, #]", 0xE9C0, "[{2}, #{3}]"),
            ("negative", 0xE940, "[{2}, #-{3}]"),
            ("post +", 0xE8E0, "[{2}], #{3}"),
            ("post -", 0xE860, "[{2}], #-{3}"),
            ("pre +", 0xE9E0, "[{2}, #{3}]!"),
            ("pre -", 0xE960, "[{2}, #-{3}]!"),
        ):
            yield wide(
                f"{mnemonic} r, r, {name}",
                "load" if load else "store",
                bits | load << 4,
                0,
                f"{mnemonic} {{0}}, {{1}}, {place}",
                _VALUE,
                register(SECOND + 8),
                FIRST,
                number(SECOND, 8, scale=4),
                aliases=(f"{mnemonic} {{0}}, {{1}}, [{{2}}]",) if name == "[r, #]" else (),
            )


def _lists() -> Iterable[Form]:
    """Yield push and pop, stm and ldm with the base moved, upwards and downwards."""
    pushed = Operand(
        pieces=(Piece(source=0, bits=5, target=0), Piece(source=8, bits=1, target=8)),
        names=list_names(PUSHED, link_bit=8),
    )
    yield narrow("push {}", "stack", 0xB400, "push {0}", pushed)
    yield narrow("pop {r}", "stack", 0xBC00, "pop {0}", named(0, 5, list_names(PUSHED)))
    yield narrow(
        "pop {}", "stack", 0xBC00, "pop {0}", named(0, 3, list_names(LISTED)), writes=_LOADED
    )
    stored, loaded = list_names(PUSHED), list_names(LISTED)
    yield narrow(
        "stm r!, {}", "store", 0xC000, "stm {0}!, {1}", low_register(8), named(0, 5, stored)
    )
    yield narrow(
        "ldm r!, {}",
        "load",
        0xC800,
        "ldm {0}!, {1}",
        low_register(8),
        named(0, 3, loaded),
        writes=_LOADED,
    )
    for name, store, load in (("", 0xE8A0, 0xE8B0), ("db", 0xE920, 0xE930)):
        suffix = name or ".w"
        yield wide(
            f"stm{suffix} r!, {{}}",
            "store",
            store,
            0,
            f"stm{suffix} {{0}}!, {{1}}",
            FIRST,
            named(SECOND, 5, stored),
        )
        yield wide(
            f"ldm{suffix} r!, {{}}",
            "load",
            load,
            0,
            f"ldm{suffix} {{0}}!, {{1}}",
            FIRST,
            named(SECOND, 3, loaded),
            writes=_LOADED,
        )

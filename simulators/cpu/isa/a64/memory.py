"""A64 loads and stores as forms: every width and sign, every way to address, and pairs.

Encodings: Arm Architecture Reference Manual (DDI 0487), chapter C4.1, "Loads and Stores". Which
addresses programs use, `a64.memory_entries` says; data processing stands in `a64.forms`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from simulators.cpu.isa.a64.operands import (
    REGISTERS,
    REGISTERS_OR_STACK,
    SIZES,
    is_wide,
    make_form,
    named,
    number,
)
from simulators.cpu.isa.table import Form


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """One load or store."""

    mnemonic: str
    size: str
    """Of the register that is loaded or stored: `w` or `x`."""
    shift: int
    """Binary logarithm of the bytes in memory."""
    opc: int

    @property
    def klass(self) -> str:
        """Return `load` or `store`."""
        return "load" if self.opc else "store"

    @property
    def unscaled(self) -> str:
        """Return the mnemonic of an access with a byte offset, e.g. `ldurb`."""
        return f"{self.mnemonic[:2]}u{self.mnemonic[2:]}"


ACCESSES: Final = tuple(
    Access(mnemonic=mnemonic, size=size, shift=shift, opc=opc)
    for mnemonic, size, shift, opc in (
        ("ldrb", "w", 0, 1),
        ("ldrsb", "w", 0, 3),
        ("ldrsb", "x", 0, 2),
        ("ldrh", "w", 1, 1),
        ("ldrsh", "w", 1, 3),
        ("ldrsh", "x", 1, 2),
        ("ldr", "w", 2, 1),
        ("ldrsw", "x", 2, 2),
        ("ldr", "x", 3, 1),
        ("strb", "w", 0, 0),
        ("strh", "w", 1, 0),
        ("str", "w", 2, 0),
        ("str", "x", 3, 0),
    )
)

_BASE: Final = named(5, 5, REGISTERS_OR_STACK["x"])


def memory_forms() -> tuple[Form, ...]:
    """Return the forms of loads and stores."""
    single = [form for access in ACCESSES for form in _access(access)]
    return (*single, *(form for size in SIZES for form in _pairs(size)))


def _access(access: Access) -> Iterable[Form]:
    """Yield one access by scaled and byte offset, before and after an index, and by register."""
    name, klass = f"{access.mnemonic} {access.size}", access.klass
    word = access.shift << 30 | access.opc << 22
    register = named(0, 5, REGISTERS[access.size])
    yield make_form(
        f"{name}, [x, #]",
        klass,
        0x39000000 | word,
        f"{access.mnemonic} {{0}}, [{{1}}, #{{2}}]",
        register,
        _BASE,
        number(10, 12, scale=1 << access.shift),
        aliases=(f"{access.mnemonic} {{0}}, [{{1}}]",),
    )
    for mnemonic, bits, ways, text in (
        (access.unscaled, 0, "[x, #]", "[{1}, #{2}]"),
        (access.mnemonic, 1, "[x], #", "[{1}], #{2}"),
        (access.mnemonic, 3, "[x, #]!", "[{1}, #{2}]!"),
    ):
        yield make_form(
            f"{mnemonic} {access.size}, {ways}",
            klass,
            0x38000000 | word | bits << 10,
            f"{mnemonic} {{0}}, {text}",
            register,
            _BASE,
            number(12, 9, signed=True),
            aliases=() if bits else (f"{mnemonic} {{0}}, [{{1}}]",),
        )
    for index, bits, extension in (
        ("x", 0b0110, ""),
        ("x", 0b0111, f", lsl #{access.shift}"),
        ("w", 0b0101, f", uxtw #{access.shift}"),
        ("w", 0b1101, f", sxtw #{access.shift}"),
    ):
        yield make_form(
            f"{name}, [x, {index}{extension}]",
            klass,
            0x38200800 | word | bits << 12,
            f"{access.mnemonic} {{0}}, [{{1}}, {{2}}{extension}]",
            register,
            _BASE,
            named(16, 5, REGISTERS[index]),
        )


def _pairs(size: str) -> Iterable[Form]:
    """Yield ldp and stp by offset, and before and after an index."""
    for load, mnemonic in enumerate(("stp", "ldp")):
        for bits, ways, text in (
            (2, "[x, #]", "[{2}, #{3}]"),
            (1, "[x], #", "[{2}], #{3}"),
            (3, "[x, #]!", "[{2}, #{3}]!"),
        ):
            yield make_form(
                f"{mnemonic} {size}, {size}, {ways}",
                "load" if load else "store",
                0x28000000 | is_wide(size) << 31 | bits << 23 | load << 22,
                f"{mnemonic} {{0}}, {{1}}, {text}",
                named(0, 5, REGISTERS[size]),
                named(10, 5, REGISTERS[size]),
                _BASE,
                number(15, 7, signed=True, scale=4 << is_wide(size)),
                aliases=(f"{mnemonic} {{0}}, {{1}}, [{{2}}]",) if bits == 2 else (),
            )

"""How x86 instructions are put together: prefixes, opcode, places of operands, effects on flags.

Shared by the 16-bit and the 64-bit table. A `Shape` is an operand size with the registers that it
reaches, a `Place` is what the byte ModRM can name: a register or memory. `make_form` turns them
into forms. Which instructions there are, `x86.alu`, `x86.memory` and `x86.control` say.

Source throughout: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2
(instruction formats: chapter 2; each instruction's flags: chapters 3 to 5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from simulators.cpu.isa.table import Form, Operand, Piece, Target, Variable

# Flags: bits of the register FLAGS.
CF, PF, AF, ZF, SF, OF = (1 << bit for bit in (0, 2, 4, 6, 7, 11))
FLAG_BITS: Final[Mapping[str, int]] = MappingProxyType(
    {"CF": 0, "PF": 2, "AF": 4, "ZF": 6, "SF": 7, "OF": 11}
)
ALL: Final = CF | PF | AF | ZF | SF | OF

# Codes of registers.
AX, CX, DX, BX, SP, BP, SI, DI, R8 = range(9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What an instruction does with flags; see the same fields of `Form`."""

    reads: int = 0
    sets: int = 0
    undefines: int = 0


NONE: Final = Effect()
ARITHMETIC: Final = Effect(sets=ALL)
WITH_CARRY: Final = Effect(reads=CF, sets=ALL)
LOGIC: Final = Effect(sets=ALL & ~AF, undefines=AF)
COUNTING: Final = Effect(sets=ALL & ~CF)
MULTIPLY: Final = Effect(sets=CF | OF, undefines=SF | ZF | AF | PF)
DIVIDE: Final = Effect(undefines=ALL)
BIT: Final = Effect(sets=CF, undefines=OF | SF | AF | PF)
BIT_SCAN: Final = Effect(sets=ZF, undefines=ALL & ~ZF)
SHIFT_ONE: Final = Effect(sets=ALL & ~AF, undefines=AF)
SHIFT_NUMBER: Final = Effect(sets=ALL & ~AF & ~OF, undefines=AF | OF)
"""By a count from 2 to the width less one, the only ones that are drawn."""
SHIFT_CL: Final = Effect(undefines=CF | AF | OF)
"""The count may be 0, which changes no flag; so SF, ZF and PF are as defined as before."""
ROTATE_ONE: Final = Effect(sets=CF | OF)
ROTATE_NUMBER: Final = Effect(sets=CF, undefines=OF)
ROTATE_CL: Final = Effect(undefines=OF)
ROTATE_CARRY_ONE: Final = Effect(reads=CF, sets=CF | OF)
ROTATE_CARRY_NUMBER: Final = Effect(reads=CF, sets=CF, undefines=OF)
ROTATE_CARRY_CL: Final = Effect(reads=CF, undefines=OF)

CONDITIONS: Final[tuple[tuple[str, int], ...]] = (
    *(("o", OF), ("no", OF), ("b", CF), ("ae", CF), ("e", ZF), ("ne", ZF)),
    *(("be", CF | ZF), ("a", CF | ZF), ("s", SF), ("ns", SF), ("p", PF), ("np", PF)),
    *(("l", SF | OF), ("ge", SF | OF), ("le", ZF | SF | OF), ("g", ZF | SF | OF)),
)
"""Name and flags read of each condition, in the order of their codes."""

_LOW_NAMES: Final = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
_BYTE_NAMES: Final = ("al", "cl", "dl", "bl", "ah", "ch", "dh", "bh")
_SIZE_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {8: "byte", 16: "word", 32: "dword", 64: "qword"}
)


def register_names(width: int, *, rex: bool) -> Mapping[int, str]:
    """Return the names of the registers of a width, by the number in an instruction.

    >>> register_names(8, rex=False)[6], register_names(8, rex=True)[6]
    ('dh', 'sil')
    """
    if width == 8:
        low = (*_BYTE_NAMES[:4], "spl", "bpl", "sil", "dil") if rex else _BYTE_NAMES
    else:
        letter = {16: "", 32: "e", 64: "r"}[width]
        low = tuple(f"{letter}{name}" for name in _LOW_NAMES)
    suffix = {8: "b", 16: "w", 32: "d", 64: ""}[width]
    high = tuple(f"r{code}{suffix}" for code in range(8, 16)) if rex else ()
    return MappingProxyType(dict(enumerate((*low, *high))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """An operand size as an instruction says it, and the registers that programs use so."""

    width: int
    prefix: bytes = b""
    """The operand-size prefix where this size is not the mode's own."""
    rex: int | None = None
    """The byte REX, if the instruction has one; its bits R, X and B belong to operands."""
    values: tuple[int, ...]
    """Numbers, in an instruction, of the registers that programs use."""
    only_rex: tuple[int, ...] = ()
    """Those that need this REX. If there are any, one of them must be there: nobody writes a REX
    that does nothing."""
    weight: int = 1
    """How often it is drawn, against the mode's other shapes."""

    @property
    def name(self) -> str:
        """Return what names of forms say of it, e.g. `r32`, or `r32x` with a REX."""
        return f"r{self.width}{'x' if self.only_rex else ''}"

    @property
    def names(self) -> Mapping[int, str]:
        """Return the names of its registers."""
        return register_names(self.width, rex=self.rex is not None)

    def codes(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """Return the codes of the registers that numbers in an instruction name: AH names AX."""
        high_bytes = self.width == 8 and self.rex is None
        return tuple(value & 3 if high_bytes else value for value in values)

    def register(
        self,
        *values: int,
        written: bool = False,
        differs_from: tuple[int, ...] = (),
    ) -> Variable:
        """Return a variable for one of the registers `values`, or of all that programs use."""
        values = values or self.values
        return Variable(
            values=values,
            registers=self.codes(values),
            written=written,
            differs_from=differs_from,
        )

    def singles(self) -> tuple[tuple[int, ...], ...]:
        """Return the registers of entries with one register."""
        return (self.only_rex or self.values,)

    def pairs(self) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
        """Return the registers of entries with two: enough entries to have all pairs."""
        if not self.only_rex:
            return ((self.values, self.values),)
        return ((self.only_rex, self.values), (self.values, self.only_rex))

    def byte_bit(self) -> int:
        """Return the opcode's lowest bit where that tells bytes from larger operands."""
        return int(self.width != 8)

    def number_bits(self) -> int:
        """Return the bits of a full-size number within an instruction: 32 for 64."""
        return min(self.width, 32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What ModRM names: its fixed bits, what follows it, and its operands in order."""

    label: str
    """In names of forms."""
    mod_rm: int
    sib: int | None = None
    text: str
    """With `{0}` and on for its operands, and `{size}` for e.g. `word`."""
    registers: tuple[tuple[int, int, int], ...] = ()
    """Bit after the start of ModRM, number of bits, bit of REX that extends it (or -1)."""
    names: Mapping[int, str] = field(default_factory=dict[int, str])
    """Of its registers."""
    displacement_bits: int = 0
    """0 if there is none; it is the last operand."""

    @property
    def num_operands(self) -> int:
        """Return how many operands it takes."""
        return len(self.registers) + (self.displacement_bits > 0)


def register_place(width: int, *, rex: bool) -> Place:
    """Return a register named by ModRM."""
    return Place(
        label=f"r{width}",
        mod_rm=0xC0,
        text="{0}",
        registers=((0, 3, 0),),
        names=register_names(width, rex=rex),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number at the instruction's end."""

    bits: int
    signed: bool = False
    """It is extended with its sign to the operand's size."""


def make_form(
    name: str,
    klass: str,
    opcode: bytes,
    text: str,
    effect: Effect = NONE,
    *,
    shape: Shape | None = None,
    place: Place | None = None,
    size: int | None = None,
    register: Mapping[int, str] | int | None = None,
    in_opcode: bool = False,
    number: Number | None = None,
    distance_bits: int = 0,
    writes: int = 0,
    aliases: tuple[str, ...] = (),
) -> Form:
    """Return a form; its operands are those of `place`, then the register, then the number.

    `text` has `{rm}`, `{reg}` and `{imm}` for them. `register` is ModRM's middle field: the names
    of registers, or a fixed number; with `in_opcode` it is the opcode's low bits instead. `size`
    is the memory operand's width where it is not the shape's. `distance_bits` makes the number a
    distance from the instruction's end to a place in the code.
    """
    prefix = shape.prefix if shape is not None else b""
    rex = shape.rex if shape is not None else None
    rex_bit = 8 * len(prefix)
    base = bytearray(prefix + (b"" if rex is None else bytes([rex])) + opcode)
    opcode_bit = 8 * (len(base) - 1)
    mod_rm_bit = 8 * len(base)
    operands: list[Operand] = []

    def register_operand(names: Mapping[int, str], bit: int, bits: int, extension: int) -> Operand:
        pieces = [Piece(source=0, bits=bits, target=bit)]
        if rex is not None and extension >= 0:
            pieces.append(Piece(source=bits, bits=1, target=rex_bit + extension))
        reached = {value: names[value] for value in names if value < 1 << (bits + len(pieces) - 1)}
        return Operand(pieces=tuple(pieces), names=MappingProxyType(reached))

    rm_text = ""
    if place is not None:
        digit = register << 3 if isinstance(register, int) else 0
        base.append(place.mod_rm | digit)
        if place.sib is not None:
            base.append(place.sib)
        operands += [
            register_operand(place.names, mod_rm_bit + bit, bits, extension)
            for bit, bits, extension in place.registers
        ]
        if place.displacement_bits:
            bits = place.displacement_bits
            piece = Piece(source=0, bits=bits, target=8 * len(base))
            # Without a register it is an address, else it is added with its sign.
            signed = bits if place.registers else None
            operands.append(Operand(pieces=(piece,), signed_bits=signed))
            base += bytes(bits // 8)
        width = size or (shape.width if shape is not None else 8)
        fields = [f"{{{i}}}" for i in range(place.num_operands)]
        rm_text = place.text.format(*fields, size=_SIZE_NAMES[width])
    reg_text = f"{{{len(operands)}}}"
    if isinstance(register, Mapping):
        bit, extension = (opcode_bit, 0) if in_opcode else (mod_rm_bit + 3, 2)
        operands.append(register_operand(register, bit, 3, extension))
    imm_text = f"{{{len(operands)}}}"
    bits = distance_bits or (number.bits if number is not None else 0)
    if bits:
        signed = bits if distance_bits or (number is not None and number.signed) else None
        piece = Piece(source=0, bits=bits, target=8 * len(base))
        operands.append(Operand(pieces=(piece,), signed_bits=signed))
        base += bytes(bits // 8)
    marks = {"{rm}": rm_text, "{reg}": reg_text, "{imm}": imm_text}
    for mark, value in marks.items():
        text = text.replace(mark, value)
        aliases = tuple(alias.replace(mark, value) for alias in aliases)
    return Form(
        name=name,
        klass=klass,
        base=bytes(base),
        text=text,
        aliases=aliases,
        operands=tuple(operands),
        target=_target(len(operands) - 1, distance_bits, len(base)) if distance_bits else None,
        reads=effect.reads,
        sets=effect.sets,
        undefines=effect.undefines,
        writes=writes,
    )


def _target(operand: int, bits: int, length: int) -> Target:
    half = 1 << (bits - 1)
    return Target(operand=operand, bias=length, shift=0, lowest=-half, highest=half - 1)


def range_of(count: int, *, low: int = 0, step: int = 1) -> Variable:
    """Return a variable of `low + step * n`, `n` below `count`."""
    return Variable(low=low, step=step, count=count)


def one_of(*values: int) -> Variable:
    """Return a variable of listed numbers; of one value, a constant."""
    return Variable(values=values)

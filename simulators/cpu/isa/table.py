"""An instruction set as a table: what one file of `simulators/cpu/isa/` has to say, and its words.

Generator, decoder, emulator, oracles, listings and documentation read the same table. It is pure
data: nothing is encoded, drawn or run here. Three layers:

- a **form** is one way to encode one instruction: fixed bits, and operands scattered over bits;
- an **entry** is what the generator draws: one instruction, or an idiom of several that belong
  together (mask an index, then load), or a scope (a loop's head and its end);
- an **isa** is the machine: registers, flags, memory map, layouts of a state, forms, entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

PROFILES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "alu": ("move", "arithmetic", "logic", "shift", "compare", "multiply", "divide"),
        "memory": ("load", "store"),
        "branch": ("branch",),
        "loop": ("loop",),
        "call": ("call", "stack"),
        "fault": ("fault",),
    }
)
"""Profile to the classes that it adds; profiles are cumulative in this order."""

CLASSES: Final = tuple(name for names in PROFILES.values() for name in names)

LayoutName = Literal["narrow", "full"]
LAYOUTS: Final[tuple[LayoutName, ...]] = ("narrow", "full")

MAX_SAMPLE_BYTES: Final = 8160
"""The largest file of the paper's sequence: 510 patches of 16 bytes."""

TARGET: Final = -1
"""In `Use.operands`: the place that a branch or call goes to, filled in by the generator."""

Scope = Literal["none", "forward", "loop", "bracket", "call"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """One register that a state may record."""

    name: str
    emulator: str
    """The emulator's constant, e.g. `UC_X86_REG_AX`."""
    num_bytes: int
    """Width in the machine; the program counter's and the flags' included."""
    code: int | None = None
    """Its number in instructions, below 64; `None` for program counter and flags."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutField:
    """One field of a recorded state: the low `num_bytes` of a register, little-endian."""

    register: str
    num_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Bits `source` to `source + bits - 1` of a value go to bit `target` on of the instruction.

    Bit `8 * i + j` of an instruction is bit `j` of its byte `i` in memory.
    """

    source: int
    bits: int
    target: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Operand:
    """A value within an instruction: where its bits go, and how a listing shows it."""

    pieces: tuple[Piece, ...]
    names: Mapping[int, str] | None = None
    """Value to register name as a listing prints it; `None` for a number."""
    signed_bits: int | None = None
    """A number is shown sign-extended from so many bits, ..."""
    scale: int = 1
    """... times this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """How a form's operand encodes a place in the code: `(place - own address - bias) >> shift`."""

    operand: int
    """Index into `Form.operands`; its pieces take the two's complement of the encoded number."""
    bias: int
    """Added to the instruction's own address: its length on x86, 4 on Thumb, else 0."""
    shift: int
    lowest: int
    """Least value of `place - own address - bias`, in bytes."""
    highest: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One way to encode one instruction."""

    name: str
    """Unique in the table, e.g. `add r16, r16`."""
    klass: str
    """One of `CLASSES`."""
    base: bytes
    """The instruction with all operand bits zero."""
    text: str
    """As a listing prints it, e.g. `add {0}, {1}`; in the syntax of capstone."""
    aliases: tuple[str, ...] = ()
    """Other texts that a disassembler gives for some operand values, e.g. `mv {0}, {1}`."""
    operands: tuple[Operand, ...] = ()
    target: Target | None = None
    reads: int = 0
    """Flag bits that it depends on."""
    sets: int = 0
    """Flag bits that have a defined value after it, whatever its operands' values."""
    undefines: int = 0
    """Flag bits that may have no defined value after it."""
    writes: int = 0
    """Registers, as a mask of codes, that it writes without naming them in an operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A value drawn once for an entry: one of `values`, or `low + step * n`, n below `count`."""

    values: tuple[int, ...] = ()
    registers: tuple[int, ...] = ()
    """For each of `values`, the code of the register that it names, where that is not the value
    itself (AH names AX)."""
    low: int = 0
    step: int = 1
    count: int = 1
    """At most 2**32; used where `values` is empty."""
    written: bool = False
    """The entry writes this register, so it must not be one that a scope protects."""
    differs_from: tuple[int, ...] = ()
    """Earlier variables of the entry whose register must be another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """One instruction of an entry."""

    form: str
    operands: tuple[int, ...] = ()
    """For each of the form's operands the index of a variable, or `TARGET`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What the generator draws.

    Scopes: `forward` - the last of `opening` branches to behind the body; `loop` - the last of
    `closing` branches back to the start of the body; `bracket` - a push and its pop; `call` -
    `opening` calls a function whose body stands behind the stop. The body is drawn entries.
    """

    name: str
    klass: str
    weight: int = 1
    """Within its class."""
    variables: tuple[Variable, ...] = ()
    opening: tuple[Use, ...] = ()
    scope: Scope = "none"
    closing: tuple[Use, ...] = ()
    protected: int | None = None
    """The variable whose register nothing in the body may write: the counter of a loop."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Isa:
    """An instruction set with its machine. Flags are masks over the bits of the flag register."""

    name: str
    title: str
    version: str
    """Raised whenever the table changes so that the same seed gives other bytes."""
    bits: int
    """Width of a general register."""
    emulator_arch: str
    """e.g. `UC_ARCH_X86`."""
    emulator_mode: tuple[str, ...]
    """e.g. `("UC_MODE_16",)`; added up."""
    emulator_cpu: str | None = None
    """e.g. `UC_CPU_ARM_CORTEX_M4`; `None` takes the emulator's default."""
    start_bit: int = 0
    """Added to an address where a run starts (1 on Thumb)."""
    listing_arch: str
    """capstone's, e.g. `CS_ARCH_X86`."""
    listing_mode: tuple[str, ...]
    elf_machine: str
    """As pyelftools names it, e.g. `EM_X86_64`."""

    code_address: int
    code_bytes: int
    """Size of the mapped code area, a multiple of 4,096; mapped readable and executable."""
    data_address: int
    """The data window's first byte; its whole page is mapped, readable and writable."""
    data_bytes: int
    """Size of the data window, 64 to 256."""
    stack_address: int
    """Lowest mapped byte of the stack, a multiple of 4,096."""
    stack_bytes: int
    """A multiple of 4,096; the stack pointer starts at `stack_address + stack_bytes`."""

    registers: tuple[Register, ...]
    """All that the full layout records, in its order."""
    narrow: tuple[LayoutField, ...]
    full: tuple[LayoutField, ...]
    program_counter: str
    stack_pointer: str
    flags: str | None
    """The flag register's name, where the machine has one."""
    flag_bits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Flag name to bit number; all other bits of the flag register are recorded as 0."""
    flag_rule: Literal["defined", "x86"] = "defined"
    """`x86`: `emulation.x86_flags` says after which instruction which flag is undefined."""
    program_registers: tuple[str, ...]
    """What programs use and draws fill with random values; recorded in both layouts."""
    counters: tuple[int, ...]
    """Codes of the registers that may count a loop; functions never write them."""

    alignment: int
    """Instructions begin at multiples of so many bytes."""
    stop: bytes
    """The instruction that ends a program; it is never executed."""
    forms: tuple[Form, ...]
    entries: tuple[Entry, ...]
    class_weights: Mapping[str, int]
    """Class to its share among the classes of a profile."""
    define_flags: str | None = None
    """Name of an entry that gives every flag a defined value (a compare); drawn before an entry
    that reads a flag which is undefined there."""
    function_end: tuple[Use, ...] = ()
    """What returns from a function."""

    def __repr__(self) -> str:
        """Return the name alone: in full a table has up to megabytes."""
        return f"Isa({self.name!r})"

    @property
    def flags_mask(self) -> int:
        """Return the recorded bits of the flag register."""
        return sum(1 << bit for bit in self.flag_bits.values())

    def register(self, name: str) -> Register:
        """Return a register by name."""
        return next(register for register in self.registers if register.name == name)

    def layout(self, name: LayoutName) -> tuple[LayoutField, ...]:
        """Return the fields of a layout."""
        return self.narrow if name == "narrow" else self.full


def classes_of(profile: str) -> tuple[str, ...]:
    """Return the classes of a profile: its own and those of all before it.

    >>> classes_of("memory")[-3:]
    ('divide', 'load', 'store')
    """
    names = list(PROFILES)
    return tuple(klass for name in names[: names.index(profile) + 1] for klass in PROFILES[name])


def state_bytes_of(fields: tuple[LayoutField, ...]) -> int:
    """Return the size of a state: its fields, filled up with zeros to a multiple of 16."""
    return -(-sum(part.num_bytes for part in fields) // 16) * 16

"""Registers and instruction forms that RV32IM and RV64IM share.

The forms are the whole of I and M but for `fence`, `ecall` and `ebreak` ("The RISC-V Instruction
Set Manual", volume I, unprivileged, version 20191213, chapters 2, 5, 7 and 24). No other extension
and nothing compressed. What the generator draws from them stands in `riscv.entries`, the machines
(memory map, layouts) in `rv32` and `rv64`; what an instruction does, in `cpu.riscv_kernel`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from simulators.cpu.isa.table import Form, LayoutField, Operand, Piece, Register, Target

Bits = Literal[32, 64]

REGISTER_NAMES: Final = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *("a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"),
    *("s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11"),
    *("t3", "t4", "t5", "t6"),
)
"""x0 to x31 as the calling convention and capstone name them."""

PROGRAM_REGISTERS: Final = ("RA", "A0", "A1", "A2", "A3", "A4", "A5")
"""What programs use beside the stack pointer; all of it is in the narrow layout."""


def registers_of(bits: Bits) -> tuple[Register, ...]:
    """Return the program counter and x1 to x31."""
    num_bytes = bits // 8
    return (
        Register(name="PC", emulator="UC_RISCV_REG_PC", num_bytes=num_bytes),
        *(
            Register(
                name=name.upper(),
                emulator=f"UC_RISCV_REG_X{code}",
                num_bytes=num_bytes,
                code=code,
            )
            for code, name in enumerate(REGISTER_NAMES)
            if code
        ),
    )


def fields_of(bits: Bits, names: tuple[str, ...]) -> tuple[LayoutField, ...]:
    """Return a layout of whole registers."""
    return tuple(LayoutField(register=name, num_bytes=bits // 8) for name in names)


def forms_of(bits: Bits) -> tuple[Form, ...]:
    """Return the forms of RV32IM or RV64IM.

    Some are special cases of others, for the sake of their class or of what they write: `li` of
    `addi`, `j` and `call` of `jal`, `ret` of `jalr`. `mv` cannot be one: `mv a0, zero` is a `li`.
    """
    return (
        *_upper(),
        *_register_forms(bits),
        *_immediate_forms(bits),
        *_memory_forms(bits),
        *_branches(),
        Form(
            name="li",
            klass="move",
            base=_base(_OP_IMM),
            text="addi {0}, zero, {1}",
            aliases=("mv {0}, zero", "nop"),
            operands=(_RD, _IMMEDIATE),
        ),
        Form(
            name="j",
            klass="branch",
            base=_base(_JAL),
            text="j {0}",
            operands=(_JUMP,),
            target=_jump_target(0),
        ),
        Form(
            name="call",
            klass="call",
            base=_base(_JAL | 1 << 7),
            text="jal {0}",
            operands=(_JUMP,),
            target=_jump_target(0),
            writes=1 << 1,
        ),
        Form(
            name="jal",
            klass="call",
            base=_base(_JAL),
            text="jal {0}, {1}",
            operands=(_RD, _JUMP),
            target=_jump_target(1),
        ),
        Form(name="ret", klass="call", base=_base(_JALR | 1 << 15), text="ret"),
        Form(
            name="jalr",
            klass="call",
            base=_base(_JALR),
            text="jalr {0}, {1}, {2}",
            aliases=("jalr {1}", "jr {1}"),
            operands=(_RD, _RS1, _IMMEDIATE),
        ),
    )


# Major opcodes (chapter 24, table 24.1).
_LOAD, _OP_IMM, _AUIPC, _OP_IMM_32 = 0x03, 0x13, 0x17, 0x1B
_STORE, _OP, _LUI, _OP_32 = 0x23, 0x33, 0x37, 0x3B
_BRANCH, _JALR, _JAL = 0x63, 0x67, 0x6F

_NAMES: Final[Mapping[int, str]] = MappingProxyType(dict(enumerate(REGISTER_NAMES)))


def _field(source: int, bits: int, target: int) -> Piece:
    return Piece(source=source, bits=bits, target=target)


_RD: Final = Operand(pieces=(_field(0, 5, 7),), names=_NAMES)
_RS1: Final = Operand(pieces=(_field(0, 5, 15),), names=_NAMES)
_RS2: Final = Operand(pieces=(_field(0, 5, 20),), names=_NAMES)
_IMMEDIATE: Final = Operand(pieces=(_field(0, 12, 20),), signed_bits=12)
_STORE_OFFSET: Final = Operand(pieces=(_field(0, 5, 7), _field(5, 7, 25)), signed_bits=12)
_UPPER: Final = Operand(pieces=(_field(0, 20, 12),))
# Branches and jumps hold the distance in units of two bytes.
_DISTANCE: Final = Operand(
    pieces=(_field(0, 4, 8), _field(4, 6, 25), _field(10, 1, 7), _field(11, 1, 31)),
    signed_bits=12,
    scale=2,
)
_JUMP: Final = Operand(
    pieces=(_field(0, 10, 21), _field(10, 1, 20), _field(11, 8, 12), _field(19, 1, 31)),
    signed_bits=20,
    scale=2,
)


def _base(word: int) -> bytes:
    return word.to_bytes(4, "little")


def _jump_target(operand: int) -> Target:
    return Target(operand=operand, bias=0, shift=1, lowest=-(1 << 20), highest=(1 << 20) - 2)


def _upper() -> tuple[Form, ...]:
    """Return `lui` and `auipc`."""
    return tuple(
        Form(
            name=name,
            klass="move",
            base=_base(opcode),
            text=f"{name} {{0}}, {{1}}",
            operands=(_RD, _UPPER),
        )
        for name, opcode in (("lui", _LUI), ("auipc", _AUIPC))
    )


# Name, class, funct7, funct3; and what capstone prints for some operands.
_OP_ROWS: Final = (
    ("add", "arithmetic", 0x00, 0),
    ("sub", "arithmetic", 0x20, 0),
    ("sll", "shift", 0x00, 1),
    ("slt", "compare", 0x00, 2),
    ("sltu", "compare", 0x00, 3),
    ("xor", "logic", 0x00, 4),
    ("srl", "shift", 0x00, 5),
    ("sra", "shift", 0x20, 5),
    ("or", "logic", 0x00, 6),
    ("and", "logic", 0x00, 7),
    ("mul", "multiply", 0x01, 0),
    ("mulh", "multiply", 0x01, 1),
    ("mulhsu", "multiply", 0x01, 2),
    ("mulhu", "multiply", 0x01, 3),
    ("div", "divide", 0x01, 4),
    ("divu", "divide", 0x01, 5),
    ("rem", "divide", 0x01, 6),
    ("remu", "divide", 0x01, 7),
)
_HAS_WORD_FORM: Final = frozenset(
    ["add", "sub", "sll", "srl", "sra", "mul", "div", "divu", "rem", "remu"]
)
_OP_IMM_ROWS: Final = (
    ("addi", "arithmetic", 0),
    ("slti", "compare", 2),
    ("sltiu", "compare", 3),
    ("xori", "logic", 4),
    ("ori", "logic", 6),
    ("andi", "logic", 7),
)
_SHIFT_ROWS: Final = (("slli", 0x00, 1), ("srli", 0x00, 5), ("srai", 0x20, 5))
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sub": ("neg {0}, {2}",),
        "subw": ("negw {0}, {2}",),
        "slt": ("sltz {0}, {1}", "sgtz {0}, {2}"),
        "sltu": ("snez {0}, {2}",),
        "addi": ("mv {0}, {1}",),
        "addiw": ("sext.w {0}, {1}",),
        "sltiu": ("seqz {0}, {1}",),
        "xori": ("not {0}, {1}",),
        "beq": ("beqz {0}, {2}",),
        "bne": ("bnez {0}, {2}",),
        "blt": ("bltz {0}, {2}", "bgtz {1}, {2}"),
        "bge": ("bgez {0}, {2}", "blez {1}, {2}"),
    }
)


def _register_forms(bits: Bits) -> tuple[Form, ...]:
    """Return the instructions of two registers, with those on words at 64 bits."""
    rows = [(name, klass, _OP, funct7, funct3) for name, klass, funct7, funct3 in _OP_ROWS]
    if bits == 64:
        rows += [
            (f"{name}w", klass, _OP_32, funct7, funct3)
            for name, klass, funct7, funct3 in _OP_ROWS
            if name in _HAS_WORD_FORM
        ]
    return tuple(
        Form(
            name=name,
            klass=klass,
            base=_base(opcode | funct3 << 12 | funct7 << 25),
            text=f"{name} {{0}}, {{1}}, {{2}}",
            aliases=_ALIASES.get(name, ()),
            operands=(_RD, _RS1, _RS2),
        )
        for name, klass, opcode, funct7, funct3 in rows
    )


def _immediate_forms(bits: Bits) -> tuple[Form, ...]:
    """Return the instructions of a register and a number, with those on words at 64 bits."""
    amount = Operand(pieces=(_field(0, 5 if bits == 32 else 6, 20),))
    word_amount = Operand(pieces=(_field(0, 5, 20),))
    rows = [
        *(
            (name, klass, _OP_IMM | funct3 << 12, _IMMEDIATE)
            for name, klass, funct3 in _OP_IMM_ROWS
        ),
        *(
            (name, "shift", _OP_IMM | funct3 << 12 | funct7 << 25, amount)
            for name, funct7, funct3 in _SHIFT_ROWS
        ),
    ]
    if bits == 64:
        rows.append(("addiw", "arithmetic", _OP_IMM_32, _IMMEDIATE))
        rows += [
            (f"{name}w", "shift", _OP_IMM_32 | funct3 << 12 | funct7 << 25, word_amount)
            for name, funct7, funct3 in _SHIFT_ROWS
        ]
    return tuple(
        Form(
            name=name,
            klass=klass,
            base=_base(word),
            text=f"{name} {{0}}, {{1}}, {{2}}",
            aliases=_ALIASES.get(name, ()),
            operands=(_RD, _RS1, number),
        )
        for name, klass, word, number in rows
    )


LOADS: Final = (("lb", 0), ("lh", 1), ("lw", 2), ("lbu", 4), ("lhu", 5), ("ld", 3), ("lwu", 6))
STORES: Final = (("sb", 0), ("sh", 1), ("sw", 2), ("sd", 3))
_RV64_ONLY: Final = frozenset({"ld", "lwu", "sd"})


def access_bytes(name: str) -> int:
    """Return how many bytes a load or store moves.

    >>> [access_bytes(name) for name in ("lbu", "sh", "lw", "sd")]
    [1, 2, 4, 8]
    """
    return {"b": 1, "h": 2, "w": 4, "d": 8}[name[1]]


def loads_and_stores(bits: Bits) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the loads and of the stores."""
    return (
        tuple(name for name, _ in LOADS if bits == 64 or name not in _RV64_ONLY),
        tuple(name for name, _ in STORES if bits == 64 or name not in _RV64_ONLY),
    )


def _memory_forms(bits: Bits) -> tuple[Form, ...]:
    """Return loads, as (register, displacement, base), and stores, in the same order."""
    loads, stores = loads_and_stores(bits)
    return tuple(
        Form(
            name=name,
            klass="load" if opcode == _LOAD else "store",
            base=_base(opcode | funct3 << 12),
            text=f"{name} {{0}}, {{1}}({{2}})",
            operands=(_RD, _IMMEDIATE, _RS1) if opcode == _LOAD else (_RS2, _STORE_OFFSET, _RS1),
        )
        for rows, opcode, names in ((LOADS, _LOAD, loads), (STORES, _STORE, stores))
        for name, funct3 in rows
        if name in names
    )


def _branches() -> tuple[Form, ...]:
    return tuple(
        Form(
            name=name,
            klass="branch",
            base=_base(_BRANCH | funct3 << 12),
            text=f"{name} {{0}}, {{1}}, {{2}}",
            aliases=_ALIASES.get(name, ()),
            operands=(_RS1, _RS2, _DISTANCE),
            target=Target(operand=2, bias=0, shift=1, lowest=-4096, highest=4094),
        )
        for name, funct3 in (
            ("beq", 0),
            ("bne", 1),
            ("blt", 4),
            ("bge", 5),
            ("bltu", 6),
            ("bgeu", 7),
        )
    )

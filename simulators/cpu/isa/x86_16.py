"""x86 in real mode: 16-bit instructions of the 386 and later, all segments at 0.

Programs use no 32-bit registers, because a state records 16 bits. Beside what `x86.alu`,
`x86.memory` and `x86.control` add to both modes, here is what 64-bit mode dropped: decimal
arithmetic and short forms. Addresses and the stack's own stand in `x86.mode_16_memory`.
"""

from typing import Final

from simulators.cpu.isa.table import Isa, LayoutField, Register, Use
from simulators.cpu.isa.x86.alu import add_alu, add_conversions, add_set_conditions
from simulators.cpu.isa.x86.control import (
    CLASS_WEIGHTS,
    add_branches,
    add_calls,
    add_loops,
    add_stack,
)
from simulators.cpu.isa.x86.entries import Draft
from simulators.cpu.isa.x86.forms import (
    AF,
    ALL,
    AX,
    BX,
    CF,
    COUNTING,
    CX,
    DI,
    DX,
    FLAG_BITS,
    OF,
    PF,
    SF,
    SI,
    ZF,
    Effect,
    Number,
    Place,
    one_of,
    range_of,
)
from simulators.cpu.isa.x86.mode_16_memory import (
    BASES,
    BYTES,
    DATA_ADDRESS,
    DATA_BYTES,
    WORDS,
    add_faults,
    add_short_stack,
    add_window,
    address_of,
)
from simulators.cpu.isa.x86.multiply import sign_extension
from simulators.cpu.isa.x86.operations import BYTE

_COUNTERS: Final = (CX, DI)


def _add_short_forms(draft: Draft) -> None:
    """Add forms of one byte, and those of AX that hold an address."""
    for name, opcode in (("inc", b"\x40"), ("dec", b"\x48")):
        form = draft.form(
            f"{name} r16 short",
            "arithmetic",
            opcode,
            f"{name} {{reg}}",
            COUNTING,
            register=WORDS.names,
            in_opcode=True,
        )
        draft.single(form, WORDS.register(written=True), weight=12)
    exchange = draft.form(
        "xchg r16, ax",
        "move",
        b"\x90",
        "xchg {reg}, ax",
        register=WORDS.names,
        in_opcode=True,
        writes=1 << AX,
        aliases=("nop",),
    )
    draft.single(exchange, WORDS.register(CX, DX, BX, SI, DI, written=True), weight=3)
    for shape in (BYTES, WORDS):
        accumulator = shape.names[0]
        size = "word" if shape.width == 16 else "byte"
        for klass, opcode, text in (
            ("load", 0xA0, f"mov {accumulator}, {size} ptr [{{imm}}]"),
            ("store", 0xA2, f"mov {size} ptr [{{imm}}], {accumulator}"),
        ):
            form = draft.form(
                f"mov {accumulator} {klass}",
                klass,
                bytes([opcode | shape.byte_bit()]),
                text,
                shape=shape,
                number=Number(bits=16),
                writes=1 << AX if klass == "load" else 0,
            )
            draft.single(form, address_of(shape.width), weight=8 * shape.weight)


def _add_decimal(draft: Draft) -> None:
    """Add decimal arithmetic on AL and AH."""
    packed = Effect(reads=CF | AF, sets=ALL & ~OF, undefines=OF)
    unpacked = Effect(reads=AF, sets=CF | AF, undefines=OF | SF | ZF | PF)
    for name, opcode, effect in (
        ("daa", b"\x27", packed),
        ("das", b"\x2f", packed),
        ("aaa", b"\x37", unpacked),
        ("aas", b"\x3f", unpacked),
    ):
        form = draft.form(name, "arithmetic", opcode, name, effect, writes=1 << AX)
        draft.single(form, weight=3)
    by_base = Effect(sets=SF | ZF | PF, undefines=OF | AF | CF)
    for name, klass, opcode in (("aam", "divide", b"\xd4"), ("aad", "multiply", b"\xd5")):
        form = draft.form(
            name, klass, opcode, f"{name} {{imm}}", by_base, number=BYTE, writes=1 << AX
        )
        draft.single(form, one_of(10), weight=2)
        draft.single(form, range_of(255, low=1))
        if name == "aam":
            draft.single(form, one_of(0), klass="fault")


def _add_addresses(draft: Draft) -> None:
    """Add `lea`, which calculates with any numbers."""
    for bits, mod_rm in ((8, 0x40), (16, 0x80)):
        place = Place(
            label=f"d{bits}",
            mod_rm=mod_rm,
            text="[{0} + {1}]",
            registers=((0, 3, -1),),
            names=BASES,
            displacement_bits=bits,
        )
        form = draft.form(
            f"lea r16, d{bits}",
            "arithmetic",
            b"\x8d",
            "lea {reg}, {rm}",
            shape=WORDS,
            place=place,
            register=WORDS.names,
        )
        bases = one_of(0, 1, 4, 5, 7)
        to = WORDS.register(written=True)
        draft.single(form, bases, range_of(1 << bits), to, weight=6)


def _isa() -> Isa:
    draft = Draft(bits=16, shapes=(BYTES, WORDS))
    add_alu(draft)
    add_conversions(draft, WORDS, 8, (b"\x0f\xb6", b"\x0f\xbe"))
    add_set_conditions(draft, BYTES)
    for shape in (BYTES, WORDS):
        draft.single(sign_extension(draft, shape), weight=8)
    _add_short_forms(draft)
    _add_decimal(draft)
    _add_addresses(draft)
    add_window(draft)
    add_branches(draft)
    add_loops(draft, _COUNTERS)
    function_end = add_calls(draft)
    add_stack(draft)
    add_short_stack(draft)
    add_faults(draft)
    general = ("AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI")
    codes = {name: code for code, name in enumerate(general)}
    registers = tuple(
        Register(name=name, emulator=f"UC_X86_REG_{name}", num_bytes=2, code=codes.get(name))
        for name in ("IP", "FLAGS", *general, "CS", "DS", "ES", "SS", "FS", "GS")
    )
    program_registers = tuple(name for name in general if name not in ("SP", "BP"))
    return Isa(
        name="x86_16",
        title="x86 in real mode (16-bit)",
        version="1",
        bits=16,
        emulator_arch="UC_ARCH_X86",
        emulator_mode=("UC_MODE_16",),
        listing_arch="CS_ARCH_X86",
        listing_mode=("CS_MODE_16",),
        elf_machine="EM_386",
        code_address=0x1000,
        code_bytes=0x1000,
        data_address=DATA_ADDRESS,
        data_bytes=DATA_BYTES,
        stack_address=0x3000,
        stack_bytes=0x1000,
        registers=registers,
        narrow=tuple(
            LayoutField(register=name, num_bytes=2) for name in ("IP", "FLAGS", *program_registers)
        ),
        full=tuple(LayoutField(register=register.name, num_bytes=2) for register in registers),
        program_counter="IP",
        stack_pointer="SP",
        flags="FLAGS",
        flag_bits=FLAG_BITS,
        flag_rule="x86",
        program_registers=program_registers,
        counters=_COUNTERS,
        alignment=1,
        stop=b"\xf4",  # hlt
        forms=draft.forms,
        entries=draft.entries,
        class_weights=CLASS_WEIGHTS,
        define_flags="cmp r16, r",
        function_end=(Use(form=function_end.name),),
    )


ISA: Final = _isa()

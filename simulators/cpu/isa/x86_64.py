"""x86 in 64-bit mode: general registers of 8 to 64 bits, without vectors and floating point.

Beside what `x86.alu`, `x86.memory` and `x86.control` add to both modes, here is what 16-bit mode
lacks or programs there do not use: numbers of 64 bits, moves on conditions, byte swaps. Addresses
and the stack's own stand in `x86.mode_64_memory`. Programs use RAX, RCX, RDX, RBX, RSI, RDI
and R8, by all their parts.
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
    AX,
    BX,
    CONDITIONS,
    CX,
    DI,
    DX,
    FLAG_BITS,
    R8,
    SI,
    Effect,
    Number,
    Place,
    Shape,
    range_of,
    register_place,
)
from simulators.cpu.isa.x86.mode_64_memory import (
    DATA_ADDRESS,
    DATA_BYTES,
    NAMES,
    add_faults,
    add_wide_stack,
    add_window,
)
from simulators.cpu.isa.x86.multiply import sign_extension

_COUNTERS: Final = (CX, R8)

_LEGACY: Final = (AX, CX, DX, BX, SI, DI)

_SHAPES: Final = (
    Shape(width=64, rex=0x48, values=(*_LEGACY, R8), weight=6),
    Shape(width=32, values=_LEGACY, weight=4),
    Shape(width=16, prefix=b"\x66", values=_LEGACY),
    Shape(width=8, values=tuple(range(8)), weight=2),
    Shape(width=32, rex=0x40, values=(*_LEGACY, R8), only_rex=(R8,)),
    Shape(width=16, prefix=b"\x66", rex=0x40, values=(*_LEGACY, R8), only_rex=(R8,)),
    Shape(width=8, rex=0x40, values=(*_LEGACY, R8), only_rex=(SI, DI, R8)),
)


def _add_moves(draft: Draft) -> None:
    """Add numbers of 64 bits, conversions, moves on conditions, byte swaps."""
    word = draft.word
    to = word.register(written=True)
    form = draft.form(
        "mov r64, i32",
        "move",
        b"\xc7",
        "mov {rm}, {imm}",
        shape=word,
        place=register_place(64, rex=True),
        register=0,
        number=Number(bits=32, signed=True),
    )
    draft.single(form, to, range_of(1 << 32), weight=12)
    draft.single(form, to, range_of(256), weight=12)
    form = draft.form(
        "movabs r64, imm",
        "move",
        b"\xb8",
        "movabs {reg}, {imm}",
        shape=word,
        register=word.names,
        in_opcode=True,
        number=Number(bits=64),
    )
    # Both halves vary with a step that is no power of two.
    for step in (0x1_0000_0001, 0xFFFF_FFFF, 0xC2B2_AE35):
        draft.single(form, to, range_of(1 << 32, step=step), weight=5)
    for shape in draft.shapes:
        if shape.width > 8 and not shape.only_rex:
            add_conversions(draft, shape, 8, (b"\x0f\xb6", b"\x0f\xbe"))
            if shape.width > 16 and shape.rex is None:
                add_conversions(draft, shape, 16, (b"\x0f\xb7", b"\x0f\xbf"))
        if not shape.only_rex:
            draft.single(sign_extension(draft, shape), weight=6)
    legacy = draft.shape("r32")
    form = draft.form(
        "movsxd r64, rm32",
        "move",
        b"\x63",
        "movsxd {reg}, {rm}",
        shape=word,
        place=register_place(32, rex=True),
        register=word.names,
    )
    draft.single(form, word.register(), to, weight=24)
    for name, shape in (("cwde", legacy), ("cdqe", word)):
        form = draft.form(name, "move", b"\x98", name, shape=shape, writes=1 << AX)
        draft.single(form, weight=6)
    for shape in (word, legacy):
        form = draft.form(
            f"bswap {shape.name}",
            "move",
            b"\x0f\xc8",
            "bswap {reg}",
            shape=shape,
            register=shape.names,
            in_opcode=True,
        )
        draft.single(form, shape.register(written=True), weight=3 * shape.weight)
        for code, (condition, flags) in enumerate(CONDITIONS):
            form = draft.form(
                f"cmov{condition} {shape.name}, rm",
                "move",
                bytes([0x0F, 0x40 | code]),
                f"cmov{condition} {{reg}}, {{rm}}",
                Effect(reads=flags),
                shape=shape,
                place=register_place(shape.width, rex=shape.rex is not None),
                register=shape.names,
            )
            variables = shape.register(), shape.register(written=True)
            draft.single(form, *variables, weight=max(1, shape.weight // 2))


def _add_addresses(draft: Draft) -> None:
    """Add `lea`, which calculates with any numbers."""
    word, legacy = draft.word, draft.shape("r32")
    base = word.register()
    for shape, bits in ((word, 8), (word, 32), (legacy, 8)):
        place = Place(
            label=f"d{bits}",
            mod_rm=0x40 if bits == 8 else 0x80,
            text="[{0} + {1}]",
            registers=((0, 3, 0),),
            names=NAMES,
            displacement_bits=bits,
        )
        form = draft.form(
            f"lea {shape.name}, d{bits}",
            "arithmetic",
            b"\x8d",
            "lea {reg}, {rm}",
            shape=shape,
            place=place,
            register=shape.names,
        )
        bases = base if shape.rex is not None else legacy.register()
        displacement = range_of(1 << bits)
        draft.single(form, bases, displacement, shape.register(written=True), weight=24)
    for scale in (1, 2, 4, 8):
        factor = "" if scale == 1 else f"*{scale}"
        place = Place(
            label=f"x{scale}",
            mod_rm=0x44,
            sib=(scale.bit_length() - 1) << 6,
            text=f"[{{0}} + {{1}}{factor} + {{2}}]",
            registers=((8, 3, 0), (11, 3, -1)),
            names=NAMES,
            displacement_bits=8,
        )
        form = draft.form(
            f"lea r64, x{scale}",
            "arithmetic",
            b"\x8d",
            "lea {reg}, {rm}",
            shape=word,
            place=place,
            register=word.names,
        )
        index = legacy.register()
        draft.single(form, base, index, range_of(256), word.register(written=True), weight=10)


def _isa() -> Isa:
    draft = Draft(bits=64, shapes=_SHAPES)
    add_alu(draft)
    for name in ("r8", "r8x"):
        add_set_conditions(draft, draft.shape(name))
    _add_moves(draft)
    _add_addresses(draft)
    add_window(draft)
    add_branches(draft)
    add_loops(draft, _COUNTERS)
    function_end = add_calls(draft)
    add_stack(draft)
    add_wide_stack(draft)
    add_faults(draft)
    general = tuple(name.upper() for name in NAMES.values())
    codes = {name: code for code, name in enumerate(general)}
    registers = tuple(
        Register(name=name, emulator=f"UC_X86_REG_{name}", num_bytes=8, code=codes.get(name))
        for name in ("RIP", "RFLAGS", *general)
    )
    program_registers = ("RAX", "RCX", "RDX", "RBX", "RSI", "RDI", "R8")
    return Isa(
        name="x86_64",
        title="x86-64 (64-bit mode)",
        version="1",
        bits=64,
        emulator_arch="UC_ARCH_X86",
        emulator_mode=("UC_MODE_64",),
        listing_arch="CS_ARCH_X86",
        listing_mode=("CS_MODE_64",),
        elf_machine="EM_X86_64",
        code_address=0x100000,
        code_bytes=0x2000,
        data_address=DATA_ADDRESS,
        data_bytes=DATA_BYTES,
        stack_address=0x300000,
        stack_bytes=0x1000,
        registers=registers,
        narrow=(
            LayoutField(register="RIP", num_bytes=4),
            LayoutField(register="RFLAGS", num_bytes=4),
            *(LayoutField(register=name, num_bytes=8) for name in program_registers),
        ),
        full=tuple(LayoutField(register=register.name, num_bytes=8) for register in registers),
        program_counter="RIP",
        stack_pointer="RSP",
        flags="RFLAGS",
        flag_bits=FLAG_BITS,
        flag_rule="x86",
        program_registers=program_registers,
        counters=_COUNTERS,
        alignment=1,
        stop=b"\xf4",  # hlt
        forms=draft.forms,
        entries=draft.entries,
        class_weights=CLASS_WEIGHTS,
        define_flags="cmp r64, r",
        function_end=(Use(form=function_end.name),),
    )


ISA: Final = _isa()

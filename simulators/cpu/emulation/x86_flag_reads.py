"""Which flags an x86 instruction lets something else depend on, and runs that use undefined ones.

What a processor leaves in a flag that the manual calls undefined is its own business; a program
that reads it there goes on differently on another one. `x86_flags` knows which flags are undefined
and records them as 0; here stands who reads them. `cmc` reads none in this sense: what it leaves is
as undefined as what it inverts. Instructions are told apart by their bytes, values are not looked
at: `jbe` reads ZF whatever CF is.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, and volume 1,
appendix A (a cross-reference of flags).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.cpu.isa.table import Isa, LayoutName
from simulators.cpu.isa.x86.forms import AF, ALL, CF, FLAG_BITS, OF, PF, SF, ZF
from simulators.cpu.states import program_counters, state_fields

_CONDITIONS: Final = (OF, CF, ZF, CF | ZF, SF, PF, SF | OF, ZF | SF | OF)
"""o, b, e, be, s, p, l, le; each with its opposite behind it in the encoding."""
_MOVES_OF_X87: Final = (CF, ZF, CF | ZF, PF)
"""fcmovb, e, be, u."""
_ONE_BYTE: Final = {
    **dict.fromkeys([*range(0x10, 0x16), *range(0x18, 0x1E)], CF),  # adc, sbb
    **{0x70 + code: _CONDITIONS[code // 2] for code in range(16)},  # jcc
    0x9C: ALL,  # pushf
    0x9F: ALL & ~OF,  # lahf
    0xE0: ZF,  # loopne
    0xE1: ZF,  # loope
}
_SHORT_MODE_ONLY: Final = {
    0x27: CF | AF,  # daa
    0x2F: CF | AF,  # das
    0x37: AF,  # aaa
    0x3F: AF,  # aas
    0xCE: OF,  # into
    0xD6: CF,  # salc
}
_PREFIXES: Final = frozenset(
    {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3},
)
_LONGEST_INSTRUCTION: Final = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class UndefinedRead:
    """An instruction that was executed and used a flag which nothing defines there."""

    row: int
    """Of the state before it."""
    pc: int
    flags: tuple[str, ...]


def first_undefined_read(
    isa: Isa, layout: LayoutName, program: bytes, states: NDArray[np.uint8]
) -> UndefinedRead | None:
    """Return the first use of an undefined flag in a run; in its first state all are defined.

    `states` is `[k, state_bytes]`; the instruction of the last was not executed. Other machines
    than x86 leave no flag undefined.
    """
    if isa.flag_rule != "x86":
        return None
    from simulators.cpu.emulation.x86_flags import flag_effect

    long_mode = isa.bits == 64
    code = np.frombuffer(program.ljust(len(program) + _LONGEST_INSTRUCTION, b"\0"), np.uint8).copy()
    pcs: list[int] = program_counters(isa, layout, states).tolist()
    counts = _counts(isa, layout, states)
    known: dict[int, int] = {}
    undefined = 0
    for row, pc in enumerate(pcs[:-1]):
        offset = pc - isa.code_address
        if not 0 <= offset < len(program):
            continue
        if undefined:
            if offset not in known:
                known[offset] = flags_read(program, offset, long_mode=long_mode)
            if found := known[offset] & undefined:
                names = tuple(name for name, bit in FLAG_BITS.items() if found >> bit & 1)
                return UndefinedRead(row=row, pc=pc, flags=names)
        defines, undefines = flag_effect(code, offset, counts[row], long_mode)
        undefined = undefined & ~int(defines) | int(undefines)
    return None


def flags_read(code: bytes, offset: int, *, long_mode: bool) -> int:
    """Return the mask of the flags that the instruction at an offset reads."""
    shown = code[offset : offset + _LONGEST_INSTRUCTION].ljust(_LONGEST_INSTRUCTION + 3, b"\0")
    at = prefix_bytes(shown[:_LONGEST_INSTRUCTION], long_mode=long_mode)
    opcode, second, third = shown[at : at + 3]
    if opcode == 0x0F:
        return _after_0f(shown[:at], second, third)
    digit = second >> 3 & 7
    if opcode >> 2 == 0x80 >> 2:
        return CF if digit in (2, 3) else 0  # adc, sbb
    if opcode in (0xC0, 0xC1, 0xD0, 0xD1, 0xD2, 0xD3):
        return CF if digit in (2, 3) else 0  # rcl, rcr
    if opcode in (0xDA, 0xDB) and 0xC0 <= second < 0xE0:
        return _MOVES_OF_X87[digit & 3]
    if not long_mode and opcode in _SHORT_MODE_ONLY:
        return _SHORT_MODE_ONLY[opcode]
    return _ONE_BYTE.get(opcode, 0)


def prefix_bytes(code: bytes, *, long_mode: bool) -> int:
    """Return how many prefixes an instruction begins with, REX included."""
    at = 0
    while at < len(code) and (code[at] in _PREFIXES or (long_mode and code[at] >> 4 == 4)):
        at += 1
    return at


def _after_0f(prefixes: bytes, opcode: int, third: int) -> int:
    """Return what an instruction reads whose opcode stands behind 0F."""
    if opcode >> 4 in (4, 8, 9):  # cmovcc, jcc, setcc
        return _CONDITIONS[(opcode & 15) // 2]
    if opcode == 0x38 and third == 0xF6:
        if 0xF3 in prefixes:
            return OF  # adox
        return CF if 0x66 in prefixes else 0  # adcx
    return 0


def _counts(isa: Isa, layout: LayoutName, states: NDArray[np.uint8]) -> list[int]:
    """Return CX or RCX of every state, as a signed number of 64 bits, which numba takes."""
    name = "RCX" if isa.bits == 64 else "CX"
    field = next(part for part in state_fields(isa, layout) if part.name == name)
    words = np.zeros((len(states), 8), np.uint8)
    words[:, : field.num_bytes] = states[:, field.offset : field.offset + field.num_bytes]
    counts: list[int] = words.view("<i8").reshape(-1).tolist()
    return counts

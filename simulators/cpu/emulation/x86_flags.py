# pyright: reportUntypedFunctionDecorator=false
"""Which flags of x86 have a defined value, instruction by instruction, compiled.

What the manual calls undefined differs between processors, and between them and emulators; such
bits are recorded as 0 so that a state means the same everywhere. Known are all instructions that
change CF, PF, AF, ZF, SF or OF: those on general registers with BMI and ADX, and the compares and
tests of x87, SSE and AVX. Instructions are told apart by their bytes; none is checked for being
valid, and values are never looked at but for counts.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, "Flags Affected" of
each instruction; the maps of opcodes in appendix A; volume 1, appendix A (a cross-reference).
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

# Every number is a np.uint64 because numba turns uint64 with a plain integer into a float.
_0: Final = np.uint64(0)
_1: Final = np.uint64(1)
_2: Final = np.uint64(2)
_3: Final = np.uint64(3)
_4: Final = np.uint64(4)
_5: Final = np.uint64(5)
_6: Final = np.uint64(6)
_7: Final = np.uint64(7)
_8: Final = np.uint64(8)
_15: Final = np.uint64(15)
_16: Final = np.uint64(16)
_31: Final = np.uint64(31)
_32: Final = np.uint64(32)
_63: Final = np.uint64(63)
_64: Final = np.uint64(64)
_BYTE: Final = np.uint64(0xFF)
_LOW_16: Final = np.uint64(0xFFFF)
_LOW_32: Final = np.uint64(0xFFFF_FFFF)

_CF: Final = np.uint64(1 << 0)
_PF: Final = np.uint64(1 << 2)
_AF: Final = np.uint64(1 << 4)
_ZF: Final = np.uint64(1 << 6)
_SF: Final = np.uint64(1 << 7)
_OF: Final = np.uint64(1 << 11)
_ALL: Final = _CF | _PF | _AF | _ZF | _SF | _OF

# An effect is one number: the flags that an instruction defines, and 16 bits up those that it
# leaves undefined.
_UNDEFINED: Final = _16


def _effect(defines: np.uint64, undefines: np.uint64 = _0) -> np.uint64:
    return defines | undefines << _UNDEFINED


_NOTHING: Final = _effect(_0)
_ARITHMETIC: Final = _effect(_ALL)
_LOGIC: Final = _effect(_ALL & ~_AF, _AF)
_COUNTING: Final = _effect(_ALL & ~_CF)
_MULTIPLY: Final = _effect(_CF | _OF, _SF | _ZF | _AF | _PF)
_DIVIDE: Final = _effect(_0, _ALL)
_BIT: Final = _effect(_CF, _OF | _SF | _AF | _PF)
_BIT_SCAN: Final = _effect(_ZF, _ALL & ~_ZF)
_ZEROS: Final = _effect(_CF | _ZF, _OF | _SF | _AF | _PF)
_BIT_FIELD: Final = _effect(_CF | _OF | _ZF | _SF, _AF | _PF)
_EXTRACT: Final = _effect(_CF | _OF | _ZF, _SF | _AF | _PF)
_CARRY: Final = _effect(_CF)
_OVERFLOW: Final = _effect(_OF)
_ZERO: Final = _effect(_ZF)

_BY_OPERATION: Final = np.array(
    [_ARITHMETIC, _LOGIC, _ARITHMETIC, _ARITHMETIC, _LOGIC, _ARITHMETIC, _LOGIC, _ARITHMETIC],
    np.uint64,
)
"""add, or, adc, sbb, and, sub, xor, cmp."""
_BY_UNARY: Final = np.array(
    [_LOGIC, _LOGIC, _NOTHING, _ARITHMETIC, _MULTIPLY, _MULTIPLY, _DIVIDE, _DIVIDE], np.uint64
)
"""test, test, not, neg, mul, imul, div, idiv."""


def _one_byte_map() -> NDArray[np.uint64]:
    """Return the effects of opcodes of one byte that need no look at the operands."""
    table = np.zeros(256, np.uint64)
    for operation in range(8):
        table[8 * operation : 8 * operation + 6] = _BY_OPERATION[operation]
    # 16-bit mode only; in 64-bit mode these are prefixes or invalid.
    table[[0x27, 0x2F]] = _effect(_ALL & ~_OF, _OF)  # daa, das
    table[[0x37, 0x3F]] = _effect(_CF | _AF, _OF | _SF | _ZF | _PF)  # aaa, aas
    table[[0xD4, 0xD5]] = _effect(_SF | _ZF | _PF, _OF | _AF | _CF)  # aam, aad
    table[0x40:0x50] = _COUNTING  # inc, dec
    table[[0x69, 0x6B]] = _MULTIPLY
    table[[0x84, 0x85, 0xA8, 0xA9]] = _LOGIC  # test
    table[[0x9D, 0xCF]] = _ARITHMETIC  # popf, iret
    table[0x9E] = _effect(_ALL & ~_OF)  # sahf
    table[[0xA6, 0xA7, 0xAE, 0xAF]] = _ARITHMETIC  # cmps, scas
    table[[0xF8, 0xF9]] = _CARRY  # clc, stc; cmc (F5) is as defined as what it inverts
    return table


def _two_byte_map() -> NDArray[np.uint64]:
    """Return the effects of opcodes after 0F that need no look at operands and prefixes."""
    table = np.zeros(256, np.uint64)
    table[[0x02, 0x03]] = _ZERO  # lar, lsl
    table[[0x2E, 0x2F]] = _ARITHMETIC  # ucomiss, comiss and their like
    table[[0xA3, 0xAB, 0xB3, 0xBB]] = _BIT  # bt, bts, btr, btc
    table[0xAA] = _ARITHMETIC  # rsm
    table[0xAF] = _MULTIPLY
    table[[0xB0, 0xB1, 0xC0, 0xC1]] = _ARITHMETIC  # cmpxchg, xadd
    table[[0xBC, 0xBD]] = _BIT_SCAN
    return table


_ONE_BYTE: Final = _one_byte_map()
_TWO_BYTES: Final = _two_byte_map()


@numba.njit(cache=True)
def clear_undefined(
    code: NDArray[np.uint8],
    code_address: np.uint64,
    pcs: NDArray[np.uint64],
    counts: NDArray[np.uint64],
    flags: NDArray[np.uint64],
    long_mode: bool,
) -> None:
    """Zero in `flags`, row by row, the bits that are undefined in it; one program's path.

    In row 0 all flags are defined. Row `i + 1` is the state after the instruction at `pcs[i]`,
    executed with CX or RCX equal to `counts[i]`. Addresses outside of `code` change nothing.
    """
    undefined = _0
    for i in range(1, len(pcs)):
        offset = np.uint64(pcs[i - 1] - np.uint64(code_address))
        if offset < np.uint64(len(code)):
            effect = _effect_at(code, offset, counts[i - 1], long_mode)
            undefined = (undefined & ~effect) | (effect >> _UNDEFINED)
        flags[i] &= ~undefined


@numba.njit(cache=True)
def flag_effect(
    code: NDArray[np.uint8], offset: int, count: int, long_mode: bool
) -> tuple[np.uint64, np.uint64]:
    """Return (flags that the instruction at `offset` defines, flags that it leaves undefined).

    `count` is CX or RCX before it: a shift by CL of 0 does neither.
    """
    effect = _effect_at(code, np.uint64(offset), np.uint64(count), long_mode)
    return effect & _LOW_16, effect >> _UNDEFINED


@numba.njit(cache=True)
def _byte(code: NDArray[np.uint8], at: np.uint64) -> np.uint64:
    """Return the byte at an offset; behind the code there are zeros."""
    return np.uint64(code[at]) if at < np.uint64(len(code)) else _0


@numba.njit(cache=True)
def _effect_at(
    code: NDArray[np.uint8], at: np.uint64, count: np.uint64, long_mode: bool
) -> np.uint64:
    """Read prefixes and opcode; return the instruction's effect."""
    operand_size = address_size = False
    rex = repeat = _0
    opcode = _byte(code, at)
    for _ in range(15):  # the longest instruction
        if opcode == np.uint64(0x66):
            operand_size = True
        elif opcode == np.uint64(0x67):
            address_size = True
        elif opcode in (np.uint64(0xF2), np.uint64(0xF3)):
            repeat = opcode
        elif long_mode and opcode >> _4 == _4:
            rex = opcode
        elif not (
            opcode in (np.uint64(0x26), np.uint64(0x2E), np.uint64(0x36), np.uint64(0x3E))
            or opcode in (np.uint64(0x64), np.uint64(0x65), np.uint64(0xF0))
        ):
            break
        if opcode >> _4 != _4:
            rex = _0  # counts only as the last prefix
        at += _1
        opcode = _byte(code, at)
    at += _1
    wide = _32 if long_mode != operand_size else _16
    if rex & _8 != _0:
        wide = _64
    short_addresses = not long_mode and not address_size
    if opcode == np.uint64(0x0F):
        opcode = _byte(code, at)
        return _after_0f(code, at + _1, opcode, count, wide, short_addresses, operand_size, repeat)
    if long_mode and opcode in (np.uint64(0xC4), np.uint64(0xC5)):
        return _of_vex(code, at, opcode)
    width = wide if opcode & _1 != _0 else _8
    mod_rm = _byte(code, at)
    digit = (mod_rm >> _3) & _7
    if opcode >> _2 == np.uint64(0x80 >> 2):  # 80 to 83
        return _BY_OPERATION[digit]
    if opcode >> _1 == np.uint64(0xC0 >> 1):
        number = _byte(code, at + _mod_rm_bytes(code, at, short_addresses))
        return _of_shift(digit, number, width)
    if opcode >> _2 == np.uint64(0xD0 >> 2):  # D0 to D3
        return _of_shift(digit, _1 if opcode & _2 == _0 else count & _BYTE, width)
    if opcode >> _1 == np.uint64(0xF6 >> 1):
        return _BY_UNARY[digit]
    if opcode >> _1 == np.uint64(0xFE >> 1):
        return _COUNTING if digit < _2 else _NOTHING
    if opcode in (np.uint64(0xDB), np.uint64(0xDF)):  # fucomi, fcomi and with pop
        compares = np.uint64(0xE8) <= mod_rm < np.uint64(0xF8)
        return _ARITHMETIC if compares else _NOTHING
    if repeat != _0 and opcode in (
        np.uint64(0xA6),
        np.uint64(0xA7),
        np.uint64(0xAE),
        np.uint64(0xAF),
    ):
        left = count
        if short_addresses:
            left = count & _LOW_16
        elif address_size:
            left = count & _LOW_32
        return _ONE_BYTE[opcode] if left != _0 else _NOTHING
    return _ONE_BYTE[opcode]


@numba.njit(cache=True)
def _after_0f(
    code: NDArray[np.uint8],
    at: np.uint64,
    opcode: np.uint64,
    count: np.uint64,
    wide: np.uint64,
    short_addresses: bool,
    operand_size: bool,
    repeat: np.uint64,
) -> np.uint64:
    """Return the effect of an opcode after 0F; `at` is where ModRM or the third byte stands."""
    mod_rm = _byte(code, at)
    digit = (mod_rm >> _3) & _7
    if opcode in (np.uint64(0xA4), np.uint64(0xAC)):
        number = _byte(code, at + _mod_rm_bytes(code, at, short_addresses))
        return _of_double_shift(number, wide)
    if opcode in (np.uint64(0xA5), np.uint64(0xAD)):
        return _of_double_shift(count & _BYTE, wide)
    if opcode == np.uint64(0xBA):
        return _BIT if digit >= _4 else _NOTHING
    if repeat == np.uint64(0xF3):
        if opcode in (np.uint64(0xBC), np.uint64(0xBD)):  # tzcnt, lzcnt
            return _ZEROS
        if opcode == np.uint64(0xB8):  # popcnt
            return _ARITHMETIC
    if opcode == np.uint64(0xC7):
        if mod_rm < np.uint64(0xC0):  # cmpxchg8b, cmpxchg16b
            return _ZERO if digit == _1 else _NOTHING
        return _ARITHMETIC if digit >= _6 and repeat == _0 else _NOTHING  # rdrand, rdseed
    if opcode == _0:  # verr, verw
        return _ZERO if digit in (_4, _5) else _NOTHING
    if opcode == np.uint64(0x38):
        if mod_rm == np.uint64(0x17) and operand_size:  # ptest
            return _ARITHMETIC
        if mod_rm == np.uint64(0xF6) and repeat == np.uint64(0xF3):
            return _OVERFLOW  # adox
        if mod_rm == np.uint64(0xF6) and operand_size:
            return _CARRY  # adcx
        return _NOTHING
    if opcode == np.uint64(0x3A):  # pcmpestrm and its like
        return _ARITHMETIC if operand_size and mod_rm >> _2 == np.uint64(0x60 >> 2) else _NOTHING
    return _TWO_BYTES[opcode]


@numba.njit(cache=True)
def _of_vex(code: NDArray[np.uint8], at: np.uint64, opcode: np.uint64) -> np.uint64:
    """Return the effect of an instruction with a VEX prefix, which begins before `at`."""
    number, prefix = _1, _byte(code, at) & _3
    at += _1
    if opcode == np.uint64(0xC4):
        number, prefix = _byte(code, at - _1) & _31, _byte(code, at) & _3
        at += _1
    opcode, mod_rm = _byte(code, at), _byte(code, at + _1)
    if number == _1:  # vucomiss, vcomiss and their like
        return _ARITHMETIC if opcode in (np.uint64(0x2E), np.uint64(0x2F)) else _NOTHING
    if number == _2 and prefix == _0:
        if opcode in (np.uint64(0xF2), np.uint64(0xF5)):  # andn, bzhi
            return _BIT_FIELD
        if opcode == np.uint64(0xF3):  # blsr, blsmsk, blsi
            return _BIT_FIELD if _1 <= (mod_rm >> _3) & _7 <= _3 else _NOTHING
        return _EXTRACT if opcode == np.uint64(0xF7) else _NOTHING  # bextr
    if number == _2 and prefix == _1:  # vtestps, vtestpd, vptest
        tests = opcode in (np.uint64(0x0E), np.uint64(0x0F), np.uint64(0x17))
        return _ARITHMETIC if tests else _NOTHING
    if number == _3 and prefix == _1 and opcode >> _2 == np.uint64(0x60 >> 2):  # vpcmpestrm, ...
        return _ARITHMETIC
    return _NOTHING


@numba.njit(cache=True)
def _of_shift(digit: np.uint64, count: np.uint64, width: np.uint64) -> np.uint64:
    """Return the effect of rol, ror, rcl, rcr, shl, shr, (shl), sar by a count."""
    count &= _63 if width == _64 else _31
    if count == _0:
        return _NOTHING
    defines = undefines = _0
    if count == _1:
        defines |= _OF
    else:
        undefines |= _OF
    if digit < _2:
        defines |= _CF
    elif digit < _4:
        # A rotation by all bits and the carry changes none.
        if count % (width + _1) != _0:
            defines |= _CF
    else:
        defines |= _SF | _ZF | _PF
        undefines |= _AF
        if digit == _7 or count < width:
            defines |= _CF
        else:
            undefines |= _CF
    return defines | undefines << _UNDEFINED


@numba.njit(cache=True)
def _of_double_shift(count: np.uint64, width: np.uint64) -> np.uint64:
    """Return the effect of shld, shrd by a count."""
    count &= _63 if width == _64 else _31
    if count == _0:
        return _NOTHING
    if count > width:
        return _ALL << _UNDEFINED
    defines = _CF | _SF | _ZF | _PF
    if count == _1:
        return (defines | _OF) | _AF << _UNDEFINED
    return defines | (_OF | _AF) << _UNDEFINED


@numba.njit(cache=True)
def _mod_rm_bytes(code: NDArray[np.uint8], at: np.uint64, short_addresses: bool) -> np.uint64:
    """Return how many bytes ModRM at `at` has with SIB and displacement."""
    mod_rm = _byte(code, at)
    mod, rm = mod_rm >> _6, mod_rm & _7
    if mod == _3:
        return _1
    if short_addresses:
        if mod == _0:
            return _3 if rm == _6 else _1
        return _1 + mod
    size = _1
    base = rm
    if rm == _4:
        size = _2
        base = _byte(code, at + _1) & _7
    if mod == _1:
        return size + _1
    if mod == _2 or base == _5:
        return size + _4
    return size

"""Which flags of x86 are defined, against the manual's words by mnemonic, which capstone reads."""

import capstone
import numpy as np
import pytest
from capstone import x86_const

from simulators.cpu.emulation.x86_flags import clear_undefined, flag_effect
from simulators.cpu.isa.table import Isa
from simulators.cpu.isa.x86_16 import ISA as X86_16
from simulators.cpu.isa.x86_64 import ISA as X86_64
from simulators.cpu.oracles.form_samples import draw_form_samples


def words(text: str) -> list[str]:
    return text.split()


BITS = {"C": 1 << 0, "P": 1 << 2, "A": 1 << 4, "Z": 1 << 6, "S": 1 << 7, "O": 1 << 11}
SETS = pytest.mark.parametrize("isa", [X86_16, X86_64], ids=lambda isa: isa.name)

# The manual, volume 2, "Flags Affected": letters of defined flags, then of undefined ones.
ALL = ("CPAZSO", "")
MANUAL = {
    **dict.fromkeys(words("add adc sub sbb cmp neg xadd cmpxchg popf"), ALL),
    **dict.fromkeys(words("cmpsb cmpsw cmpsd cmpsq scasb scasw scasd scasq"), ALL),
    **dict.fromkeys(words("and or xor test"), ("CPZSO", "A")),
    **dict.fromkeys(words("inc dec"), ("PAZSO", "")),
    **dict.fromkeys(words("mul imul"), ("CO", "PAZS")),
    **dict.fromkeys(words("div idiv"), ("", "CPAZSO")),
    **dict.fromkeys(words("bt bts btr btc"), ("C", "PASO")),
    **dict.fromkeys(words("bsf bsr"), ("Z", "CPASO")),
    **dict.fromkeys(words("clc stc"), ("C", "")),
    **dict.fromkeys(words("daa das"), ("CPAZS", "O")),
    **dict.fromkeys(words("aaa aas"), ("CA", "PZSO")),
    **dict.fromkeys(words("aam aad"), ("PZS", "CAO")),
}
SHIFTS = set(words("rol ror rcl rcr shl sal shr sar shld shrd"))
CHANGES_NOTHING = set(
    words(
        "mov movabs movzx movsx movsxd xchg lea bswap not cmc cbw cwd cwde cdq cdqe cqo xlatb nop "
        "push pop pushf pushaw popaw call ret jmp jcxz jrcxz loop "
        "lodsb lodsw lodsd lodsq stosb stosw stosd stosq movsb movsw movsd movsq"
    )
)
CONDITIONS = words("o no b ae e ne be a s ns p np l ge le g")
CHANGES_NOTHING |= {f"{stem}{c}" for stem in ("j", "set", "cmov") for c in CONDITIONS}


def mask(letters: str) -> int:
    return sum(BITS[letter] for letter in letters)


def shift_effect(name: str, width: int, count: int) -> tuple[str, str]:
    """Flags that a shift or rotation defines and undefines, as the manual tells it."""
    count %= 64 if width == 64 else 32
    if count == 0:
        return "", ""
    if name in ("rol", "ror"):
        return ("CO", "") if count == 1 else ("C", "O")
    if name in ("rcl", "rcr"):
        carry = "C" if count % (width + 1) else ""  # all the way round: unchanged
        return (carry + "O", "") if count == 1 else (carry, "O")
    if name in ("shld", "shrd") and count > width:
        return "", "CPAZSO"
    if count == 1:
        return "CPZSO", "A"
    if name in ("shl", "sal", "shr") and count >= width:
        return "PZS", "CAO"
    return "CPZS", "AO"


def reader_of(isa: Isa) -> capstone.Cs:
    mode = capstone.CS_MODE_16 if isa is X86_16 else capstone.CS_MODE_64
    reader = capstone.Cs(capstone.CS_ARCH_X86, mode)
    reader.detail = True
    return reader


def found_effect(code: bytes, count: int, *, long_mode: bool) -> tuple[int, int]:
    defines, undefines = flag_effect(np.frombuffer(code, np.uint8).copy(), 0, count, long_mode)
    return int(defines), int(undefines)


@SETS
def test_every_form_does_with_flags_what_the_manual_says_of_its_mnemonic(isa: Isa) -> None:
    reader = reader_of(isa)
    seen: set[str] = set()
    for number, sample in enumerate(draw_form_samples(isa, 8, seed=2)):
        (instruction,) = reader.disasm(sample.code, isa.code_address)
        name = instruction.mnemonic
        count = (0, 1, 5, 9, 17, 33, 0xFF05, 64)[number % 8]
        if name in SHIFTS:
            amount = instruction.operands[-1]
            # capstone leaves the 1 out of `rcl` on memory.
            by = 1 if len(instruction.operands) == 1 else amount.imm
            if amount.type == x86_const.X86_OP_REG:
                by = count & 0xFF
            expected = shift_effect(name, 8 * instruction.operands[0].size, by)
        elif name in CHANGES_NOTHING:
            expected = ("", "")
        else:
            expected = MANUAL[name]
        found = found_effect(sample.code, count, long_mode=isa is X86_64)
        assert found == (mask(expected[0]), mask(expected[1])), instruction
        seen.add(name)
    assert len(seen) > 100


@SETS
def test_the_table_never_promises_more_than_is_so(isa: Isa) -> None:
    for sample in draw_form_samples(isa, 6, seed=4):
        form = sample.form
        for count in (0, 1, 7, 9, 16, 31, 64):
            defines, undefines = found_effect(sample.code, count, long_mode=isa is X86_64)
            assert form.sets & ~defines == 0, (form.name, count)
            assert undefines & ~form.undefines == 0, (form.name, count)


# Bytes, 64-bit mode?, CX, flags defined, flags undefined: what our own programs do not use.
OTHER_CODE = [
    ("9e", False, 0, "CPAZS", ""),  # sahf
    ("cf", False, 0, "CPAZSO", ""),  # iret
    ("9d", True, 0, "CPAZSO", ""),  # popfq
    ("40", False, 0, "PAZSO", ""),  # inc ax
    ("4001c8", True, 0, "CPAZSO", ""),  # rex add eax, ecx
    ("4866f7e1", True, 0, "CO", "PAZS"),  # a REX that is not last does not count
    ("f3a6", True, 0, "", ""),  # repe cmpsb of nothing
    ("f3a6", True, 2, "CPAZSO", ""),
    ("f2ae", False, 0x10000, "", ""),  # CX is 0
    ("67f2ae", False, 0x10000, "CPAZSO", ""),  # ECX is not
    ("67f2ae", True, 1 << 32, "", ""),
    ("c0e009", False, 0, "PZS", "CAO"),  # shl al, 9
    ("c0f809", False, 0, "CPZS", "AO"),  # sar al, 9
    ("c0e020", False, 0, "", ""),  # shl al, 32
    ("c0d009", False, 0, "", "O"),  # rcl al, 9
    ("66c1d011", False, 0, "C", "O"),  # rcl eax, 17: 32 bits wide
    ("c1d011", False, 0, "", "O"),  # rcl ax, 17
    ("48c1e020", True, 0, "CPZS", "AO"),  # shl rax, 32
    ("c1e020", True, 0, "", ""),  # shl eax, 32
    ("d0f0", True, 0, "CPZSO", "A"),  # sal al, 1 by its other code
    ("c1a4913412000003", True, 0, "CPZS", "AO"),  # the count is behind SIB and displacement
    ("c124250010000001", True, 0, "CPZSO", "A"),  # shl dword ptr [0x1000], 1
    ("c1258000000001", True, 0, "CPZSO", "A"),  # rip-relative
    ("c1660401", False, 0, "CPZSO", "A"),  # shl word ptr [bp + 4], 1
    ("67c1640c0401", False, 0, "CPZSO", "A"),  # the same of [esp + ecx + 4]
    ("c126341202", False, 0, "CPZS", "AO"),  # shl word ptr [0x1234], 2
    ("660fa4c811", True, 0, "", "CPAZSO"),  # shld ax, cx, 17
    ("0fa5c8", True, 1, "CPZSO", "A"),  # shld eax, ecx, cl
    ("0fa5c8", True, 32, "", ""),
    ("0fa3c8", True, 0, "C", "PASO"),  # bt eax, ecx
    ("0fbac805", False, 0, "", ""),  # no bt
    ("0fbcc1", True, 0, "Z", "CPASO"),  # bsf
    ("f30fbcc1", True, 0, "CZ", "PASO"),  # tzcnt
    ("f30fbdc1", True, 0, "CZ", "PASO"),  # lzcnt
    ("f30fb8c1", True, 0, "CPAZSO", ""),  # popcnt
    ("0fc70f", True, 0, "Z", ""),  # cmpxchg8b
    ("0fc7f0", True, 0, "CPAZSO", ""),  # rdrand
    ("f30fc7f8", True, 0, "", ""),  # rdpid
    ("0f02c8", True, 0, "Z", ""),  # lar
    ("0f00e0", True, 0, "Z", ""),  # verr
    ("0f2ec1", True, 0, "CPAZSO", ""),  # ucomiss
    ("0f28c1", True, 0, "", ""),  # movaps
    ("dbe9", True, 0, "CPAZSO", ""),  # fucomi
    ("dbe0", True, 0, "", ""),
    ("660f3817c1", True, 0, "CPAZSO", ""),  # ptest
    ("660f3a63c100", True, 0, "CPAZSO", ""),  # pcmpistri
    ("660f38f6c1", True, 0, "C", ""),  # adcx
    ("f30f38f6c1", True, 0, "O", ""),  # adox
    ("f20f38f1c1", True, 0, "", ""),  # crc32
    ("c4e278f2c1", True, 0, "CZSO", "PA"),  # andn
    ("c4e278f3c9", True, 0, "CZSO", "PA"),  # blsr
    ("c4e270f5c1", True, 0, "CZSO", "PA"),  # bzhi
    ("c4e272f5c1", True, 0, "", ""),  # pext
    ("c4e270f7c1", True, 0, "CZO", "PAS"),  # bextr
    ("c4e271f7c1", True, 0, "", ""),  # shlx
    ("c4e27917c1", True, 0, "CPAZSO", ""),  # vptest
    ("c5f82ec1", True, 0, "CPAZSO", ""),  # vucomiss
    ("c4c1", False, 0, "", ""),  # les in real mode
    ("f6c8f0", True, 0, "CPZSO", "A"),  # test by its other code
    ("fec1", True, 0, "PAZSO", ""),  # inc cl
    ("ffd0", True, 0, "", ""),  # call rax
    ("2e3e64c8", True, 0, "", ""),  # prefixes, enter
    ("f00fc101", True, 0, "CPAZSO", ""),  # lock xadd
    ("66" * 20, True, 0, "", ""),  # nothing but prefixes
    ("c1", False, 0, "", ""),  # cut off: the rest is zeros
]


@pytest.mark.parametrize("row", OTHER_CODE, ids=lambda row: f"{row[0]}-{row[1]}-{row[2]}")
def test_other_integer_code_does_what_the_manual_says(row: tuple[str, bool, int, str, str]) -> None:
    code, long_mode, count, defines, undefines = row
    found = found_effect(bytes.fromhex(code), count, long_mode=long_mode)
    assert found == (mask(defines), mask(undefines))


def cleared(code: str, path: list[tuple[int, int]], *, long_mode: bool) -> list[str]:
    """Letters of the flags left of all of them, after a path of (offset, CX)."""
    start = 0x1000
    pcs = np.array([start + offset for offset, _ in path], np.uint64)
    counts = np.array([count for _, count in path], np.uint64)
    flags = np.full(len(path), mask("CPAZSO") | 1 << 9, np.uint64)
    program = np.frombuffer(bytes.fromhex(code), np.uint8).copy()
    clear_undefined(program, np.uint64(start), pcs, counts, flags, long_mode)
    assert all(int(row) >> 9 & 1 for row in flags), "a bit that is no flag of ours was changed"
    return ["".join(letter for letter in BITS if int(row) & BITS[letter]) for row in flags]


def test_a_flag_stays_undefined_along_the_path_until_it_is_defined() -> None:
    # mul cx; mov ax, cx; inc ax; shl bx, cl (0 and 5); add ax, cx
    code = "f7e1" + "89c8" + "40" + "d3e3" + "01c8"
    path = [(0, 0), (2, 0), (4, 0), (5, 0), (5, 5), (7, 5), (9, 5)]
    left = cleared(code, path, long_mode=False)
    assert left == ["CPAZSO", "CO", "CO", "CPAZSO", "CPAZSO", "CPZS", "CPAZSO"]


def test_a_shift_by_nothing_leaves_undefined_what_was() -> None:
    # imul rax, rcx; shl rax, cl; shl rax, cl
    code = "480fafc1" + "48d3e0" + "48d3e0"
    path = [(0, 64), (4, 64), (7, 1), (10, 1)]
    assert cleared(code, path, long_mode=True) == ["CPAZSO", "CO", "CO", "CPZSO"]


def test_only_what_was_executed_counts() -> None:
    # div cl is jumped over
    assert cleared("eb02f6f190", [(0, 0), (4, 0), (5, 0)], long_mode=True) == ["CPAZSO"] * 3


def test_an_address_outside_of_the_code_changes_nothing() -> None:
    assert cleared("f7e1", [(-1, 0), (0, 0), (2, 0), (9, 0)], long_mode=True) == [
        *("CPAZSO", "CPAZSO"),
        *("CO", "CO"),
    ]


def test_a_path_without_rows_is_no_error() -> None:
    assert cleared("90", [], long_mode=True) == []

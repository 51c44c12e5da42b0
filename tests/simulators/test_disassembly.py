"""Machine code as text."""

import sys

import pytest

from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.reading import disassembly
from simulators.cpu.reading.disassembly import CapstoneMissing, disassemble, disassemble_program


@pytest.mark.parametrize(
    ("name", "code", "lines"),
    [
        ("x86_16", "01c8 eb02 f4", ["add ax, cx", "jmp 0x1006", "hlt"]),
        # Capstone's own names for the first two are those of 32 bits.
        ("x86_16", "98 99 6698 6699 2e98", ["cbw", "cwd", "cwde", "cdq", "cbw"]),
        ("x86_64", "98 99 6698 6699", ["cwde", "cdq", "cbw", "cwd"]),
        # No instruction of 64-bit mode; what follows is read all the same.
        ("x86_64", "48ffc0 06 f4", ["inc rax", ".byte 0x06", "hlt"]),
        ("x86_64", "48", [".byte 0x48"]),
        ("aarch64", "a00080d2 ffffffff 000020d4", ["mov x0, #5", None, "brk #0"]),
        ("aarch64", "a000", [".byte 0xa0, 0x00"]),
        ("rv32", "13055000 73001000", ["addi a0, zero, 5", "ebreak"]),
        ("rv64", "00000000 73000000", [".byte 0x00, 0x00, 0x00, 0x00", "ecall"]),
    ],
)
def test_code_is_listed_to_its_end(name: str, code: str, lines: list[str | None]) -> None:
    isa = ISAS[name]
    listed = disassemble(isa, bytes.fromhex(code), isa.code_address)
    shown = [line.text if text else None for line, text in zip(listed, lines, strict=True)]
    assert shown == lines
    assert b"".join(line.code for line in listed) == bytes.fromhex(code)
    starts = [sum(len(line.code) for line in listed[:i]) for i in range(len(listed))]
    assert [line.offset for line in listed] == starts


def test_zeros_behind_a_program_are_left_out_and_those_of_its_last_instruction_are_not() -> None:
    program = bytes.fromhex("90 b80000") + bytes(100)
    lines = disassemble_program(ISAS["x86_16"], program)
    assert [line.text for line in lines] == ["nop", "mov ax, 0"]
    assert disassemble_program(ISAS["x86_16"], bytes(9)) == []


def test_a_missing_wheel_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    disassembly._reader.cache_clear()
    with pytest.raises(CapstoneMissing, match=r'with pip install "capstone>=5\.0\.9"$'):
        disassemble(ISAS["rv32"], b"\0", 0)

"""Tiny ELF files, made by hand: a header, one section of code, a table of names."""

import struct

MACHINES = {"EM_386": 3, "EM_ARM": 40, "EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}
TYPES = {"ET_REL": 1, "ET_EXEC": 2}


def make_elf(
    code: bytes,
    machine: str,
    bits: int,
    *,
    kind: str = "ET_EXEC",
    name: str = ".text",
    address: int = 0x400000,
    entry: int | None = None,
    section_type: int = 1,
    big_endian: bool = False,
    other: tuple[str, int, int, int] | None = None,
) -> bytes:
    """Return an ELF whose one section besides the names holds `code`.

    `other` is one section more without contents of its own: name, type, flags, size.
    """
    order = ">" if big_endian else "<"
    word = "Q" if bits == 64 else "I"
    header_bytes, section_bytes = (64, 64) if bits == 64 else (52, 40)
    names = b"\0" + name.encode() + b"\0.shstrtab\0"
    others: list[bytes] = []
    if other is not None:
        other_at = len(names)
        names += other[0].encode() + b"\0"
    code_at = header_bytes
    names_at = code_at + len(code)
    sections_at = names_at + len(names)

    def section(name_at: int, kind: int, flags: int, where: int, at: int, size: int) -> bytes:
        entry_bytes = 24 if kind == 4 else 0  # of relocations with 64 bits
        fields = (name_at, kind, flags, where, at, size, 0, 0, 1, entry_bytes)
        return struct.pack(f"{order}II{word}{word}{word}{word}II{word}{word}", *fields)

    if other is not None:
        others.append(section(other_at, other[1], other[2], 0, code_at, other[3]))
    start = address if entry is None else entry
    header = b"\x7fELF" + bytes([2 if bits == 64 else 1, 2 if big_endian else 1, 1]) + bytes(9)
    header += struct.pack(
        f"{order}HHI{word}{word}{word}IHHHHHH",
        *(TYPES[kind], MACHINES[machine], 1, start, 0, sections_at, 0),
        *(header_bytes, 0, 0, section_bytes, 3 + len(others), 2),
    )
    return b"".join(
        [
            header,
            code,
            names,
            bytes(section_bytes),
            section(1, section_type, 6, address, code_at, len(code)),
            section(1 + len(name) + 1, 3, 0, 0, names_at, len(names)),
            *others,
        ]
    )

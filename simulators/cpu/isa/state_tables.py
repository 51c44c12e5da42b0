"""The machines and their recorded states as Markdown: what docs/data-format.md shows of the tables.

`python -m simulators.cpu.isa.state_tables docs/data-format.md` writes it between the page's marks;
a test compares the two.
"""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Final

from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import LAYOUTS, Isa, LayoutField, state_bytes_of

BEGIN: Final = "<!-- begin: written by `python -m simulators.cpu.isa.state_tables` -->"
END: Final = "<!-- end -->"


def state_tables(isas: Iterable[Isa]) -> str:
    """Return the tables of all sets: memory maps, flags, both layouts."""
    listed = list(isas)
    blocks = [_machines(listed), _flags(listed)]
    for isa in listed:
        blocks.append(f"### States of `{isa.name}`: {isa.title}")
        blocks += [_layout(name, isa.layout(name)) for name in LAYOUTS]
    return "\n\n".join(blocks)


def write_tables(page: str, tables: str) -> str:
    """Return `page` with `tables` between its marks.

    Raises:
        ValueError: the page has not both marks, once each and in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in after:
        raise ValueError(f"the page must have one mark {BEGIN!r} and after it one {END!r}")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def _machines(isas: list[Isa]) -> str:
    lines = [
        "| set | code | data window | stack | stack pointer starts at | ends with |",
        "|---|---|---|---|---|---|",
    ]
    for isa in isas:
        top = isa.stack_address + isa.stack_bytes
        lines.append(
            f"| `{isa.name}` | {isa.code_bytes:,} bytes at {isa.code_address:#x} "
            f"| {isa.data_bytes} bytes at {isa.data_address:#x} "
            f"| {isa.stack_bytes:,} bytes at {isa.stack_address:#x} | {top:#x} "
            f"| `{isa.stop.hex(' ')}` |"
        )
    return "\n".join(lines)


def _flags(isas: list[Isa]) -> str:
    lines = ["| set | register | recorded flags, by bit; all other bits are 0 |", "|---|---|---|"]
    for isa in isas:
        bits = sorted((bit, name) for name, bit in isa.flag_bits.items())
        listed = ", ".join(f"{name} {bit}" for bit, name in bits)
        lines.append(f"| `{isa.name}` | {isa.flags or '-'} | {listed or 'it has none'} |")
    return "\n".join(lines)


def _layout(name: str, fields: tuple[LayoutField, ...]) -> str:
    """Return a layout, fields of one size after another in one line."""
    size = state_bytes_of(fields)
    lines = [f"| `{name}`: {size} bytes, at | bytes each | fields in order |", "|---:|---:|---|"]
    offset = 0
    for num_bytes, group in groupby(fields, key=lambda part: part.num_bytes):
        names = [part.register for part in group]
        lines.append(f"| {offset} | {num_bytes} | {', '.join(names)} |")
        offset += num_bytes * len(names)
    if offset < size:
        lines.append(f"| {offset} | {size - offset} | zeros |")
    return "\n".join(lines)


def _main(path: Path) -> None:
    page = path.read_text("utf-8")
    path.write_text(write_tables(page, state_tables(ISAS.values())), "utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))

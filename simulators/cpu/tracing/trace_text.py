"""A machine's program, data and run as text of about 120 columns.

A table with every register where that is narrow enough; with 64-bit registers, all registers at
the start and at the end, and for each step the ones that changed. What changed is marked by a
function of the caller's: a `*` behind it, or a colour of the same width; a legend says so. It
prints nothing.
"""

from collections.abc import Callable, Iterator
from textwrap import fill
from types import MappingProxyType
from typing import Final, TypeAlias

from simulators.cpu.reading.disassembly import disassemble_program
from simulators.cpu.tracing.counted import counted
from simulators.cpu.tracing.trace import TracedRun, TraceRow, end_text, trace_rows

Mark: TypeAlias = Callable[[str], str]
"""Makes the text of a value that changed one column wider."""

WIDTH: Final = 120
_START: Final = "(start)"
_LONGEST_TEXT: Final = 44
_BYTES_A_LINE: Final = 16
_FLAG_WORDS: Final = MappingProxyType(
    {
        "CF": "carry",
        "PF": "parity",
        "AF": "auxiliary carry",
        "ZF": "zero",
        "SF": "sign",
        "OF": "overflow",
        "N": "negative",
        "Z": "zero",
        "C": "carry",
        "V": "overflow",
        "Q": "saturated",
    }
)


def star(text: str) -> str:
    """Mark a value by a `*` behind it."""
    return f"{text}*"


def render_run(run: TracedRun, mark: Mark = star) -> str:
    """Return program, data window, trace and end as text."""
    parts = [render_program(run)]
    if run.data:
        parts.append(render_data(run))
    parts.append(render_states(run, mark))
    parts.append(fill(f"end: {end_text(run)}", WIDTH, subsequent_indent="     "))
    return "\n\n".join(parts)


def render_program(run: TracedRun) -> str:
    """Return a heading and a line for every instruction, zeros at the program's end left out."""
    lines = disassemble_program(run.isa, run.program)
    used = sum(len(line.code) for line in lines)
    base = run.isa.code_address
    address, code = (
        _hex_width(base + len(run.program)),
        max((len(x.code) for x in lines), default=0),
    )
    text = [f"program: {counted(len(lines), 'instruction')}, {used} of {len(run.program)} bytes"]
    text.append(f"{'offset':>6}  {'address':<{max(address, 7)}}  {'bytes':<{3 * code}} instruction")
    text += [
        f"{line.offset:6x}  {base + line.offset:<{max(address, 7)}x}  "
        f"{line.code.hex(' '):<{3 * code}} {line.text}"
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in text)


def render_data(run: TracedRun) -> str:
    """Return the data window as a hex dump."""
    base = run.isa.data_address
    if not any(run.data):
        return f"data: {len(run.data)} bytes from {base:#x} on, all zero at the start"
    text = [f"data: {len(run.data)} bytes at the start"]
    for at in range(0, len(run.data), _BYTES_A_LINE):
        line = run.data[at : at + _BYTES_A_LINE]
        text.append(f"{base + at:8x}  {line[:8].hex(' ')}  {line[8:].hex(' ')}")
    return "\n".join(text)


def render_states(run: TracedRun, mark: Mark = star) -> str:
    """Return the trace: a line for every state, behind the instruction that led to it."""
    rows = trace_rows(run)
    widths = {
        part.register: 2 * part.num_bytes
        for part in run.isa.layout(run.layout)
        if part.register not in (run.isa.program_counter, run.isa.flags)
    }
    registers = sum(max(width, len(name)) + 2 for name, width in widths.items()) - 1
    heading = [
        f"trace: {counted(len(rows), 'state')}; each line shows the registers after its "
        f"instruction; changed ones are marked like {mark('this')}".rstrip(),
        *_flags_legend(run),
    ]
    leads = [_Lead(run, rows, with_bytes) for with_bytes in (True, False)]
    for lead in leads:
        if lead.width + registers <= WIDTH:
            return "\n".join([*heading, *_table(rows, widths, lead, mark)])
    longest = max(len(name) + width + 2 for name, width in widths.items())
    longest = max([longest, *(len(piece) for row in rows for piece in _writes(row))])
    lead = leads[0] if leads[0].width + longest <= WIDTH else leads[1]
    return "\n".join([*heading, *_changes(rows, widths, lead, mark)])


def _flags_legend(run: TracedRun) -> Iterator[str]:
    """Yield what the letters of the flags stand for, where there are flags."""
    names = run.isa.flag_bits
    if names:
        words = ", ".join(f"{name[0]} {_FLAG_WORDS.get(name, name)}" for name in names)
        yield f"flags, where set: {words}"


class _Lead:
    """What every line of a trace begins with: step, address, bytes, instruction, flags."""

    def __init__(self, run: TracedRun, rows: list[TraceRow], with_bytes: bool) -> None:
        done = [row.instruction for row in rows if row.instruction]
        self.base: Final = run.isa.code_address
        self.address: Final = max(_hex_width(self.base + len(run.program)), len("address"))
        longest = max((len(line.code) for line in done), default=0)
        self.code: Final = max(3 * longest - 1, len("bytes")) + 2 if with_bytes else 0
        shown = min(max((len(line.text) for line in done), default=0), _LONGEST_TEXT)
        self.text: Final = max(shown, len(_START), len("instruction"))
        self.flags: Final = max(len(run.isa.flag_bits), len("flags")) if run.isa.flags else 0
        self.flags_name: Final = run.isa.flags
        self.width: Final = len(self.heading())

    def heading(self) -> str:
        """Return the names of the columns."""
        flags = f"{'flags':<{self.flags}}  " if self.flags else ""
        return (
            f"{'step':>5}  {'address':<{self.address}}  {self._code('bytes')}"
            f"{'instruction':<{self.text}}  {flags}"
        )

    def _code(self, text: str) -> str:
        return f"{text:<{self.code}}" if self.code else ""

    def of(self, row: TraceRow, mark: Mark) -> str:
        """Return a row's."""
        line = row.instruction
        address = f"{self.base + line.offset:x}" if line else ""
        code = line.code.hex(" ") if line else ""
        text = line.text if line else _START
        flags = ""
        if self.flags:
            changed = self.flags_name in row.changed
            flags = (mark(row.flags) if changed else row.flags + " ") + " " * (
                self.flags + 1 - len(row.flags)
            )
        return (
            f"{row.step:5}  {address:<{self.address}}  {self._code(code)}{text:<{self.text}}  "
            f"{flags}"
        )


def _table(rows: list[TraceRow], widths: dict[str, int], lead: _Lead, mark: Mark) -> Iterator[str]:
    """Yield a line with every register for every row."""
    columns = {name: max(width, len(name)) for name, width in widths.items()}
    names = "".join(f"{name.lower():>{columns[name]}}  " for name in widths)
    yield (lead.heading() + names).rstrip()
    full = lead.width + sum(width + 2 for width in columns.values())
    for row in rows:
        cells: list[str] = []
        for name, width in widths.items():
            value = f"{row.values[name]:0{width}x}"
            space = " " * (columns[name] - width)
            cells.append(space + (mark(value) if name in row.changed else f"{value} ") + " ")
        start = lead.of(row, mark) + "".join(cells)
        yield from _wrapped(start, full, lead.width, [], _writes(row), mark)


def _changes(
    rows: list[TraceRow], widths: dict[str, int], lead: _Lead, mark: Mark
) -> Iterator[str]:
    """Yield all registers of the first row, then what changed in each, then all of the last."""
    yield from _all_registers("registers at the start:", rows[0], frozenset(), widths, mark)
    yield ""
    yield lead.heading() + "changed"
    indent = lead.width
    for row in rows:
        cells = [
            (f"{name.lower()}=", f"{row.values[name]:0{width}x}")
            for name, width in widths.items()
            if name in row.changed
        ]
        yield from _wrapped(lead.of(row, mark), indent, indent, cells, _writes(row), mark)
    yield ""
    changed = frozenset(n for n, value in rows[-1].values.items() if value != rows[0].values[n])
    heading = "registers at the end, marked where they differ from the start:"
    yield from _all_registers(heading, rows[-1], changed, widths, mark)


def _wrapped(
    start: str,
    used: int,
    indent: int,
    cells: list[tuple[str, str]],
    writes: list[str],
    mark: Mark,
) -> Iterator[str]:
    """Yield a line and as many below it as its cells and writes need.

    `used` is the width of what it starts with, because a mark may have no width of its own.
    """
    line = start
    pieces = [(len(name) + len(value) + 2, name + mark(value) + " ") for name, value in cells]
    pieces += [(len(piece) + 2, piece + "  ") for piece in writes]
    for width, piece in pieces:
        # A space at its end may stand beyond the page.
        if used > indent and used + width > WIDTH + 1:
            yield line.rstrip()
            line, used = " " * indent, indent
        line, used = line + piece, used + width
    yield line.rstrip()


def _all_registers(
    heading: str, row: TraceRow, changed: frozenset[str], widths: dict[str, int], mark: Mark
) -> Iterator[str]:
    """Yield a heading and a grid of all registers."""
    yield heading
    names = list(widths)
    label, value = max(map(len, names)), max(widths.values())
    a_line = max(1, (WIDTH - 2) // (label + value + 4))
    for at in range(0, len(names), a_line):
        cells = [
            f"{name.lower():>{label}} "
            + (mark(text) if name in changed else f"{text} ")
            + " " * (value - len(text) + 2)
            for name in names[at : at + a_line]
            for text in [f"{row.values[name]:0{widths[name]}x}"]
        ]
        yield ("  " + "".join(cells)).rstrip()


def _writes(row: TraceRow) -> list[str]:
    """Return what the instruction wrote to memory, bytes as they lie there."""
    return [f"[{access.address:x}] <- {access.data.hex(' ')}" for access in row.writes]


def _hex_width(value: int) -> int:
    return len(f"{value:x}")

"""Every instruction set's table: consistent, in the catalogue under its name, shown in the docs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulators.cpu.isa.catalogue import ISAS, UnknownIsa, find_isa
from simulators.cpu.isa.checks.consistency import check_isa_table
from simulators.cpu.isa.checks.finding import InconsistentTable
from simulators.cpu.isa.state_tables import state_tables, write_tables
from simulators.cpu.isa.table import TARGET, Form, Isa, LayoutField, Use, Variable
from tests.simulators.tiny_isa import TINY

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ISAS)
def test_every_table_is_consistent(name: str) -> None:
    assert ISAS[name].name == name
    assert find_isa(name) is ISAS[name]
    check_isa_table(ISAS[name])


def test_an_unknown_set_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownIsa, match=r"unknown instruction set 'rv46'.* Known: "):
        find_isa("rv46")


def test_the_made_up_table_is_consistent() -> None:
    check_isa_table(TINY)


def with_form(which: str, **changes: Any) -> Isa:
    forms = tuple(replace(form, **changes) if form.name == which else form for form in TINY.forms)
    assert forms != TINY.forms
    return replace(TINY, forms=forms)


def with_entry(which: str, **changes: Any) -> Isa:
    entries = tuple(replace(e, **changes) if e.name == which else e for e in TINY.entries)
    assert entries != TINY.entries
    return replace(TINY, entries=entries)


def with_target(which: str, **changes: Any) -> Isa:
    target = next(form.target for form in TINY.forms if form.name == which)
    assert target is not None
    return with_form(which, target=replace(target, **changes))


A = Variable(values=(0,), written=True)
WRONG: dict[str, tuple[Isa, str]] = {
    # registers, layouts, memory
    "two registers of one name": (
        replace(TINY, registers=(*TINY.registers, TINY.registers[0])),
        "register 'pc': two have this name",
    ),
    "an unknown program register": (
        replace(TINY, program_registers=("a", "bb")),
        "program register 'bb': unknown register 'bb': did you mean 'b'?",
    ),
    "a counter that programs do not use": (replace(TINY, counters=(6,)), "counters: 6 is no"),
    "a layout without a register": (
        replace(TINY, narrow=TINY.narrow[:-1]),
        "layout 'narrow': does not record 'flags'",
    ),
    "half a program register": (
        replace(TINY, narrow=(*TINY.narrow[:1], LayoutField(register="a", num_bytes=1))),
        "layout 'narrow', field 'a': a program register is recorded whole, 2 bytes",
    ),
    "flags that the field cannot hold": (
        replace(TINY, flag_bits={"c": 0, "z": 8}),
        "layout 'narrow', field 'flags': 1 bytes cannot hold flag bits 0x101",
    ),
    "a full layout in another order": (
        replace(TINY, full=TINY.full[::-1]),
        "layout 'full': records",
    ),
    "areas over each other": (
        replace(TINY, data_address=0x4FC0),
        "code area: lies over the data area",
    ),
    "a window over a page's end": (
        replace(TINY, data_address=0x8FE0),
        "data_address: the window 0x8fe0 [+] 64 leaves its page",
    ),
    "an address beyond the machine": (
        replace(TINY, stack_address=0x10000),
        "stack area: ends at 0x11000, beyond 16 bits",
    ),
    # forms
    "two forms of one name": (with_form("mov", name="add"), "form 'add': two have this name"),
    "a class that does not exist": (
        with_form("mov", klass="moves"),
        "form 'mov': unknown class 'moves': did you mean 'move'?",
    ),
    "ones where an operand goes": (
        with_form("mov", base=bytes([0x10, 1, 0])),
        r"form 'mov', operand 0, piece \(0, 4, 8\): the base has ones there: 10 01 00",
    ),
    "an operand past the end": (
        with_form("mov", base=bytes([0x10, 0])),
        r"form 'mov', operand 1, piece \(0, 8, 16\): ends at bit 24 of 16",
    ),
    "a text with an operand too many": (
        with_form("dec", text="dec {0}, {1}"),
        r"form 'dec', text 'dec \{0\}, \{1\}': \{1\}: there are 1 operands",
    ),
    "a text with an operand too few": (
        with_form("mov", text="mov {0}"),
        r"form 'mov', text 'mov \{0\}': does not show operands \[1\]",
    ),
    "a flag that is set and undefined": (
        with_form("mul", undefines=3),
        "form 'mul': sets and undefines share 0x1",
    ),
    "flags that do not exist": (with_form("add", sets=7), "form 'add': sets = 0x7 has bits"),
    "a register that does not exist": (
        with_form("mull", writes=1 << 9),
        "has codes of no register",
    ),
    "a reach that the bits do not hold": (
        with_target("jump", highest=16),
        "form 'jump', target: -16..16 does not fit 5 bits in two's complement",
    ),
    "steps that miss instructions": (
        with_target("jump", shift=1),
        "form 'jump', target: a step of 2 bytes, but instructions begin at multiples of 1",
    ),
    "two forms with the same bits": (
        with_form("add", base=bytes([0x22, 0])),
        "form 'add': has the same fixed bits as 'adc', so neither can be decoded",
    ),
    "a form like the stop": (replace(TINY, stop=b"\x71"), "form 'return': matches the stop 71"),
    "an instruction that comes out as another": (
        replace(
            TINY,
            forms=(
                *TINY.forms,
                Form(name="nop", klass="move", base=bytes([0x20, 0x11]), text="nop"),
            ),
        ),
        "entry 'add': an instruction of the form 'add' may come out as one of the form 'nop'",
    ),
    # entries
    "a form that does not exist": (
        with_entry("mov", opening=(Use(form="moov", operands=(0, 1)),)),
        "entry 'mov', use of 'moov': unknown form 'moov': did you mean 'mov'?",
    ),
    "operands too few": (
        with_entry("mov", opening=(Use(form="mov", operands=(0,)),)),
        "entry 'mov', use of 'mov': 1 operands are given, the form has 2",
    ),
    "a value that does not fit": (
        with_entry("mov", variables=(A, Variable(low=0, count=257))),
        "entry 'mov', use of 'mov', operand 1: 256 does not fit 8 bits",
    ),
    "a register without a name": (
        with_entry("mov", variables=(Variable(values=(0, 6), written=True), Variable())),
        "entry 'mov', use of 'mov', operand 0: 6 has no name",
    ),
    "a variable for nothing": (
        with_entry("mov", variables=(A, Variable(), Variable(count=2))),
        "entry 'mov': variable 2 is drawn but stands in no use",
    ),
    "a variable that cannot differ": (
        with_entry("xchg", variables=(A, replace(A, differs_from=(0,)))),
        "entry 'xchg', variable 1: has 1 registers to differ from others with",
    ),
    "a branch without a scope": (
        with_entry("if", scope="none"),
        r"entry 'if' \(scope none\): no use has a TARGET",
    ),
    "a loop without a counter": (
        with_entry("count down", protected=None),
        "names the counter of its loop in protected",
    ),
    "a loop with a counter that is none": (
        with_entry("count down", variables=(replace(A, values=(1, 4)), Variable(low=1, count=4))),
        r"registers \[4\] count the loop but are not counters",
    ),
    "a loop that reads what its body undefines": (
        with_entry("count down", closing=(Use(form="loop", operands=(TARGET,)),)),
        "closing reads flags 0x2 that the body may leave undefined",
    ),
    "a form of a later profile": (
        with_entry("load at an index", klass="logic"),
        "entry 'load at an index': its class 'logic' is drawn in profile 'alu', but its form "
        "'load' of class 'load' belongs to the later 'memory'",
    ),
    "a branch that reaches nothing": (
        with_target("loop", lowest=-5),
        "'loop' reaches over a body of 1 bytes; 2 are needed",
    ),
    "a branch that reaches far things only": (
        with_target("loop", highest=-4),
        "'loop' cannot reach as near as -3: highest is -4",
    ),
    "a call that does not reach": (
        with_target("call", highest=8159),
        "'call' reaches 8159 bytes; a call needs 8160",
    ),
    # the whole
    "a class without a weight": (
        replace(TINY, class_weights={"move": 1}),
        "class_weights: 'arithmetic' is missing",
    ),
    "a profile that adds nothing": (
        replace(TINY, class_weights={**TINY.class_weights, "branch": 0}),
        "profile 'branch': adds no entry",
    ),
    "no way to define flags": (
        replace(TINY, define_flags=None),
        "define_flags: is needed: some forms leave flags undefined that others read",
    ),
    "a way to define flags that does not": (
        with_form("cmp", sets=1),
        "define_flags 'cmp': does not set the flags 0x2",
    ),
    "a function that does not end": (
        replace(TINY, function_end=()),
        "function_end: is needed: there are calls",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_table_that_contradicts_itself_is_refused(case: str) -> None:
    table, message = WRONG[case]
    with pytest.raises(InconsistentTable, match=f"^tiny: .*{message}"):
        check_isa_table(table)


def test_the_docs_show_every_machine_and_both_layouts() -> None:
    page = (ROOT / "docs/data-format.md").read_text("utf-8")
    assert page == write_tables(page, state_tables(ISAS.values())), (
        "run: python -m simulators.cpu.isa.state_tables docs/data-format.md"
    )
    assert all(f"### States of `{name}`" in page for name in ISAS)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page must have one mark"):
        write_tables("no marks", "tables")


def test_the_tables_show_offsets_sizes_and_the_zeros_at_the_end() -> None:
    shown = state_tables([TINY])
    assert "| `tiny` | 16,384 bytes at 0x1000 | 64 bytes at 0x8000 |" in shown
    assert "| `tiny` | flags | c 0, z 1 |" in shown
    lines = [
        "| `narrow`: 16 bytes, at | bytes each | fields in order |",
        "|---:|---:|---|",
        "| 0 | 2 | pc, a, b, c, d, e, f |",
        "| 14 | 1 | flags |",
        "| 15 | 1 | zeros |",
    ]
    assert "\n".join(lines) in shown

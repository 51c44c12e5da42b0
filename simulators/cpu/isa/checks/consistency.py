"""The check of a table, before anything is drawn: `check_isa_table(isa)`.

Whoever writes a table runs it first. It finds what contradicts itself or the machine's sizes, and
says where; it cannot know whether an encoding is the processor's. That is for capstone, the
emulator and the silicon to say (`bgpt-data check-isa NAME`).
"""

from collections.abc import Mapping

from simulators.cpu.isa.analysis import (
    find_fallback,
    flag_flow,
    forms_by_name,
    forms_of,
    num_bytes_of,
    unstable_flags,
    written_registers,
)
from simulators.cpu.isa.checks.entries import check_entries, check_reach
from simulators.cpu.isa.checks.finding import require
from simulators.cpu.isa.checks.forms import check_drawn_forms, check_forms
from simulators.cpu.isa.checks.machine import check_machine
from simulators.cpu.isa.table import (
    CLASSES,
    PROFILES,
    Form,
    Isa,
    classes_of,
)
from simulators.suggest import unknown_name


def check_isa_table(isa: Isa) -> None:
    """Check everything that can be said of a table without running it.

    Raises:
        InconsistentTable: a rule is broken; the first one found is named.
    """
    check_machine(isa)
    check_forms(isa)
    check_entries(isa)
    check_drawn_forms(isa)
    forms = forms_by_name(isa)
    _check_classes(isa)
    _check_flags(isa, forms)
    _check_calls(isa, forms)
    fallback = find_fallback(isa, [])
    require(
        isa,
        "entries",
        fallback is not None,
        "no entry of the profile 'alu' can be drawn everywhere: one is needed that opens no scope, "
        "reads no flag that may be undefined, and may write registers other than the counters",
    )
    if fallback is not None:
        check_reach(isa, num_bytes_of(forms_of(fallback.opening, forms)))


def _check_classes(isa: Isa) -> None:
    for klass, weight in isa.class_weights.items():
        where = f"class_weights['{klass}']"
        require(isa, where, klass in CLASSES, unknown_name("class", klass, CLASSES))
        require(isa, where, 0 <= weight <= 10_000, f"{weight} is not in 0..10,000")
    present = {entry.klass for entry in isa.entries if entry.weight}
    for klass in CLASSES:
        if klass in present:
            require(isa, "class_weights", klass in isa.class_weights, f"'{klass}' is missing")
    for profile, names in PROFILES.items():
        alive = any(klass in present and isa.class_weights[klass] for klass in names)
        rule = f"adds no entry: give one of the classes {', '.join(names)} entries and a weight"
        require(isa, f"profile '{profile}'", alive, rule)


def _check_flags(isa: Isa, forms: Mapping[str, Form]) -> None:
    unstable = unstable_flags(isa)
    read = 0
    for form in isa.forms:
        read |= form.reads
    if not unstable & read and isa.define_flags is None:
        return
    where = "define_flags"
    names = [entry.name for entry in isa.entries]
    rule = "is needed: some forms leave flags undefined that others read"
    require(isa, where, isa.define_flags is not None, rule)
    rule = unknown_name("entry", str(isa.define_flags), names)
    require(isa, where, isa.define_flags in names, rule)
    entry = next(entry for entry in isa.entries if entry.name == isa.define_flags)
    where = f"define_flags '{entry.name}'"
    flow = flag_flow(forms_of(entry.opening, forms))
    missing = unstable & read & ~flow.sets
    require(isa, where, entry.scope == "none", "opens a scope")
    require(isa, where, entry.klass in classes_of("alu"), "is not of the profile 'alu'")
    require(isa, where, not missing, f"does not set the flags {missing:#x}")
    require(isa, where, not flow.needs & unstable, "reads flags that may be undefined itself")
    require(isa, where, not written_registers(entry, forms), "writes a register")


def _check_calls(isa: Isa, forms: Mapping[str, Form]) -> None:
    calls = [entry for entry in isa.entries if entry.scope == "call"]
    if not calls:
        return
    require(isa, "function_end", bool(isa.function_end), "is needed: there are calls")
    for use in isa.function_end:
        where = f"function_end, use of '{use.form}'"
        require(isa, where, use.form in forms, unknown_name("form", use.form, forms))
        plain = not use.operands and not forms[use.form].operands
        require(isa, where, plain, "has operands; a return is written with all its bits fixed")
    returning = forms_of(isa.function_end, forms)
    needs = flag_flow(returning).needs & unstable_flags(isa)
    require(isa, "function_end", not needs, "reads flags that may be undefined")

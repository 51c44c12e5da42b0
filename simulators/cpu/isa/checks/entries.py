"""The check of a table, its entries: variables, uses, scopes, and what their branches reach."""

from collections.abc import Mapping
from typing import Final

from simulators.cpu.isa.analysis import (
    covered_bits,
    flag_flow,
    forms_by_name,
    forms_of,
    max_body_bytes,
    registers_of,
    unstable_flags,
    values_of,
    width_of,
)
from simulators.cpu.isa.checks.finding import InconsistentTable, require, unique
from simulators.cpu.isa.table import (
    CLASSES,
    MAX_SAMPLE_BYTES,
    PROFILES,
    TARGET,
    Entry,
    Form,
    Isa,
    Operand,
    Use,
    Variable,
)
from simulators.suggest import unknown_name

_MAX_RANGE: Final = 2**32
_CLOSING_SCOPES: Final = ("loop", "bracket")


def check_entries(isa: Isa) -> None:
    """Check every entry by itself."""
    forms = forms_by_name(isa)
    unique(isa, "entry", (entry.name for entry in isa.entries))
    for entry in isa.entries:
        _check_entry(isa, entry, forms)


def _check_entry(isa: Isa, entry: Entry, forms: Mapping[str, Form]) -> None:
    where = f"entry '{entry.name}'"
    require(isa, where, entry.klass in CLASSES, unknown_name("class", entry.klass, CLASSES))
    require(isa, where, 0 <= entry.weight <= 10_000, f"weight {entry.weight} is not in 0..10,000")
    require(isa, where, bool(entry.opening), "has no opening")
    related = {i for variable in entry.variables for i in variable.differs_from}
    if entry.protected is not None:
        related.add(entry.protected)
    for i in range(len(entry.variables)):
        _check_variable(isa, entry, i, names_register=i in related)
    for use in (*entry.opening, *entry.closing):
        _check_use(isa, entry, use, forms)
    used = {i for use in (*entry.opening, *entry.closing) for i in use.operands}
    for i, variable in enumerate(entry.variables):
        # Constants may stand in a list that several entries share.
        constant = max(len(variable.values), variable.count) == 1
        require(isa, where, i in used or constant, f"variable {i} is drawn but stands in no use")
    _check_profile(isa, entry, forms)
    _check_scope(isa, entry, forms)


def _check_variable(isa: Isa, entry: Entry, i: int, *, names_register: bool) -> None:
    variable = entry.variables[i]
    where = f"entry '{entry.name}', variable {i}"
    if variable.values:
        plain = (variable.low, variable.step, variable.count) == (0, 1, 1)
        require(isa, where, plain, "has values, so low, step and count say nothing")
    require(isa, where, variable.step != 0, "step is 0")
    inside = 1 <= variable.count <= _MAX_RANGE
    require(isa, where, inside, f"count {variable.count} is not in 1..2**32")
    if variable.registers:
        same = len(variable.registers) == len(variable.values)
        rule = f"{len(variable.registers)} registers for {len(variable.values)} values"
        require(isa, where, same, rule)
    for other in variable.differs_from:
        earlier = 0 <= other < i
        require(isa, where, earlier, f"differs_from {other}, which is no earlier variable")
    if not (variable.written or variable.differs_from or names_register):
        return
    try:
        codes = registers_of(variable)
    except ValueError as error:
        raise InconsistentTable(f"{isa.name}: {where}: {error}") from error
    if variable.written:
        unknown = sorted(set(codes) - {register.code for register in isa.registers})
        rule = f"is written, but {unknown} are codes of no register of the table"
        require(isa, where, not unknown, rule)
    free = len(set(codes))
    enough = free > len(variable.differs_from)
    require(isa, where, enough, f"has {free} registers to differ from others with")


def _check_use(isa: Isa, entry: Entry, use: Use, forms: Mapping[str, Form]) -> None:
    where = f"entry '{entry.name}', use of '{use.form}'"
    if use.form not in forms:  # the nearest name is dear to find, and there are many uses
        require(isa, where, False, unknown_name("form", use.form, forms))
    form = forms[use.form]
    same = len(use.operands) == len(form.operands)
    rule = f"{len(use.operands)} operands are given, the form has {len(form.operands)}"
    require(isa, where, same, rule)
    for i, (operand, index) in enumerate(zip(form.operands, use.operands, strict=True)):
        of = f"{where}, operand {i}"
        is_target = form.target is not None and form.target.operand == i
        if is_target or index == TARGET:
            rule = "TARGET stands where, and only where, the form's target says"
            require(isa, of, is_target and index == TARGET, rule)
            continue
        there = 0 <= index < len(entry.variables)
        require(isa, of, there, f"variable {index}, but there are {len(entry.variables)}")
        _check_fit(isa, of, operand, entry.variables[index])


def _check_fit(isa: Isa, where: str, operand: Operand, variable: Variable) -> None:
    """Every value must come out of the instruction as it went in."""
    width, covered = width_of(operand), covered_bits(operand)
    values = values_of(variable)
    if values is None:
        # Ends for the size, neighbours of the first for the low bits.
        last = variable.low + variable.step * (variable.count - 1)
        values = (variable.low, variable.low + variable.step, last)
    for value in values:
        inside = -(1 << (width - 1)) <= value < 1 << width
        require(isa, where, inside, f"{value} does not fit {width} bits")
        lost = value & ((1 << width) - 1) & ~covered
        require(isa, where, not lost, f"{value} has bits {lost:#x} that no piece takes")
        if operand.names is not None:
            known = value & ((1 << width) - 1) in operand.names
            require(isa, where, known, f"{value} has no name among {len(operand.names)}")


def _check_profile(isa: Isa, entry: Entry, forms: Mapping[str, Form]) -> None:
    profile_of = {klass: profile for profile, names in PROFILES.items() for klass in names}
    order = list(PROFILES)
    mine = profile_of[entry.klass]
    for form in forms_of((*entry.opening, *entry.closing), forms):
        other = profile_of[form.klass]
        rule = (
            f"its class '{entry.klass}' is drawn in profile '{mine}', but its form '{form.name}' "
            f"of class '{form.klass}' belongs to the later '{other}'"
        )
        require(isa, f"entry '{entry.name}'", order.index(other) <= order.index(mine), rule)


def _check_scope(isa: Isa, entry: Entry, forms: Mapping[str, Form]) -> None:
    where = f"entry '{entry.name}' (scope {entry.scope})"
    targets = [use for use in (*entry.opening, *entry.closing) if TARGET in use.operands]
    if entry.scope in ("forward", "call"):
        rule = "the last use of opening, and no other, has the TARGET"
        require(isa, where, targets == [entry.opening[-1]], rule)
    elif entry.scope == "loop":
        rule = "the last use of closing, and no other, has the TARGET"
        require(isa, where, targets == list(entry.closing[-1:]) != [], rule)
    else:
        require(isa, where, not targets, "no use has a TARGET")
    closes = entry.scope in _CLOSING_SCOPES
    rule = "has uses to close it" if closes else "has nothing to close: closing is empty"
    require(isa, where, bool(entry.closing) == closes, rule)
    needs = flag_flow(forms_of(entry.closing, forms)).needs & unstable_flags(isa)
    rule = f"closing reads flags {needs:#x} that the body may leave undefined"
    require(isa, where, not needs, rule)
    is_loop = entry.scope == "loop"
    named = entry.protected is not None
    require(isa, where, named or not is_loop, "names the counter of its loop in protected")
    may_protect = is_loop or entry.scope == "call"
    require(isa, where, may_protect or not named, "only a loop or a call has a protected variable")
    if entry.protected is not None:
        there = 0 <= entry.protected < len(entry.variables)
        rule = f"protected is {entry.protected}, of {len(entry.variables)} variables"
        require(isa, where, there, rule)
        variable = entry.variables[entry.protected]
        require(isa, where, variable.written, "the protected variable is not marked written")
        others = sorted(set(registers_of(variable)) - set(isa.counters)) if is_loop else []
        require(isa, where, not others, f"registers {others} count the loop but are not counters")


def check_reach(isa: Isa, fallback_bytes: int) -> None:
    """Every branch must reach over a body of one instruction, and every call anywhere."""
    forms = forms_by_name(isa)
    for entry in isa.entries:
        _check_reach(isa, entry, forms, fallback_bytes)


def _check_reach(isa: Isa, entry: Entry, forms: Mapping[str, Form], fallback_bytes: int) -> None:
    where = f"entry '{entry.name}' (scope {entry.scope})"
    use = next((u for u in (*entry.opening, *entry.closing) if TARGET in u.operands), None)
    if use is None:
        return
    target = forms[use.form].target
    if target is None:
        return
    if entry.scope == "call":
        rule = f"'{use.form}' reaches {target.highest} bytes; a call needs {MAX_SAMPLE_BYTES}"
        require(isa, where, target.highest >= MAX_SAMPLE_BYTES, rule)
        return
    body = max_body_bytes(entry, forms)
    rule = f"'{use.form}' reaches over a body of {body} bytes; {fallback_bytes} are needed"
    require(isa, where, body is None or body >= fallback_bytes, rule)
    if entry.scope == "forward":
        least = len(forms[use.form].base) + isa.alignment - target.bias
        rule = f"'{use.form}' cannot reach as near as {least}: lowest is {target.lowest}"
        require(isa, where, least >= target.lowest, rule)
    else:
        most = -isa.alignment - target.bias
        rule = f"'{use.form}' cannot reach as near as {most}: highest is {target.highest}"
        require(isa, where, most <= target.highest, rule)

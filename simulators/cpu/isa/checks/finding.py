"""How a contradiction in a table is reported: one line with the set, the place and the rule."""

from collections.abc import Iterable

from simulators.cpu.isa.table import Isa


class InconsistentTable(ValueError):  # noqa: N818 - a finding about a table
    """A table contradicts itself; the message names the set, the form or entry, and the rule."""


def require(isa: Isa, where: str, kept: bool, rule: str) -> None:
    """Raise unless a rule is kept.

    Raises:
        InconsistentTable: it is not.
    """
    if not kept:
        raise InconsistentTable(f"{isa.name}: {where}: {rule}")


def unique(isa: Isa, kind: str, names: Iterable[str]) -> None:
    """Refuse empty names and names that come twice."""
    seen: set[str] = set()
    for name in names:
        where = f"{kind} '{name}'"
        require(isa, where, bool(name), "the name is empty")
        require(isa, where, name not in seen, "two have this name; names are unique")
        seen.add(name)

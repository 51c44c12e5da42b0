"""What a profile's programs are drawn from: classes by weight, their entries, the room they need.

The one check of weights and of the program's size, for machines and for the generator. Nothing is
compiled or drawn here: `program_tables` makes arrays of what is chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from simulators.cpu.isa.analysis import (
    find_fallback,
    flag_flow,
    forms_by_name,
    forms_of,
    num_bytes_of,
)
from simulators.cpu.isa.table import CLASSES, PROFILES, Entry, Form, Isa, classes_of
from simulators.cpu.kept_parts import kept_part
from simulators.suggest import unknown_name

MAX_WEIGHT: Final = 10_000
"""Of a class; its entries are drawn by a table with one slot per unit of weight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The entries that programs are made of."""

    drawn: tuple[Entry, ...]
    """By weight, in the table's order."""
    fallback: Entry
    """Stands in where nothing else may."""
    define_flags: Entry | None
    """Stands before an entry that reads a flag without a defined value."""
    entries: tuple[Entry, ...]
    """All of them, each once, in the table's order."""


def class_weights_of(isa: Isa, profile: str, weights: Mapping[str, int] | None) -> dict[str, int]:
    """Return the weight of every class of `profile` that has entries; the table's unless given.

    Raises:
        ValueError: no such profile or class, a class of another profile, a weight that is no whole
            number from 0 to 10,000, or weights that sum to 0.
    """
    if profile not in PROFILES:
        raise ValueError(unknown_name("profile", profile, PROFILES, in_order=True))
    classes = classes_of(profile)
    for klass, weight in (weights or {}).items():
        if klass not in CLASSES:
            raise ValueError(unknown_name("instruction class", klass, classes))
        if klass not in classes:
            raise ValueError(
                f"weights: class '{klass}' is not in profile '{profile}', "
                f"which has {', '.join(classes)}"
            )
        if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
            raise ValueError(
                f"weights: {klass} = {weight!r} must be a whole number from 0 to {MAX_WEIGHT}"
            )
    present = {entry.klass for entry in isa.entries if entry.weight}
    chosen = {**isa.class_weights, **(weights or {})}
    result = {klass: chosen.get(klass, 0) for klass in classes if klass in present}
    if not sum(result.values()):
        raise ValueError(
            f"weights sum to 0 over the classes that {isa.name} has in profile '{profile}': "
            f"{', '.join(result)}"
        )
    return result


def choose_entries(isa: Isa, weights: Mapping[str, int]) -> Choice:
    """Return the entries of the classes that have a weight, and those that must be there besides.

    Raises:
        ValueError: the table has no entry that can stand everywhere.
    """
    drawn = [entry for entry in isa.entries if entry.weight and weights.get(entry.klass)]
    fallback = find_fallback(isa, drawn)
    if fallback is None:
        raise ValueError(f"{isa.name}: no entry of profile 'alu' can stand everywhere")
    define = None
    if isa.define_flags is not None:
        define = next(entry for entry in isa.entries if entry.name == isa.define_flags)
    names = {entry.name for entry in (*drawn, fallback, define) if entry is not None}
    return Choice(
        drawn=tuple(drawn),
        fallback=fallback,
        define_flags=define,
        entries=tuple(entry for entry in isa.entries if entry.name in names),
    )


def check_program_bytes(isa: Isa, weights: Mapping[str, int], program_bytes: int) -> None:
    """Refuse a program's size that cannot hold the largest entry and the stop.

    Raises:
        ValueError: it cannot.
    """
    classes = frozenset(klass for klass, weight in weights.items() if weight)
    needed = kept_part(isa, ("program bytes", classes), lambda: _needed_bytes(isa, weights))
    if program_bytes < needed:
        raise ValueError(
            f"{isa.name}: {program_bytes} bytes for the program are too few: an entry of these "
            f"classes with all that it needs, and the stop, take up to {needed}"
        )


def _needed_bytes(isa: Isa, weights: Mapping[str, int]) -> int:
    """Return what the largest entry and the stop take; 10 ms for a large table."""
    choice, forms = choose_entries(isa, weights), forms_by_name(isa)
    return len(isa.stop) + max(_entry_bytes(isa, choice, e, forms) for e in choice.entries)


def _entry_bytes(isa: Isa, choice: Choice, entry: Entry, forms: Mapping[str, Form]) -> int:
    """Return the bytes of an entry with what it needs: flags, a body and closing, or a function."""
    opening = forms_of(entry.opening, forms)
    size = num_bytes_of(opening)
    if choice.define_flags is not None and flag_flow(opening).needs:
        size += num_bytes_of(forms_of(choice.define_flags.opening, forms))
    if entry.scope == "none":
        return size
    size += num_bytes_of(forms_of(choice.fallback.opening, forms))
    closing = isa.function_end if entry.scope == "call" else entry.closing
    return size + num_bytes_of(forms_of(closing, forms))

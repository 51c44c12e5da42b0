"""Systems by name: the one list of simulated machines, and how to make one.

Every instruction set of `simulators.cpu.isa.catalogue` is a system; `simulators.conformance` tests
them with the others.
"""

from collections.abc import Mapping
from typing import Final, cast

from simulators.cpu.isa.table import LayoutName
from simulators.cpu.toy.machine import ToyCpu
from simulators.protocol import System
from simulators.suggest import unknown_name

TOY: Final = "toy"
DEFAULT_PROFILE: Final = "loop"
DEFAULT_LAYOUT: Final[LayoutName] = "narrow"


class UnknownSystem(ValueError):  # noqa: N818 - named after what the user gave
    """No system has this name; the message names the nearest and all known ones."""


def system_names() -> tuple[str, ...]:
    """Return the names of all systems: the toy CPU, then the instruction sets."""
    from simulators.cpu.isa.catalogue import ISAS

    return (TOY, *ISAS)


def make_system(
    name: str,
    *,
    memory_bytes: int,
    max_instructions: int,
    profile: str | None = None,
    layout: str | None = None,
    weights: Mapping[str, int] | None = None,
) -> System:
    """Make the system called `name`.

    Profile (`loop` unless given), layout (`narrow` unless given) and class weights are for the
    real machines; the toy CPU has none of them.

    >>> make_system("toy", memory_bytes=64, max_instructions=16).state_bytes
    16

    Raises:
        UnknownSystem: there is none of that name.
        ValueError: the system cannot have these sizes, or knows no such profile, layout or class.
    """
    if name == TOY:
        for option, value in (("profile", profile), ("layout", layout), ("weights", weights)):
            if value is not None:
                raise ValueError(f"{option} = {value!r}: the toy CPU has no {option}; leave it out")
        return ToyCpu(memory_bytes=memory_bytes, max_instructions=max_instructions)
    if name not in system_names():
        raise UnknownSystem(unknown_name("system", name, system_names()))

    from simulators.cpu.isa.catalogue import find_isa
    from simulators.cpu.machine import Machine

    return Machine(
        isa=find_isa(name),
        profile=DEFAULT_PROFILE if profile is None else profile,
        layout=DEFAULT_LAYOUT if layout is None else cast("LayoutName", layout),
        weights=weights,
        memory_bytes=memory_bytes,
        max_instructions=max_instructions,
    )

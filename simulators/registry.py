"""Systems by name: the one list of simulated machines, and how to make one.

Adding a machine means one line here; `simulators.conformance` then tests it with the others.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from simulators.cpu.toy import ToyCpu
from simulators.protocol import System
from simulators.suggest import unknown_name


class UnknownSystem(ValueError):  # noqa: N818 - named after what the user gave
    """No system has this name; the message names the nearest and all known ones."""


def _make_toy(memory_bytes: int, max_instructions: int) -> System:
    return ToyCpu(memory_bytes=memory_bytes, max_instructions=max_instructions)


SYSTEMS: Final[Mapping[str, Callable[[int, int], System]]] = MappingProxyType({"toy": _make_toy})
"""Name to a function of `(memory_bytes, max_instructions)`."""


def make_system(name: str, *, memory_bytes: int, max_instructions: int) -> System:
    """Make the system called `name`.

    >>> make_system("toy", memory_bytes=64, max_instructions=16).state_bytes
    16

    Raises:
        UnknownSystem: there is none of that name.
        ValueError: the system cannot have these sizes.
    """
    if name not in SYSTEMS:
        raise UnknownSystem(unknown_name("system", name, SYSTEMS))
    return SYSTEMS[name](memory_bytes, max_instructions)

"""The instruction sets by name: the one list of tables.

Adding a set means one import and one entry here; docs/adding-a-simulator.md goes through it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from simulators.cpu.isa import aarch64, rv32, rv64, thumb, x86_16, x86_64
from simulators.cpu.isa.table import Isa
from simulators.suggest import unknown_name

ISAS: Final[Mapping[str, Isa]] = MappingProxyType(
    {isa.name: isa for isa in (x86_16.ISA, x86_64.ISA, aarch64.ISA, thumb.ISA, rv32.ISA, rv64.ISA)}
)
"""Name to table."""


class UnknownIsa(ValueError):  # noqa: N818 - named after what the user gave
    """No instruction set has this name; the message names the nearest and all known ones."""


def find_isa(name: str) -> Isa:
    """Return the instruction set called `name`.

    >>> find_isa("rv32").bits
    32

    Raises:
        UnknownIsa: there is none of that name.
    """
    if name not in ISAS:
        raise UnknownIsa(unknown_name("instruction set", name, ISAS))
    return ISAS[name]

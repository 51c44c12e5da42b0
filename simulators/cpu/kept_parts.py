"""What a machine needs to work and should not make twice: engines, generators, decoders.

Kept by thread, because engines must not be shared, and outside of `Machine`, which is plain
configuration that can be sent to another process.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Final, TypeVar, cast

from simulators.cpu.isa.table import Isa

KEPT_PARTS: Final = 6
"""Of each kind, that a thread keeps; an engine costs about 1 ms to make and megabytes to keep."""

_Part = TypeVar("_Part")


class _Parts(threading.local):
    """What a thread has made for its machines: engines must not be shared between threads."""

    def __init__(self) -> None:
        self.made: dict[Hashable, tuple[Isa, object]] = {}


_PARTS: Final = _Parts()


def kept_part(isa: Isa, key: tuple[Hashable, ...], make: Callable[[], _Part]) -> _Part:
    """Return what `make` made for this table and key in this thread, the latest few of each kind.

    Whatever falls out is freed by its own finalizer once nobody uses it.
    """
    made = _PARTS.made
    full_key = (isa.name, *key)
    found = made.pop(full_key, None)
    part = make() if found is None or found[0] is not isa else cast("_Part", found[1])
    made[full_key] = (isa, part)
    same_kind = [other for other in made if cast("tuple[Hashable, ...]", other)[1] == key[0]]
    for other in same_kind[:-KEPT_PARTS]:
        del made[other]
    return part

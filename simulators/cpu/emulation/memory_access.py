"""One access to memory, as a traced run records it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

AccessKind: TypeAlias = Literal["write", "unmapped read", "unmapped write", "unmapped fetch"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryAccess:
    """Bytes that an instruction wrote, or memory that it could not reach.

    Out of reach ("unmapped") is also the code for writes.
    """

    row: int
    """Of the state before the instruction."""
    kind: AccessKind
    address: int
    num_bytes: int
    data: bytes = b""
    """What was written; empty for memory that could not be reached."""

"""The words that entries of RV32IM and RV64IM are written in: registers, numbers, instructions.

Programs use the registers of `riscv.forms.PROGRAM_REGISTERS` and `sp`, with `zero` as a source;
only a call writes `ra`. Which entries there are stands in `riscv.calculations`, `riscv.entries`.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from simulators.cpu.isa.table import Entry, Scope, Use, Variable

_Instruction: TypeAlias = tuple[str, *tuple[int, ...]]
"""A form's name and its operands."""

ARGUMENTS: Final = (10, 11, 12, 13, 14, 15)
ZERO: Final = Variable(values=(0,))
SP: Final = Variable(values=(2,))
TO: Final = Variable(values=ARGUMENTS, written=True)
FROM: Final = Variable(values=(1, *ARGUMENTS))
FROM_OR_ZERO: Final = Variable(values=(0, 1, *ARGUMENTS))
NUMBER: Final = Variable(count=4096)


def numbers(*values: int) -> Variable:
    """Return a number of 12 bits among some, which may be negative."""
    return Variable(values=tuple(value & 0xFFF for value in values))


def other_than(*places: int) -> Variable:
    """Return a register to write that is none of some earlier ones."""
    return Variable(values=ARGUMENTS, written=True, differs_from=places)


def _uses(instructions: tuple[_Instruction, ...]) -> tuple[Use, ...]:
    return tuple(Use(form=form, operands=tuple(places)) for form, *places in instructions)


def entry(
    name: str,
    klass: str,
    variables: Iterable[Variable],
    *opening: _Instruction,
    weight: int = 1,
    scope: Scope = "none",
    closing: tuple[_Instruction, ...] = (),
    protected: int | None = None,
) -> Entry:
    """Return an entry; its instructions name their operands by place among `variables`."""
    return Entry(
        name=name,
        klass=klass,
        weight=weight,
        variables=tuple(variables),
        opening=_uses(opening),
        scope=scope,
        closing=_uses(closing),
        protected=protected,
    )


SMALL: Final = numbers(*range(-16, 17))

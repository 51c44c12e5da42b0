"""What the generator draws of RV32IM and RV64IM in the profile `alu`: moves and calculations.

Idioms bring about what random operands would hardly ever show: a divisor of 0 or -1, the least
number. Memory, branches, loops and calls stand in `riscv.entries`.
"""

from typing import Final

from simulators.cpu.isa.riscv.forms import Bits
from simulators.cpu.isa.riscv.variables import (
    ARGUMENTS,
    FROM,
    NUMBER,
    SMALL,
    TO,
    ZERO,
    entry,
    numbers,
    other_than,
)
from simulators.cpu.isa.table import Entry, Variable


def moves(bits: Bits) -> tuple[Entry, ...]:
    """Return constants, copies and addresses in the code."""
    upper = Variable(count=1 << 20)
    return (
        entry("lui", "move", (TO, upper), ("lui", 0, 1), weight=2),
        entry("auipc", "move", (TO, upper), ("auipc", 0, 1)),
        entry("li", "move", (TO, NUMBER), ("li", 0, 1), weight=2),
        entry("li small", "move", (TO, SMALL), ("li", 0, 1), weight=2),
        entry("mv", "move", (TO, FROM, numbers(0)), ("addi", 0, 1, 2), weight=4),
        entry(
            "li of 32 bits",
            "move",
            (TO, upper, NUMBER),
            ("lui", 0, 1),
            ("addi" if bits == 32 else "addiw", 0, 0, 2),
        ),
    )


def calculations(bits: Bits) -> tuple[Entry, ...]:
    """Return what computes in registers, but for division."""
    word = ("w",) if bits == 64 else ()
    of_registers = (
        ("arithmetic", 4, ["add", "sub", *(f"{name}{w}" for w in word for name in ("add", "sub"))]),
        ("logic", 3, ["and", "or", "xor"]),
        ("shift", 2, [f"{name}{w}" for w in ("", *word) for name in ("sll", "srl", "sra")]),
        ("compare", 3, ["slt", "sltu"]),
        ("multiply", 2, ["mul", "mulh", "mulhsu", "mulhu", *(f"mul{w}" for w in word)]),
    )
    of_a_number = (
        ("arithmetic", 3, ["addi", *(f"addi{w}" for w in word)]),
        ("logic", 2, ["andi", "ori", "xori"]),
        ("compare", 2, ["slti", "sltiu"]),
    )
    amount, word_amount = Variable(count=bits), Variable(count=32)
    return (
        *(
            entry(name, klass, (TO, FROM, FROM), (name, 0, 1, 2), weight=weight)
            for klass, weight, names in of_registers
            for name in names
        ),
        *(
            entry(name, klass, (TO, FROM, NUMBER), (name, 0, 1, 2), weight=weight)
            for klass, weight, names in of_a_number
            for name in names
        ),
        *(
            entry(f"{name} small", "arithmetic", (TO, FROM, SMALL), (name, 0, 1, 2), weight=3)
            for name in ("addi", *(f"addi{w}" for w in word))
        ),
        *(
            entry(name, "shift", (TO, FROM, amount), (name, 0, 1, 2), weight=3)
            for name in ("slli", "srli", "srai")
        ),
        *(
            entry(f"{name}w", "shift", (TO, FROM, word_amount), (f"{name}w", 0, 1, 2), weight=2)
            for name in ("slli", "srli", "srai")
            if word
        ),
        *(
            entry(alias, klass, (TO, FROM, ZERO), (form, 0, *places))
            for alias, klass, form, places in (
                ("neg", "arithmetic", "sub", (2, 1)),
                ("snez", "compare", "sltu", (2, 1)),
                ("sgtz", "compare", "slt", (2, 1)),
                ("sltz", "compare", "slt", (1, 2)),
            )
        ),
        entry("not", "logic", (TO, FROM, numbers(-1)), ("xori", 0, 1, 2)),
        entry("seqz", "compare", (TO, FROM, numbers(1)), ("sltiu", 0, 1, 2)),
        *(
            entry(alias, "arithmetic", (TO, FROM, constant), (form, 0, *places))
            for alias, constant, form, places in (
                ("negw", ZERO, "subw", (2, 1)),
                ("sext.w", numbers(0), "addiw", (1, 2)),
            )
            if word
        ),
    )


_DIVISORS: Final = numbers(0, -1, 1, 2, 3, 5, 7, 10, 16, 100, 1000, -2, -3, -7, -10, -128)


def divisions(bits: Bits) -> tuple[Entry, ...]:
    """Return each division by a register, by a number, by 0, and of the least number by -1."""
    names = ["div", "divu", "rem", "remu"]
    if bits == 64:
        names += [f"{name}w" for name in names]
    # The least number of 64 bits is 1 << 63; `lui` extends the sign and makes that of a word.
    least_word = (Variable(values=(0x80000,)),), (("lui", 0, 4),)
    least = (numbers(1), Variable(values=(63,))), (("li", 0, 4), ("slli", 0, 0, 5))
    return tuple(
        one
        for name in names
        for values, instructions in [least if bits == 64 and name[-1] != "w" else least_word]
        for one in (
            entry(name, "divide", (TO, FROM, FROM), (name, 0, 1, 2), weight=4),
            entry(
                f"{name} by a number",
                "divide",
                (TO, TO, _DIVISORS, Variable(values=(1, *ARGUMENTS), differs_from=(1,))),
                ("li", 1, 2),
                (name, 0, 3, 1),
                weight=4,
            ),
            entry(f"{name} by zero", "divide", (TO, FROM, ZERO), (name, 0, 1, 2)),
            entry(
                f"{name} overflows",
                "divide",
                (TO, other_than(0), numbers(-1), TO, *values),
                *instructions,
                ("li", 1, 2),
                (name, 3, 0, 1),
            ),
        )
    )

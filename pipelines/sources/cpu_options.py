"""The options of a corpus of simulated machines: which one, how much memory, what programs.

Read from `params.yaml` or made by the command line; checked by making the machine once.
"""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

from pipelines.plan import JsonValue
from simulators.cpu.machine import Machine
from simulators.protocol import System
from simulators.registry import TOY, make_system

_LONGEST: Final = 80
"""Programs of so many instructions at most execute about 60 on average."""
_STATES_SHARE: Final = 3 / 8
"""Of a sample's states, as instructions: with loops and calls 1 draw in 20 needs more of them."""
_LONGEST_X86: Final = {"x86_16": 96, "x86_64": 48}
_STATES_SHARE_X86: Final = 1 / 2
"""x86 programs execute 62 % of their instructions, those of other machines 75 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuOptions:
    """Which machine, how much memory, how long programs, and what they consist of.

    Raises:
        ValueError: no such system, sizes that it cannot have, a profile, layout or class that
            there is not, or programs too short to be split.
    """

    system: str
    memory_bytes: int
    max_instructions: int | None = None
    """The longest program, its last instruction included; instructions as they stand in memory.
    Where it is not given, what suits a machine's layout and memory; the toy CPU has no default."""
    profile: str | None = None
    """Which instructions programs may have; the toy CPU has no profiles."""
    layout: str | None = None
    """Which registers a state records; the toy CPU has one layout only."""
    weights: dict[str, int] | None = None
    """Instruction class to its share, for classes whose share is not the machine's own."""

    def __post_init__(self) -> None:
        if self.system == TOY and self.max_instructions is None:
            raise ValueError("max_instructions: missing; the toy CPU has no default")
        self.make_system()
        if self.system == TOY and self.max_instructions is not None and self.max_instructions < 2:
            raise ValueError(
                f"max_instructions = {self.max_instructions} must be at least 2: the toy CPU has "
                "one program of one instruction, and a program stands on one side of the split only"
            )

    def make_system(self) -> System:
        """Make the system."""
        make = partial(
            make_system,
            self.system,
            memory_bytes=self.memory_bytes,
            profile=self.profile,
            layout=self.layout,
            weights=self.weights,
        )
        if self.max_instructions is not None:
            return make(max_instructions=self.max_instructions)
        shortest = make(max_instructions=1)
        assert isinstance(shortest, Machine), self.system
        return make(max_instructions=default_max_instructions(shortest))

    def settings(self) -> dict[str, JsonValue]:
        """Return the options as `Plan.settings` has them.

        A machine's profile, layout and longest program are there also where they were not given,
        so that a corpus says what it is; weights that were not given are left out.
        """
        options: dict[str, JsonValue] = asdict(self)
        system = self.make_system()
        if isinstance(system, Machine):
            options |= {
                "max_instructions": system.max_instructions,
                "profile": system.profile,
                "layout": system.layout,
            }
        return {name: value for name, value in options.items() if value not in (None, {})}


def default_max_instructions(machine: Machine) -> int:
    """Return the longest program of a machine that was told none, by its layout and memory.

    Programs execute about 60 instructions where a sample has room for 239 states or more, and
    fewer where it has less, so that few draws are too long.
    """
    x86 = machine.name in _LONGEST_X86
    longest = _LONGEST_X86.get(machine.name, _LONGEST)
    by_states = int(machine.max_states * (_STATES_SHARE_X86 if x86 else _STATES_SHARE))
    by_memory = machine.program_bytes // machine.isa.alignment
    return max(1, min(longest, by_states, by_memory))


def read_weights(text: str) -> dict[str, int]:
    """Return class weights as a command line gives them.

    >>> read_weights("load=3, divide=0")
    {'divide': 0, 'load': 3}

    Raises:
        ValueError: not pairs of a class and a whole number, or a class twice.
    """
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.partition("="))
        if not (name and equals and number.isascii() and number.isdigit()):
            raise ValueError(
                f"weights: {part.strip()!r} is not CLASS=SHARE with a whole number, "
                "as in divide=0,load=3"
            )
        if name in weights:
            raise ValueError(f"weights: class '{name}' is given twice")
        weights[name] = int(number)
    return dict(sorted(weights.items()))

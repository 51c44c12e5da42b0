"""The options of a corpus of simulated machines: which one, how much memory, what programs.

Read from `params.yaml` or made by the command line; checked by making the machine once.
"""

from dataclasses import asdict, dataclass

from pipelines.plan import JsonValue
from simulators.protocol import System
from simulators.registry import DEFAULT_LAYOUT, DEFAULT_PROFILE, TOY, make_system


@dataclass(frozen=True, kw_only=True, slots=True)
class CpuOptions:
    """Which machine, how much memory, how long programs, and what they consist of.

    Raises:
        ValueError: no such system, sizes that it cannot have, a profile, layout or class that
            there is not, or programs too short to be split.
    """

    system: str
    memory_bytes: int
    max_instructions: int
    """The longest program, its last instruction included; instructions as they stand in memory."""
    profile: str | None = None
    """Which instructions programs may have; the toy CPU has no profiles."""
    layout: str | None = None
    """Which registers a state records; the toy CPU has one layout only."""
    weights: dict[str, int] | None = None
    """Instruction class to its share, for classes whose share is not the machine's own."""

    def __post_init__(self) -> None:
        self.make_system()
        if self.max_instructions < 2:
            raise ValueError(
                f"max_instructions = {self.max_instructions} must be at least 2: there is one "
                "program of one instruction, and a program stands on one side of the split only"
            )

    def make_system(self) -> System:
        """Make the system."""
        return make_system(
            self.system,
            memory_bytes=self.memory_bytes,
            max_instructions=self.max_instructions,
            profile=self.profile,
            layout=self.layout,
            weights=self.weights,
        )

    def settings(self) -> dict[str, JsonValue]:
        """Return the options as `Plan.settings` has them.

        A machine's profile and layout are there also where they were not given, so that a corpus
        says what it is; other options that were not given are left out.
        """
        given: dict[str, JsonValue] = {
            name: value for name, value in asdict(self).items() if value is not None
        }
        machine: dict[str, JsonValue] = {"profile": DEFAULT_PROFILE, "layout": DEFAULT_LAYOUT}
        return given if self.system == TOY else {**machine, **given}


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

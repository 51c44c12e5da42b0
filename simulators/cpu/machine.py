"""A real machine as a `System`: an instruction set's table, random programs, and a way to run them.

It joins rooms and computes nothing itself: `programs` draws, `emulator` or `riscv` runs,
`machine_reading` reads states. What a machine holds is configuration; engines are kept by thread,
so a `Machine` is cheap to make, to compare and to send to another process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simulators.counter_rng import stream_key
from simulators.cpu.drawing.program_choice import check_program_bytes, class_weights_of
from simulators.cpu.emulation.program_ends import CODE_SLACK
from simulators.cpu.isa.table import (
    LAYOUTS,
    MAX_SAMPLE_BYTES,
    Isa,
    LayoutName,
    classes_of,
    state_bytes_of,
)
from simulators.cpu.kept_parts import kept_part
from simulators.cpu.states import check_batch, state_fields
from simulators.protocol import (
    EndReason,
    InstructionLine,
    ProgramBatch,
    Reading,
    StateField,
    TraceBatch,
)
from simulators.suggest import unknown_name

if TYPE_CHECKING:
    from simulators.cpu.drawing.programs import ProgramGenerator

PathName = Literal["auto", "native", "python", "interpreter"]
PATHS: Final[tuple[PathName, ...]] = ("auto", "native", "python", "interpreter")
SHARED_VERSION: Final = "1"
"""Of what decides the bytes of all sets beside their tables: generator, initial values, emulator,
interpreter, masks of undefined flags. Raised whenever a change there gives other bytes."""

_Key: TypeAlias = tuple[
    str, str, str, LayoutName, tuple[tuple[str, int], ...] | None, int, int, PathName
]
"""Name, version, profile, layout, weights, memory, instructions and path of a machine."""


class Runner(Protocol):
    """What runs programs: an `Emulator` or the RISC-V interpreter."""

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Machine:
    """One instruction set with a profile of programs, a layout of states and a size of memory.

    Raises:
        ValueError: an unknown profile, layout, class or path, weights of nothing, or sizes that
            do not fit.
    """

    isa: Isa
    profile: str
    """One of `PROFILES`; which classes of instructions programs have."""
    layout: LayoutName = "narrow"
    weights: Mapping[str, int] | None = None
    """Class to its share, in place of the table's; classes that are not named keep theirs."""
    memory_bytes: int
    """The program's bytes, then the data window's."""
    max_instructions: int
    """The longest program, counted in instructions as they stand in memory."""
    path: PathName = "auto"
    """`auto`: the interpreter for RISC-V, else the emulator with its compiled hook."""

    def __post_init__(self) -> None:
        weights = class_weights_of(self.isa, self.profile, self.weights)
        if self.weights is not None:
            object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))
        for kind, name, known in (("layout", self.layout, LAYOUTS), ("path", self.path, PATHS)):
            if name not in known:
                raise ValueError(unknown_name(kind, name, known))
        if self.path == "interpreter" and self.isa.emulator_arch != "UC_ARCH_RISCV":
            raise ValueError(f"path = 'interpreter' runs RISC-V only, not '{self.isa.name}'")
        if self.memory_bytes % 16 or self.program_bytes < 16:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} must be a multiple of 16 and at least "
                f"{self.data_bytes + 16}: the data window of profile '{self.profile}' has "
                f"{self.data_bytes}"
            )
        if self.program_bytes + CODE_SLACK > self.isa.code_bytes:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} leaves {self.program_bytes} for the program, "
                f"more than fits the machine's code area of {self.isa.code_bytes} bytes less "
                f"{CODE_SLACK}"
            )
        if self.max_states < 2:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} leaves no room for two states of "
                f"{self.state_bytes} bytes in a sample of at most {MAX_SAMPLE_BYTES}"
            )
        check_program_bytes(self.isa, weights, self.program_bytes)
        if self.max_instructions < 1:
            raise ValueError(f"max_instructions = {self.max_instructions} must be at least 1")
        if self.max_instructions > self.program_bytes // self.isa.alignment:
            raise ValueError(
                f"memory_bytes = {self.memory_bytes} leaves {self.program_bytes} for the program, "
                f"room for {self.program_bytes // self.isa.alignment} instructions at most, fewer "
                f"than max_instructions = {self.max_instructions}"
            )

    def __eq__(self, other: object) -> bool:
        """Say whether another machine is of the same table and configuration."""
        if not isinstance(other, Machine):
            return NotImplemented
        return self._key() == other._key() and self.isa == other.isa

    def __hash__(self) -> int:
        """Return the hash of name, version and configuration."""
        return hash(self._key())

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the set's name in place of its table: tables hold read-only mappings."""
        return (_rebuild, self._key())

    def _key(self) -> _Key:
        weights = None if self.weights is None else tuple(sorted(self.weights.items()))
        sizes = (self.memory_bytes, self.max_instructions)
        return (self.name, self.version, self.profile, self.layout, weights, *sizes, self.path)

    @property
    def name(self) -> str:
        """Return the instruction set's name."""
        return self.isa.name

    @property
    def version(self) -> str:
        """Return the table's version and that of what all sets share."""
        return f"{self.isa.version}.{SHARED_VERSION}"

    @property
    def data_bytes(self) -> int:
        """Return the size of the data window: 0 in profile `alu`, which has no loads."""
        return self.isa.data_bytes if "load" in classes_of(self.profile) else 0

    @property
    def program_bytes(self) -> int:
        """Return the memory block's bytes in front of the data window."""
        return self.memory_bytes - self.data_bytes

    @property
    def state_bytes(self) -> int:
        """Return the size of a state in this layout."""
        return state_bytes_of(self.isa.layout(self.layout))

    @property
    def max_states(self) -> int:
        """Return how many states fit a sample."""
        return (MAX_SAMPLE_BYTES - self.memory_bytes) // self.state_bytes

    @property
    def fields(self) -> tuple[StateField, ...]:
        """Return the layout's fields, and `pad` where zeros fill the state up."""
        return state_fields(self.isa, self.layout)

    @property
    def allowed_ends(self) -> frozenset[EndReason]:
        """Return HALTED, and in profile `fault` what its programs may do."""
        ends = {EndReason.HALTED}
        if "fault" in classes_of(self.profile):
            ends.add(EndReason.MEMORY_FAULT)
            if self.isa.emulator_arch == "UC_ARCH_X86":
                ends.add(EndReason.DIVIDE_ERROR)
        return frozenset(ends)

    def draw(self, seed: int, counters: NDArray[np.uint64]) -> ProgramBatch:
        """Draw one random program per counter; the same ones in both layouts."""
        key = stream_key(self.name, self.version, seed)
        return self._generator().draw(key, np.ascontiguousarray(counters, np.uint64))

    def run(self, batch: ProgramBatch) -> TraceBatch:
        """Run every program to its end on a machine as fresh as after a reset.

        Raises:
            ValueError: the batch is not one of programs of this machine.
        """
        check_batch(
            self.isa,
            self.layout,
            program_bytes=self.program_bytes,
            data_bytes=self.data_bytes,
            batch=batch,
        )
        if not len(batch):
            return TraceBatch(
                states=np.zeros((0, self.state_bytes), np.uint8),
                offsets=np.zeros(1, np.int64),
                end_reasons=np.zeros(0, np.uint8),
            )
        return self._runner().run(batch)

    def listing(self, code: bytes) -> list[InstructionLine]:
        """Return the program's instructions, zeros at its end left out."""
        return self._reading().listing(code)

    def fetch(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the states with PC behind its instruction; copies where the table has none."""
        return self._reading().fetch(memory, states)

    def effects(self, memory: bytes, states: NDArray[np.uint8]) -> list[str]:
        """Return the class of the instruction at each PC, `(unknown)` where the table has none."""
        return self._reading().effects(memory, states)

    def ended(self, memory: bytes, states: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Say where the instruction at PC is the one that ends programs."""
        return self._reading().ended(memory, states)

    def _reading(self) -> Reading:
        from simulators.cpu.machine_reading import MachineReading

        return MachineReading(self.isa, self.layout, self.program_bytes)

    def _runner(self) -> Runner:
        riscv = self.isa.emulator_arch == "UC_ARCH_RISCV"
        path = ("interpreter" if riscv else "native") if self.path == "auto" else self.path

        def make() -> Runner:
            if path == "interpreter":
                from simulators.cpu.interpreter.riscv import RiscvInterpreter

                make_runner = RiscvInterpreter
            else:
                from simulators.cpu.emulation.emulator import Emulator

                make_runner = partial(Emulator, hook=path)
            return make_runner(
                self.isa,
                layout=self.layout,
                program_bytes=self.program_bytes,
                data_bytes=self.data_bytes,
                max_states=self.max_states,
            )

        sizes = (self.layout, self.program_bytes, self.data_bytes, self.max_states)
        return kept_part(self.isa, ("runner", path, *sizes), make)

    def _generator(self) -> "ProgramGenerator":
        def make() -> "ProgramGenerator":
            from simulators.cpu.drawing.programs import ProgramGenerator

            return ProgramGenerator(
                self.isa,
                profile=self.profile,
                weights=self.weights,
                program_bytes=self.program_bytes,
                data_bytes=self.data_bytes,
                max_instructions=self.max_instructions,
                layout=self.layout,
            )

        weights = None if self.weights is None else tuple(sorted(self.weights.items()))
        sizes = (self.program_bytes, self.data_bytes, self.max_instructions, self.layout)
        return kept_part(self.isa, ("generator", self.profile, weights, *sizes), make)


def _rebuild(
    name: str,
    version: str,
    profile: str,
    layout: LayoutName,
    weights: tuple[tuple[str, int], ...] | None,
    memory_bytes: int,
    max_instructions: int,
    path: PathName,
) -> Machine:
    from simulators.cpu.isa.catalogue import find_isa

    machine = Machine(
        isa=find_isa(name),
        profile=profile,
        layout=layout,
        weights=None if weights is None else dict(weights),
        memory_bytes=memory_bytes,
        max_instructions=max_instructions,
        path=path,
    )
    if machine.version != version:
        raise ValueError(f"{name}: a machine of version {version}; here it is {machine.version}")
    return machine

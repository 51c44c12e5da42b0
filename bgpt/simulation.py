"""A model's simulation beside the real machine's: which it is, its run, the first wrong state.

No torch: it takes bytes. A real machine runs the program in a process of its own, because foreign
bytes may crash an emulator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipelines.config import parse
from pipelines.corpora import packaged_corpora
from pipelines.sources.cpu_options import CpuOptions
from simulators.batches import batch_of
from simulators.cpu.isa.table import LAYOUTS, state_bytes_of
from simulators.cpu.layout import split_file, split_memory
from simulators.cpu.machine import Machine
from simulators.cpu.toy.machine import STATE_BYTES
from simulators.cpu.tracing.user_run import (
    Bench,
    Died,
    UserProgram,
    UserRunFailed,
    run_user_programs,
)
from simulators.protocol import System
from simulators.registry import DEFAULT_LAYOUT, TOY, UnknownSystem, make_system, system_names
from simulators.sandbox import SandboxFailed
from simulators.suggest import unknown_name


class SystemNotKnown(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A model does not say which machine it simulates; the message says how to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The states of a model beside those of the machine."""

    memory: bytes
    """The memory block."""
    expected: NDArray[np.uint8]
    """`[k, state_bytes]`."""
    written: NDArray[np.uint8]
    """`[n, state_bytes]` whole states; the first is given."""
    num_left_over: int
    """Bytes after the last whole state."""
    first_wrong: int | None
    """Number of the first state that is wrong, missing or too many; None: all is right."""


def system_of(
    path: Path,
    provenance: Mapping[str, Any],
    *,
    system: str | None = None,
    profile: str | None = None,
    layout: str | None = None,
) -> System:
    """Return the machine that the model in folder `path` simulates; what is given goes first.

    A model whose training did not keep it (a corpus of another source, an older run) is looked up
    by the name of its corpus among the packaged ones, where the sizes fit.

    Raises:
        SystemNotKnown: nothing says it.
        UnknownSystem: there is none of that name.
        ValueError: the sizes do not fit the machine.
    """
    size = int(provenance["prompt_bytes"])
    if system is None:
        kept: object = provenance.get("cpu")
        options = (
            parse(CpuOptions, cast("Mapping[str, Any]", kept), f"{path}: cpu") if kept else None
        )
        options = options or _packaged(provenance.get("corpus"), size)
        if options is None:
            raise SystemNotKnown(
                f"{path}: does not say which machine it simulates; pass --system, one of "
                f"{', '.join(system_names())}, and --profile and --layout if need be"
            )
        system = options.system
        profile = profile or options.profile
        layout = layout or options.layout
    return make_system(
        system,
        memory_bytes=size - _state_bytes(system, layout or DEFAULT_LAYOUT),
        max_instructions=1,
        profile=profile,
        layout=layout,
    )


def run_real(system: System, given: bytes) -> NDArray[np.uint8]:
    """Return the states `[k, state_bytes]` of a run from memory and first state `given`.

    Raises:
        ValueError: it is no program of that machine, or running it fails.
    """
    memory, first = split_file(
        given, memory_bytes=system.memory_bytes, state_bytes=system.state_bytes
    )
    program, data = split_memory(memory, system.data_bytes)
    if not isinstance(system, Machine):
        return system.run(batch_of([program], np.array(first))).states
    bench = Bench(
        isa=system.isa.name,
        layout=system.layout,
        program_bytes=system.program_bytes,
        data_bytes=system.data_bytes,
        max_states=system.max_states,
    )
    user = UserProgram(code=program, initial_state=first[0].tobytes(), data=data)
    try:
        (run,) = run_user_programs(bench, [user])
    except (UserRunFailed, SandboxFailed) as error:
        raise ValueError(f"the real machine cannot be run: {error}") from error
    if isinstance(run, Died):
        raise ValueError(f"the real machine cannot run this program: {run.value}")
    return run.states


def compare(system: System, file: bytes, expected: NDArray[np.uint8]) -> Comparison:
    """Put the states of a written file beside the machine's."""
    size = system.state_bytes
    whole = (len(file) - system.memory_bytes) // size * size
    _, written = split_file(
        file[: system.memory_bytes + whole], memory_bytes=system.memory_bytes, state_bytes=size
    )
    left_over = len(file) - system.memory_bytes - whole
    shared = min(len(expected), len(written))
    wrong = (expected[:shared] != written[:shared]).any(axis=1).nonzero()[0]
    first_wrong = int(wrong[0]) if len(wrong) else None
    if first_wrong is None and (len(expected) != len(written) or left_over):
        first_wrong = shared
    return Comparison(
        memory=file[: system.memory_bytes],
        expected=expected,
        written=written,
        num_left_over=left_over,
        first_wrong=first_wrong,
    )


def comparison_text(system: System, found: Comparison) -> str:
    """Return what a person wants to know: all right, or the first wrong state side by side."""
    at = found.first_wrong
    num_expected, num_written = len(found.expected), len(found.written)
    if at is None:
        return f"all {num_expected} states are right"
    lines = [f"first wrong state: {at} of 0 to {num_expected - 1}; those before it are right"]
    if at >= num_expected:
        surplus = (num_written - num_expected) * system.state_bytes + found.num_left_over
        return f"{lines[0]}\nthe machine has stopped; {surplus} bytes too many are written"
    if at:
        effect = system.effects(found.memory, found.expected[at - 1 : at])[0]
        lines[0] += f"; it shows the effect of {effect}"
    if at >= num_written:
        rest = f", but {found.num_left_over} bytes of it" if found.num_left_over else ""
        return f"{lines[0]}\nit is not written{rest}"
    width = max(8, 2 * max(field.num_bytes for field in system.fields))
    lines.append(f"  {'field':<8} {'expected':>{width}} {'written':>{width}}")
    for field in system.fields:
        values = [
            rows[at, field.offset : field.offset + field.num_bytes].tobytes()
            for rows in (found.expected, found.written)
        ]
        texts = [int.from_bytes(value, "little") for value in values]
        mark = " " if values[0] == values[1] else "*"
        digits = 2 * field.num_bytes
        shown = " ".join(f"{f'{number:0{digits}x}':>{width}}" for number in texts)
        lines.append(f"{mark} {field.name:<8} {shown}")
    return "\n".join(lines)


def _packaged(corpus: object, size: int) -> CpuOptions | None:
    """Return the options of the packaged corpus of that name whose prompts have `size` bytes."""
    found = packaged_corpora().get(str(corpus))
    options = None if found is None else found.cpu
    if options is None:
        return None
    state = _state_bytes(options.system, options.layout or DEFAULT_LAYOUT)
    return options if options.memory_bytes + state == size else None


def _state_bytes(system: str, layout: str) -> int:
    """Return the size of a machine's states."""
    if system == TOY:
        return STATE_BYTES
    if system not in system_names():
        raise UnknownSystem(unknown_name("system", system, system_names()))
    if layout not in LAYOUTS:
        raise ValueError(unknown_name("layout", layout, LAYOUTS))

    from simulators.cpu.isa.catalogue import find_isa

    return state_bytes_of(find_isa(system).layout(layout))

"""Small test sets in memory: toy programs with their traces, tunes with their MIDI files."""

import numpy as np
import pytest

from benchmarks.task import SampleSet
from benchmarks.tasks.conversion import ConversionTask
from benchmarks.tasks.cpu import SimulationTask
from benchmarks.tasks.registry import TASKS
from pipelines.sample import Segment
from simulators.cpu.layout import lay_out
from simulators.cpu.toy.machine import ToyCpu
from simulators.music.conversion.converter import convert
from simulators.registry import make_system

MEMORY_BYTES = 64


def make_cpu_samples(first: int, count: int) -> SampleSet:
    """Draws `first` to `first + count - 1` of the toy CPU; every second pair shares a group."""
    machine = ToyCpu(memory_bytes=MEMORY_BYTES, max_instructions=16)
    programs = machine.draw(0, np.arange(first, first + count, dtype=np.uint64))
    traces = machine.run(programs)
    files: list[tuple[Segment, ...]] = []
    for i in range(count):
        code = programs.code[programs.offsets[i] : programs.offsets[i + 1]].tobytes()
        states = traces.states[traces.offsets[i] : traces.offsets[i + 1]].tobytes()
        data = code.ljust(MEMORY_BYTES, b"\0") + states
        files.append((Segment(extension="bin", data=data),))
    return SampleSet(
        corpus="cpu-toy",
        config_sha256="c" * 64,
        settings={
            "source": "cpu",
            "system_version": machine.version,
            "options": {"system": "toy", "memory_bytes": MEMORY_BYTES, "max_instructions": 16},
        },
        prompt_bytes=MEMORY_BYTES + 16,
        shard_sha256=(f"{first:064x}",),
        keys=tuple(f"cpu-toy-test-{first + i:08d}" for i in range(count)),
        groups=tuple(f"group-{(first + i) // 2}" for i in range(count)),
        files=tuple(files),
    )


def make_machine_samples(task: SimulationTask, first: int, count: int) -> SampleSet:
    """Draws of a task's own machine, profile and layout."""
    memory_bytes = 320
    machine = make_system(
        task.system,
        memory_bytes=memory_bytes,
        max_instructions=12,
        profile=task.profile,
        layout=task.layout,
    )
    programs = machine.draw(0, np.arange(first, first + count, dtype=np.uint64))
    files = lay_out(programs, machine.run(programs), memory_bytes=memory_bytes)
    data = [
        files.data[files.offsets[i] : files.offsets[i + 1]].tobytes() for i in range(len(files))
    ]
    return SampleSet(
        corpus=task.spec.corpus,
        config_sha256="c" * 64,
        settings={
            "source": "cpu",
            "system_version": machine.version,
            "options": {
                "system": task.system,
                "profile": task.profile,
                "layout": task.layout,
            },
        },
        prompt_bytes=memory_bytes + task.state_bytes,
        shard_sha256=(f"{first:064x}",),
        keys=tuple(f"{task.spec.corpus}-test-{first + i:08d}" for i in range(count)),
        groups=tuple(f"group-{(first + i) // 2}" for i in range(count)),
        files=tuple((Segment(extension="bin", data=file),) for file in data),
    )


def make_tune_samples(first: int, count: int) -> SampleSet:
    """Short scales from different notes, with the files that abc2midi makes of them."""
    notes = "CDEFGABcdefgab"
    tunes = [
        "X:1\nL:1/8\nM:4/4\nK:C\n"
        + " ".join(notes[(i * (j + 1) + j) % len(notes)] for j in range(4 + i % 5))
        + " |\n"
        for i in range(first, first + count)
    ]
    files: list[tuple[Segment, ...]] = []
    for tune, mid in zip(tunes, convert(tunes), strict=True):
        assert isinstance(mid, bytes)
        files.append(
            (Segment(extension="abc", data=tune.encode()), Segment(extension="mid", data=mid))
        )
    return SampleSet(
        corpus="abc-midi",
        config_sha256="c" * 64,
        settings={"source": "music", "options": {"tunes": "made-up"}},
        prompt_bytes=0,
        shard_sha256=(f"{first:064x}",),
        keys=tuple(f"abc-midi-test-{first + i:08d}" for i in range(count)),
        groups=tuple(f"cluster-{(first + i) // 2}" for i in range(count)),
        files=tuple(files),
    )


@pytest.fixture(scope="session")
def samples_of(cpu_samples: SampleSet, tune_samples: SampleSet) -> dict[str, SampleSet]:
    """A small test set for every task by name."""
    sets: dict[str, SampleSet] = {}
    for name, task in TASKS.items():
        if isinstance(task, ConversionTask):
            sets[name] = tune_samples
        elif name == "cpu-toy":
            sets[name] = cpu_samples
        else:
            assert isinstance(task, SimulationTask)
            sets[name] = make_machine_samples(task, 0, 12)
    return sets


@pytest.fixture(scope="session")
def cpu_samples() -> SampleSet:
    return make_cpu_samples(0, 30)


@pytest.fixture(scope="session")
def cpu_train() -> SampleSet:
    return make_cpu_samples(1000, 200)


@pytest.fixture(scope="session")
def tune_samples() -> SampleSet:
    return make_tune_samples(0, 12)


@pytest.fixture(scope="session")
def tune_train() -> SampleSet:
    return make_tune_samples(100, 60)

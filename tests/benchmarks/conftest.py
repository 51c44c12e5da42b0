"""Small test sets in memory: toy programs with their traces, tunes with their MIDI files."""

import numpy as np
import pytest

from benchmarks.task import SampleSet
from pipelines.sample import Segment
from simulators.cpu.toy import ToyCpu
from simulators.music.converter import convert

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
        prompt_bytes=MEMORY_BYTES + 16,
        shard_sha256=(f"{first:064x}",),
        keys=tuple(f"cpu-toy-test-{first + i:08d}" for i in range(count)),
        groups=tuple(f"group-{(first + i) // 2}" for i in range(count)),
        files=tuple(files),
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
        prompt_bytes=0,
        shard_sha256=(f"{first:064x}",),
        keys=tuple(f"abc-midi-test-{first + i:08d}" for i in range(count)),
        groups=tuple(f"cluster-{(first + i) // 2}" for i in range(count)),
        files=tuple(files),
    )


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

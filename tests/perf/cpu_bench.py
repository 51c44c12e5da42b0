"""Real machines: encoders, execution, growth of memory, and corpora end to end.

All in profile `call`; the toy CPU stands in `corpora_bench`. The compiled hook and the Python hook
run the same batch in turns, and their rows are compared; so are the interpreter's. The narrow
layout reads 8 to 9 registers a state, the full one all.
Rates are by CPU time of one core, but for corpora, which two workers build and the wall clock
measures, with the workers' start apart. A million samples take too long to wait for: their time is
extrapolated from ten thousand, and its key says so.
"""

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipelines.build import build_corpus
from pipelines.corpus import Corpus
from pipelines.engine import LocalEngine
from pipelines.plan import Side
from pipelines.sources.cpu import CpuOptions, CpuSource
from simulators.cpu.emulation.emulator import Emulator
from simulators.cpu.interpreter.riscv import RiscvInterpreter
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import LAYOUTS, Isa, LayoutName
from simulators.cpu.machine import Machine
from simulators.cpu.reading.decoder import Decoder
from simulators.protocol import ProgramBatch, TraceBatch

PROFILE = "call"
PROGRAM_BYTES = 960
MAX_INSTRUCTIONS = 128
MAX_STATES = 1_000
"""Most programs run to their end, as no file has to hold them: mean 110 to 120 states."""
REPETITIONS = 3

ENCODED_PROGRAMS = 5_000
HOOKED_PROGRAMS = 100
NATIVE_TURNS = 10
"""The compiled hook runs the batch so often in one measurement: it is that much faster."""
INTERPRETED_BATCH = 250
"""As many as a corpus runs at once: their states stay in the cache."""
INTERPRETED_BATCHES = 40

GROWTH_PROGRAMS = 100_000
GROWTH_BATCH = 1_000
GROWTH_INSTRUCTIONS = 8
"""Short programs: what an engine keeps, it keeps by the program."""

# Machine, memory block, longest program: about 60 executed instructions a sample.
CORPORA = (("x86_16", 512, 96), ("rv32", 512, 80))
WORKERS = 2
SAMPLES: dict[Side, int] = {"train": 9_000, "test": 1_000}
MILLION = 1_000_000


def bench() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    rows: list[dict[str, Any]] = []
    for isa in ISAS.values():
        rows += [_encoder(isa), *(_hooks(isa, layout) for layout in LAYOUTS)]
        if isa.emulator_arch == "UC_ARCH_RISCV":
            rows.append(_interpreter(isa))
        rows.append(_growth(isa))
    return [*rows, *(_corpus(*sizes) for sizes in CORPORA)]


def _machine(
    isa: Isa, max_instructions: int = MAX_INSTRUCTIONS, layout: LayoutName = "narrow"
) -> Machine:
    return Machine(
        isa=isa,
        profile=PROFILE,
        layout=layout,
        memory_bytes=PROGRAM_BYTES + isa.data_bytes,
        max_instructions=max_instructions,
    )


def _draw(machine: Machine, first: int, count: int) -> ProgramBatch:
    return machine.draw(0, np.arange(first, first + count, dtype=np.uint64))


def _encoder(isa: Isa) -> dict[str, Any]:
    machine = _machine(isa)
    batch = _draw(machine, 0, ENCODED_PROGRAMS)
    count = _num_instructions(isa, batch)

    def draw() -> int:
        assert len(_draw(machine, 0, ENCODED_PROGRAMS).code) == len(batch.code)
        return count

    return _row(f"{isa.name}: programs drawn", "instructions/CPU-s", _rates(draw))


def _num_instructions(isa: Isa, batch: ProgramBatch) -> int:
    """Count the instructions of a batch, as the table's decoder finds them."""
    if isa.alignment == len(isa.stop) == 4:
        return len(batch.code) // 4
    decoder = Decoder(isa)
    forms = decoder.forms_at(batch.code, np.arange(len(batch.code)))
    lengths = np.append(decoder.lengths, len(isa.stop))[forms].tolist()
    at = count = 0
    while at < len(lengths):
        at += lengths[at]
        count += 1
    assert at == len(lengths), f"{isa.name}: instructions do not end where the programs do"
    return count


def _hooks(isa: Isa, layout: LayoutName) -> dict[str, Any]:
    machine = _machine(isa, layout=layout)
    batch = _draw(machine, 0, HOOKED_PROGRAMS)
    native, python = _emulator(machine, "native"), _emulator(machine, "python")
    traces = native.run(batch)
    _same_rows(traces, python.run(batch))

    def native_turns() -> int:
        return sum(len(native.run(batch).states) for _ in range(NATIVE_TURNS))

    pairs = _pairs(native_turns, lambda: len(python.run(batch).states))
    native.close()
    python.close()
    row = _row(
        f"{isa.name}: emulator with compiled hook, {layout} states",
        "states/CPU-s",
        pairs,
        "Python hook, reg_read_batch, same rows",
    )
    return row | {"mean_states": round(len(traces.states) / len(batch), 1)}


def _emulator(machine: Machine, hook: Any) -> Emulator:
    return Emulator(machine.isa, hook=hook, **_sizes(machine))


def _sizes(machine: Machine) -> dict[str, Any]:
    return {
        "layout": machine.layout,
        "program_bytes": machine.program_bytes,
        "data_bytes": machine.data_bytes,
        "max_states": MAX_STATES,
    }


def _interpreter(isa: Isa) -> dict[str, Any]:
    machine = _machine(isa)
    few = _draw(machine, 0, HOOKED_PROGRAMS)
    batches = [
        _draw(machine, i * INTERPRETED_BATCH, INTERPRETED_BATCH) for i in range(INTERPRETED_BATCHES)
    ]
    native, interpreter = _emulator(machine, "native"), RiscvInterpreter(isa, **_sizes(machine))
    _same_rows(interpreter.run(few), native.run(few))
    pairs = _pairs(
        lambda: sum(len(interpreter.run(batch).states) for batch in batches),
        lambda: len(native.run(few).states),
    )
    native.close()
    return _row(f"{isa.name}: interpreter", "states/CPU-s", pairs, "emulator with compiled hook")


def _growth(isa: Isa) -> dict[str, Any]:
    machine = _machine(isa, GROWTH_INSTRUCTIONS)
    emulator = _emulator(machine, "native")
    # Afterwards numba, the allocator and the engine have what they need.
    for first in range(0, GROWTH_PROGRAMS // 10, GROWTH_BATCH):
        emulator.run(_draw(machine, first, GROWTH_BATCH))
    gc.collect()
    before = psutil.Process().memory_info().rss
    started = time.process_time()
    for first in range(0, GROWTH_PROGRAMS, GROWTH_BATCH):
        emulator.run(_draw(machine, first, GROWTH_BATCH))
    seconds = time.process_time() - started
    gc.collect()
    growth = (psutil.Process().memory_info().rss - before) / 1e6
    emulator.close()
    return {
        "name": f"{isa.name}: memory growth over {GROWTH_PROGRAMS:,} programs",
        "unit": "MB",
        "median": round(growth, 1),
        "programs_per_cpu_second": round(GROWTH_PROGRAMS / seconds),
        "n": 1,
    }


def _corpus(system: str, memory_bytes: int, max_instructions: int) -> dict[str, Any]:
    options = CpuOptions(
        system=system,
        memory_bytes=memory_bytes,
        max_instructions=max_instructions,
        profile=PROFILE,
    )
    source = CpuSource(corpus=f"cpu-{system}", seed=0, options=options)
    number = sum(SAMPLES.values())
    builds: list[_Build] = []
    with tempfile.TemporaryDirectory() as folder:
        _build(source, {"train": 2, "test": 2}, Path(folder) / "compiles")
        for turn in range(REPETITIONS):
            out = Path(folder) / str(turn)
            builds.append(_build(source, SAMPLES, out))
        executed = Corpus.open(out).side("train").column("instructions")
        num_bytes = sum(path.stat().st_size for path in out.rglob("*.tar"))
    rate = statistics.median(build.rate for build in builds)
    start = statistics.median(build.start_seconds for build in builds)
    return {
        "name": f"cpu-{system}: finished shards, {WORKERS} workers, {os.cpu_count()} cores",
        "unit": "samples/s",
        "median": round(rate),
        "minutes_for_a_million_extrapolated": round((start + MILLION / rate) / 60, 2),
        "seconds_for_ten_thousand": round(statistics.median(build.seconds for build in builds), 2),
        "cpu_seconds_for_ten_thousand": round(
            statistics.median(build.cpu_seconds for build in builds), 2
        ),
        "mean_instructions": round(statistics.mean(executed), 1),
        "bytes_per_sample": round(num_bytes / number),
        "n": len(builds),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Build:
    """How long a corpus took."""

    seconds: float
    start_seconds: float
    """Until the first shard was there, most of it the workers' imports."""
    cpu_seconds: float
    rate: float
    """Samples a second from the first shard to the finished corpus."""


def _build(source: CpuSource, numbers: dict[Side, int], out: Path) -> _Build:
    progress: list[tuple[float, int]] = []

    def on_progress(done: int, total: int) -> None:
        progress.append((time.monotonic(), done))

    started, cpu_started = time.monotonic(), _cpu_seconds()
    engine = LocalEngine(WORKERS)
    build_corpus(source, numbers, out, engine=engine, on_progress=on_progress)
    ended = time.monotonic()
    first, done = next(step for step in progress if step[1])
    return _Build(
        seconds=ended - started,
        start_seconds=first - started,
        cpu_seconds=_cpu_seconds() - cpu_started,
        rate=(sum(numbers.values()) - done) / (ended - first),
    )


def _cpu_seconds() -> float:
    """Return CPU time of this process and of its workers that have ended."""
    times = os.times()
    return sum(times[:4])


def _same_rows(ours: TraceBatch, theirs: TraceBatch) -> None:
    for part in ("states", "offsets", "end_reasons"):
        assert np.array_equal(getattr(ours, part), getattr(theirs, part)), part


def _rates(work: Callable[[], int]) -> list[tuple[float, float]]:
    work()  # compiles
    return [(_rate(work), 0.0) for _ in range(REPETITIONS)]


def _pairs(ours: Callable[[], int], theirs: Callable[[], int]) -> list[tuple[float, float]]:
    ours()  # compiles
    return [(_rate(ours), _rate(theirs)) for _ in range(REPETITIONS)]


def _rate(work: Callable[[], int]) -> float:
    started = time.process_time()
    count = work()
    return count / (time.process_time() - started)


def _row(
    name: str, unit: str, pairs: list[tuple[float, float]], baseline: str | None = None
) -> dict[str, Any]:
    median = statistics.median(ours for ours, _ in pairs)
    row: dict[str, Any] = {"name": name, "unit": unit, "median": round(median), "n": len(pairs)}
    if baseline is not None:
        theirs = statistics.median(their for _, their in pairs)
        row |= {
            "baseline": baseline,
            "baseline_median": round(theirs),
            "ratio": round(median / theirs, 1),
        }
    return row

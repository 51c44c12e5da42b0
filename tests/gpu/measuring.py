"""How fast training and decoding are on a device, and what is learnt there in so many seconds.

The baseline is the authors' way: GPT-2 of transformers run eagerly, one-hot patches, 17 byte
positions, no cache in decoding; in float32, and trained under autocast to bfloat16 too. Ours is the
paper's model and the compact one, trained in bfloat16 with the flags that `bgpt train` sets. Rates
are true bytes per second of wall time, the device drained before and after. Sizes are an argument
(`Setting`): the same code runs in seconds on a CPU, to know that it runs.
"""

import statistics
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bgpt.config import PATCH_SIZE, ModelConfig, preset
from bgpt.counts import count_flops
from bgpt.data import SampleView, patch_batch
from bgpt.decoding_copy import prepare
from bgpt.generate import Decoding, decode
from bgpt.initial import first_weights
from bgpt.job import Job
from bgpt.optim import OptimConfig, make_optimizers
from bgpt.patching import PatchBatch
from bgpt.protocol import Prompt
from bgpt.telemetry import read_metrics
from bgpt.train import train
from bgpt.train_config import TrainConfig
from pipelines.plan import Side
from pipelines.sources.cpu import CpuOptions, CpuSource
from tests.perf.decode_bench import never_ending_compact
from tests.perf.train_bench import AuthorsModel, never_ending

BASELINE = "authors' way, float32"
OPTIMIZERS = {
    "paper": OptimConfig(lr=3e-4),
    "compact-cpu": OptimConfig(kind="muon", lr=4e-3),
}
"""What is trained, and how."""
NARROW: dict[str, Any] = {
    "patch_width": 48, "patch_layers": 2, "patch_heads": 2, "patch_ffn": 96,
    "byte_width": 48, "byte_layers": 1, "byte_heads": 2, "byte_ffn": 96,
}  # fmt: skip
"""Sizes of the paper's model where it only has to run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """On which device, and how much."""

    device: Literal["cpu", "cuda"]
    models: Mapping[str, ModelConfig]
    """Preset's name -> the preset, or something smaller of its kind."""
    num_patches: int = 512
    """Of every sequence that training is measured on."""
    batch_size: int = 16
    steps: int = 8
    """Steps in one turn of training."""
    turns: int = 5
    prompt_bytes: int = 1024
    written_bytes: int = 256
    baseline_bytes: int = 32
    """What the baseline writes, after the prompt and half of `written_bytes`."""
    prompts: int = 32
    """Prompts of the larger batch of decoding."""
    num_traces: int = 20_000
    """Traces of the toy CPU that are learnt from, in batches of `trace_batch_size`."""
    trace_batch_size: int = 96
    peak_flops: float | None = None
    """Dense bfloat16 products a second that the device is sold with; None: unknown."""


def full_setting(peak_flops: float | None) -> Setting:
    """Return what is measured on a GPU."""
    names = ("paper", "compact-cpu", "compact-music")
    models = {name: replace(preset(name), bf16=True) for name in names}
    return Setting(device="cuda", models=models, peak_flops=peak_flops)


def dry_setting(peak_flops: float | None) -> Setting:
    """Return the same on a CPU with narrow models: shows that the code runs, and nothing else."""
    paper = replace(preset("paper"), **NARROW)
    others = {name: preset(name) for name in ("compact-cpu", "compact-music")}
    return Setting(
        device="cpu", models={"paper": paper, **others}, num_patches=6, batch_size=2, steps=1,
        turns=1, prompt_bytes=32, written_bytes=32, baseline_bytes=16, prompts=2, num_traces=200,
        trace_batch_size=8, peak_flops=peak_flops,
    )  # fmt: skip


def training_speed(setting: Setting) -> list[dict[str, Any]]:
    """Return a row for each way to train: bytes a second, FLOP/s, utilisation, memory.

    Of a way that fails, such as for want of memory, the row has the error.
    """
    batch = noise_batch(setting).to(setting.device)
    num_bytes = setting.batch_size * PATCH_SIZE * (setting.num_patches - 2)
    ways: dict[str, tuple[str | None, Callable[[], Callable[[], None]]]] = {
        BASELINE: (None, lambda: authors_step(setting, batch, autocast=False)),
        "authors' way, autocast to bfloat16": (
            None, lambda: authors_step(setting, batch, autocast=True),
        ),
    }  # fmt: skip
    # A CPU compiles for minutes.
    for compiled in (False, True) if setting.device == "cuda" else (False,):
        for name in OPTIMIZERS:
            way = f"{name}, compiled" if compiled else name
            ways[way] = name, _bound_step(setting, name, batch, compiled=compiled)
    rows: list[dict[str, Any]] = []
    for way, (name, make_step) in ways.items():
        try:
            with deterministic(on=name is not None):
                seconds, memory = timed_steps(setting, make_step())
        except RuntimeError as error:
            rows.append({"way": way, "error": str(error)[:2000]})
            continue
        rate = num_bytes / seconds
        baseline = rows[0].get("bytes_per_second") if rows else rate
        row: dict[str, Any] = {
            "way": way, "bytes_per_second": rate, "n": setting.turns,
            "ratio": baseline and rate / baseline,
            "peak_memory_bytes": memory,
        }  # fmt: skip
        if name is not None:
            flops = count_flops(setting.models[name], setting.num_patches).training
            row["flops_per_second"] = setting.batch_size * flops / seconds
            peak = setting.peak_flops
            row["utilisation"] = None if peak is None else row["flops_per_second"] / peak
        rows.append(row)
    return rows


def _bound_step(
    setting: Setting, name: str, batch: PatchBatch, *, compiled: bool
) -> Callable[[], Callable[[], None]]:
    return lambda: our_step(setting, name, batch, compiled=compiled)


def our_step(
    setting: Setting, name: str, batch: PatchBatch, *, compiled: bool
) -> Callable[[], None]:
    """Return one step of training as `bgpt.train` makes it."""
    model = first_weights(setting.models[name], 0).to(setting.device)
    optimizers = make_optimizers(model, OPTIMIZERS[name])
    if compiled:
        model.patch_level.compile(dynamic=True)
        model.byte_level.compile(dynamic=True)

    def step() -> None:
        optimizers.zero_grad()
        sums = model.loss(batch)
        (sums.nats / sums.num_tokens).backward()
        optimizers.step()

    return step


def authors_step(setting: Setting, batch: PatchBatch, *, autocast: bool) -> Callable[[], None]:
    """Return one step of training as the authors make it."""
    device = setting.device
    model = AuthorsModel(setting.models["paper"]).train().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        cast = torch.autocast(device, torch.bfloat16) if autocast else nullcontext()
        with torch.device(device), cast:
            loss = model.loss(batch.patches, batch.num_patches)
        loss.backward()
        optimizer.step()

    return step


def timed_steps(setting: Setting, step: Callable[[], None]) -> tuple[float, int | None]:
    """Return the median seconds of a step, and the most memory held at once (on a GPU)."""
    is_cuda = setting.device == "cuda"
    for _ in range(2):  # warm-up, compilation
        step()
    if is_cuda:
        torch.cuda.reset_peak_memory_stats()

    def turn() -> None:
        for _ in range(setting.steps):
            step()

    found = [seconds_of(setting.device, turn) / setting.steps for _ in range(setting.turns)]
    return statistics.median(found), torch.cuda.max_memory_allocated() if is_cuda else None


def decoding_speed(setting: Setting) -> list[dict[str, Any]]:
    """Return a row for each way to write greedily after a prompt."""
    device = setting.device
    rng = np.random.default_rng(0)
    size = setting.prompt_bytes + setting.written_bytes // 2
    given = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
    authors = AuthorsModel(setting.models["paper"]).eval().to(device)

    def theirs() -> int:
        with torch.device(device):
            return len(authors.generate(given, setting.baseline_bytes))

    ways: dict[str, Callable[[], int]] = {BASELINE: theirs}
    for name, config in setting.models.items():
        model = first_weights(replace(config, bf16=False), 0)
        ready = prepare(
            (never_ending if name == "paper" else never_ending_compact)(model).to(device)
        )
        for count in (1, setting.prompts):
            rows = rng.integers(0, 256, (count, setting.prompt_bytes), dtype=np.uint8)
            prompts = [Prompt(source=None, extension="bin", given=row.tobytes()) for row in rows]
            limits = [setting.written_bytes] * count

            def ours(ready: Any = ready, prompts: Any = prompts, limits: list[int] = limits) -> int:
                return sum(len(one.data) for one in decode(ready, prompts, limits, Decoding()))

            ways[f"{name}, batch {count}"] = ours
    found: list[dict[str, Any]] = []
    for way, write in ways.items():
        expected = write()  # warms up
        wanted = setting.baseline_bytes if way == BASELINE else setting.written_bytes
        assert expected % wanted == 0 < expected, f"{way} wrote {expected} bytes"
        seconds = statistics.median(seconds_of(device, write) for _ in range(setting.turns))
        rate = expected / seconds
        ratio = rate / (found[0]["bytes_per_second"] if found else rate)
        found.append(
            {"way": way, "bytes_per_second": rate, "ratio": ratio, "n": setting.turns}
        )  # fmt: skip
    return found


def learning(setting: Setting, seconds: float, home: Path) -> dict[str, list[dict[str, Any]]]:
    """Train on the toy CPU's traces for about `seconds` each; return the lines of metrics."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for name in OPTIMIZERS:
        probe = trace_job(setting, name, home / f"{name}-probe", steps=6)
        train(probe)
        lines = read_metrics(probe.run)
        step_seconds = (lines[4]["wall_seconds"] - lines[1]["wall_seconds"]) / 3
        steps = max(6, int(seconds / max(step_seconds, 1e-4)))
        job = trace_job(setting, name, home / name, steps=steps)
        train(job)
        curves[name] = read_metrics(job.run)
    return curves


def trace_job(setting: Setting, name: str, run: Path, *, steps: int) -> Job:
    """Return the training of one model on traces."""
    run.mkdir(parents=True)
    return Job(
        model=setting.models[name],
        train=TrainConfig(
            steps=steps, batch_size=setting.trace_batch_size, device=setting.device,
            optimizer=OPTIMIZERS[name], log_every=max(1, steps // 60),
            eval_every=max(6, steps // 6), checkpoint_every=steps,
        ),
        train_view=trace_view(setting, "train", setting.num_traces),
        test_view=trace_view(setting, "test", 100),
        run=run,
        run_sha256="0" * 64,
        provenance={"corpus": "traces of the toy CPU"},
    )  # fmt: skip


def trace_view(setting: Setting, side: Side, count: int) -> SampleView:
    """Return traces of the toy CPU as `params.yaml` sets it up, made here."""
    options = CpuOptions(system="toy", memory_bytes=64, max_instructions=16)
    source = CpuSource(corpus="cpu-toy", seed=0, options=options)
    plan = source.plan({side: count})
    samples = source.shard(plan, side, 0, count).samples
    return SampleView(
        Held([sample.segments[0].data for sample in samples]),
        extensions=list(plan.extensions),
        prompt_bytes=plan.prompt_bytes,
        directions={},
    )


class Held:
    """Files in memory."""

    def __init__(self, files: list[bytes]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def read(self, index: int, /) -> tuple[bytes, ...]:
        return (self._files[index],)

    def key(self, index: int, /) -> str:
        return f"file-{index}"

    def column(self, name: str, /) -> list[int]:
        assert name == "size_bin"
        return [len(file) for file in self._files]


def noise_batch(setting: Setting) -> PatchBatch:
    """Return files of noise that fill their sequences, scored as the authors do."""
    rng = np.random.default_rng(0)
    size = PATCH_SIZE * (setting.num_patches - 2)
    noise = Held(
        [rng.integers(0, 256, size, np.uint8).tobytes() for _ in range(setting.batch_size)]
    )
    view = SampleView(noise, extensions=["bin"], prompt_bytes=0, directions={})
    return patch_batch([view.sample(i, None) for i in range(len(noise))], "tokens")


def seconds_of(device: str, work: Callable[[], object]) -> float:
    """Return the wall time of `work`, until the device has done it."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


@contextmanager
def deterministic(*, on: bool) -> Generator[None]:
    """Run with the flag that `bgpt.job.make_deterministic` sets, or without it."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(on)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)

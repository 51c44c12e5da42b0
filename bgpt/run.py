"""What a training run is: its configuration out of `params.yaml`, and the folder that it claims.

`run.json` in the folder holds the whole configuration and the sha256 of every shard that is read,
in order. A folder belongs to one configuration: starting another one in it is an error that names
the first differing key, never a silent restart. The corpus may grow meanwhile, because only the
shards of the configured prefix are bound. Training itself is `bgpt.train`.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from bgpt.config import ModelConfig, UnknownPreset, preset
from bgpt.optim import OptimConfig
from bgpt.patching import LossRegion
from bgpt.schedule import Budget, Schedule
from pipelines.config import ConfigError, load_params, parse, section
from simulators.suggest import unknown_name

RUN_SCHEMA_VERSION = 1
TRAINING_MODULES = (
    "bits_per_byte", "byte_level", "checkpoint", "config", "data", "evaluate", "layers", "model",
    "optim", "patch_level", "patching", "permutation", "protocol", "resume", "run", "schedule",
    "telemetry", "train",
)  # fmt: skip
"""Modules of this package that decide what a run leaves, weights and figures: all that
`bgpt.train` imports, but for what only shows progress. `dvc.yaml` depends on more, the whole folder
`bgpt`: a change elsewhere in it calls `bgpt train` again, which finds the run finished."""


class RunMismatch(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A run folder of another configuration; the message names the key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything about training but the model: section `runs.NAME.train` of `params.yaml`."""

    steps: int | None = None
    """Budget in steps of one batch each. Exactly one of `steps` and `bytes` is given."""
    bytes: int | None = None
    """Budget in true bytes of samples; the step that reaches it is the last."""
    seed: int = 0
    """Of the first weights and of the order of samples."""
    train_samples: int | None = None
    """Train on this many first samples of the corpus (its scale); None: all there are."""
    batch_size: int = 24
    window_batches: int = 32
    """Batches whose samples are sorted by length among themselves; 1: no bucketing."""
    directions: dict[str, float] = field(default_factory=dict[str, float])
    """Conversion only: direction (`abc-to-midi`, `midi-to-abc`) -> weight."""
    loss: LossRegion = "target"
    """`target`: the scored region alone. `file`: all bytes. `tokens`: the authors' way."""
    optimizer: OptimConfig = field(default_factory=OptimConfig)
    warmup: float = 0.03
    """Share of the budget over which the rates rise."""
    hold_until: float = 0.4
    """Share of the budget at which they begin to fall."""
    final: float = 0.0
    """Share of the peak at the end."""
    threads: int = 1
    """CPU threads; part of the configuration, because sums depend on it in the last bit. More than
    the free cores makes a small model many times slower: torch's threads wait for each other."""
    device: Literal["cpu", "cuda"] = "cpu"
    log_every: int = 20
    """Steps between two lines of metrics."""
    eval_every: int = 500
    """Steps between two evaluations on the test side; there is one at the end in any case."""
    eval_samples: int = 100
    """First samples of the test side to evaluate on; 0: no evaluation."""
    checkpoint_every: int = 500
    """Steps between two checkpoints to resume from."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "window_batches", "threads", "log_every", "eval_every",
                     "checkpoint_every"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.train_samples is not None and self.train_samples < 1:
            raise ValueError(f"train_samples must be at least 1, not {self.train_samples}")
        if self.eval_samples < 0:
            raise ValueError(f"eval_samples must be 0 or more, not {self.eval_samples}")
        _ = self.budget, self.schedule

    @property
    def budget(self) -> Budget:
        """Return how much is trained."""
        return Budget(steps=self.steps, bytes=self.bytes)

    @property
    def schedule(self) -> Schedule:
        """Return how the learning rate goes."""
        return Schedule(warmup=self.warmup, hold_until=self.hold_until, final=self.final)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """One run of `params.yaml`."""

    name: str
    corpus: str
    """Name of the corpus, a folder below the data folder."""
    model: ModelConfig
    train: TrainConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class _RunSection:
    """The section as it is written, before the preset is looked up."""

    corpus: str
    model: dict[str, Any]
    train: TrainConfig


def load_run(params: Path, name: str) -> RunConfig:
    """Read run `name` from section `runs` of a `params.yaml`.

    Raises:
        ConfigError: the file, the run or a key is missing, unknown or of another type.
    """
    runs = section(load_params(params), "runs")
    if name not in runs:
        raise ConfigError(f"{params}: {unknown_name('run', name, runs)}")
    return parse_run(section(runs, name), name)


def parse_run(values: Mapping[str, Any], name: str) -> RunConfig:
    """Return the run that one mapping describes.

    Raises:
        ConfigError: a key is missing, unknown, of another type or out of range.
    """
    where = f"runs.{name}"
    if "model" in values and not isinstance(values["model"], Mapping):
        raise ConfigError(f"{where}.model: expected a mapping, found {values['model']!r}")
    read = parse(_RunSection, {**values, "model": dict(values.get("model", {}))}, where)
    return RunConfig(
        name=name,
        corpus=read.corpus,
        model=_parse_model(read.model, f"{where}.model"),
        train=read.train,
    )


def _parse_model(values: dict[str, Any], where: str) -> ModelConfig:
    """Return the preset with whatever else is given put in its place."""
    overrides = dict(values)
    name: object = overrides.pop("preset", None)
    if name is None:
        return parse(ModelConfig, overrides, where)
    try:
        base = preset(str(name))
    except UnknownPreset as error:
        raise ConfigError(f"{where}.preset: {error}") from error
    return parse(ModelConfig, {**asdict(base), **overrides}, where)


def run_record(
    config: RunConfig, *, corpus_sha256: str, train_samples: int, shards: tuple[str, ...]
) -> dict[str, Any]:
    """Return the contents of `run.json`.

    `train_samples` is the number that is really read, `shards` the sha256 of their shards in order.
    """
    return {
        "schema_version": RUN_SCHEMA_VERSION,
        "name": config.name,
        "corpus": {
            "name": config.corpus,
            "config_sha256": corpus_sha256,
            "train_samples": train_samples,
            "train_shards": list(shards),
        },
        "model": asdict(config.model),
        "train": asdict(config.train),
        "code_sha256": code_sha256(),
    }


def code_sha256() -> str:
    """Return a hash of `TRAINING_MODULES`: a run never mixes two versions of them."""
    digest = hashlib.sha256()
    for name in TRAINING_MODULES:
        digest.update(name.encode() + b"\0")
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return digest.hexdigest()


def record_sha256(record: Mapping[str, Any]) -> str:
    """Return the hash that names a configuration in checkpoints and models."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_record(run: Path) -> dict[str, Any] | None:
    """Return what `run.json` holds, or None where there is none.

    Raises:
        RunMismatch: the file is not a record of a run.
    """
    path = run / "run.json"
    if not path.exists():
        return None
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunMismatch(f"{path}: not readable as JSON: {error}; delete {run}") from error
    if not isinstance(found, dict):
        raise RunMismatch(f"{path}: not the record of a run; delete {run}")
    return cast("dict[str, Any]", found)


def claim(run: Path, record: Mapping[str, Any]) -> None:
    """Make `run` the folder of `record`, or check that it already is.

    Raises:
        RunMismatch: the folder belongs to another configuration, or is not a run at all.
    """
    found = read_record(run)
    path = run / "run.json"
    if found is None:
        if run.exists() and not run.is_dir():
            raise RunMismatch(f"{run}: is a file; pass another --out")
        strangers = sorted(p.name for p in run.iterdir()) if run.exists() else []
        strangers = [name for name in strangers if not name.endswith(".tmp")]
        if strangers:
            raise RunMismatch(
                f"{run}: is no run (no run.json) and holds {strangers[0]}; pass another --out"
            )
        run.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(record, indent=1) + "\n")
        return
    then, now = dict(_flat(found)), dict(_flat(record))
    for key in [*now, *then]:
        if then.get(key) != now.get(key):
            raise RunMismatch(
                f"{path}: {key} is {_shown(then, key)} there and {_shown(now, key)} now; "
                f"pass another --out, or delete {run} to start over"
            )


def is_same_run(found: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Return whether two records say the same."""
    return dict(_flat(found)) == dict(_flat(record))


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file that is there whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _flat(value: object, where: str = "") -> Iterator[tuple[str, object]]:
    """Yield every leaf with its dotted key."""
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[str, object]", value).items():
            yield from _flat(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(cast("list[object]", value)):
            yield from _flat(item, f"{where}[{number}]")
    else:
        yield where, value


def _shown(values: Mapping[str, object], key: str) -> str:
    """Return a value for a message."""
    return repr(values[key]) if key in values else "absent"

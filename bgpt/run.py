"""What a training run is: its configuration out of `params.yaml`, and the folder that it claims.

`run.json` in the folder holds the whole configuration and name and sha256 of every shard that is
read, in order. A folder belongs to one configuration: starting another one in it is an error that
names the first differing key, never a silent restart. The corpus may grow meanwhile, because only
the shards of the configured prefix are bound. Training itself is `bgpt.train`.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import simulators.permutation
from bgpt.config import ModelConfig, UnknownPreset, preset
from bgpt.train_config import NOT_BINDING, TrainConfig
from pipelines.config import ConfigError, load_params, parse, section
from simulators.suggest import unknown_name

RUN_SCHEMA_VERSION = 2
TRAINING_MODULES = (
    "bits_per_byte", "byte_level", "checkpoint", "checkpoints_kept", "config", "curriculum", "data",
    "evaluate", "gradients", "initial", "job", "layers", "mixture", "model", "optim", "packing",
    "patch_level", "patching", "prefetch", "prepared", "protocol", "ranks", "resume", "run",
    "schedule", "sharding", "sides", "telemetry", "train", "train_config",
)  # fmt: skip
"""Modules of this package that decide what a run leaves, weights and figures: all that
`bgpt.train` and `bgpt.sides` import, but for what only shows progress. `dvc.yaml` depends on more,
the whole folder `bgpt`: a change elsewhere in it calls `bgpt train` again, which finds the run
finished."""
_ORDER_OF_SAMPLES = Path(simulators.permutation.__file__)
"""The one file left of this package that decides the same."""


class RunMismatch(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A run folder of another configuration; the message names the key."""


class NotWritable(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A run folder, or a file in it, that cannot be written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """One run of `params.yaml`."""

    name: str
    corpora: dict[str, float]
    """Name of each corpus, a folder below the data folder -> its weight. A single one has 1."""
    model: ModelConfig
    train: TrainConfig
    is_mixture: bool
    """Whether it names `corpora` with weights, not one `corpus`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _RunSection:
    """The section as it is written, before the preset is looked up."""

    model: dict[str, Any]
    train: TrainConfig
    corpus: str | None = None
    corpora: dict[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if (self.corpus is None) == (not self.corpora):
            raise ValueError(
                "give either corpus: NAME or corpora: {NAME: WEIGHT, ...} with at least one"
            )


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
        corpora=read.corpora if read.corpus is None else {read.corpus: 1.0},
        is_mixture=read.corpus is None,
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


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusRecord:
    """What a run is bound to in one corpus."""

    name: str
    config_sha256: str
    train_samples: int
    """How many are really read."""
    train_shards: Mapping[str, str]
    """Name of each shard that they lie in, in order -> its SHA-256."""
    test_shards: Mapping[str, str]
    """The same of the samples of evaluation."""
    too_long: int | None = None
    """How many of them were left out as too long; None where that is an error."""


def run_record(
    config: RunConfig, corpora: Sequence[CorpusRecord], *, init_sha256: str | None = None
) -> dict[str, Any]:
    """Return the contents of `run.json`; `init_sha256` is of the weights that it begins with."""
    read = [_corpus_record(config, corpus) for corpus in corpora]
    return {
        "schema_version": RUN_SCHEMA_VERSION,
        "name": config.name,
        **({"corpora": read} if config.is_mixture else {"corpus": read[0]}),
        **({} if init_sha256 is None else {"init_sha256": init_sha256}),
        "model": asdict(config.model),
        "train": {k: v for k, v in asdict(config.train).items() if k not in NOT_BINDING},
        "code_sha256": code_sha256(),
    }


def _corpus_record(config: RunConfig, corpus: CorpusRecord) -> dict[str, Any]:
    """Return one corpus' part of `run.json`; what does not apply is left out."""
    record = asdict(corpus)
    if corpus.too_long is None:
        del record["too_long"]
    if config.is_mixture:
        record["weight"] = config.corpora[corpus.name]
    return record


def code_sha256() -> str:
    """Return a hash of `TRAINING_MODULES`: a run never mixes two versions of them."""
    digest = hashlib.sha256()
    own = [Path(__file__).with_name(f"{name}.py") for name in TRAINING_MODULES]
    for path in (*own, _ORDER_OF_SAMPLES):
        digest.update(path.stem.encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def record_sha256(record: Mapping[str, Any]) -> str:
    """Return the hash that names a configuration in checkpoints and models."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_record(run: Path) -> dict[str, Any] | None:
    """Return what `run.json` holds, or None where there is none.

    Raises:
        RunMismatch: the file is not a record of a run, or of a later version of this program.
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
    record = cast("dict[str, Any]", found)
    version: object = record.get("schema_version")
    if isinstance(version, int) and version > RUN_SCHEMA_VERSION:
        raise RunMismatch(
            f"{path}: written in format version {version}, and this program reads up to "
            f"{RUN_SCHEMA_VERSION}; update it, or pass another --out"
        )
    return record


def claim(run: Path, record: Mapping[str, Any]) -> None:
    """Make `run` the folder of `record`, or check that it already is.

    Raises:
        RunMismatch: the folder belongs to another configuration, or is not a run at all.
        NotWritable: it cannot be made, such as without permission.
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
        try:
            run.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(record, indent=1) + "\n")
        except OSError as error:
            raise NotWritable(f"{run}: cannot be written: {error}; pass another --out") from error
        return
    then, now = flat(found), flat(record)
    for key in [*now, *then]:
        if then.get(key) != now.get(key):
            raise RunMismatch(
                f"{path}: {key} is {_shown(then, key)} there and {_shown(now, key)} now; "
                f"pass another --out, or delete {run} to start over"
            )


def is_same_run(found: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Return whether two records say the same."""
    return flat(found) == flat(record)


def write_atomically(path: Path, text: str) -> None:
    """Write a small text file that is there whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def flat(record: Mapping[str, Any]) -> dict[str, object]:
    """Return every leaf of a record by its dotted key."""
    return dict(_flat(record))


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

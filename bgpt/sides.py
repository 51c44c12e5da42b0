"""The corpora of a run as two streams of samples, and what of them the run is bound to.

Opens each corpus below the data folder, takes the run's scale of it, leaves out what is too long
where that is asked for, and mixes several by weight (`bgpt.mixture`). It trains nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bgpt.data import DIRECTIONS, SampleStream, SampleView
from bgpt.mixture import Mixture
from bgpt.run import CorpusRecord, RunConfig
from pipelines.corpus import Corpus, SampleReader
from simulators.suggest import unknown_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """Both sides of all corpora of a run."""

    train: SampleStream
    test: SampleStream
    corpora: tuple[CorpusRecord, ...]
    readers: tuple[SampleReader, ...]
    prompt_bytes: tuple[int, ...]
    base_tunes: tuple[int | None, ...]
    """How many tunes stand behind each corpus' train samples, see `base_tunes_of`."""
    machines: tuple[Mapping[str, object], ...]
    """The simulated machine of each corpus, see `machine_record`."""
    directions: Mapping[str, float]
    is_mixture: bool

    def verify(self) -> None:
        """Hash the shards that are read, of both sides.

        Raises:
            ShardCorrupt: a shard does not match its recorded hash.
        """
        for reader in self.readers:
            reader.verify()

    def provenance(self) -> dict[str, Any]:
        """Return what the final model says of its corpora."""
        directions = dict(self.directions)
        if not self.is_mixture:
            (one,) = self.corpora
            return {
                "corpus": one.name,
                "corpus_sha256": one.config_sha256,
                "train_samples": one.train_samples,
                **({} if self.base_tunes[0] is None else {"base_tunes": self.base_tunes[0]}),
                **({} if one.too_long is None else {"too_long": one.too_long}),
                "prompt_bytes": self.prompt_bytes[0],
                "directions": directions,
                **self.machines[0],
            }
        corpora = [
            {
                "name": one.name,
                "corpus_sha256": one.config_sha256,
                "train_samples": one.train_samples,
                **({} if one.too_long is None else {"too_long": one.too_long}),
                "prompt_bytes": prompt_bytes,
                **machine,
            }
            for one, prompt_bytes, machine in zip(
                self.corpora, self.prompt_bytes, self.machines, strict=True
            )
        ]
        return {
            "corpus": " + ".join(one.name for one in self.corpora),
            "train_samples": sum(one.train_samples for one in self.corpora),
            "corpora": corpora,
            "directions": directions,
        }


def open_sides(config: RunConfig, data: Path, recorded: Mapping[str, int]) -> Sides:
    """Open the corpora of `config` below `data`.

    `recorded` is how many samples of each corpus the run read when it started; it counts where the
    configuration names no scale.

    Raises:
        CorpusError: a corpus is missing, incomplete or too small.
        ValueError: a direction fits no corpus, or a weight is not positive.
    """
    train: dict[str, SampleView] = {}
    test: dict[str, SampleView] = {}
    records: list[CorpusRecord] = []
    readers: list[SampleReader] = []
    prompt_bytes: list[int] = []
    base_tunes: list[int | None] = []
    opened = {name: Corpus.open(data / name) for name in config.corpora}
    if config.is_mixture:
        _check_directions(config, opened)
    for name, corpus in opened.items():
        limit = config.train.train_samples
        samples = corpus.side("train", recorded.get(name) if limit is None else limit)
        views = [_view(reader, corpus, config) for reader in (samples, corpus.side("test"))]
        too_long: int | None = None
        if config.train.too_long == "drop":
            views[0], too_long = views[0].without_too_long(config.model.max_patches)
            views[1], _ = views[1].without_too_long(config.model.max_patches)
        train[name], test[name] = views
        records.append(
            CorpusRecord(
                name=name,
                config_sha256=corpus.manifest.config_sha256,
                train_samples=len(samples),
                train_shards=_shards(samples),
                test_shards=_shards(_evaluated(corpus, config)),
                too_long=too_long,
            )
        )
        readers += [samples, corpus.side("test")]
        prompt_bytes.append(corpus.prompt_bytes)
        base_tunes.append(base_tunes_of(corpus.manifest.provenance, len(samples)))
    mixed = config.is_mixture
    return Sides(
        train=Mixture(train, config.corpora) if mixed else next(iter(train.values())),
        test=Mixture(test, config.corpora) if mixed else next(iter(test.values())),
        corpora=tuple(records),
        readers=tuple(readers),
        prompt_bytes=tuple(prompt_bytes),
        base_tunes=tuple(base_tunes),
        machines=tuple(machine_record(corpus.manifest.settings) for corpus in opened.values()),
        directions=config.train.directions,
        is_mixture=mixed,
    )


def machine_record(settings: Mapping[str, object]) -> dict[str, object]:
    """Return which machine a corpus simulates, for the model's provenance; empty for others."""
    return {"cpu": settings["options"]} if settings.get("source") == "cpu" else {}


def base_tunes_of(provenance: Mapping[str, Any], train_samples: int) -> int | None:
    """Return how many tunes the first train samples of a corpus were made from.

    A conversion corpus has them in its manifest, tier by tier; `None` for other corpora, and for a
    number of samples at which no tier ends.

    >>> base_tunes_of({"tiers": [{"pairs": 1000, "base_tunes": 990}]}, 1000)
    990
    """
    tiers = cast("list[dict[str, int]]", provenance.get("tiers") or [])
    return next((t["base_tunes"] for t in tiers if t["pairs"] == train_samples), None)


def recorded_samples(record: Mapping[str, Any]) -> dict[str, int]:
    """Return how many samples of each corpus a run's record says it reads."""
    corpora = cast("list[dict[str, Any]]", record.get("corpora") or [record.get("corpus", {})])
    return {
        str(one["name"]): one["train_samples"]
        for one in corpora
        if isinstance(one.get("train_samples"), int)
    }


def _view(reader: SampleReader, corpus: Corpus, config: RunConfig) -> SampleView:
    """Return one side with the directions that turn it."""
    directions = config.train.directions
    if config.is_mixture:
        directions = {d: w for d, w in directions.items() if _fits(d, corpus)}
    return SampleView(
        reader,
        extensions=corpus.extensions,
        prompt_bytes=corpus.prompt_bytes,
        directions=directions,
        patch_size=config.model.patch_size,
    )


def _evaluated(corpus: Corpus, config: RunConfig) -> SampleReader:
    """Return the test samples that a run is bound to; the first, as those are evaluated.

    Where too long ones are left out, others come in their place: then all are bound.
    """
    if config.train.too_long == "drop":
        return corpus.side("test")
    return corpus.side("test", min(config.train.eval_samples, len(corpus.side("test"))))


def _shards(reader: SampleReader) -> dict[str, str]:
    """Return the hash of each of a reader's shards by name."""
    return dict(zip(reader.shard_names, reader.shard_sha256, strict=True))


def _check_directions(config: RunConfig, corpora: Mapping[str, Corpus]) -> None:
    """Refuse a direction that turns no sample of any corpus."""
    for direction in config.train.directions:
        if direction not in DIRECTIONS:
            raise ValueError(unknown_name("direction", direction, DIRECTIONS))
        if not any(_fits(direction, corpus) for corpus in corpora.values()):
            raise ValueError(f"direction '{direction}' fits none of {', '.join(corpora)}")


def _fits(direction: str, corpus: Corpus) -> bool:
    """Return whether `corpus` holds the pairs that `direction` converts."""
    return sorted(DIRECTIONS.get(direction, ())) == sorted(corpus.extensions)

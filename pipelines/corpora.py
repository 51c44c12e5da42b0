"""The corpora by name: the packaged ones, and those of a `params.yaml`.

A corpus is a source with its options, a seed and numbers of samples. It reads configuration and
makes sources; it builds nothing.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.config import ConfigError, load_params, parse, section
from pipelines.plan import Side, Source
from pipelines.sample import KEY_PATTERN, sample_key
from pipelines.sources.cpu import CpuOptions, CpuSource
from pipelines.sources.music import MusicOptions, MusicSource
from simulators.suggest import unknown_name


class UnknownCorpus(ValueError):  # noqa: N818 - named as UnknownSystem is
    """No corpus of that name; names the nearest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """One corpus, as a section `corpora.NAME` of `params.yaml` spells it."""

    source: Literal["cpu", "music"]
    seed: int
    train_samples: int
    test_samples: int
    cpu: CpuOptions | None = None
    """The options of source `cpu`."""
    music: MusicOptions | None = None
    """The options of source `music`."""

    def __post_init__(self) -> None:
        """Refuse options of the other source, missing ones, and numbers out of range."""
        for name in ("cpu", "music"):
            if (getattr(self, name) is not None) != (name == self.source):
                what = "missing" if name == self.source else "not allowed"
                raise ValueError(f"{name}: {what}, for source is {self.source!r}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed {self.seed} is not within 0..2**64-1")
        for name in ("train_samples", "test_samples"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")

    @property
    def needed(self) -> dict[Side, int]:
        """Return the number of samples a side."""
        return {"train": self.train_samples, "test": self.test_samples}


def packaged_corpora() -> dict[str, CorpusConfig]:
    """Return the corpora that are known without a `params.yaml`."""
    return {
        "abc-midi": CorpusConfig(
            source="music",
            seed=0,
            train_samples=10_000,
            test_samples=1_000,
            music=MusicOptions(tunes="music21", licences=None),
        ),
        "cpu-toy": CorpusConfig(
            source="cpu",
            seed=0,
            train_samples=100_000,
            test_samples=1_000,
            cpu=CpuOptions(system="toy", memory_bytes=64, max_instructions=16),
        ),
        "cpu-toy-paper": CorpusConfig(
            source="cpu",
            seed=0,
            train_samples=100_000,
            test_samples=1_000,
            cpu=CpuOptions(system="toy", memory_bytes=1024, max_instructions=255),
        ),
    }


def load_corpora(params: Path | None) -> dict[str, CorpusConfig]:
    """Return the corpora of section `corpora` of a parameter file, or the packaged ones.

    Raises:
        ConfigError: the file, or a key in it, cannot be used; names the key.
    """
    if params is None:
        return packaged_corpora()
    found: dict[str, CorpusConfig] = {}
    content = load_params(params)
    for name in section(content, "corpora"):
        where = f"corpora.{name}"
        if KEY_PATTERN.fullmatch(sample_key(str(name), "train", 0)) is None:
            raise ConfigError(f"{where}: a name has lower-case letters, digits, '-' and '_' only")
        found[str(name)] = parse(CorpusConfig, section(content, "corpora", name), where)
    return found


def find_corpus(name: str, corpora: Mapping[str, CorpusConfig]) -> CorpusConfig:
    """Return one corpus by name.

    Raises:
        UnknownCorpus: there is none; names the nearest.
    """
    if name not in corpora:
        raise UnknownCorpus(unknown_name("corpus", name, corpora))
    return corpora[name]


def change_corpus(
    config: CorpusConfig,
    *,
    train_samples: int | None = None,
    test_samples: int | None = None,
    seed: int | None = None,
    tunes: str | None = None,
) -> CorpusConfig:
    """Return `config` with what was said on the command line put over it.

    Raises:
        ConfigError: a value is out of range, or `tunes` goes to a corpus without tunes.
    """
    given = {"train_samples": train_samples, "test_samples": test_samples, "seed": seed}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if tunes is not None:
        if config.music is None:
            raise ConfigError(f"--tunes goes with source 'music', not {config.source!r}")
        changes["music"] = dataclasses.replace(config.music, tunes=tunes)
    try:
        return dataclasses.replace(config, **changes)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def make_source(name: str, config: CorpusConfig) -> Source:
    """Return the source of a corpus."""
    if config.cpu is not None:
        return CpuSource(corpus=name, seed=config.seed, options=config.cpu)
    assert config.music is not None
    return MusicSource(corpus=name, seed=config.seed, options=config.music)

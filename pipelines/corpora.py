"""The corpora by name: the packaged ones, and those of a `params.yaml`.

A corpus is a source with its options, a seed and numbers of samples. It reads configuration and
makes sources; it builds nothing.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pipelines.config import ConfigError, load_params, parse, section
from pipelines.plan import Side, Source
from pipelines.sample import KEY_PATTERN, sample_key
from pipelines.sources.cpu import CpuOptions, CpuSource
from pipelines.sources.music import MusicSource
from pipelines.sources.music_options import MusicOptions
from pipelines.sources.paper import PaperSource, paper_system
from pipelines.sources.programs import ProgramsSource
from simulators.registry import TOY, system_names
from simulators.suggest import unknown_name

Stream: TypeAlias = Literal["own", "paper"]
STREAMS: tuple[Stream, ...] = ("own", "paper")

_MACHINE_MEMORY_BYTES: Final = 512
_OF_DRAWN_PROGRAMS: Final = ("max_instructions", "weights")
"""Options of source `cpu` that say how programs are drawn."""
_OF_THE_PAPER: Final = ("memory_bytes", "max_instructions")
"""Options of source `cpu` that the authors' stream has its own values for."""


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
    programs: str | None = None
    """A folder of a user's own programs, of which a corpus is made instead of random ones."""
    stream: Stream = "own"
    """Where programs are drawn from; "paper" is the authors' generator, which draws
    `train_samples` and `test_samples` programs, of which a few are dropped."""

    def __post_init__(self) -> None:
        """Refuse options of the other source, missing ones, and numbers out of range."""
        for name in ("cpu", "music"):
            if (getattr(self, name) is not None) != (name == self.source):
                what = "missing" if name == self.source else "not allowed"
                raise ValueError(f"{name}: {what}, for source is {self.source!r}")
        if self.programs is not None and (self.source != "cpu" or self.stream != "own"):
            raise ValueError("programs: goes with source 'cpu', and with no other stream")
        if self.programs is not None and self.cpu is not None and self.cpu.system != TOY:
            for name in _OF_DRAWN_PROGRAMS:
                if getattr(self.cpu, name) is not None:
                    raise ValueError(f"{name}: decides nothing where programs are a user's own")
        if self.stream == "paper" and self.cpu != _paper_options():
            system = paper_system()
            raise ValueError(
                f"stream: 'paper' goes with system '{system.name}', memory_bytes "
                f"{system.memory_bytes} and max_instructions {system.max_instructions} only"
            )
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
            music=MusicOptions(),
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
        **_machine_corpora(),
    }


def _machine_corpora() -> dict[str, CorpusConfig]:
    """Return a corpus of every instruction set; `CpuOptions` says how long its programs are."""
    return {
        f"cpu-{system}": CorpusConfig(
            source="cpu",
            seed=0,
            train_samples=100_000,
            test_samples=1_000,
            cpu=CpuOptions(
                system=system,
                memory_bytes=_MACHINE_MEMORY_BYTES,
                profile="call",
                layout="narrow",
            ),
        )
        for system in system_names()
        if system != TOY
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
    music: Mapping[str, object] | None = None,
    stream: str | None = None,
    programs: str | None = None,
    cpu: Mapping[str, object] | None = None,
) -> CorpusConfig:
    """Return `config` with what was said on the command line put over it.

    `cpu` and `music` are options of the sources of those names; `None` leaves one as it is. With
    the stream "paper" a corpus of the toy CPU gets the authors' setting too.

    Raises:
        ConfigError: a value is out of range, or does not go with this corpus.
    """
    given = {"train_samples": train_samples, "test_samples": test_samples, "seed": seed}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    given_music = {name: value for name, value in (music or {}).items() if value is not None}
    given_cpu = {name: value for name, value in (cpu or {}).items() if value is not None}
    for name in given_music:
        if config.music is None:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} goes with source 'music', not {config.source!r}")
    for name in (["programs"] if programs is not None else []) + list(given_cpu):
        if config.cpu is None:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} goes with source 'cpu', not {config.source!r}")
    try:
        if programs is not None:
            changes["programs"] = programs
            given_cpu = _without_draws(config, given_cpu)
        if stream is not None:
            config = _with_stream(config, stream, given_cpu)
        if given_cpu and config.cpu is not None:
            changes["cpu"] = dataclasses.replace(config.cpu, **given_cpu)
        if given_music and config.music is not None:
            changes["music"] = dataclasses.replace(config.music, **given_music)
        return dataclasses.replace(config, **changes)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _without_draws(config: CorpusConfig, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the options given, and for those that only drawn programs have: none.

    Raises:
        ConfigError: one of the latter is given.
    """
    for name in _OF_DRAWN_PROGRAMS:
        if name in given:
            option = name.replace("_", "-")
            raise ConfigError(
                f"--{option} says how programs are drawn; with --programs they are your own: "
                "leave it out"
            )
    if config.cpu is None or config.cpu.system == TOY:
        return dict(given)  # refused for another reason
    return {**given, **dict.fromkeys(_OF_DRAWN_PROGRAMS)}


def _with_stream(config: CorpusConfig, stream: str, given: Mapping[str, object]) -> CorpusConfig:
    """Return a corpus of another stream; `given` are options that must go with it."""
    if stream not in STREAMS:
        raise ConfigError(unknown_name("stream", stream, STREAMS))
    if config.cpu is None or config.cpu.system != paper_system().name:
        found = config.source if config.cpu is None else config.cpu.system
        raise ConfigError(f"--stream goes with system 'toy', not {found!r}")
    if stream == "paper":
        options = _paper_options()
        for name in _OF_THE_PAPER:
            own = getattr(options, name)
            if given.get(name, own) != own:
                raise ConfigError(
                    f"--{name.replace('_', '-')} {given[name]}: --stream paper has always {own}; "
                    "leave it out"
                )
        return dataclasses.replace(config, stream="paper", cpu=options)
    return dataclasses.replace(config, stream="own")


def _paper_options() -> CpuOptions:
    """Return the authors' setting."""
    system = paper_system()
    return CpuOptions(
        system=system.name,
        memory_bytes=system.memory_bytes,
        max_instructions=system.max_instructions,
    )


def make_source(name: str, config: CorpusConfig) -> Source:
    """Return the source of a corpus."""
    if config.stream == "paper":
        return PaperSource(corpus=name, seed=config.seed)
    if config.cpu is not None and config.programs is not None:
        return ProgramsSource(
            corpus=name, seed=config.seed, options=config.cpu, folder=Path(config.programs)
        )
    if config.cpu is not None:
        return CpuSource(corpus=name, seed=config.seed, options=config.cpu)
    assert config.music is not None
    return MusicSource(corpus=name, seed=config.seed, options=config.music)

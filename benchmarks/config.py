"""Section `benchmark` of `params.yaml`: how much is scored and how errors are drawn."""

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.config import load_params, parse, section


@dataclass(frozen=True, kw_only=True, slots=True)
class NgramConfig:
    """Limits of the n-gram baseline."""

    max_order: int = 24
    """The longest context in bytes that is tried; the best is chosen on held-out train samples."""

    def __post_init__(self) -> None:
        """Refuse what the sorted contexts cannot hold."""
        if not 1 <= self.max_order <= 64:
            raise ValueError(f"max_order = {self.max_order} must be within 1..64")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig:
    """Every knob of scoring."""

    test_samples: int = 1000
    """The first so many test samples are scored, or all where there are fewer."""
    free_running_samples: int = 200
    """The first so many of those are written free-running."""
    bootstrap_resamples: int = 1000
    seed: int = 0
    """Of the bootstrap's draws."""
    ngram: NgramConfig = field(default_factory=NgramConfig)

    def __post_init__(self) -> None:
        """Refuse counts that leave nothing to score."""
        if self.test_samples < 1:
            raise ValueError(f"test_samples = {self.test_samples} must be at least 1")
        if self.free_running_samples < 0:
            raise ValueError(f"free_running_samples = {self.free_running_samples} is negative")
        if self.bootstrap_resamples < 2:
            raise ValueError(f"bootstrap_resamples = {self.bootstrap_resamples} must be at least 2")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed = {self.seed} must be within 0..2**63 - 1")


def read_config(params: Path | None) -> BenchmarkConfig:
    """Return section `benchmark` of a params file, or the defaults without one.

    Raises:
        ConfigError: the file or a key of the section is not usable; the message names it.
    """
    if params is None:
        return BenchmarkConfig()
    return parse(BenchmarkConfig, section(load_params(params), "benchmark"), "benchmark")

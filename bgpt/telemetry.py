"""What a run leaves for programs: `metrics.jsonl`, and the same scalars in DVCLive's folder.

One line per record, in the order of steps, each step once: a resumed run first cuts away what was
written after the checkpoint it resumes from. `metrics.jsonl` is the truth; DVCLive's folder is
rewritten from it at every start. It knows nothing of training.
"""

import json
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, final

if TYPE_CHECKING:
    from dvclive.live import Live


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Figures over the first samples of the test side, all teacher-forced."""

    bits_per_byte: float
    """Of the scored region: bytes that are given do not count."""
    byte_accuracy: float
    """Share of scored bytes that were the likeliest token."""
    n: int
    """Samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One line of `metrics.jsonl`; counts and clocks are totals since the run began."""

    step: int
    samples: int
    bytes: int
    """True bytes read, sources and given bytes included."""
    wall_seconds: float
    cpu_seconds: float
    train_bits_per_byte: float | None
    """Over the steps since the last line, of the bytes that the loss covers; None if the loss
    covers padding too (`tokens`): that mean is not bits per byte."""
    learning_rate: float
    eval: Evaluation | None
    corpora: Mapping[str, "CorpusFigures"] | None = None
    """The same by corpus, of mixed corpora; the key is left out where there is one corpus."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusFigures:
    """Figures of one of several mixed corpora."""

    train_bits_per_byte: float | None
    eval: Evaluation | None


class MetricsError(ValueError):
    """Metrics that cannot be written."""


class Tracker(Protocol):
    """Another place that scalars go to (`bgpt.trackers`)."""

    def log(self, step: int, scalars: Mapping[str, float], /) -> None:
        """Take the scalars of one record; a resumed run hands over the earlier ones again."""
        ...

    def close(self) -> None:
        """Bring everything to its place and end."""
        ...


@final
class MetricsLog:
    """Writes records to a run folder.

    Lines after `resumed_step` are dropped when it opens; all of them where it is None.

    Raises:
        MetricsError: in any method: a file cannot be written, such as on a full disk.
    """

    def __init__(
        self, run: Path, *, resumed_step: int | None, trackers: Sequence[Tracker] = ()
    ) -> None:
        self._trackers = tuple(trackers)
        self._path = run / "metrics.jsonl"
        with _writing(self._path):
            self._open(run, resumed_step)

    def _open(self, run: Path, resumed_step: int | None) -> None:
        """Cut away what was written after the checkpoint and go on from there."""
        kept = [] if resumed_step is None else list(_records_until(self._path, resumed_step))
        partial = self._path.with_suffix(".jsonl.tmp")
        partial.write_text("".join(_line(record) for record in kept), encoding="utf-8")
        partial.replace(self._path)
        self._file = self._path.open("a", encoding="utf-8")
        self._live = _open_live(run / "dvclive")
        for record in kept:
            self._show(record)

    def write(self, record: Record) -> None:
        """Append one record."""
        values = asdict(record)
        if record.corpora is None:
            del values["corpora"]
        with _writing(self._path):
            self._file.write(_line(values))
            self._file.flush()
            self._show(values)

    def sync(self) -> None:
        """Bring every line to disk; called before a checkpoint claims its step."""
        with _writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Bring every line to disk and end."""
        with _writing(self._path), ExitStack() as closing:  # each, whatever happens to another
            for tracker in self._trackers:
                closing.callback(tracker.close)
            closing.callback(self._live.end)
            closing.callback(self._file.close)
            self.sync()

    def _show(self, record: dict[str, Any]) -> None:
        """Hand the scalars of one record to DVCLive and the trackers."""
        found = scalars(record)
        self._live.step = record["step"]
        for name, value in found.items():
            self._live.log_metric(name, value)
        self._live.make_summary()
        for tracker in self._trackers:
            tracker.log(record["step"], found)


@contextmanager
def _writing(path: Path) -> Generator[None]:
    """Say what could not be written, and how to go on."""
    try:
        yield
    except OSError as error:
        raise MetricsError(
            f"{path}: cannot be written: {error}; make room, or make it writable, and run the same "
            "command again to go on from the last checkpoint"
        ) from error


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """Return what of one record is drawn as a curve, by name."""
    found = {
        name: record[name]
        for name in ("train_bits_per_byte", "learning_rate", "bytes", "cpu_seconds")
        if record[name] is not None
    }
    found |= _evaluated(record["eval"], "eval")
    for corpus, figures in cast("dict[str, dict[str, Any]]", record.get("corpora", {})).items():
        if figures["train_bits_per_byte"] is not None:
            found[f"{corpus}/train_bits_per_byte"] = figures["train_bits_per_byte"]
        found |= _evaluated(figures["eval"], f"{corpus}/eval")
    return found


def _evaluated(evaluation: Mapping[str, float] | None, under: str) -> dict[str, float]:
    """Return the scalars of one evaluation."""
    if evaluation is None:
        return {}
    return {f"{under}/{name}": evaluation[name] for name in ("bits_per_byte", "byte_accuracy")}


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return all records of a run folder, oldest first.

    Raises:
        FileNotFoundError: there is no `metrics.jsonl`.
    """
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _records_until(path: Path, last_step: int) -> Iterator[dict[str, Any]]:
    """Yield the records up to `last_step`; a half-written last line is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n"):
            return
        record = cast("dict[str, Any]", json.loads(line))
        if record["step"] > last_step:
            return
        yield record


def _line(record: dict[str, Any]) -> str:
    """Return one line of JSON."""
    return json.dumps(record, allow_nan=False) + "\n"


def _open_live(folder: Path) -> "Live":
    """Return a DVCLive logger that writes scalars and nothing else, with or without git."""
    from dvclive.live import Live  # half a second, which reading metrics need not pay

    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    return Live(
        str(folder), resume=False, report=None, save_dvc_exp=False, dvcyaml=None, cache_images=False
    )

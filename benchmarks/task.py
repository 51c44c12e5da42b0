"""What a task is: which bytes are given, which are scored, and what is measured beyond the shared.

One abstraction serves both families: a simulation gives the first bytes of a file and scores the
rest, a conversion gives one file and scores another. Both become an `Item`: a continuation, its
group, and the control with another sample's source where the task has one. Nothing here reads a
file or knows a model.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.explaining.dimension import Dimension, Parts
from benchmarks.metrics import Answer, Ratio
from bgpt.protocol import Continuation, Prompt
from pipelines.sample import Segment

PATCH_BYTES = 16
MAX_PATCHES = 512
"""The paper's sequence; a pair that does not fit is never asked for."""


class TaskError(ValueError):
    """A task that does not fit what it was given; the message says how."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleSet:
    """The first samples of one side of a corpus, in memory, in the corpus' order."""

    corpus: str
    config_sha256: str
    settings: Mapping[str, object]
    """What decides its bytes: the source, the system's version, and `options`."""
    prompt_bytes: int
    shard_sha256: tuple[str, ...]
    """Of the shards that hold these samples, in order."""
    keys: tuple[str, ...]
    groups: tuple[str, ...]
    files: tuple[tuple[Segment, ...], ...]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.keys)

    @property
    def sha256(self) -> str:
        """Return what names exactly these samples: a hash of the shards' hashes and the count."""
        text = "\n".join([*self.shard_sha256, str(len(self))])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One test sample as a task asks about it."""

    key: str
    group: str
    continuation: Continuation
    shuffled: Continuation | None
    """The same target after another group's source; `None` where the task has no such control or
    where that pair does not fit a sequence."""
    max_bytes: int
    """Most bytes that may be written free-running; known from the prompt alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSpec:
    """What a reader must know about a task."""

    name: str
    version: int
    """Raised whenever the same predictions would get another score."""
    corpus: str
    """The corpus of `params.yaml` that it is meant for."""
    given: str
    scored: str
    metrics: tuple[str, ...]
    """Names out of `benchmarks.metrics.UNITS`; every report of the task has all of them."""
    shuffled_source: bool
    written_limit: tuple[int, int]
    """(a, b): free-running may write a * n + b bytes after a prompt of n bytes."""
    dimensions: tuple[Dimension, ...] = ()
    """What errors are told apart by, see `Task.dissect`; none: by place and kind of byte."""
    reported: tuple[str, ...] = ()
    """Names of those dimensions by which accuracy stands in reports."""


class Task(Protocol):
    """A task family's rules. Implementations stand in `benchmarks/tasks/`."""

    @property
    def spec(self) -> TaskSpec:
        """Return the task's description."""
        ...

    def check(self, samples: SampleSet) -> None:
        """Refuse samples that are not of this task's form.

        Raises:
            TaskError: says what the task needs and what was found.
        """
        ...

    def request(self, files: tuple[Segment, ...], prompt_bytes: int) -> Continuation:
        """Say what of one sample is given and what is scored."""
        ...

    def own_metrics(self, items: Sequence[Item], answers: Sequence[Answer]) -> Mapping[str, Ratio]:
        """Measure what only this family has; a metric that cannot be told is left out."""
        ...

    def dissect(self, item: Item) -> Mapping[str, Parts]:
        """Cut an item's target into parts along each of `spec.dimensions`, by true bytes alone.

        Never called of a task without dimensions.
        """
        ...


def prepare(task: Task, samples: SampleSet) -> list[Item]:
    """Return the task's items in the order of the samples.

    Raises:
        TaskError: the samples are not of the task's form, or a target is too long to be written.
    """
    task.check(samples)
    continuations = [task.request(files, samples.prompt_bytes) for files in samples.files]
    shuffled: list[Continuation | None] = [None] * len(samples)
    if task.spec.shuffled_source:
        others = other_group(samples.keys, samples.groups)
        for i, continuation in enumerate(continuations):
            shuffled[i] = _with_source(continuation, continuations[others[i]].prompt.source)
    items: list[Item] = []
    for i, continuation in enumerate(continuations):
        limit = _written_limit(task.spec, continuation.prompt)
        if len(continuation.target) > limit:
            raise TaskError(
                f"{samples.keys[i]}: the target's {len(continuation.target)} bytes are more than "
                f"{task.spec.name} allows to be written after its prompt ({limit}); "
                "leave such samples out of the corpus"
            )
        items.append(
            Item(
                key=samples.keys[i],
                group=samples.groups[i],
                continuation=continuation,
                shuffled=shuffled[i],
                max_bytes=limit,
            )
        )
    return items


def other_group(keys: Sequence[str], groups: Sequence[str]) -> list[int]:
    """Return for every sample the number of another one, of another group; each is used once.

    Samples are put in order of the hash of their group, then of their key, and rotated by the size
    of the largest group: as groups are blocks no longer than that, no sample meets its own.

    >>> other_group(["a", "b", "c", "d"], ["1", "1", "2", "3"])
    [2, 3, 0, 1]

    Raises:
        TaskError: one group holds more than half of the samples.
    """
    order = sorted(range(len(keys)), key=lambda i: (_hash(groups[i]), _hash(keys[i])))
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    step = max(sizes.values(), default=0)
    if 2 * step > len(keys):
        raise TaskError(
            f"a shuffled source needs another group for every sample, but one group holds {step} "
            f"of {len(keys)} samples; take more samples"
        )
    others = [0] * len(keys)
    for place, i in enumerate(order):
        others[i] = order[(place + step) % len(keys)]
    return others


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _with_source(continuation: Continuation, source: Segment | None) -> Continuation | None:
    """Return the continuation after another source, or `None` if that is too long."""
    prompt = Prompt(source=source, extension=continuation.prompt.extension, given=b"")
    if _patches(prompt) + _patch_count(len(continuation.target)) + 1 > MAX_PATCHES:
        return None
    return Continuation(prompt=prompt, target=continuation.target)


def _patches(prompt: Prompt) -> int:
    """Return how many patches stand before the first written byte (`given` is whole patches)."""
    source = 0 if prompt.source is None else 1 + _patch_count(len(prompt.source.data))
    return source + 1 + len(prompt.given) // PATCH_BYTES


def _patch_count(num_bytes: int) -> int:
    return -(-num_bytes // PATCH_BYTES)


def _written_limit(spec: TaskSpec, prompt: Prompt) -> int:
    """Return the most bytes that may be written after `prompt`."""
    factor, added = spec.written_limit
    known = len(prompt.given) if prompt.source is None else len(prompt.source.data)
    room = (MAX_PATCHES - 1 - _patches(prompt)) * PATCH_BYTES
    return min(factor * known + added, room)

"""A model and a task's items in, answers out. It measures nothing and keeps no state.

What a model says about an item depends on that item alone: requests go in batches only for speed,
and the order of items moves nothing.
"""

import platform
from collections.abc import Callable, Sequence
from importlib import metadata

from benchmarks.metrics import Answer
from benchmarks.task import Item
from bgpt.protocol import ByteModel, Continuation, Scores

BATCH_SIZE = 64


def predict(
    items: Sequence[Item],
    model: ByteModel,
    *,
    free_running_samples: int,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Answer]:
    """Ask the model about every item, and let it write the first `free_running_samples` of them.

    `progress` is told how many requests were answered since the last call; see `num_requests`.
    """
    forced = _score(model, [item.continuation for item in items], batch_size, progress)
    control = [(i, item.shuffled) for i, item in enumerate(items) if item.shuffled is not None]
    shuffled = dict(
        zip(
            (i for i, _ in control),
            _score(model, [continuation for _, continuation in control], batch_size, progress),
            strict=True,
        )
    )
    written = _write(model, items[:free_running_samples], batch_size, progress)
    return [
        Answer(
            teacher_forced_nats=forced[i].total_nats,
            teacher_forced_predicted=forced[i].predicted,
            teacher_forced_byte_nats=forced[i].byte_nats,
            free_running=written[i] if i < len(written) else None,
            shuffled_nats=shuffled[i].total_nats if i in shuffled else None,
        )
        for i in range(len(items))
    ]


def num_requests(items: Sequence[Item], free_running_samples: int) -> int:
    """Return how many requests `predict` makes of a model that answers everything."""
    controls = sum(item.shuffled is not None for item in items)
    return len(items) + controls + min(free_running_samples, len(items))


def environment(packages: Sequence[str] = ("byteworld", "numpy", "torch")) -> dict[str, str]:
    """Return where predictions are made: Python, machine and the versions of some packages."""
    found = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _score(
    model: ByteModel,
    requests: Sequence[Continuation],
    batch_size: int,
    progress: Callable[[int], None],
) -> list[Scores]:
    answers: list[Scores] = []
    for start in range(0, len(requests), batch_size):
        batch = requests[start : start + batch_size]
        answers += model.score(batch)
        progress(len(batch))
    return answers


def _write(
    model: ByteModel, items: Sequence[Item], batch_size: int, progress: Callable[[int], None]
) -> list[bytes]:
    """Return what the model writes, nothing if it does not write."""
    written: list[bytes] = []
    for start in range(0, len(items), batch_size):
        batch = items[start : start + batch_size]
        files = model.generate(
            [item.continuation.prompt for item in batch], [item.max_bytes for item in batch]
        )
        if files is None:
            return []
        written += files
        progress(len(batch))
    return written

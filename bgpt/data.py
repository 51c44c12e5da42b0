"""Which samples stand in which batch: a pure function of (configuration, batch number).

The stream of samples is endless: position p is sample `Permutation(n, seed, "epoch", p // n)` of
p mod n. Windows of `window_batches` batches are cut from it, each is sorted by length so that a
batch holds samples of like length and little padding, and the order of its batches is permuted
again. So all the state that a resumed run needs is the number of its next batch, and any rank or
worker can compute any batch. A conversion's direction is drawn the same way, from (seed, position).

Dealing needs the sizes in the index alone, so no sample is read that another rank or worker trains
on. It reads samples through `Samples` and makes no tensors but through `bgpt.patching`. Nothing is
truncated: a sample that is too long for the model is refused by key, before training starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from bgpt.config import PATCH_SIZE
from bgpt.patching import (
    LossRegion,
    PatchBatch,
    TooLong,
    collate,
    layout,
    require_extension,
)
from pipelines.sample import Segment
from simulators.permutation import Permutation, hashed
from simulators.suggest import unknown_name

DIRECTIONS: Mapping[str, tuple[str, str]] = {
    "abc-to-midi": ("abc", "mid"),
    "midi-to-abc": ("mid", "abc"),
}
"""Direction of a conversion -> extensions of its source and its target."""


class Samples(Protocol):
    """One side of a corpus; `pipelines.corpus.SampleReader` is one."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def read(self, index: int, /) -> tuple[bytes, ...]:
        """Return the segments of sample `index`, in the order of the corpus' extensions."""
        ...

    def key(self, index: int, /) -> str:
        """Return the key of sample `index`."""
        ...

    def column(self, name: str, /) -> Sequence[Any]:
        """Return one column of the index; `size_EXT` is the bytes of every sample's segment."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSample:
    """One sample as it enters a batch."""

    key: str
    segments: tuple[Segment, ...]
    """The file; or source, then target."""
    scored_from: int
    """Leading bytes of the last segment that are given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnSample:
    """Which sample stands at a place of the stream; its bytes are not read yet."""

    view: "SampleView"
    index: int
    direction: str | None
    corpus: str = ""
    """Name of its corpus where several are mixed (`bgpt.mixture`)."""

    @property
    def key(self) -> str:
        """Return the key of the sample."""
        return self.view.samples.key(self.index)

    @property
    def num_bytes(self) -> int:
        """Return the true bytes of all segments."""
        return int(self.view.sizes[:, self.index].sum())

    @property
    def num_patches(self) -> int:
        """Return the patches of all segments, with those of extensions and end."""
        return int(self.view.lengths[self.index])

    def read(self) -> TrainingSample:
        """Return the sample with its bytes."""
        return self.view.sample(self.index, self.direction)


class SampleStream(Protocol):
    """An endless stream of samples: a `SampleView`, or a `bgpt.mixture.Mixture` of several."""

    @property
    def parts(self) -> "Mapping[str, SampleView]":
        """Return the views by name of their corpus; a view alone has the name ""."""
        ...

    def drawn(self, positions: NDArray[np.int64], seed: int, /) -> list[DrawnSample]:
        """Return the samples at positions of the stream, a pure function of (seed, position)."""
        ...

    def shortest(self, share: float, /) -> "SampleStream":
        """Return the stream of the shortest samples: of each corpus this share, at least one."""
        ...


@final
class SampleView:
    """Samples of one side as files to continue or as pairs to convert.

    `patch_size` is that of the model that reads them.

    Raises:
        ValueError: `directions` does not fit the corpus, a weight is not positive, or an extension
            is longer than a patch.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        extensions: Sequence[str],
        prompt_bytes: int,
        directions: Mapping[str, float],
        patch_size: int = PATCH_SIZE,
    ) -> None:
        for extension in extensions:
            require_extension(extension, patch_size)
        for name, weight in directions.items():
            if name not in DIRECTIONS:
                raise ValueError(unknown_name("direction", name, DIRECTIONS))
            if sorted(DIRECTIONS[name]) != sorted(extensions):
                raise ValueError(
                    f"direction '{name}' does not fit a corpus of .{', .'.join(extensions)} files"
                )
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of direction '{name}' must be above 0, not {weight}")
        if len(extensions) == 2 and not directions:
            raise ValueError(
                f"a corpus of pairs needs directions, such as {{{next(iter(DIRECTIONS))}: 1}}"
            )
        self.samples = samples
        self.directions = tuple(directions)
        self._weights = dict(directions)
        self.extensions = tuple(extensions)
        self.prompt_bytes = prompt_bytes
        self.patch_size = patch_size
        shares = np.cumsum([directions[name] for name in self.directions])
        self._shares: NDArray[np.float64] = shares / shares[-1] if len(shares) else shares

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    def sample(self, index: int, direction: str | None) -> TrainingSample:
        """Return sample `index`, turned the way `direction` says (None: a single file)."""
        parts = self.samples.read(index)
        by_extension = dict(zip(self.extensions, parts, strict=True))
        order = self.extensions if direction is None else DIRECTIONS[direction]
        return TrainingSample(
            key=self.samples.key(index),
            segments=tuple(Segment(extension=e, data=by_extension[e]) for e in order),
            scored_from=self.prompt_bytes if direction is None else 0,
        )

    @property
    def parts(self) -> "Mapping[str, SampleView]":
        """Return itself, under no name."""
        return {"": self}

    def drawn(self, positions: NDArray[np.int64], seed: int) -> list[DrawnSample]:
        """Return the samples at positions of the stream; every epoch has an order of its own."""
        epochs, within = np.divmod(positions, len(self))
        indices = np.empty_like(positions)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            indices[here] = Permutation(len(self), seed, "epoch", epoch)(within[here])
        directions = self.drawn_directions(positions, seed)
        return [
            DrawnSample(view=self, index=index, direction=direction)
            for index, direction in zip(indices.tolist(), directions, strict=True)
        ]

    def drawn_directions(self, positions: NDArray[np.int64], seed: int) -> list[str | None]:
        """Return the direction of each stream position: a weighted draw from (seed, position)."""
        if not self.directions:
            return [None] * len(positions)
        uniform = (hashed(positions, seed, "direction") >> np.uint64(11)) / float(1 << 53)
        chosen = np.searchsorted(self._shares, uniform, side="right")
        return [self.directions[i] for i in chosen.tolist()]

    def check_lengths(self, max_patches: int) -> None:
        """Raise `TooLong`, naming the sample, if one does not fit `max_patches` patches."""
        lengths = self.lengths
        too_long = np.flatnonzero(lengths > max_patches).tolist()
        if too_long:
            raise TooLong(
                f"{len(too_long)} samples take more than the {max_patches} patches that the model "
                f"reads; the first, {self.samples.key(too_long[0])}, takes "
                f"{lengths[too_long[0]]}; raise model.max_patches, or set train.too_long: drop"
            )

    def without_too_long(self, max_patches: int) -> "tuple[SampleView, int]":
        """Return the view without the samples that do not fit, and how many those are."""
        kept = np.flatnonzero(self.lengths <= max_patches)
        num_dropped = len(self) - len(kept)
        return (self._only(kept), num_dropped) if num_dropped else (self, 0)

    def shortest(self, share: float) -> "SampleView":
        """Return the view of the shortest samples: `share` of all, in (0, 1], at least one."""
        count = max(1, round(share * len(self)))
        return self._only(np.sort(np.argsort(self.lengths, kind="stable")[:count]))

    def _only(self, kept: NDArray[np.int64]) -> "SampleView":
        return SampleView(
            _Kept(self.samples, kept),
            extensions=self.extensions,
            prompt_bytes=self.prompt_bytes,
            directions=self._weights,
            patch_size=self.patch_size,
        )

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Return `[extensions, samples]` bytes of every segment, by the index."""
        return np.array(
            [self.samples.column(f"size_{e}") for e in self.extensions], dtype=np.int64
        ).reshape(len(self.extensions), len(self))

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Return `[samples]` patches of every sample."""
        return (1 + -(-self.sizes // self.patch_size)).sum(axis=0) + 1


@final
class _Kept:
    """Some of another's samples, in their order."""

    def __init__(self, samples: Samples, kept: NDArray[np.int64]) -> None:
        self._samples, self._kept = samples, kept

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, index: int, /) -> tuple[bytes, ...]:
        return self._samples.read(int(self._kept[index]))

    def key(self, index: int, /) -> str:
        return self._samples.key(int(self._kept[index]))

    def column(self, name: str, /) -> Sequence[Any]:
        values = self._samples.column(name)
        return [values[i] for i in self._kept.tolist()]


@final
class BatchStream:
    """The endless, seekable sequence of training batches."""

    def __init__(
        self, view: SampleStream, *, batch_size: int, window_batches: int, seed: int
    ) -> None:
        if not all(len(part) for part in view.parts.values()):
            raise ValueError("there is no sample to train on")
        self._view = view
        self._batch_size = batch_size
        self._window_batches = window_batches
        self._seed = seed
        self._window: tuple[int, list[list[DrawnSample]]] = (-1, [])

    def batch(self, number: int) -> list[DrawnSample]:
        """Return the samples of batch `number` (from 0); it depends on nothing called before."""
        window, slot = divmod(number, self._window_batches)
        if self._window[0] != window:
            self._window = (window, self._make_window(window))
        return self._window[1][slot]

    def positions(self, window: int) -> NDArray[np.int64]:
        """Return the stream positions of one window."""
        size = self._batch_size * self._window_batches
        return np.arange(window * size, (window + 1) * size, dtype=np.int64)

    def _make_window(self, window: int) -> list[list[DrawnSample]]:
        """Draw one window's samples, sort them by length, deal them into batches."""
        samples = self._view.drawn(self.positions(window), self._seed)
        lengths = np.array([sample.num_patches for sample in samples])
        by_length = np.argsort(lengths, kind="stable").tolist()
        order = Permutation(self._window_batches, self._seed, "window", window)
        starts = order(np.arange(self._window_batches)) * self._batch_size
        return [
            [samples[i] for i in by_length[start : start + self._batch_size]]
            for start in starts.tolist()
        ]


def patch_batch(
    samples: Sequence[TrainingSample],
    loss: LossRegion,
    *,
    is_packed: bool = False,
    patch_size: int = PATCH_SIZE,
) -> PatchBatch:
    """Lay out samples and pad them to one batch."""
    laid_out = [
        layout(s.segments, scored_from=s.scored_from, loss=loss, patch_size=patch_size)
        for s in samples
    ]
    return replace(collate(laid_out), is_packed=is_packed)

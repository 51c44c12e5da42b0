# pyright: reportUnknownMemberType=false
"""A sample as a sequence of patches: the layout, what of it is scored, and batches of them.

Layout: an extension patch, the file's bytes in patches padded with `EOP`, for a conversion the same
again for the target, and one end patch of nothing but `EOP`. Nothing is ever truncated: what is too
long is an error. This module knows nothing of shards or of the model.

Shapes: B samples, T patches of the longest, C bytes a patch (`patch_size`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bgpt.config import PATCH_SIZE
from bgpt.protocol import EOP
from pipelines.sample import Segment

LossRegion = Literal["target", "file", "tokens"]
"""What counts:

- `target`: the last segment's bytes from `scored_from` on, and the first `EOP` after them;
- `file`: the bytes of all segments, and the first `EOP` after each, if it has one;
- `tokens`: the authors' way, all tokens of every patch but the first.
"""


class TooLong(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A sample that does not fit the model's sequence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchedSample:
    """One sample as patches."""

    tokens: NDArray[np.int16]
    """`[T, C]`, 0..256."""
    loss_mask: NDArray[np.bool_]
    """`[T, C]`, true for tokens that count. Never in patch 0."""
    source_patches: int
    """Patches 1 .. `source_patches` are the source: the source segment's bytes, or, of a single
    file, the whole patches that are given rather than scored. 0 without a source."""

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchBatch:
    """Samples of several lengths, padded on the right to the longest with `EOP` patches."""

    patches: Tensor
    """`[B, T, C]` int64 tokens, 0..256."""
    loss_mask: Tensor
    """`[B, T, C]` bool, true for tokens that count; false in padding and in patch 0."""
    num_patches: Tensor
    """`[B]` int64, true length of each row."""
    source_patches: Tensor
    """`[B]` int64, see `PatchedSample`."""
    num_bytes: int
    """True bytes (tokens below 256) that count."""
    num_tokens: int
    """Tokens that count."""
    is_packed: bool = False
    """Attention reads short samples many to a row (`bgpt.packing`); changes no figure."""

    def to(self, device: torch.device | str) -> "PatchBatch":
        """Return the batch with its tensors on `device`."""
        return replace(
            self,
            patches=self.patches.to(device),
            loss_mask=self.loss_mask.to(device),
            num_patches=self.num_patches.to(device),
            source_patches=self.source_patches.to(device),
        )

    def split(self, max_patches: int) -> "list[PatchBatch]":
        """Return the batch in parts of at most `max_patches` padded patches (at least one row).

        Each part is only as long as its longest row. For gradients in parts: memory grows with
        what goes through the byte level at once.
        """
        parts: list[PatchBatch] = []
        lengths = cast("list[int]", self.num_patches.tolist())
        first = 0
        while first < len(lengths):
            stop, longest = first + 1, lengths[first]
            while stop < len(lengths):
                longer = max(longest, lengths[stop])
                if longer * (stop + 1 - first) > max_patches:
                    break
                stop, longest = stop + 1, longer
            parts.append(self._rows(first, stop, longest))
            first = stop
        return parts

    def _rows(self, first: int, stop: int, longest: int) -> "PatchBatch":
        patches = self.patches[first:stop, :longest]
        loss_mask = self.loss_mask[first:stop, :longest]
        return replace(
            self,
            patches=patches,
            loss_mask=loss_mask,
            num_patches=self.num_patches[first:stop],
            source_patches=self.source_patches[first:stop],
            num_bytes=int((loss_mask & (patches != EOP)).sum()),
            num_tokens=int(loss_mask.sum()),
        )


def num_patches(segments: Sequence[Segment], patch_size: int = PATCH_SIZE) -> int:
    """Return how many patches the layout of `segments` takes.

    >>> num_patches([Segment(extension="bin", data=b"x" * 16)])
    3
    """
    return 1 + sum(1 + -(-len(segment.data) // patch_size) for segment in segments)


def require_extension(extension: str, patch_size: int) -> None:
    """Refuse an extension that does not fit a patch.

    Raises:
        ValueError: it does not.
    """
    if len(extension.encode()) > patch_size:
        raise ValueError(f"extension {extension!r} is longer than a patch of {patch_size} bytes")


def layout(
    segments: Sequence[Segment],
    *,
    scored_from: int = 0,
    loss: LossRegion = "target",
    max_patches: int | None = None,
    end: bool = True,
    patch_size: int = PATCH_SIZE,
) -> PatchedSample:
    """Lay one sample out: a file, or a source and a target.

    `scored_from` is how many bytes of the last segment are given rather than scored. `end=False`
    leaves the end patch out: a prompt for generation.

    Raises:
        TooLong: more than `max_patches` patches.
        ValueError: no segment or more than two, `scored_from` outside the last segment, or an
            extension that is longer than a patch.
    """
    if not 1 <= len(segments) <= 2:
        raise ValueError(f"a sample has one or two segments, not {len(segments)}")
    if not 0 <= scored_from <= len(segments[-1].data):
        raise ValueError(
            f"scored_from {scored_from} lies outside the last segment, "
            f"which has {len(segments[-1].data)} bytes"
        )
    length = num_patches(segments, patch_size)
    if max_patches is not None and length > max_patches:
        raise TooLong(
            f"a sample of {sum(len(s.data) for s in segments)} bytes takes {length} patches, "
            f"the model reads at most {max_patches}"
        )
    tokens = np.full(length * patch_size, EOP, dtype=np.int16)
    mask = np.zeros(length * patch_size, dtype=np.bool_)
    at = 0
    source_patches = 0
    for number, segment in enumerate(segments):
        name = segment.extension.encode("ascii")
        require_extension(segment.extension, patch_size)
        tokens[at : at + len(name)] = np.frombuffer(name, dtype=np.uint8)
        first = at + patch_size
        stop = first + len(segment.data)
        tokens[first:stop] = np.frombuffer(segment.data, dtype=np.uint8)
        at = first + -(-len(segment.data) // patch_size) * patch_size
        is_target = number == len(segments) - 1
        if loss == "target" and is_target:
            mask[first + scored_from : stop + 1] = True
        elif loss == "file":
            # A source that fills its last patch has no EOP: the target's extension ends it.
            mask[first : stop + 1 if is_target else min(stop + 1, at)] = True
        if not is_target:
            source_patches = (at - first) // patch_size
    if len(segments) == 1:
        source_patches = scored_from // patch_size
    if loss == "tokens":
        mask[patch_size:] = True
    kept = length if end else length - 1
    return PatchedSample(
        tokens=tokens.reshape(length, patch_size)[:kept],
        loss_mask=mask.reshape(length, patch_size)[:kept],
        source_patches=source_patches,
    )


def collate(samples: Sequence[PatchedSample]) -> PatchBatch:
    """Pad samples, whose patches are of one size, to the longest of them."""
    longest, patch_size = max(len(sample) for sample in samples), samples[0].tokens.shape[1]
    patches = np.full((len(samples), longest, patch_size), EOP, dtype=np.int64)
    loss_mask = np.zeros((len(samples), longest, patch_size), dtype=np.bool_)
    for row, sample in enumerate(samples):
        patches[row, : len(sample)] = sample.tokens
        loss_mask[row, : len(sample)] = sample.loss_mask
    return PatchBatch(
        patches=torch.from_numpy(patches),
        loss_mask=torch.from_numpy(loss_mask),
        num_patches=torch.tensor([len(sample) for sample in samples]),
        source_patches=torch.tensor([sample.source_patches for sample in samples]),
        num_bytes=int((loss_mask & (patches != EOP)).sum()),
        num_tokens=int(loss_mask.sum()),
    )

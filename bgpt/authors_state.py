# pyright: reportUnknownMemberType=false
"""From the authors' state dict to our tensors: sizes read off the shapes, every tensor checked.

Files are `bgpt.pth`'s; `path` is here only to be named in errors. The number of heads is in no
tensor, so it is the authors' rule unless given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bgpt.authors_names import (
    BYTE_BASE,
    BYTE_POSITIONS,
    CLASSIFIER,
    LM_HEAD,
    PATCH_BASE,
    PATCH_EMBEDDING,
    PATCH_POSITIONS,
    PATCH_WORDS,
    is_mask,
    num_layers,
    slots,
)
from bgpt.checkpoint import CheckpointError
from bgpt.classifier_folder import tensor_shapes
from bgpt.config import PATCH_SIZE, ModelConfig, paper
from bgpt.model import Bgpt
from bgpt.protocol import NUM_TOKENS
from bgpt.pth import float32

HEAD_WIDTH = 64
"""Columns a head in the authors' scripts: they have `HIDDEN_SIZE // 64` heads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A state dict of theirs in our terms."""

    config: ModelConfig
    is_classifier: bool
    tensors: dict[str, Tensor]
    """Float32, contiguous, under our names and in our shapes."""
    unused: dict[str, Tensor]
    """Under their names: what our model does not read."""


def to_ours(path: Path, tensors: Mapping[str, Tensor], heads: int | None) -> State:
    """Return the model that a state dict read from `path` holds.

    `heads` is the number of attention heads of both levels; None: one for 64 columns.

    Raises:
        CheckpointError: a tensor is missing, is of another shape or dtype, is not finite, is no
            part of their models, or is a head that is not tied.
    """
    found = {name: tensor for name, tensor in tensors.items() if not is_mask(name)}
    is_classifier = f"{CLASSIFIER}.weight" in found and not any(
        name.startswith(BYTE_BASE) for name in found
    )
    config = _infer(path, found, heads, is_classifier=is_classifier)
    table_name = f"{BYTE_BASE}.wte.weight"
    if LM_HEAD in found and table_name in found:
        head = float32(path, LM_HEAD, found.pop(LM_HEAD))
        if not torch.equal(head, float32(path, table_name, found[table_name])):
            raise CheckpointError(
                f"{path}: {LM_HEAD} differs from {table_name}; the head must be tied to it"
            )
    unused = _split_unused(path, found, config)
    return State(
        config=config,
        is_classifier=is_classifier,
        tensors=_rename(path, found, config, is_classifier=is_classifier),
        unused=unused,
    )


def check_unused(path: Path, name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """Return a tensor that our model does not read, if it is what its name says."""
    if name not in (PATCH_WORDS, BYTE_POSITIONS):
        raise CheckpointError(f"{path}: {name} is none of the tensors that are kept unused")
    if tensor.dim() != 2 or tensor.shape[1] != config.patch_width:
        raise CheckpointError(
            f"{path}: {name} is {list(tensor.shape)}, expected [rows, {config.patch_width}]"
        )
    return float32(path, name, tensor)


def _infer(
    path: Path, found: Mapping[str, Tensor], heads: int | None, *, is_classifier: bool
) -> ModelConfig:
    """Return the configuration that the shapes in `found` declare."""

    def shape(name: str) -> tuple[int, int]:
        if name not in found:
            raise CheckpointError(f"{path}: {name} is missing")
        size = found[name].shape
        if len(size) != 2 or not all(size):
            raise CheckpointError(f"{path}: {name} is {list(size)}, expected a matrix")
        return size[0], size[1]

    width, columns = shape(f"{PATCH_EMBEDDING}.weight")
    if columns != PATCH_SIZE * NUM_TOKENS:
        raise CheckpointError(
            f"{path}: {PATCH_EMBEDDING}.weight has {columns} columns, expected "
            f"{PATCH_SIZE * NUM_TOKENS}: patches of {PATCH_SIZE} tokens, {NUM_TOKENS} values each"
        )
    if heads is None:
        heads = width // HEAD_WIDTH
        if heads < 1 or width % heads:
            raise CheckpointError(
                f"{path}: width {width} does not divide into heads of {HEAD_WIDTH} columns; "
                "pass --heads"
            )
    patch_ffn = shape(f"{PATCH_BASE}.h.0.mlp.c_fc.weight")[1]
    # A classifier has no byte level: its folder names the one that the paper's would have.
    byte_layers, byte_ffn = paper().byte_layers, patch_ffn
    if not is_classifier:
        byte_ffn = shape(f"{BYTE_BASE}.h.0.mlp.c_fc.weight")[1]
        byte_layers = num_layers(found, BYTE_BASE)
    max_patches = shape(PATCH_POSITIONS)[0]
    try:
        return ModelConfig(
            patch_width=width, patch_layers=num_layers(found, PATCH_BASE), patch_heads=heads,
            patch_ffn=patch_ffn, byte_width=width, byte_layers=byte_layers, byte_heads=heads,
            byte_ffn=byte_ffn, max_patches=max_patches,
        )  # fmt: skip
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _split_unused(path: Path, found: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Take out of `found` what our model does not read, and return it."""
    unused: dict[str, Tensor] = {}
    if PATCH_WORDS in found:
        unused[PATCH_WORDS] = found.pop(PATCH_WORDS)
    positions = found.get(BYTE_POSITIONS)
    if positions is not None and positions.dim() == 2 and len(positions) > PATCH_SIZE + 1:
        found[BYTE_POSITIONS] = positions[: PATCH_SIZE + 1]
        unused[BYTE_POSITIONS] = positions[PATCH_SIZE + 1 :]
    return {name: check_unused(path, name, tensor, config) for name, tensor in unused.items()}


def _rename(
    path: Path, found: Mapping[str, Tensor], config: ModelConfig, *, is_classifier: bool
) -> dict[str, Tensor]:
    """Return the tensors under our names and in our shapes, every one of them checked."""
    table = list(slots(config, is_classifier=is_classifier))
    names = {slot.theirs for slot in table}
    if missing := [slot.theirs for slot in table if slot.theirs not in found]:
        raise CheckpointError(
            f"{path}: {missing[0]} is missing"
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
        )
    if extra := [name for name in found if name not in names]:
        kind = "classification" if is_classifier else "generative"
        raise CheckpointError(
            f"{path}: {extra[0]} is no part of a {kind} checkpoint of the authors"
            + (f", and {len(extra) - 1} more" if len(extra) > 1 else "")
        )
    if is_classifier:
        head = found[f"{CLASSIFIER}.bias"]
        shapes = tensor_shapes(config, len(head) if head.dim() == 1 else 0)
    else:
        with torch.device("meta"):
            state = Bgpt(config).state_dict()
        shapes = {name: list(tensor.shape) for name, tensor in state.items()}
    tensors: dict[str, Tensor] = {}
    for slot in table:
        tensor, expected = found[slot.theirs], shapes[slot.ours]
        if list(tensor.shape) != (expected[::-1] if slot.transposed else expected):
            raise CheckpointError(
                f"{path}: {slot.theirs} is {list(tensor.shape)}, "
                f"expected {expected[::-1] if slot.transposed else expected}"
            )
        checked = float32(path, slot.theirs, tensor)
        tensors[slot.ours] = (checked.T if slot.transposed else checked).contiguous()
    assert tensors.keys() == shapes.keys()
    return tensors

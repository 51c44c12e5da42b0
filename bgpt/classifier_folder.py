# pyright: reportUnknownMemberType=false
"""A classifier on disk, and which kind of model a folder holds.

A classifier is the patch level and one linear layer over its mean vector. Its folder looks like any
model's: `config.json`, whose provenance says `"kind": "classifier"` and the number of `classes`,
and `model.safetensors` with `patch_level.*`, `classifier.weight [classes, D]` and
`classifier.bias [classes]`. There is no byte level in it; the sizes that `config.json` gives for
one are what a byte level would have. `bgpt.classifier` runs it; this module does not.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from bgpt.checkpoint import (
    CONFIG_FILE,
    SCHEMA_VERSION,
    WEIGHTS_FILE,
    CheckpointError,
    load_tensors,
    model_folder,
    read_config,
    save_tensors,
)
from bgpt.config import ModelConfig
from bgpt.patch_level import PatchLevel

Kind = Literal["generative", "classifier"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassifierWeights:
    """What a classifier's folder holds."""

    config: ModelConfig
    tensors: dict[str, Tensor]
    """`patch_level.*` and `classifier.*`, float32."""
    provenance: dict[str, Any]


def kind_of(path: Path) -> Kind:
    """Return what the folder `path` (or the run that it is) holds, without reading weights.

    Raises:
        CheckpointError: not a model, or one in a newer format.
    """
    kind: object = read_config(path)[1].get("kind", "generative")
    if kind not in ("generative", "classifier"):
        raise CheckpointError(f"{path}: a model of unknown kind {kind!r}")
    return kind


def require_generative(path: Path) -> Path:
    """Return `path`, the folder of a model that can weigh and write files.

    Raises:
        CheckpointError: it is a classifier, no model, or in a newer format.
    """
    if kind_of(path) == "classifier":
        raise CheckpointError(
            f"{path}: a classifier, which has no byte level: it can neither weigh nor write files"
        )
    return path


def tensor_shapes(config: ModelConfig, classes: int) -> dict[str, list[int]]:
    """Return the shape of every tensor of a classifier."""
    with torch.device("meta"):
        state = PatchLevel(config).state_dict(prefix="patch_level.")
    shapes = {name: list(tensor.shape) for name, tensor in state.items()}
    shapes["classifier.weight"] = [classes, config.patch_width]
    shapes["classifier.bias"] = [classes]
    return shapes


def write_classifier(folder: Path, weights: ClassifierWeights) -> None:
    """Write a classifier's two files into an existing folder; see `checkpoint.atomic_folder`."""
    declared = {
        "schema_version": SCHEMA_VERSION,
        "model": dataclasses.asdict(weights.config),
        "num_parameters": sum(tensor.numel() for tensor in weights.tensors.values()),
        "provenance": _with_kind(weights.provenance, len(weights.tensors["classifier.bias"])),
    }
    text = json.dumps(declared, indent=2, allow_nan=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    save_tensors(folder / WEIGHTS_FILE, weights.tensors)


def read_classifier(path: Path) -> ClassifierWeights:
    """Read the classifier in folder `path`.

    Raises:
        CheckpointError: not a classifier, or a broken one; the message names the tensor.
    """
    config, provenance = read_config(path)
    classes: object = provenance.get("classes")
    if provenance.get("kind") != "classifier" or not isinstance(classes, int) or classes < 1:
        raise CheckpointError(f"{path}: not a classifier: {CONFIG_FILE} declares no classes")
    shapes = tensor_shapes(config, classes)
    tensors = {name: torch.empty(shape) for name, shape in shapes.items()}
    load_tensors(model_folder(path) / WEIGHTS_FILE, tensors)
    return ClassifierWeights(config=config, tensors=tensors, provenance=provenance)


def _with_kind(provenance: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """Return the provenance with what makes a folder a classifier's."""
    return {**provenance, "kind": "classifier", "classes": classes}

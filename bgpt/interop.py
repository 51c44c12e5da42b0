# pyright: reportUnknownMemberType=false
"""The authors' checkpoints in and out: a `.pth` becomes a model folder of ours, and back.

Both kinds are read, generative and classification, from the public code of `sanderwood/bgpt`. Sizes
are inferred from the tensors' shapes; the number of heads is not in them, so it is the authors'
rule, one head for 64 columns, unless given. What their files hold and our model never reads is kept
in `unused.safetensors`, so that an exported file holds the imported one's tensors bit for bit.
Optimizer state is not taken over. Running a classifier is `bgpt.classifier`'s.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from bgpt.authors_names import BYTE_BASE, BYTE_POSITIONS, LM_HEAD, PATCH_WORDS, slots
from bgpt.authors_state import HEAD_WIDTH, check_unused, to_ours
from bgpt.checkpoint import (
    CheckpointError,
    atomic_folder,
    load_model,
    model_folder,
    read_config,
    read_tensors,
    save_tensors,
    write_model,
)
from bgpt.classifier_folder import (
    ClassifierWeights,
    kind_of,
    read_classifier,
    write_classifier,
)
from bgpt.config import PATCH_SIZE, ModelConfig
from bgpt.model import Bgpt
from bgpt.pth import Pth, read_pth, write_pth

UNUSED_FILE = "unused.safetensors"
"""Beside the weights: tensors of an imported file, by its names, that our model does not read:
the patch level's word table, and the byte level's positions from the 18th on."""
FIRST_VALUES: Mapping[str, Mapping[str, Any]] = {
    "generative": {"epoch": 0, "best_epoch": 0, "min_eval_loss": 100.0},
    "classifier": {"epoch": 0, "best_epoch": 0, "max_eval_acc": 0.0, "labels": {}},
}
"""What the authors' scripts read beside the weights, at the values that they start with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What `export_pth` wrote."""

    path: Path
    settings: dict[str, int]
    """What the authors' `config.py` must say to load it."""
    edits: tuple[str, ...]
    """What must also be changed in their scripts; empty for their own proportions."""


def import_pth(
    path: Path,
    out: Path,
    heads: int | None = None,
    trained_for: Mapping[str, Any] | None = None,
) -> ModelConfig:
    """Read the authors' checkpoint `path` and write it as model folder `out`.

    `heads` is the number of attention heads of both levels; None: one for 64 columns.
    `trained_for` (see `bgpt.trained_for.declared`) is what the file cannot say of itself.

    Raises:
        CheckpointError: the file is not such a checkpoint, in one line that names the tensor, or
            `out` is there already, or a classifier is said to convert or to simulate.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out}: is there already; delete it or pass another -o")
    pth = read_pth(path)
    state = to_ours(path, pth.tensors, heads)
    if state.is_classifier and trained_for:
        raise CheckpointError(f"{path}: a classifier, which neither converts nor simulates")
    provenance = {
        "imported_from": "authors",
        **(trained_for or {}),
        **_values(pth, is_classifier=state.is_classifier),
    }
    with atomic_folder(out) as folder:
        if state.is_classifier:
            classifier = ClassifierWeights(
                config=state.config, tensors=state.tensors, provenance=provenance
            )
            write_classifier(folder, classifier)
        else:
            with torch.device("meta"):
                model = Bgpt(state.config)
            model.load_state_dict(state.tensors, assign=True)
            write_model(folder, model, provenance)
        if state.unused:
            save_tensors(folder / UNUSED_FILE, state.unused)
    return state.config


def export_pth(path: Path, out: Path) -> Exported:
    """Write the model in folder `path` as a checkpoint `out` that the authors' scripts load.

    Raises:
        CheckpointError: not a model, a broken one, one that their architecture cannot express, or
            `out` cannot be written.
    """
    is_classifier = kind_of(path) == "classifier"
    config, provenance = read_config(path)
    _require_expressible(path, config)
    if is_classifier:
        ours = read_classifier(path).tensors
    else:
        ours = cast("dict[str, Tensor]", load_model(path).state_dict())
    tensors: dict[str, Tensor] = {}
    for slot in slots(config, is_classifier=is_classifier):
        tensor = ours[slot.ours]
        tensors[slot.theirs] = (tensor.T if slot.transposed else tensor).contiguous()
    unused = _read_unused(path, config)
    tensors[PATCH_WORDS] = unused.get(PATCH_WORDS, torch.zeros(1, config.patch_width))
    if not is_classifier:
        if BYTE_POSITIONS in unused:
            tensors[BYTE_POSITIONS] = torch.cat((tensors[BYTE_POSITIONS], unused[BYTE_POSITIONS]))
        tensors[LM_HEAD] = tensors[f"{BYTE_BASE}.wte.weight"]
    first = FIRST_VALUES["classifier" if is_classifier else "generative"]
    values = {key: provenance.get(key, default) for key, default in first.items()}
    write_pth(out, tensors, values)
    return _exported(out, config, tensors, is_classifier=is_classifier)


def _read_unused(path: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Return what an import kept beside the weights in model folder `path`."""
    file = model_folder(path) / UNUSED_FILE
    if not file.exists():
        return {}
    return {
        name: check_unused(file, name, tensor, config)
        for name, tensor in read_tensors(file).items()
    }


def _values(pth: Pth, *, is_classifier: bool) -> dict[str, Any]:
    """Return those values beside the weights that export gives back, where they make sense."""
    kept: dict[str, Any] = {}
    for key, first in FIRST_VALUES["classifier" if is_classifier else "generative"].items():
        value: object = pth.values.get(key)
        if isinstance(first, Mapping):
            if isinstance(value, dict) and all(
                isinstance(label, str) and type(number) is int
                for label, number in cast("dict[object, object]", value).items()
            ):
                kept[key] = value
        elif type(value) in (int, float) and math.isfinite(cast("float", value)):
            kept[key] = value
    return kept


def _require_expressible(path: Path, config: ModelConfig) -> None:
    """Refuse a model with parts that the authors' architecture does not have."""
    sizes = ("patch_width", "patch_layers", "patch_heads", "patch_ffn", "byte_width",
             "byte_layers", "byte_heads", "byte_ffn", "max_patches")  # fmt: skip
    theirs = ModelConfig(**{name: getattr(config, name) for name in sizes})
    # How it starts and trains, and the sizes of parts that must be off: no weight depends on them.
    free = ("zero_init_outputs", "bf16", "window_width", "source_heads", "source_window")
    for field in dataclasses.fields(ModelConfig):
        ours, expected = getattr(config, field.name), getattr(theirs, field.name)
        if ours != expected and field.name not in free:
            raise CheckpointError(
                f"{path}: the authors' architecture cannot express it: {field.name} is {ours!r}, "
                f"theirs is {expected!r}"
            )


def _exported(
    out: Path, config: ModelConfig, tensors: Mapping[str, Tensor], *, is_classifier: bool
) -> Exported:
    """Return what their scripts need to be told."""
    settings = {
        "HIDDEN_SIZE": config.patch_width,
        "PATCH_NUM_LAYERS": config.patch_layers,
        "PATCH_LENGTH": config.max_patches,
    }
    levels = [("patch_config", config.patch_heads, config.patch_ffn)]
    edits: list[str] = []
    if not is_classifier:
        settings["BYTE_NUM_LAYERS"] = config.byte_layers
        levels.append(("byte_config", config.byte_heads, config.byte_ffn))
        rows = len(tensors[BYTE_POSITIONS])
        if rows != PATCH_SIZE + 1:
            edits.append(f"max_position_embeddings={rows} in byte_config")
    for name, heads, inner in levels:
        if heads != config.patch_width // HEAD_WIDTH:
            edits.append(f"n_head={heads} in {name}")
        if inner != 4 * config.patch_width:
            edits.append(f"n_inner={inner} in {name}")
    if (rows := len(tensors[PATCH_WORDS])) != 1:
        edits.append(f"vocab_size={rows} in patch_config")
    return Exported(path=out, settings=settings, edits=tuple(edits))

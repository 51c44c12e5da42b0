# pyright: reportUnknownMemberType=false
"""The weights that a run begins with, and which of them stay: drawn by seed, or another model's.

Fine-tuning takes every tensor of the other model: one that is missing, extra or of another shape is
an error that names it, never a tensor left at random. What a resumed run begins with is its
checkpoint (`bgpt.resume`).
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from bgpt.checkpoint import (
    WEIGHTS_FILE,
    CheckpointError,
    load_tensors,
    model_folder,
    read_config,
    read_tensors,
)
from bgpt.config import ModelConfig
from bgpt.model import Bgpt
from simulators.permutation import derived_seed
from simulators.suggest import unknown_name

MAX_NAMED = 5
"""Tensors that an error names."""


def first_weights(config: ModelConfig, seed: int) -> Bgpt:
    """Return the untrained model of a seed; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "first weights") >> 1)
        return Bgpt(config)


def weights_file(init_from: str) -> Path:
    """Return the file of weights of the model that `train.init_from` names.

    Raises:
        CheckpointError: it is no model.
    """
    read_config(Path(init_from))
    return model_folder(Path(init_from)) / WEIGHTS_FILE


def take_weights(model: Bgpt, init_from: str) -> None:
    """Fill `model` with the weights of another one.

    Raises:
        CheckpointError: no model, or tensors that are missing, extra, of another shape or dtype, or
            not finite.
    """
    file = weights_file(init_from)
    own = model.state_dict()
    faults = _faults(read_tensors(file), own)
    if faults:
        raise CheckpointError(
            f"train.init_from: {file} does not fit the model of this run: {'; '.join(faults)}; "
            "give the run the model section that those weights were trained with"
        )
    load_tensors(file, own)


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Keep the parameters whose names match a pattern as they are.

    Raises:
        ValueError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        matched = [name for name in parameters if fnmatchcase(name, pattern)]
        if not matched:
            raise ValueError(
                f"train.freeze: {unknown_name('parameter', pattern, parameters)}; "
                "a pattern with * matches many, such as patch_level.*"
            )
        for name in matched:
            parameters[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise ValueError("train.freeze: every parameter is frozen; there is nothing to train")


def _faults(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Return what keeps `found` from filling `own`, with names."""
    shapes = [
        f"{name} is {list(found[name].shape)}, expected {list(own[name].shape)}"
        for name in own
        if name in found and found[name].shape != own[name].shape
    ]
    faults = [f"missing {_named(sorted(own.keys() - found.keys()))}"] if own.keys() - found else []
    if found.keys() - own:
        faults.append(f"extra {_named(sorted(found.keys() - own.keys()))}")
    return faults + ([_named(shapes)] if shapes else [])


def _named(names: Sequence[str]) -> str:
    """Return the first names and how many more there are."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more

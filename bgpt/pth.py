# pyright: reportUnknownMemberType=false
"""The only door to `.pth` files: their tensors and plain values in and out, never any code.

A `.pth` is a pickle, so a stranger's file could run anything. It is read by torch's weights-only
reader, which knows tensors and plain values and nothing else. What the tensors are called is
`bgpt.authors_names`; what they mean is `bgpt.interop`.
"""

import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from bgpt.checkpoint import CheckpointError

WIDENED = (torch.float16, torch.bfloat16)
"""Dtypes that become float32 on the way in; no value changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pth:
    """What a `.pth` file holds."""

    tensors: dict[str, Tensor]
    """The state dict; the tensors may still lie in the file, which is mapped."""
    values: dict[str, Any]
    """Whatever stands beside it, such as epoch and optimizer state; nothing of it is checked."""


def read_pth(path: Path) -> Pth:
    """Read a state dict that stands under the key "model", or is the whole file.

    Raises:
        CheckpointError: not such a file, or one with code in it, which is never run.
        OSError: the file cannot be read.
    """
    with path.open("rb"):  # a missing or forbidden file says so by itself
        pass
    try:
        # Mapped, an optimizer's state of twice the weights' size costs nothing.
        loaded: object = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(f"{path}: {_reason(str(error))}") from error
    values = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
    state: object = values.get("model", values)
    if not isinstance(state, dict) or not state:
        raise CheckpointError(
            f'{path}: not a checkpoint: neither a state dict nor one under the key "model"'
        )
    tensors: dict[str, Tensor] = {}
    for name, value in cast("dict[object, object]", state).items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: not a state dict: {name!r} is no tensor")
        _check_plain(path, name, value)
        tensors[name] = value
    return Pth(tensors=tensors, values={} if state is loaded else values)


def float32(path: Path, name: str, tensor: Tensor) -> Tensor:
    """Return `tensor`, which stands as `name` in `path`, in float32.

    Raises:
        CheckpointError: not floating-point numbers of at most 32 bits, or some not finite.
    """
    if tensor.dtype not in (torch.float32, *WIDENED):
        raise CheckpointError(f"{path}: {name} is {tensor.dtype}, expected torch.float32")
    widened = tensor.to(torch.float32)
    if not bool(torch.isfinite(widened).all()):
        raise CheckpointError(f"{path}: {name} holds values that are not finite")
    return widened


def write_pth(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write the state dict under "model" and `values` beside it; whole or not at all.

    The same content gives the same bytes, whatever the file is called.

    Raises:
        CheckpointError: the file cannot be written, such as on a full disk.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # An open file rather than a name: torch puts a name's stem into the file.
        with part.open("wb") as file:
            torch.save({"model": dict(tensors), **values}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a short write as a RuntimeError
        reason = " ".join(str(error.__context__ or error).split())
        raise CheckpointError(f"{path}: cannot be written: {reason}") from error
    finally:
        part.unlink(missing_ok=True)


def _check_plain(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that is sparse, without data, or bigger than the numbers stored for it."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise CheckpointError(
            f"{path}: {name} is no plain tensor ({tensor.layout}, {tensor.device})"
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"{path}: {name} is {list(tensor.shape)}, more numbers than the file holds for it"
        )


def _reason(text: str) -> str:
    """Return torch's many lines on a file that it refuses as one.

    >>> _reason("Weights only load failed. ... Unsupported global: GLOBAL os.system was not ...")
    'refused: it holds more than weights (os.system), and code in a checkpoint is never run'
    """
    if found := re.search(r"GLOBAL (\S+)", text):
        return (
            f"refused: it holds more than weights ({found[1]}), "
            "and code in a checkpoint is never run"
        )
    first = " ".join(text.split())[:200]
    return f"not a readable .pth file: {first}"

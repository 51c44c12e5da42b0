# pyright: reportUnknownVariableType=false
"""Models and training state on disk: a folder with safetensors and JSON, written atomically.

`config.json` says what the weights are weights of; loading checks names, shapes, dtypes and that
every weight is finite before a model is made of them. No pickle, ever.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bgpt.config import ModelConfig
from bgpt.model import Bgpt
from bgpt.sharding import own_part, part_of
from pipelines.config import ConfigError, parse

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
SCHEMA_VERSION = 1


class CheckpointError(ValueError):
    """A checkpoint that is missing, broken, or of another configuration."""


@contextmanager
def atomic_folder(path: Path) -> Generator[Path]:
    """Give an empty folder to fill; it becomes `path` at the end, all at once, or not at all.

    A folder already at `path` is replaced.

    Raises:
        CheckpointError: it cannot be written, such as without permission or on a full disk.
    """
    part = path.with_name(f".{path.name}.part")
    old = path.with_name(f".{path.name}.old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)
        part.mkdir()
        yield part
        for file in part.iterdir():
            _sync(file)
        _sync(part)
        if path.exists():
            path.rename(old)
        part.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def save_model(path: Path, model: Bgpt, provenance: Mapping[str, Any] | None = None) -> None:
    """Write `model` as folder `path`; `provenance` (JSON values) is kept beside it."""
    with atomic_folder(path) as folder:
        write_model(folder, model, provenance)


def write_model(folder: Path, model: Bgpt, provenance: Mapping[str, Any] | None = None) -> None:
    """Write a model's two files into an existing folder; see `atomic_folder`."""
    declared = {
        "schema_version": SCHEMA_VERSION,
        "model": dataclasses.asdict(model.config),
        "num_parameters": model.num_parameters(),
        "provenance": dict(provenance or {}),
    }
    text = json.dumps(declared, indent=2, allow_nan=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    save_tensors(folder / WEIGHTS_FILE, model.state_dict())


def model_folder(path: Path) -> Path:
    """Return the folder of the model that `path` names: a MODEL, or a RUN with one in `model/`."""
    nested = path / "model"
    return nested if (nested / CONFIG_FILE).is_file() else path


def load_model(path: Path, expected: ModelConfig | None = None) -> Bgpt:
    """Read the model in folder `path` (see `model_folder`), in evaluation mode.

    Raises:
        CheckpointError: not a model, broken, or not of configuration `expected`.
    """
    config, _ = read_config(path)
    if expected is not None and config != expected:
        raise CheckpointError(
            f"{path}: a checkpoint of another configuration: {_difference(config, expected)}. "
            "Train into another folder, or delete this one."
        )
    model = Bgpt(config)
    load_tensors(model_folder(path) / WEIGHTS_FILE, model.state_dict())
    return model.eval()


def read_config(path: Path) -> tuple[ModelConfig, dict[str, Any]]:
    """Return the configuration and the provenance of the model in folder `path`.

    `path` may also be the run that holds it, see `model_folder`.

    Raises:
        CheckpointError: `config.json` is missing or is not one of ours.
    """
    file = model_folder(path) / CONFIG_FILE
    try:
        declared: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"{path}: not a model: {CONFIG_FILE} cannot be read ({error.strerror}); "
            'a model is the folder that "bgpt train" writes'
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(declared, dict):
        raise CheckpointError(f"{file}: not a model: the top level must be an object")
    found = cast("dict[str, Any]", declared)
    refuse_newer(file, found, SCHEMA_VERSION)
    if found.get("schema_version") != SCHEMA_VERSION:
        raise CheckpointError(f"{file}: not a model of schema version {SCHEMA_VERSION}")
    if not all(isinstance(found.get(key), dict) for key in ("model", "provenance")):
        raise CheckpointError(f"{file}: keys 'model' and 'provenance' must be objects")
    try:
        return parse(ModelConfig, found["model"], "model"), found["provenance"]
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from error


def refuse_newer(file: Path, declared: Mapping[str, Any], newest: int) -> None:
    """Refuse a file in a format that a later version of this program wrote.

    Raises:
        CheckpointError: it is; the message names both versions.
    """
    version: object = declared.get("schema_version")
    if isinstance(version, int) and version > newest:
        raise CheckpointError(
            f"{file}: written in format version {version}, and this program reads up to {newest}; "
            "update it"
        )


def save_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name; they may live on any device.

    Raises:
        CheckpointError: the file cannot be written, such as on a full disk.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        # safetensors makes the file readable by its owner alone; an empty one shows the mode that
        # files get here, without a touch of the process-wide umask.
        file.touch()
        mode = file.stat().st_mode & 0o777
        save_file(on_cpu, file)
        file.chmod(mode)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: cannot be written: {error}") from error


def load_tensors(file: Path, into: Mapping[str, Tensor]) -> None:
    """Fill the tensors of `into`, whole or in parts, from `file`, which must hold exactly those.

    Raises:
        CheckpointError: missing, broken, other names, shapes or dtypes, or a value not finite.
    """
    found = read_tensors(file)
    if found.keys() != into.keys():
        odd = sorted(found.keys() ^ into.keys())
        raise CheckpointError(
            f"{file}: holds other tensors than the configuration declares: "
            f"{len(odd)} names differ, the first is {odd[0]!r}"
        )
    for name, tensor in found.items():
        if tensor.shape != into[name].shape or tensor.dtype != into[name].dtype:
            raise CheckpointError(
                f"{file}: {name} is {tensor.dtype} {list(tensor.shape)}, "
                f"expected {into[name].dtype} {list(into[name].shape)}"
            )
        if not _is_finite(tensor):
            raise CheckpointError(f"{file}: {name} holds values that are not finite")
    with torch.no_grad():
        for name, tensor in found.items():
            own_part(into[name]).copy_(part_of(tensor, into[name]))


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with a value that is not finite, or None."""
    return next((name for name, tensor in tensors.items() if not _is_finite(tensor)), None)


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file.

    Raises:
        CheckpointError: missing or broken.
    """
    try:
        return load_file(file)
    except FileNotFoundError as error:
        raise CheckpointError(f"{file}: no such file") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: not a readable safetensors file: {error}") from error


def _difference(found: ModelConfig, expected: ModelConfig) -> str:
    a, b = dataclasses.asdict(found), dataclasses.asdict(expected)
    odd = [f"{name} {a[name]!r}, expected {b[name]!r}" for name in a if a[name] != b[name]]
    return "; ".join(odd)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

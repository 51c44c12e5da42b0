"""Arguments and options that several commands of `bgpt` share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bgpt.which_model import Fits

MODEL_HELP = "Folder of a model, or of the run that holds it."
CHOSEN_HELP = (
    f"{MODEL_HELP} Without: the one that variable BGPT_MODEL names, else the only run in folder "
    "runs that is trained to do this."
)


def require_generative(model: Path) -> Path:
    """Refuse a classifier, and a model in a newer format, before anything else is read."""
    from bgpt import classifier_folder

    return classifier_folder.require_generative(model)


def require_chosen(model: Path | None) -> Path | None:
    """Refuse what `require_generative` does, where a model is named."""
    return None if model is None else require_generative(model)


def split_names(model_or_file: Path, file: Path | None) -> tuple[Path | None, Path]:
    """Return the model, if it is named, and the file.

    Raises:
        BadParameter: a model alone.
        CheckpointError: see `require_generative`.
    """
    if file is None:
        from bgpt.checkpoint import CONFIG_FILE, model_folder

        if (model_folder(model_or_file) / CONFIG_FILE).is_file():
            raise typer.BadParameter(f"{model_or_file} is a model; name the FILE after it")
        return None, model_or_file
    return require_generative(model_or_file), file


def find_model(task: str, fits: "Fits") -> Path:
    """Return the model for a call that names none, and say which it is."""
    from bgpt import which_model

    model = which_model.find_model(task, fits, os.environ)
    typer.echo(f"model: {model}", err=True)
    return model


Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help=MODEL_HELP, callback=require_generative)
]


class DeviceName(StrEnum):
    """Where a model computes."""

    CPU = "cpu"
    CUDA = "cuda"


def require_device(device: DeviceName) -> DeviceName:
    """Refuse a device that torch does not find, before anything else is read."""
    if device is DeviceName.CUDA:
        import torch

        if not torch.cuda.is_available():
            raise typer.BadParameter("torch finds no CUDA device here; leave --device out")
    return device


Device = Annotated[
    DeviceName, typer.Option(help="Where the model computes.", callback=require_device)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
ChosenModel = Annotated[
    Path | None, typer.Argument(metavar="MODEL", help=CHOSEN_HELP, callback=require_chosen)
]
ModelOrFile = Annotated[Path, typer.Argument(metavar="MODEL|FILE", help=CHOSEN_HELP)]
MaxBytes = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many bytes; else at the model's longest.")
]
Int8 = Annotated[
    bool, typer.Option("--int8", help="8-bit weights: faster on a CPU, one file at a time.")
]

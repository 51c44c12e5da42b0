"""Arguments and options that several commands of `bgpt` share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

MODEL_HELP = "Folder of a model, or of the run that holds it."


def require_generative(model: Path) -> Path:
    """Refuse a classifier, and a model in a newer format, before anything else is read."""
    from bgpt import classifier_folder

    return classifier_folder.require_generative(model)


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
MaxBytes = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many bytes; else at the model's longest.")
]
Int8 = Annotated[
    bool, typer.Option("--int8", help="8-bit weights: faster on a CPU, one file at a time.")
]

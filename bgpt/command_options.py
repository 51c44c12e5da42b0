"""Arguments and options that several commands of `bgpt` share."""

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
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
MaxBytes = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many bytes; else at the model's longest.")
]
Int8 = Annotated[
    bool, typer.Option("--int8", help="8-bit weights: faster on a CPU, one file at a time.")
]

"""`bgpt compress` and `bgpt decompress`: a file made small with a model, and back, bit for bit.

The command line only: `bgpt.compress` does it. A refused file is exit code 1, and leaves nothing.
"""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bgpt.command_options import CHOSEN_HELP, ModelOrFile, find_model, require_chosen, split_names

if TYPE_CHECKING:
    from pipelines.sample import Segment

UNKNOWN = "bin"
"""What a file without a usable suffix is to the model."""

NamedModel = Annotated[
    Path | None,
    typer.Option("--model", "-m", metavar="MODEL", help=CHOSEN_HELP, callback=require_chosen),
]
FileAfterModel = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="The file; alone where --model or nothing names the model."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="-: raw to stdout.")]
Given = Annotated[
    Path | None,
    typer.Option(
        "--given",
        metavar="FILE",
        help="A file that the model reads first, as a conversion's source; both ways the same.",
    ),
]


Begin = Annotated[
    Path | None,
    typer.Option(
        "--begin",
        metavar="FILE",
        help="What the file begins with, such as a trace's program: needed again, so not coded.",
    ),
]


def compress_command(
    model_or_file: ModelOrFile,
    out: Out,
    file: FileAfterModel = None,
    model: NamedModel = None,
    given: Given = None,
    begin: Begin = None,
) -> None:
    """Make a file small with a model that knows its kind; `decompress` gives it back bit for bit.

    The name's suffix says what it is. Only the same model on the same machine and build reads it.

    \b
    Example:
      bgpt compress a.bin --model runs/cpu-toy -o a.bgz
      bgpt compress tune.mid --given tune.abc -o tune.bgz
      bgpt compress b.bin --begin program.bin -o b.bgz
    """
    from bgpt.compress import compress
    from bgpt.entropy_coding import Context
    from bgpt.model_predictor import ModelPredictor
    from bgpt.which_model import converts, writes

    named, source = _names(model_or_file, file, model)
    data, extension = source.read_bytes(), _extension(source)
    before, first = _given(given), _begin(begin)
    if not data.startswith(first):
        raise ValueError(f"{source}: does not begin with the {len(first)} bytes of {begin}")
    fits = writes(extension) if before is None else converts(before.extension, extension)
    chosen = named or find_model(f"write .{extension}", fits)
    _require_place(out, source, given, begin)
    predictor = ModelPredictor(chosen)
    context = Context(extension=extension, given=before, begin=first)
    predictor.piece_bytes(context)
    rest = data[len(first) :]
    with _progress(source.name, len(rest)) as on_bytes:
        packed = compress(predictor, context, rest, on_bytes)
    _store(out, packed)
    rate = f", {8 * len(packed) / len(rest):.4f} bits per byte" if rest else ""
    typer.echo(f"{source}: {len(rest)} -> {len(packed)} bytes{rate}", err=True)


def decompress_command(
    model_or_file: ModelOrFile,
    out: Out,
    file: FileAfterModel = None,
    model: NamedModel = None,
    given: Given = None,
    begin: Begin = None,
) -> None:
    """Give back the file that `compress` made small, with the same model; checked bit for bit.

    Without a model, the one of folder runs that made the file is found by its hash.

    \b
    Example:
      bgpt decompress a.bgz --model runs/cpu-toy -o a-again.bin
      bgpt decompress tune.bgz --given tune.abc -o tune-again.mid
    """
    from bgpt.compress import decompress, require_fitting
    from bgpt.compressed_file import Refused, unpack
    from bgpt.entropy_coding import Context
    from bgpt.model_predictor import ModelPredictor

    named, source = _names(model_or_file, file, model)
    try:
        packed = unpack(str(source), source.read_bytes())
        first = _begin(begin)
        context = Context(extension=packed.extension, given=_given(given), begin=first)
        predictor = ModelPredictor(named or _model_of(packed.model))
        require_fitting(str(source), packed, predictor, context)
        _require_place(out, source, given, begin)
        with _progress(source.name, packed.length) as on_bytes:
            data = first + decompress(str(source), packed, predictor, context, on_bytes)
    except Refused as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    _store(out, data)
    typer.echo(f"{out}: {len(data)} bytes", err=True)


def _names(model_or_file: Path, file: Path | None, model: Path | None) -> tuple[Path | None, Path]:
    """Return the model, if it is named, and the file."""
    named, source = split_names(model_or_file, file)
    if named is not None and model is not None:
        raise typer.BadParameter(f"two models: {named} and {model}; name one")
    return named or model, source


def _extension(path: Path) -> str:
    """Return what a file is by its name."""
    from pipelines.sample import EXTENSION_PATTERN

    suffix = path.suffix[1:].lower()
    return suffix if EXTENSION_PATTERN.fullmatch(suffix) else UNKNOWN


def _given(path: Path | None) -> "Segment | None":
    """Return the file that is given.

    Raises:
        ValueError: it is empty.
    """
    from bgpt.files import read_segment

    segment = None if path is None else read_segment(path)
    if segment is not None and not segment.data:
        raise ValueError(f"{path}: an empty file; leave --given out")
    return segment


def _begin(path: Path | None) -> bytes:
    """Return what a file begins with.

    Raises:
        ValueError: it is empty.
    """
    data = b"" if path is None else path.read_bytes()
    if path is not None and not data:
        raise ValueError(f"{path}: an empty file; leave --begin out")
    return data


def _model_of(hash_begin: bytes) -> Path:
    """Return the model whose hash begins so: the one of BGPT_MODEL, or one of the runs.

    Raises:
        ModelNotNamed: there is none.
    """
    from bgpt.model_predictor import model_identity
    from bgpt.which_model import RUNS, VARIABLE, ModelNotNamed, generative_runs

    if named := require_chosen(Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None):
        return named
    for path in generative_runs(RUNS):
        if model_identity(path).startswith(hash_begin):
            typer.echo(f"model: {path}", err=True)
            return path
    raise ModelNotNamed(
        f"no MODEL is named and {VARIABLE} is not set, and no run in folder {RUNS} is the model "
        f"that made this file, whose hash begins with {hash_begin.hex()}"
    )


def _require_place(out: Path, *sources: Path | None) -> None:
    """Refuse a place that cannot be written to, and one of the files that are read."""
    from bgpt.files import STDOUT, check_writable

    if out == STDOUT:
        return
    for source in sources:
        if source is not None and out.exists() and out.samefile(source):
            raise typer.BadParameter(f"{out} is read; write to another file with -o")
    if out.parent.exists():  # a folder is made only for a result
        check_writable(out)


def _store(out: Path, data: bytes) -> None:
    """Write a result, whole or not at all, and flushed to disk."""
    from bgpt.files import STDOUT, stdout_bytes
    from pipelines.shards import write_atomically

    if out == STDOUT:
        stdout_bytes().write(data)
        stdout_bytes().flush()
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, data)
    except OSError as error:
        raise OSError(f"{out}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _progress(title: str, total: int) -> Generator[Callable[[int], None]]:
    """Show a bar on stderr; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)

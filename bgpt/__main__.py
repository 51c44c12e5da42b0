"""`bgpt`: train a model, weigh files with it, and let it write files.

Results go to stdout or to a file, progress and errors to stderr. Exit codes: 0 done, 1 training
diverged, 2 the user's mistake in one line and without a traceback, 128 + n ended by signal n with
everything saved. torch is imported by the commands, so `--help` is quick.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.command_line import run

if TYPE_CHECKING:
    from pipelines.sample import Segment

app = typer.Typer(
    name="bgpt",
    help="Train bGPT models on corpora, weigh files with them, simulate and convert.\n\n"
    "Example: bgpt train cpu-toy --params params.yaml --data data --out runs/cpu-toy",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Folder of a model, or of the run that holds it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
MaxBytes = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many bytes; else at the model's longest.")
]


@app.command("train")
def train_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of section `runs`.")],
    params: Annotated[Path, typer.Option(help="File with section `runs`.")] = Path("params.yaml"),
    data: Annotated[Path, typer.Option(help="Folder of the corpora.")] = Path("data"),
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/RUN by default.")] = None,
    restart_if_changed: Annotated[
        bool,
        typer.Option(
            "--restart-if-changed",
            help="Delete a run of another configuration, corpus or code instead of refusing it.",
        ),
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Also send scalars to tensorboard or wandb."),
    ] = None,
) -> None:
    """Train a run of params.yaml, or go on with it; a finished run is left as it is.

    \b
    Example:
      bgpt train cpu-toy --params params.yaml --data data --out runs/cpu-toy
      torchrun --nproc-per-node 2 -m bgpt train cpu-toy --out runs/cpu-toy
    """
    from bgpt.interrupt import Interrupts
    from bgpt.launch import launch
    from bgpt.progress import ProgressReport
    from bgpt.ranks import is_first_process
    from bgpt.run import load_run

    config = load_run(params, run)
    folder = Path("runs") / run if out is None else out
    with Interrupts() as interrupts, ProgressReport(run) as report:
        launched = launch(
            config,
            data=data,
            run=folder,
            restart_if_changed=restart_if_changed,
            show=report.show,
            signal_received=lambda: interrupts.received,
            track=track or (),
        )
    if not is_first_process():
        return
    if launched.was_finished:
        print(f"{folder}: already finished", file=sys.stderr)
    print(launched.model)


@app.command("eval")
def eval_command(
    model: Model,
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", hidden=True)] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE...", help="Files to weigh; the name's suffix is what they are."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="A corpus whose test side to weigh instead.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="At most this many of it.")] = 1000,
    as_json: Json = False,
) -> None:
    """Weigh files: bits per byte of each, and the authors' nats per token.

    \b
    Example:
      bgpt eval runs/cpu-toy/model --files a.bin b.bin --json
    """
    from bgpt.checkpoint import load_model
    from bgpt.evaluate import evaluate_corpus, score_file

    paths = [*(files or []), *(more or [])]
    if bool(paths) == (corpus is not None):
        raise typer.BadParameter("give files to weigh (--files FILE...) or a corpus (--corpus DIR)")
    if corpus is not None:
        figures = evaluate_corpus(model, corpus, samples)
        if as_json:
            print(json.dumps(asdict(figures), indent=1))
        else:
            print(
                f"{corpus}: {figures.bits_per_byte:.4f} bits per byte, "
                f"{100 * figures.byte_accuracy:.2f} % of bytes right, {figures.n} samples"
            )
        return
    loaded = load_model(model)
    scores = [score_file(loaded, str(path), _read(path)) for path in paths]
    if as_json:
        print(json.dumps([asdict(score) for score in scores], indent=1))
        return
    for score in scores:
        print(
            f"{score.file}: {score.bytes} bytes, {score.total_nats:.2f} nats, "
            f"{score.bits_per_byte:.4f} bits per byte, "
            f"{score.authors_nats_per_token:.4f} nats per token (authors' figure)"
        )


@app.command("generate")
def generate_command(
    model: Model,
    start: Annotated[Path, typer.Argument(metavar="START", help="First bytes; may be empty.")],
    out: Out,
    max_bytes: MaxBytes = None,
) -> None:
    """Write the likeliest file that begins with the bytes of START.

    \b
    Example:
      bgpt generate runs/abc-to-midi/model start.abc --out whole.abc
    """
    from bgpt.write import continue_file

    given = _read(start)
    _write(out, given.data + continue_file(model, given, max_bytes))


@app.command("simulate")
def simulate_command(
    model: Model,
    program: Annotated[
        Path, typer.Argument(metavar="PROGRAM.bin", help="Memory block and first state.")
    ],
    out: Out,
    max_bytes: MaxBytes = None,
) -> None:
    """Write the file of states that the model expects of a program: memory, then every state.

    PROGRAM.bin holds the memory block and the first state, as a file of the corpus begins.

    \b
    Example:
      bgpt simulate runs/cpu-toy/model program.bin --out trace.bin
    """
    from bgpt.write import simulate

    _write(out, simulate(model, str(program), _read(program), max_bytes))


@app.command("convert")
def convert_command(
    model: Model,
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A .abc or .mid file.")],
    out: Out,
    max_bytes: MaxBytes = None,
) -> None:
    """Convert a file into the format that --out's suffix names.

    \b
    Example:
      bgpt convert runs/abc-to-midi/model tune.abc --out tune.mid
    """
    from bgpt.write import convert

    _write(out, convert(model, str(source), _read(source), out.suffix[1:], max_bytes))


def _read(path: Path) -> "Segment":
    """Return a file; its extension is the suffix of its name."""
    from pipelines.sample import EXTENSION_PATTERN, Segment

    extension = path.suffix[1:].lower()
    if not EXTENSION_PATTERN.fullmatch(extension):
        raise ValueError(f"{path}: the name needs a suffix that says what it is, such as .bin")
    return Segment(extension=extension, data=path.read_bytes())


def _write(path: Path, data: bytes) -> None:
    """Write the result and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{path}: {len(data)} bytes", file=sys.stderr)


def main() -> None:
    """Run the command line; every user's mistake is one line and exit code 2."""
    try:
        run(app)
    except RuntimeError as error:
        sys.exit(_end_of_training(error))


def _end_of_training(error: RuntimeError) -> int:
    """Return the exit code of a run that did not reach its end; other errors are bugs, raised."""
    from bgpt.job import TrainingDiverged, TrainingInterrupted

    if isinstance(error, TrainingInterrupted):
        print(error, file=sys.stderr)
        return 128 + error.signal_number
    if isinstance(error, TrainingDiverged):
        print(f"error: {error}", file=sys.stderr)
        return 1
    raise error


if __name__ == "__main__":
    main()

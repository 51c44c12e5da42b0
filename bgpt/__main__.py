"""`bgpt`: train a model, weigh files with it, let it write and compress files, move it in and out.

Results go to stdout or to a file, progress and errors to stderr. Exit codes: 0 done, 1 training
diverged or a file was refused, 2 the user's mistake in one line and without a traceback, 128 + n
ended by signal n with everything saved. torch is imported by the commands, so `--help` is quick.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bgpt.command_options import MODEL_HELP, Device, DeviceName, Json, Model
from bgpt.compress_command import compress_command, decompress_command
from bgpt.convert_command import convert_command
from bgpt.generate_command import generate_command
from bgpt.simulate_command import simulate_command
from pipelines.command_line import run

app = typer.Typer(
    name="bgpt",
    help="Train bGPT models on corpora, weigh files with them, simulate and convert.\n\n"
    "\b\nExample:\n  bgpt train cpu-toy --params params.yaml --data data --out runs/cpu-toy",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


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
    shard: Annotated[
        bool,
        typer.Option(
            "--shard",
            help="Under torchrun: each process holds a part of the weights (FSDP2), not all.",
        ),
    ] = False,
) -> None:
    """Train a run of params.yaml, or go on with it; a finished run is left as it is.

    \b
    Example:
      bgpt train cpu-toy --params params.yaml --data data --out runs/cpu-toy
      torchrun --nproc-per-node 2 -m bgpt train cpu-toy --out runs/cpu-toy
      torchrun --nproc-per-node 8 -m bgpt train cpu-toy --shard
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
            shard=shard,
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
    device: Device = DeviceName.CPU,
    bf16: Annotated[
        bool,
        typer.Option(
            "--bf16/--no-bf16",
            help="Compute in bfloat16: several times as fast where the processor has it, and the "
            "figures move a little. Default: float32.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Weigh files: bits per byte of each, and the authors' nats per token.

    \b
    Example:
      bgpt eval runs/cpu-toy/model --files a.bin b.bin --json
      bgpt eval runs/cpu-toy/model --corpus data/cpu-toy --bf16
    """
    from bgpt.checkpoint import load_model
    from bgpt.files import read_segment
    from bgpt.weigh import evaluate_corpus, score_file, weighing_copy, weighing_dtype

    paths = [*(files or []), *(more or [])]
    if bool(paths) == (corpus is not None):
        raise typer.BadParameter("give files to weigh (--files FILE...) or a corpus (--corpus DIR)")
    dtype = weighing_dtype(bf16=bf16, device=device)
    if corpus is not None:
        figures = evaluate_corpus(model, corpus, samples, dtype, device)
        if as_json:
            print(json.dumps(asdict(figures), indent=1))
        else:
            print(
                f"{corpus}: {figures.bits_per_byte:.4f} bits per byte, "
                f"{100 * figures.byte_accuracy:.2f} % of bytes right, {figures.n} samples"
            )
        return
    ready = weighing_copy(load_model(model), dtype, device)
    scores = [score_file(ready, str(path), read_segment(path), dtype) for path in paths]
    if as_json:
        print(json.dumps([asdict(score) for score in scores], indent=1))
        return
    for score in scores:
        print(
            f"{score.file}: {score.bytes} bytes, {score.total_nats:.2f} nats, "
            f"{score.bits_per_byte:.4f} bits per byte, "
            f"{score.authors_nats_per_token:.4f} nats per token (authors' figure)"
        )


app.command("generate")(generate_command)
app.command("simulate")(simulate_command)
app.command("convert")(convert_command)
app.command("compress")(compress_command)
app.command("decompress")(decompress_command)


@app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(metavar="FILE.pth", help="A checkpoint of the authors.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="Folder to write.")],
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads; by default width / 64.")
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="It converts: abc-to-midi or midi-to-abc; or both."),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="It simulates this machine: toy, rv64, ...")
    ] = None,
    memory_bytes: Annotated[int | None, typer.Option(min=16, help="Size of its memory.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of its programs, e.g. loop.")] = None,
    layout: Annotated[str | None, typer.Option(help="Of its states: narrow or full.")] = None,
) -> None:
    """Read a checkpoint of the bGPT authors, generative or classification, as a model of ours.

    Only tensors and plain values are read; a file with code in it is refused. What it was trained
    to convert or to simulate is not in it: say it here, and `convert` and `simulate` know.

    \b
    Example:
      bgpt import weights-text.pth -o models/text
      bgpt import weights-conversion.pth -o models/music --direction abc-to-midi
      bgpt import weights-cpu.pth -o models/cpu --system toy --memory-bytes 1024
    """
    from bgpt.interop import import_pth
    from bgpt.trained_for import declared

    trained_for = declared(
        directions=direction or (),
        system=system,
        memory_bytes=memory_bytes,
        profile=profile,
        layout=layout,
    )
    import_pth(file, out, heads, trained_for)
    print(out)


@app.command("export")
def export_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.pth", help="File to write.")],
) -> None:
    """Write a model of the paper's architecture as a checkpoint that the authors' scripts load.

    \b
    Example:
      bgpt export models/text -o weights-text.pth
    """
    from bgpt.interop import export_pth

    done = export_pth(model, out)
    settings = ", ".join(f"{name} = {value}" for name, value in done.settings.items())
    print(f"their config.py needs {settings}", file=sys.stderr)
    for edit in done.edits:
        print(f"their scripts also need {edit}", file=sys.stderr)
    print(done.path)


@app.command("info")
def info_command(
    model: Annotated[str, typer.Argument(metavar="MODEL|PRESET", help="A model or a preset.")],
    patches: Annotated[
        int | None, typer.Option(help="Count FLOPs for this many patches; else for the longest.")
    ] = None,
    source_patches: Annotated[int, typer.Option(help="So many of them are the source.")] = 0,
    as_json: Json = False,
) -> None:
    """Show a model's or a preset's configuration, parameters, FLOPs and provenance.

    \b
    Example:
      bgpt info compact-cpu --patches 200
    """
    from bgpt.info import describe

    info = describe(model, patches=patches, source_patches=source_patches)
    print(info.as_json() if as_json else info.as_text())


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

"""`bgpt-data`: list, build, verify and inspect corpora; check machines, trace programs.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 a check failed, 2 the
user's mistake, in one line and without a traceback.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.build import build_corpus
from pipelines.check_isa_command import check_isa_command
from pipelines.command_line import run
from pipelines.corpora import CorpusConfig, change_corpus, find_corpus, load_corpora, make_source
from pipelines.corpus import CorpusError
from pipelines.engine import LocalEngine
from pipelines.inspect_command import inspect_command
from pipelines.leakage import find_leakage, leakage_faults, leakage_lines
from pipelines.manifest import MANIFEST_NAME
from pipelines.plan import SIDES
from pipelines.sources.cpu_options import read_weights
from pipelines.trace_command import trace_command
from pipelines.verify import verify_corpus
from simulators.cpu.tracing.counted import counted

app = typer.Typer(
    name="bgpt-data",
    help="Build, check and look at corpora of simulated programs and converted tunes.\n\n"
    "Example: bgpt-data build cpu-toy --train-samples 1000 --test-samples 100 --out data/cpu-toy",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Params = Annotated[
    Path | None, typer.Option("--params", help="A params.yaml; without one, the packaged corpora.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A corpus' folder.")]


@app.command("list")
def list_command(params: Params = None, as_json: Json = False) -> None:
    """List the corpora that can be built.

    Example: bgpt-data list --params params.yaml
    """
    corpora = load_corpora(params)
    if as_json:
        content = {n: dataclasses.asdict(c) | {c.source: _options(c)} for n, c in corpora.items()}
        print(json.dumps(content, indent=1))
        return
    width = max((len(name) for name in corpora), default=0)
    for name, config in sorted(corpora.items()):
        shown = ", ".join(f"{key} {value}" for key, value in _options(config).items())
        if config.stream != "own":
            shown += f", stream {config.stream}"
        print(
            f"{name:{width}}  {config.train_samples:>9,} train {config.test_samples:>7,} test"
            f"  {config.source}: {shown}"
        )


def _options(config: CorpusConfig) -> dict[str, object]:
    """Return the options of a corpus' source that are given or have a default of the machine."""
    if config.cpu is not None and config.programs is None:
        return dict(config.cpu.settings())
    options = dataclasses.asdict(config.cpu or config.music)  # pyright: ignore[reportArgumentType]
    return {name: value for name, value in options.items() if value is not None}


@app.command("build")
def build_command(
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="A name that `list` shows.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the corpus; made if missing.")],
    params: Params = None,
    train_samples: Annotated[int | None, typer.Option(help="Instead of the configured.")] = None,
    test_samples: Annotated[int | None, typer.Option(help="Instead of the configured.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configured.")] = None,
    tunes: Annotated[
        str | None,
        typer.Option(
            metavar="TUNES",
            help="A folder of your own .abc files, music21, irishman, or irishman:FOLDER (music).",
        ),
    ] = None,
    material: Annotated[
        str | None,
        typer.Option(
            help="Of train samples: tiers (real, then other keys, then recombined), or real, "
            "transposed or recombined only (music)."
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Of the converter: plain, compact or easyabc (music).")
    ] = None,
    licences: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Keep only tunes under these licences (music)."),
    ] = None,
    control_codes: Annotated[
        bool | None,
        typer.Option("--control-codes", help="Keep IrishMAN's before each tune (music)."),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            metavar="STREAM",
            help="'paper': the files that the authors' script writes for this seed (toy CPU).",
        ),
    ] = None,
    programs: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder of your own programs: ELF files, and raw code in files with the suffix "
            ".bin, .raw or none.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Which instructions: alu, memory, branch, loop, call or fault, each with those "
            "before it (real machines). With --programs: 'fault' keeps programs that fault, 'alu' "
            "gives no data window; the others are alike."
        ),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="What a state records: narrow or full (real machines).")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS=N,...",
            help="Shares of classes, e.g. divide=0,load=3; not with --programs.",
        ),
    ] = None,
    memory_bytes: Annotated[int | None, typer.Option(help="Instead of the configured.")] = None,
    max_instructions: Annotated[
        int | None,
        typer.Option(
            help="The longest program drawn, instead of the configured; not with --programs."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as processors by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build a corpus, or go on with one: what is there and unchanged is kept.

    Example: bgpt-data build cpu-toy --train-samples 10000 --test-samples 1000 --out data/cpu-toy

    Your own programs, one sample a file: bgpt-data build cpu-rv64 --programs DIR --out data/mine
    """
    config = change_corpus(
        find_corpus(corpus, load_corpora(params)),
        train_samples=train_samples,
        test_samples=test_samples,
        seed=seed,
        music={
            "tunes": tunes,
            "material": material,
            "preset": preset,
            "licences": None if licences is None else tuple(licences.split(",")),
            "control_codes": control_codes,
        },
        stream=stream,
        programs=programs,
        cpu={
            "profile": profile,
            "layout": layout,
            "weights": None if weights is None else read_weights(weights),
            "memory_bytes": memory_bytes,
            "max_instructions": max_instructions,
        },
    )
    engine = LocalEngine((os.cpu_count() or 1) if workers is None else workers)
    with _progress(corpus) as on_progress:
        report = build_corpus(
            make_source(corpus, config), config.needed, out, engine=engine, on_progress=on_progress
        )
    manifest = report.manifest
    if as_json:
        content = {
            "name": manifest.name,
            "config_sha256": manifest.config_sha256,
            "samples": {side: manifest.num_samples(side) for side in SIDES},
            "sha256": {side: manifest.side_sha256(side) for side in SIDES},
            "dropped": {side: manifest.sides[side].dropped for side in SIDES},
            "planning": dataclasses.asdict(manifest.planning),
            **{k: v for k, v in manifest.provenance.items() if k in ("base_tunes", "tiers")},
            "kept_shards": report.kept_shards,
            "built_shards": report.built_shards,
            "removed_shards": report.removed_shards,
        }
        print(json.dumps(content, indent=1))
        return
    counts = ", ".join(f"{manifest.num_samples(side):,} {side}" for side in SIDES)
    print(
        f"{out}: {counts} samples; {counted(report.built_shards, 'shard')} built, "
        f"{report.kept_shards} kept, {report.removed_shards} removed"
    )
    for tier in manifest.provenance.get("tiers", ())[-1:]:
        lots = ", ".join(f"{tier[name]:,} {name}" for name in _LOTS if tier[name])
        base_tunes, keys = counted(tier["base_tunes"], "base tune"), counted(tier["keys"], "key")
        print(f"train: {lots}; {base_tunes} in {keys}")
    for stage, dropped in (
        ("planning", manifest.planning.dropped),
        *((side, manifest.sides[side].dropped) for side in SIDES),
    ):
        if dropped:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(dropped.items()))
            print(f"dropped in {stage}: {reasons}")
    for name, count in manifest.planning.overlap.items():
        print(f"on both sides: {count:,} {name}")
    for file, drops in manifest.provenance.get("dropped_by_file", {}).items():
        for drop in drops:
            print(f"dropped from {file}: {drop}")


_LOTS = ("real", "transposed", "recombined")


@app.command("verify")
def verify_command(
    folder: Folder,
    leakage: Annotated[
        bool,
        typer.Option(
            "--leakage",
            help="Of tunes: also compare every melody of train with all of test, and look for "
            "repeated files.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check every byte of a corpus against its manifest; exit code 1 if anything is wrong.

    Example: bgpt-data verify data/cpu-toy

    No variant of a test tune in train: bgpt-data verify data/music --leakage
    """
    try:
        found = verify_corpus(folder)
    except CorpusError as error:
        if not (folder / MANIFEST_NAME).exists():
            raise
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    leaking = None
    if leakage and not found.problems:
        with _progress(found.name) as on_progress:
            leaking = find_leakage(folder, on_progress)
    if as_json:
        content = dataclasses.asdict(found)
        if leaking is not None:
            content["leakage"] = dataclasses.asdict(leaking)
        print(json.dumps(content, indent=1))
    elif not found.problems:
        print(
            f"{folder}: {found.name} is whole: {counted(found.samples, 'sample')} in "
            f"{counted(found.shards, 'shard')}, {counted(found.bytes, 'byte')}"
        )
    for problem in found.problems:
        print(f"error: {problem}", file=sys.stderr)
    if found.cure:
        print(found.cure, file=sys.stderr)
    if leaking is not None:
        if not as_json:
            for line in leakage_lines(leaking):
                print(f"{folder}: {line}")
        for line in leakage_faults(leaking):
            print(f"error: {line}", file=sys.stderr)
    if found.problems or (leaking is not None and not leaking.is_clean):
        raise typer.Exit(1)


@contextmanager
def _progress(corpus: str) -> Generator[Callable[[int, int], None]]:
    """Show a bar on stderr while a corpus is built; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn(corpus), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(corpus, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


app.command("inspect")(inspect_command)
app.command("check-isa")(check_isa_command)
app.command("trace")(trace_command)


def main() -> None:
    """Run the command line; every user's mistake is one line and exit code 2."""
    run(app)


if __name__ == "__main__":
    main()

"""`bgpt-bench`: the tasks, their baselines, predictions, scores and the leaderboard.

Results go to stdout or to files, progress and errors to stderr. Exit codes: 0 done, 1 a check
failed, 2 the user's mistake, in one line and without a traceback.
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

from benchmarks.answering import BaselineJob, answer_task, run_baseline
from benchmarks.baselines.catalogue import baselines_of
from benchmarks.config import BenchmarkConfig, read_config
from benchmarks.entrant import baseline_entrant, trained_entrant
from benchmarks.explain_command import explained, explained_json, shown, write_page
from benchmarks.explaining.explain import WORST
from benchmarks.explaining.explanation import MAX_WORST, Explanation, write_explanation
from benchmarks.leaderboard import build
from benchmarks.predictions import HEADER_NAME
from benchmarks.report import Report, write_report, write_summary
from benchmarks.samples import load_samples
from benchmarks.scorer import score_and_explain
from benchmarks.studies.command import study_command
from benchmarks.submission import SubmissionError, read_predictions
from benchmarks.tasks.registry import TASKS, find_task
from pipelines.command_line import MISTAKES, run
from pipelines.corpus import Corpus
from pipelines.engine import LocalEngine
from simulators.music.conversion.converter import ConverterDiffers, ConverterMissing

app = typer.Typer(
    name="bgpt-bench",
    help="Score byte models: what is predicted, what is written, and how sure the figures are.\n\n"
    "Example: bgpt-bench baselines cpu-toy --corpus data/cpu-toy --out predictions/cpu-toy",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="A name that `tasks` shows.")]
CorpusFolder = Annotated[Path, typer.Option("--corpus", help="The task's corpus, as built.")]
Params = Annotated[
    Path | None,
    typer.Option("--params", help="A params.yaml with a section `benchmark`; else the defaults."),
]
Limit = Annotated[int | None, typer.Option(help="Test samples, instead of the configured.")]
FreeLimit = Annotated[
    int | None, typer.Option(help="Samples written free-running, instead of the configured.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]


@app.command("tasks")
def tasks_command(as_json: Json = False) -> None:
    """List the tasks with what is given, what is scored and their baselines.

    Example: bgpt-bench tasks --json
    """
    if as_json:
        print(
            json.dumps(
                {
                    name: {
                        **dataclasses.asdict(task.spec),
                        "baselines": list(baselines_of(name)),
                    }
                    for name, task in TASKS.items()
                },
                indent=1,
            )
        )
        return
    for name, task in TASKS.items():
        print(f"{name} (version {task.spec.version}, corpus {task.spec.corpus})")
        print(f"  given:     {task.spec.given}")
        print(f"  scored:    {task.spec.scored}")
        print(f"  metrics:   {', '.join(task.spec.metrics)}")
        print(f"  baselines: {', '.join(baselines_of(name))}")


@app.command("baselines")
def baselines_command(
    task: TaskName,
    corpus: CorpusFolder,
    out: Annotated[Path, typer.Option("--out", help="Gets a predictions folder a baseline.")],
    params: Params = None,
    limit: Limit = None,
    free_running_limit: FreeLimit = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as processors by default.")
    ] = None,
) -> None:
    """Fit every baseline of a task and let it answer.

    Example: bgpt-bench baselines cpu-toy --corpus data/cpu-toy --out predictions/cpu-toy
    """
    config = _config(params, limit, free_running_limit)
    find_task(task)
    Corpus.open(corpus)
    # The n-gram takes longest, so it starts first.
    names = sorted(baselines_of(task), key=lambda name: name != "ngram")
    jobs = [
        BaselineJob(task=task, baseline=name, corpus=corpus, out=out / name, config=config)
        for name in names
    ]
    engine = LocalEngine((os.cpu_count() or 1) if workers is None else workers)
    with _progress(f"{task} baselines") as progress:
        for done, name in enumerate(engine.run(run_baseline, jobs), start=1):
            progress(done, len(jobs))
            print(out / name)


@app.command("predict")
def predict_command(
    task: TaskName,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Folder of a model or run, or a baseline's name.")
    ],
    corpus: CorpusFolder,
    out: Annotated[Path, typer.Option("--out", help="The predictions folder to write.")],
    params: Params = None,
    limit: Limit = None,
    free_running_limit: FreeLimit = None,
    name: Annotated[
        str | None, typer.Option(help="Name in the table; the run's name by default.")
    ] = None,
) -> None:
    """Let one model answer a task's test samples.

    Example: bgpt-bench predict cpu-toy runs/cpu-toy --corpus data/cpu-toy --out predictions/mine
    """
    config = _config(params, limit, free_running_limit)
    found = find_task(task)
    opened = Corpus.open(corpus)
    is_baseline = model in baselines_of(task) and not Path(model).is_dir()
    with _progress(f"{task} {Path(model).name}") as progress:
        answer_task(
            found,
            opened,
            lambda: (
                baseline_entrant(
                    found, model, lambda: load_samples(opened, "train"), config.ngram.max_order
                )
                if is_baseline
                else trained_entrant(found, Path(model), name)
            ),
            out,
            config,
            progress,
        )
    print(out)


@app.command("score")
def score_command(
    predictions: Annotated[
        list[Path],
        typer.Argument(metavar="PRED...", help="Predictions folders, or folders of such."),
    ],
    corpus: CorpusFolder,
    out: Annotated[Path, typer.Option("--out", help="Gets a report a submission, and a summary.")],
    params: Params = None,
    limit: Limit = None,
    free_running_limit: FreeLimit = None,
    as_json: Json = False,
) -> None:
    """Score predictions against the corpus they answer; exit code 1 if any of them is refused.

    Limits must be those that the predictions were made with.

    Example: bgpt-bench score predictions/cpu-toy --corpus data/cpu-toy --out reports/cpu-toy
    """
    config = _config(params, limit, free_running_limit)
    samples = load_samples(Corpus.open(corpus), "test", config.test_samples)
    scored: dict[tuple[str, str], list[tuple[Path, Report, Explanation]]] = {}
    refused = False
    for folder in _predictions_folders(predictions):
        try:
            read = read_predictions(folder)
            task = find_task(read.header.task.name)
            report, explanation = score_and_explain(task, samples, read, config)
        except SubmissionError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            refused = True
            continue
        key = (report.task.name, report.submission.name)
        scored.setdefault(key, []).append((folder, report, explanation))
    reports: list[Report] = []
    for (task_name, name), found in scored.items():
        if len(found) > 1:
            # Both would go by one file name: none is written, so that no order decides.
            folders = " and ".join(str(folder) for folder, _, _ in found)
            print(
                f"error: {folders}: {task_name} predictions by one name, {name!r}; score one of "
                'them, or predict again with another "bgpt-bench predict --name"',
                file=sys.stderr,
            )
            refused = True
            continue
        reports.append(found[0][1])
        write_report(out, reports[-1])
        write_explanation(out, found[0][2])
    if reports:
        write_summary(out)
    if as_json:
        print(json.dumps([dataclasses.asdict(report) for report in reports], indent=1))
    else:
        for report in reports:
            print(_lines(report))
    if refused:
        raise typer.Exit(1)


@app.command("explain")
def explain_command(
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="Folder of predictions, or a report of `score`."),
    ],
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="The corpus that the predictions answer; not for a report."),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=0, max=MAX_WORST // 2, help="Worst samples of each mode.")
    ] = WORST,
    rows: Annotated[int, typer.Option(min=1, help="Parts that a table shows.")] = 12,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page, too.")] = None,
    as_json: Json = False,
) -> None:
    """Show where a result errs: by instruction, register, value, distance, bar, voice; the worst.

    Example: bgpt-bench explain predictions/cpu-toy/mine --corpus data/cpu-toy --samples 5
    """
    with _progress(f"explaining {result.name}") as progress:
        found = explained(result, corpus, samples, progress)
    if html is not None:
        write_page(found, html)
    print(explained_json(found) if as_json else shown(found, rows))


@app.command("compress")
def compress_command(
    task: TaskName,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a model or run.")],
    corpus: CorpusFolder,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="The result to write.")],
    samples: Annotated[int, typer.Option("--limit", min=1, help="Test samples.")] = 100,
    name: Annotated[
        str | None, typer.Option(help="Name in the table; the run's name by default.")
    ] = None,
) -> None:
    """Compress a task's test files with a model, give them back, and compare zstd, xz and brotli.

    Example: bgpt-bench compress cpu-toy runs/cpu-toy --corpus data/cpu-toy --out cpu-toy.json
    """
    from benchmarks.compression import compress_task, write_compression

    found = find_task(task)
    loaded = load_samples(Corpus.open(corpus), "test", samples)
    with _progress(f"{task} {model.name}") as progress:
        report = compress_task(found, model, loaded, progress, name)
    write_compression(out, report)
    for size in report.sizes:
        shown = ", ".join(
            f"{what} {'n/a' if found is None else found}"
            for what, found in (
                (f"{report.scored_bytes} scored bytes:", size.given),
                (f"{report.num_bytes} whole:", size.whole),
                ("as one:", size.as_one),
            )
        )
        print(f"{size.name}: {shown}")
    print(out)


@app.command("leaderboard")
def leaderboard_command(
    reports: Annotated[Path, typer.Argument(metavar="REPORTS", help="Folder of reports.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the page.")],
    runs: Annotated[
        Path | None, typer.Option("--runs", help="Folder of training runs, for the curves.")
    ] = None,
    readme: Annotated[
        Path | None, typer.Option("--readme", help="Markdown file to put the key figures into.")
    ] = None,
    compression: Annotated[
        Path | None,
        typer.Option(help="Results of `compress`; folder compression of --out by default."),
    ] = None,
    studies: Annotated[
        Path | None, typer.Option("--studies", help="Folder of studies, to name what they found.")
    ] = None,
) -> None:
    """Write the leaderboard, one self-contained HTML page.

    Example: bgpt-bench leaderboard reports --runs runs --out docs/results
    """
    build(reports, runs, out, readme=readme, compression=compression, studies=studies)
    print(out / "index.html")


app.command("study")(study_command)


def _config(
    params: Path | None, limit: int | None, free_running_limit: int | None
) -> BenchmarkConfig:
    """Return the configuration with what the command line says instead."""
    config = read_config(params)
    if limit is not None:
        config = dataclasses.replace(config, test_samples=limit)
    if free_running_limit is not None:
        config = dataclasses.replace(config, free_running_samples=free_running_limit)
    return config


def _predictions_folders(given: list[Path]) -> list[Path]:
    """Return every predictions folder that is named or lies below a named folder, once each."""
    found: list[Path] = []
    for folder in given:
        inner = sorted(path.parent for path in folder.rglob(HEADER_NAME))
        found += [folder] if (folder / HEADER_NAME).exists() or not inner else inner
    return list({folder.resolve(): folder for folder in found}.values())


def _lines(report: Report) -> str:
    """Return a report for people: one line a metric."""
    lines = [f"{report.task.name}: {report.submission.name}"]
    for name, metric in report.metrics.items():
        if metric.value is None:
            shown = "n/a"
        else:
            error = "" if metric.stderr is None else f" ± {metric.stderr:.4f}"
            shown = f"{metric.value:.4f}{error} {metric.unit}, n = {metric.n}"
        lines.append(f"  {name:46} {shown}")
    return "\n".join(lines)


@contextmanager
def _progress(title: str) -> Generator[Callable[[int, int], None]]:
    """Show a bar on stderr; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def main() -> None:
    """Run the command line; every user's mistake is one line and exit code 2."""
    run(app, mistakes=(*MISTAKES, ConverterMissing, ConverterDiffers))


if __name__ == "__main__":
    main()

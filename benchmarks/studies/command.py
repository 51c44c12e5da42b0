"""`bgpt-bench study`: one command a study, from `params.yaml` to tables and curves."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from benchmarks.studies.run_result import RunResult


def study_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A study of section `studies`.")],
    params: Annotated[
        Path, typer.Option("--params", help="File with sections `studies` and `runs`.")
    ] = Path("params.yaml"),
    data: Annotated[Path, typer.Option("--data", help="Folder of the corpora.")] = Path("data"),
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Gets tables and curves; docs/results/studies/NAME by default."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Keeps what is done; bench/studies/NAME by default."),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="Share of the bytes of every training; else the section's."),
    ] = None,
    reduced: Annotated[
        bool,
        typer.Option("--reduced", help="The whole way at a small budget, to see that it works."),
    ] = False,
    only: Annotated[
        str | None, typer.Option("--only", help="These options alone: NAME,NAME,...")
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Trainings side by side, one thread each.")
    ] = 1,
) -> None:
    """Do the trainings of a study, or go on with them, and write its tables and curves.

    Kill it at any moment and run it again: what is done is kept, what was under way goes on.

    Example: bgpt-bench study ablations --params params.yaml --data data --jobs 2
    """
    from benchmarks.studies.config import check_budget, load_study
    from benchmarks.studies.plan import Planner
    from benchmarks.studies.report import StudyRun, check_out, write_texts
    from benchmarks.studies.runner import Runner, StudyInterrupted
    from benchmarks.studies.study import study_texts

    if budget is not None:
        check_budget(budget, "--budget")
    study = load_study(params, name)
    if only is not None:
        study = study.with_options([part.strip() for part in only.split(",")])
    study = study.as_reduced() if reduced else study.with_budget(budget or study.budget)
    folder = Path("docs/results/studies") / name if out is None else out
    about = StudyRun(name=name, study=study, budget=study.budget, is_reduced=reduced)
    check_out(folder, about)
    kept = Path("bench/studies") / name if work is None else work
    planner = Planner(study, name, params, data)
    with _progress(name) as show:
        runner = Runner(data, kept, jobs, show)
        try:
            texts = study_texts(about, planner, runner, data)
        except StudyInterrupted as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(128 + error.signal_number) from error
    write_texts(folder, texts)
    for file in texts:
        typer.echo(folder / file)


@contextmanager
def _progress(title: str) -> "Generator[Callable[[int, int, RunResult], None]]":
    """Show a bar on stderr; a line a training where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    width = shutil.get_terminal_size().columns
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int, last: "RunResult") -> None:
            bar.update(task, completed=done, total=total)
            figure = last.failed or f"{last.bits_per_byte:.4f} bits per byte"
            line = (
                f"{done}/{total} {last.task}.{last.option}.seed{last.seed}, {last.bytes} bytes: "
                f"{figure}, {last.cpu_seconds:.0f} CPU s"
            )
            if console.is_terminal:
                console.print(line[:width], highlight=False, markup=False)
            else:
                typer.echo(line, err=True)

        yield show

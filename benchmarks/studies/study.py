"""A study from its section to the texts of its files, by its kind."""

from dataclasses import asdict
from pathlib import Path

from benchmarks.studies.ablation_page import ablation_page
from benchmarks.studies.ablation_picture import ablation_picture
from benchmarks.studies.ablations import task_tables, train_ablations
from benchmarks.studies.page_head import machine_text
from benchmarks.studies.plan import Planner
from benchmarks.studies.report import StudyRun, as_text, study_json
from benchmarks.studies.runner import Runner, machines_of
from benchmarks.studies.scale_page import scale_page
from benchmarks.studies.scale_picture import scale_picture
from benchmarks.studies.scales import scale_tables


def study_texts(about: StudyRun, planner: Planner, runner: Runner, data: Path) -> dict[str, str]:
    """Do the trainings and return the content of every file by name.

    Raises:
        StudyInterrupted: a signal came; what was under way is saved.
        CorpusError: a corpus is missing or too small.
        ValueError: a training cannot start; names it.
    """
    if about.study.kind == "scales":
        return _scale_texts(about, planner, runner, data)
    return _ablation_texts(about, planner, runner)


def _ablation_texts(about: StudyRun, planner: Planner, runner: Runner) -> dict[str, str]:
    at_bytes, at_cpu = train_ablations(about.study, planner, runner)
    tables = task_tables(about.study, planner, (at_bytes, at_cpu))
    every = [result for part in (at_bytes, at_cpu) for rs in part.values() for result in rs]
    results = list({id(result): result for result in every}.values())
    machines = [machine_text(machine) for machine in machines_of(results)]
    pictures = {
        f"{table.task}.svg": ablation_picture(
            table, [r for (task, _), rs in at_bytes.items() if task == table.task for r in rs]
        )
        for table in tables
    }
    content = study_json(about, [asdict(table) for table in tables], results)
    return {
        f"{about.name}.json": as_text(content),
        f"{about.name}.md": ablation_page(about, tables, machines),
        **pictures,
    }


def _scale_texts(about: StudyRun, planner: Planner, runner: Runner, data: Path) -> dict[str, str]:
    tables, results = scale_tables(about.study, planner, runner, data)
    machines = [machine_text(machine) for machine in machines_of(results)]
    content = study_json(about, [asdict(table) for table in tables], results)
    return {
        f"{about.name}.json": as_text(content),
        f"{about.name}.md": scale_page(about, tables, machines),
        **{f"{table.task}.svg": scale_picture(table) for table in tables},
    }

"""A study from its section to the texts of its files, by its kind."""

from dataclasses import asdict

from benchmarks.studies.ablations import task_tables, train_ablations
from benchmarks.studies.plan import Planner
from benchmarks.studies.report import StudyRun, as_text, study_json
from benchmarks.studies.runner import Runner


def study_texts(about: StudyRun, planner: Planner, runner: Runner) -> dict[str, str]:
    """Do the trainings and return the content of every file by name."""
    found = train_ablations(about.study, planner, runner)
    tables = task_tables(about.study, planner, found)
    results = list({id(r): r for part in found for rs in part.values() for r in rs}.values())
    content = study_json(about, {"tasks": [asdict(table) for table in tables]}, results)
    return {f"{about.name}.json": as_text(content)}

"""A study from its section to the texts of its files, by its kind."""

from dataclasses import asdict

from benchmarks.studies.ablation_page import ablation_page
from benchmarks.studies.ablation_picture import ablation_picture
from benchmarks.studies.ablations import task_tables, train_ablations
from benchmarks.studies.page_head import machine_text
from benchmarks.studies.plan import Planner
from benchmarks.studies.report import StudyRun, as_text, study_json
from benchmarks.studies.runner import Runner


def study_texts(about: StudyRun, planner: Planner, runner: Runner) -> dict[str, str]:
    """Do the trainings and return the content of every file by name."""
    at_bytes, at_cpu = train_ablations(about.study, planner, runner)
    tables = task_tables(about.study, planner, (at_bytes, at_cpu))
    every = [result for part in (at_bytes, at_cpu) for rs in part.values() for result in rs]
    results = list({id(result): result for result in every}.values())
    content = study_json(about, {"tasks": [asdict(table) for table in tables]}, results)
    texts = {
        f"{about.name}.json": as_text(content),
        f"{about.name}.md": ablation_page(
            about, tables, [machine_text(machine) for machine in content["machines"]]
        ),
    }
    for table in tables:
        own = [r for (task, _), rs in at_bytes.items() if task == table.task for r in rs]
        texts[f"{table.task}.svg"] = ablation_picture(table, own)
    return texts

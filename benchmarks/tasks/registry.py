"""The tasks by name. A new task is one more entry here; see docs/adding-a-task.md."""

from typing import Final

from benchmarks.task import Task
from benchmarks.tasks.conversion import CONVERSIONS
from benchmarks.tasks.cpu import SIMULATIONS
from simulators.suggest import unknown_name

TASKS: Final[dict[str, Task]] = {task.spec.name: task for task in (*SIMULATIONS, *CONVERSIONS)}


class UnknownTask(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """No task has this name; the message names the nearest."""


def find_task(name: str) -> Task:
    """Return the task called `name`.

    >>> find_task("cpu-toy").spec.version
    1

    Raises:
        UnknownTask: there is none.
    """
    if name not in TASKS:
        raise UnknownTask(unknown_name("task", name, TASKS))
    return TASKS[name]

"""Run independent jobs: in this process, or in several local ones.

An engine takes a picklable function and a list of jobs and yields results as they are done, in any
order: what a job makes depends on the job alone. `LocalEngine` is the only one yet; a distributed
one answers the same call. It knows no shard.

Workers are spawned, not forked (numba and Arrow hold threads), and each talks through a pipe of its
own, so a worker whose parent is killed reads the end of its pipe and exits: no orphans stay, which
`concurrent.futures` does not give.
"""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast, final

J = TypeVar("J")
R = TypeVar("R")


Pipe: TypeAlias = "Connection[Any, Any]"
"""Our end of a worker's pipe."""


class EngineError(RuntimeError):
    """A worker died, or failed in a way that is no user's mistake."""


class Engine(Protocol):
    """Something that runs jobs."""

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Yield `work(job)` of every job, in the order in which they are done.

        Raises:
            EngineError: a worker died, or `work` raised anything else (with its traceback).
            ValueError: `work` raised one, or an OSError; the message is kept, the class is not.
                The other jobs are given up.
        """
        ...


@final
class LocalEngine:
    """Up to `workers` processes on this machine; with one, or one job, this very process."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"{workers} workers: at least one is needed")
        self.workers: int = workers

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Yield `work(job)` of every job, in the order in which they are done."""
        if min(self.workers, len(jobs)) <= 1:
            yield from map(work, jobs)
            return
        waiting = list(reversed(jobs))
        workers: dict[Pipe, BaseProcess] = {}
        try:
            for _ in range(min(self.workers, len(jobs))):
                connection, process = _start_worker(work)
                workers[connection] = process
                connection.send(waiting.pop())
            busy = set(workers)
            while busy:
                for ready in cast("list[Pipe]", wait(list(busy))):
                    yield _receive(ready, workers[ready])
                    if waiting:
                        ready.send(waiting.pop())
                    else:
                        busy.remove(ready)
        finally:
            for connection, process in workers.items():
                connection.close()
                process.terminate()
                process.join()


IN_PROCESS: Final = LocalEngine(1)
"""Runs every job in this very process, in order."""


def _start_worker(work: Callable[[Any], Any]) -> tuple[Pipe, BaseProcess]:
    """Start one worker process and return our end of its pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    return cast("Pipe", ours), process  # on Windows a PipeConnection, which answers the same calls


def _receive(connection: Pipe, process: BaseProcess) -> Any:
    """Return one result, or raise what the worker raised."""
    try:
        ending, value = connection.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        raise EngineError(
            f"a worker process died (exit code {process.exitcode}); the machine may be out of "
            "memory. Run the same command again, with fewer workers: it goes on where it stopped"
        ) from error
    if ending == "mistake":
        raise ValueError(value)
    if ending == "failure":
        raise EngineError(value)
    return value


def _serve(connection: Pipe, work: Callable[[Any], Any]) -> None:
    """Answer jobs until the pipe ends: a worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    while True:
        try:
            job = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        answer: tuple[str, Any]
        try:
            answer = ("result", work(job))
        except (ValueError, OSError) as error:
            answer = ("mistake", str(error))
        except Exception as error:  # noqa: BLE001 - carried to the parent, which raises it
            answer = ("failure", "".join(traceback.format_exception(error)))
        try:
            connection.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return

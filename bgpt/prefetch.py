# pyright: reportUnknownMemberType=false
"""The coming steps' batches, prepared in processes beside the trainer, in the order of steps.

Worker i of n prepares every n-th batch from the i-th on and writes each into a pipe of its own. A
full pipe makes it wait: it is at least one batch ahead, and nothing has to be asked for. What a
batch holds depends on its number alone (`bgpt.data`), so any number of workers gives the same
bytes, and a resumed run starts its workers at its step. There is no other state.

Workers are spawned and hear of the trainer's end through their pipe alone, as those of
`pipelines.engine` do and for the same reasons. Signals to the whole group are the trainer's to
answer: it still finishes its step and saves.
"""

import multiprocessing
import signal
import traceback
from dataclasses import fields
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, cast, final

import numpy as np
import torch

from bgpt.curriculum import Curriculum
from bgpt.data import BatchStream
from bgpt.patching import PatchBatch
from bgpt.prepared import Part, Prepared, prepare
from bgpt.ranks import Ranks
from bgpt.train_config import TrainConfig
from pipelines.engine import EngineError, Pipe


class Loader(Protocol):
    """Gives one prepared batch after the other."""

    def next(self) -> Prepared:
        """Return the next batch.

        Raises:
            EngineError: a worker died.
            ValueError: a sample cannot be read.
        """
        ...

    def close(self) -> None:
        """End the workers."""
        ...


def open_loader(
    stream: BatchStream | Curriculum, config: TrainConfig, ranks: Ranks, first: int
) -> Loader:
    """Return a loader of the batches from number `first` on, with `config.workers` processes."""
    if not config.workers:
        return _InPlace(stream, config, ranks, first)
    return _Workers(stream, config, ranks, first)


@final
class _InPlace:
    """Prepares a batch when it is asked for."""

    def __init__(
        self, stream: BatchStream | Curriculum, config: TrainConfig, ranks: Ranks, first: int
    ) -> None:
        self._stream, self._config, self._ranks, self._number = stream, config, ranks, first

    def next(self) -> Prepared:
        number = self._number
        self._number += 1
        return prepare(self._stream.batch(number), self._config, self._ranks)

    def close(self) -> None:
        pass


@final
class _Workers:
    """Takes batches from worker processes in turn."""

    def __init__(
        self, stream: BatchStream | Curriculum, config: TrainConfig, ranks: Ranks, first: int
    ) -> None:
        self._workers: list[tuple[Pipe, BaseProcess]] = []
        self._turn = 0
        context = multiprocessing.get_context("spawn")
        try:
            for i in range(config.workers):
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=_serve, args=(theirs, stream, config, ranks, first + i), daemon=True
                )
                process.start()
                theirs.close()
                self._workers.append((cast("Pipe", ours), process))
        except BaseException:
            self.close()
            raise

    def next(self) -> Prepared:
        number = self._turn
        connection, process = self._workers[number]
        self._turn = (number + 1) % len(self._workers)
        try:
            ending, value = connection.recv()
        except (EOFError, OSError) as error:
            process.join()
            raise EngineError(
                f"loader worker {number + 1} of {len(self._workers)} died (exit code "
                f"{process.exitcode}); the machine may be out of memory. Run the same command "
                "again, with fewer train.workers: it goes on from the last checkpoint"
            ) from error
        if ending == "mistake":
            raise ValueError(value)
        if ending == "failure":
            raise EngineError(value)
        return _unpacked(value)

    def close(self) -> None:
        for connection, process in self._workers:
            connection.close()
            process.kill()  # they only read, and SIGTERM they leave to the trainer
            process.join()
            process.close()
        self._workers = []


def _serve(
    connection: Pipe,
    stream: BatchStream | Curriculum,
    config: TrainConfig,
    ranks: Ranks,
    number: int,
) -> None:
    """Prepare every `config.workers`-th batch from `number` on until the pipe ends."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    torch.set_num_threads(1)
    answer: tuple[str, Any] = ("result", None)
    while answer[0] == "result":
        try:
            answer = ("result", _packed(prepare(stream.batch(number), config, ranks)))
        except (ValueError, OSError) as error:
            answer = ("mistake", str(error))
        except Exception as error:  # noqa: BLE001 - carried to the trainer, which raises it
            answer = ("failure", "".join(traceback.format_exception(error)))
        try:
            connection.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return
        number += config.workers


def _packed(prepared: Prepared) -> dict[str, Any]:
    """Return the fields of `prepared` with arrays for tensors.

    Torch would hand tensors over in shared memory, which is gone when their maker is. Tokens are
    0..256, so 2 bytes carry what the model wants in 8.
    """
    parts: list[dict[str, Any]] = []
    for part in prepared.parts:
        found = {field.name: getattr(part.batch, field.name) for field in fields(PatchBatch)}
        found["patches"] = part.batch.patches.to(torch.int16)
        batch = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in found.items()}
        parts.append({"batch": batch, "corpora": part.corpora})
    names = [field.name for field in fields(Prepared)]
    return {name: getattr(prepared, name) for name in names} | {"parts": parts}


def _unpacked(packed: dict[str, Any]) -> Prepared:
    """Return what `_packed` was given."""
    parts: list[Part] = []
    for part in packed["parts"]:
        batch: dict[str, Any] = {
            name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for name, value in part["batch"].items()
        }
        batch["patches"] = batch["patches"].to(torch.int64)
        parts.append(Part(batch=PatchBatch(**batch), corpora=part["corpora"]))
    whole: dict[str, Any] = packed | {"parts": tuple(parts)}
    return Prepared(**whole)

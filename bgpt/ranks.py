# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Several processes that train one model together, started by `torchrun`; or one, alone.

Every rank computes the same global batches from the same configuration and takes its share of each
(`Ranks.share`), so the number of ranks changes no batch, no order and, but for the last digits of
sums, no curve. `bgpt.gradients` gives even a rank without a sample something to do, so that none
waits for another. Rank 0 alone writes. Weights are whole on every rank, or in parts
(`bgpt.sharding`); the largest preset, whole, with its optimizer's state, takes less than 2 GB.
"""

import gc
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
import torch.distributed as dist

T = TypeVar("T")
NOTHING: Mapping[str, object] = {}


class RanksDiffer(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """Ranks that see different corpora, configurations or checkpoints."""


class OtherRankFailed(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """Another rank could not do its part; its own error says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """This process among those that train together. A single one never communicates."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Number of this process on its machine."""
    device: str = "cpu"
    """Where numbers that are exchanged live: `cpu` with gloo, `cuda` with nccl."""
    is_sharded: bool = False
    """Whether every rank holds its part of the weights alone (`bgpt.sharding`)."""

    @property
    def is_first(self) -> bool:
        """Return whether this is rank 0, the one that writes."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this rank's items, every `count`-th: like amounts of work, if sorted by length."""
        return list(items[self.rank :: self.count])

    def sums(self, *values: float) -> list[float]:
        """Return the sum of each value over all ranks, in float64; every rank must call it."""
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def largest(self, value: int) -> int:
        """Return the largest value of all ranks; every rank must call it."""
        if self.count == 1:
            return value
        tensor = torch.tensor([value], device=self.device)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return int(tensor)

    def check_same(self, what: str, sha256: str, parts: Mapping[str, object] = NOTHING) -> None:
        """Compare a hash over all ranks; `parts` is what it is of, by name.

        Raises:
            RanksDiffer: on every rank, if one has another hash; names the first that differs, and
                the first of its parts that does.
        """
        if self.count == 1:
            return
        own = torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8, device=self.device)
        found = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(found, own)
        hashes = [bytes(one.tolist()).hex() for one in found]
        odd = next((i for i, one in enumerate(hashes) if one != hashes[0]), None)
        if odd is None:
            return
        name, theirs, first = "sha256", hashes[odd][:12], hashes[0][:12]
        found_parts = [json.loads(text) for text in self._texts(json.dumps(dict(parts)))]
        for key in [*found_parts[0], *found_parts[odd]]:
            a, b = (found_parts[rank].get(key, "absent") for rank in (0, odd))
            if a != b:
                name, theirs, first = key, b, a
                break
        raise RanksDiffer(
            f"rank {odd} has other {what} than rank 0: {name} is {theirs} there and {first} on "
            "rank 0; give every rank the same folders and parameters"
        )

    def _texts(self, text: str) -> list[str]:
        """Return the text of every rank; every rank must call it."""
        own = text.encode()
        longest = self.largest(len(own))
        # Spaces behind it change no JSON.
        padded = torch.tensor(list(own.ljust(longest)), dtype=torch.uint8, device=self.device)
        found = [torch.empty_like(padded) for _ in range(self.count)]
        dist.all_gather(found, padded)
        return [bytes(one.tolist()).decode() for one in found]

    def on_all(self, work: Callable[[], T]) -> T:
        """Do `work` on every rank and return its result: none goes on where one failed.

        Raises:
            OtherRankFailed: it failed elsewhere; where it failed, the error itself is raised.
        """
        failure: Exception | None = None
        result: T | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - the other ranks must hear of any
            failure = error
        is_failed = self.largest(int(failure is not None))
        if failure is not None:
            raise failure
        if is_failed:
            raise OtherRankFailed(f"rank {self.rank}: stopped, because another rank failed")
        return cast("T", result)

    def on_first(self, work: Callable[[], object]) -> None:
        """Do `work` on rank 0 while the others wait; see `on_all`."""
        self.on_all(work if self.is_first else _nothing)

    def on_each_machine(self, work: Callable[[], object]) -> None:
        """Do `work` on one rank of every machine while the others wait; see `on_all`."""
        self.on_all(work if self.local_rank == 0 else _nothing)


def _nothing() -> None:
    """Do the part of a rank that has none."""


ALONE = Ranks()


@contextmanager
def open_ranks(device: Literal["cpu", "cuda"], *, is_sharded: bool = False) -> Generator[Ranks]:
    """Join the processes that `torchrun` started, by its environment; without it, be alone.

    Raises:
        ValueError: weights are to be in parts, and there is one process.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 and is_sharded:
        raise ValueError(
            "--shard: one process holds all weights in any case; start several with torchrun "
            "--nproc-per-node N -m bgpt train ..., or leave --shard out"
        )
    if count == 1:
        yield ALONE
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Ranks(
            rank=dist.get_rank(), count=count, local_rank=local_rank, device=device,
            is_sharded=is_sharded,
        )  # fmt: skip
    finally:
        # What holds the group, such as DistributedDataParallel, sits in cycles of references. Freed
        # after the group's end it waits for a thread of it for ever, when the process exits.
        gc.collect()
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Return whether this process is rank 0 by `torchrun`'s environment, or alone."""
    return os.environ.get("RANK", "0") == "0"

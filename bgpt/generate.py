"""Decoding of many prompts: greedy or by chance, in batches, shown as it comes.

It puts prompts into batches of like length and their results back into order; a batch is decoded
by `bgpt.decoder`. The result equals decoding without caches, one prompt at a time (that is a
test); how a token is chosen, `bgpt.choosing` and `bgpt.sampling` know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bgpt.choosing import ByChance, likeliest
from bgpt.decoder import Batch, Decoder, Written
from bgpt.decoding_copy import DecodingModel, decoding_threads, prepare
from bgpt.model import Bgpt
from bgpt.protocol import Prompt
from bgpt.sampling import Sampling

DEFAULT_BATCH_SIZE = 64


def nothing(number: int, data: bytes) -> None:
    """Show nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How prompts are decoded."""

    sampling: Sampling | None = None
    """None: greedy, always the likeliest token."""
    batch_size: int = DEFAULT_BATCH_SIZE
    """Prompts at once. With 8-bit weights always one."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")


def generate(
    model: Bgpt,
    prompts: Sequence[Prompt],
    max_bytes: Sequence[int],
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> list[bytes]:
    """Write greedily after each prompt until `EOP`, at most `max_bytes[i]` bytes; see `decode`."""
    written = decode(model, prompts, max_bytes, Decoding(batch_size=batch_size))
    return [one.data for one in written]


def decode(
    model: Bgpt | DecodingModel,
    prompts: Sequence[Prompt],
    max_bytes: Sequence[int],
    how: Decoding,
    *,
    keys: Sequence[int | str] | None = None,
    on_bytes: Callable[[int, bytes], None] = nothing,
) -> list[Written]:
    """Write after each prompt until `EOP`, at most `max_bytes[i]` bytes.

    A row also stops where one patch more would leave no room for the end patch, so what stands
    after a prompt can always be laid out with it and scored. Rows of similar length are decoded
    together; results stand in the order of the prompts.

    `keys` tell prompts apart in sampling: with its key, seed and prompt a file is the same whatever
    else is written; None: the prompts' numbers. `on_bytes` is called with a prompt's number and the
    next bytes of its file as they come. A model that is asked more than once is best prepared once
    (`bgpt.decoding_copy.prepare`), which is also the way to 8-bit weights.

    Raises:
        TooLong: a prompt and the end patch fill the model's sequence by themselves.
        ValueError: the numbers of prompts, limits and keys differ.
    """
    if len(prompts) != len(max_bytes):
        raise ValueError(f"{len(prompts)} prompts, but {len(max_bytes)} limits")
    named = range(len(prompts)) if keys is None else keys
    if len(named) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts, but {len(named)} keys")
    ready = model if isinstance(model, DecodingModel) else prepare(model)
    batch_size = 1 if ready.int8 else how.batch_size
    written: dict[int, Written] = {}

    def cost(i: int) -> tuple[int, int]:
        source = prompts[i].source
        return max_bytes[i], len(prompts[i].given) + (len(source.data) if source else 0)

    order = sorted(range(len(prompts)), key=cost)
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        batch = Batch(
            numbers=chosen,
            prompts=[prompts[i] for i in chosen],
            max_bytes=[max_bytes[i] for i in chosen],
        )
        some_keys = [named[i] for i in chosen]
        choose = likeliest if how.sampling is None else ByChance(how.sampling, some_keys)
        with decoding_threads(ready):
            decoder = Decoder(ready.model, batch, choose, on_bytes)
            written.update(zip(chosen, decoder.run(), strict=True))
    return [written[i] for i in range(len(prompts))]

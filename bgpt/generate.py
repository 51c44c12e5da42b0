# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Greedy decoding of many prompts at once, with caches at both levels.

A patch is decoded byte by byte against the byte level's small cache; then it enters the patch
level, whose cache holds keys and values of every earlier patch. Rows that have written `EOP` leave
the batch. The result equals argmax decoding without caches (that is a test). No sampling here.

Shapes: B rows still in the batch, T cached patches, H heads, K width a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bgpt.byte_level import SourceMemory
from bgpt.config import PATCH_SIZE
from bgpt.layers import attend_plain, causal_mask, ragged, take_rows
from bgpt.model import Bgpt
from bgpt.patching import TooLong, collate, layout
from bgpt.protocol import EOP, Prompt
from pipelines.sample import Segment

MASKED = -1e9
"""Added to the score of a cached place that a row has not filled."""


def generate(
    model: Bgpt, prompts: Sequence[Prompt], max_bytes: Sequence[int], *, batch_size: int = 64
) -> list[bytes]:
    """Write greedily after each prompt until `EOP`, at most `max_bytes[i]` bytes.

    A row also stops where one patch more would leave no room for the end patch, so what stands
    after a prompt can always be laid out with it and scored. Rows of similar length are decoded
    together; results stand in the order of the prompts.

    Raises:
        TooLong: a prompt and the end patch fill the model's sequence by themselves.
        ValueError: the numbers of prompts and of limits differ.
    """
    if len(prompts) != len(max_bytes):
        raise ValueError(f"{len(prompts)} prompts, but {len(max_bytes)} limits")
    written: list[bytes] = [b""] * len(prompts)

    def cost(i: int) -> tuple[int, int]:
        source = prompts[i].source
        return max_bytes[i], len(prompts[i].given) + (len(source.data) if source else 0)

    order = sorted(range(len(prompts)), key=cost)
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        decoder = _Decoder(model, [prompts[i] for i in chosen], [max_bytes[i] for i in chosen])
        for i, data in zip(chosen, decoder.run(), strict=True):
            written[i] = data
    return written


@dataclass(slots=True)
class _Rows:
    """State of the rows still in the batch."""

    number: Tensor
    """`[B]` which prompt."""
    length: Tensor
    """`[B]` patches in the cache."""
    hidden: Tensor
    """`[B, D]` what the patch level says of the next patch."""
    earlier: Tensor
    """`[B, 16 * n]` tokens right before the next patch."""
    keys: list[Tensor]
    """Per layer `[B, T, H, K]`."""
    values: list[Tensor]
    source: SourceMemory | None

    def keep(self, kept: Tensor) -> None:
        """Drop all rows but `kept`."""
        self.number, self.length = self.number[kept], self.length[kept]
        self.hidden, self.earlier = self.hidden[kept], self.earlier[kept]
        self.keys = [tensor[kept] for tensor in self.keys]
        self.values = [tensor[kept] for tensor in self.values]
        if self.source is not None:
            self.source = SourceMemory(
                keys=self.source.keys[kept],
                values=self.source.values[kept],
                mask=self.source.mask[kept],
                num_patches=self.source.num_patches[kept],
            )


class _Decoder:
    """Decodes one batch of prompts."""

    def __init__(self, model: Bgpt, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> None:
        self.model = model
        self.limits = list(max_bytes)
        self.written = [bytearray() for _ in prompts]
        self.whole = [len(p.given) // PATCH_SIZE * PATCH_SIZE for p in prompts]
        self.forced = [p.given[whole:] for p, whole in zip(prompts, self.whole, strict=True)]
        self.prompts = prompts

    @torch.no_grad()
    def run(self) -> list[bytes]:
        """Return what was written after each prompt."""
        rows = self._read_prompts()
        unfinished = torch.tensor([limit > 0 for limit in self.limits])
        rows.keep(unfinished.nonzero()[:, 0].to(rows.number.device))
        while len(rows.number):
            tokens = self._write_patch(rows)
            going = self._collect(rows, tokens)
            rows.keep(going)
            if len(rows.number):
                self._append(rows, tokens[going])
        return [bytes(data) for data in self.written]

    def _read_prompts(self) -> _Rows:
        """Run the patch level over all whole patches of the prompts and fill the caches."""
        model, config = self.model, self.model.config
        samples = []
        for prompt, whole in zip(self.prompts, self.whole, strict=True):
            segments = [Segment(extension=prompt.extension, data=prompt.given[:whole])]
            if prompt.source is not None:
                segments.insert(0, prompt.source)
            sample = layout(segments, end=False)
            if not _has_room(len(sample), config.max_patches):
                raise TooLong(
                    f"a prompt of {len(sample)} patches leaves no room: the model reads at most "
                    f"{config.max_patches}, the end patch among them"
                )
            samples.append(sample)
        device = next(model.parameters()).device
        batch = collate(samples).to(device)
        rows = ragged(batch.num_patches)
        tokens, at = take_rows(batch.patches, rows), rows.positions()
        level = model.patch_level
        x = level.embed(tokens, at, model.embedding, torch.float32)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        mask = causal_mask(rows.longest, x.dtype, device)
        for block in level.blocks:
            q, k, v = block.attention.heads(block.norm_1(x), level.rotary_positions(at))
            q, k, v = rows.pad(q), rows.pad(k), rows.pad(v)
            x = x + block.attention.out(rows.flatten(attend_plain(q, k, v, mask)).flatten(1))
            x = x + block.feed_forward(block.norm_2(x))
            keys.append(k)
            values.append(v)
        hidden = rows.pad(level.norm(x))
        source = model.source_memory(batch, hidden)
        last = batch.num_patches - 1
        samples_at = torch.arange(len(samples), device=device)
        return _Rows(
            number=samples_at,
            length=batch.num_patches,
            hidden=hidden[samples_at, last],
            earlier=model.byte_level.earlier(batch.patches, samples_at, batch.num_patches),
            keys=keys,
            values=values,
            source=source,
        )

    def _write_patch(self, rows: _Rows) -> Tensor:
        """Return the next patch `[B, 16]` of every row; after an `EOP` only `EOP`."""
        model, level = self.model, self.model.byte_level
        window = model.config.window
        known = level.known_inputs(rows.hidden, rows.earlier, model.embedding)
        forced = self._forced_tokens(rows)
        stream = rows.earlier[:, rows.earlier.shape[1] - window :]  # [B, window + i]
        ended = torch.zeros(len(rows.number), dtype=torch.bool, device=known.device)
        keys: list[list[Tensor]] = [[] for _ in level.blocks]
        values: list[list[Tensor]] = [[] for _ in level.blocks]
        for i in range(PATCH_SIZE):
            x = known[:, i : i + 1]
            if window or i:
                before = stream[:, -window:] if window else stream[:, -1:]
                x = x + level.byte_inputs(before, 1, model.embedding, x.dtype)
            if rows.source is not None:
                x = x + level.read_source(x[:, None], rows.source, rows.length[:, None])[:, 0]
            for block, block_keys, block_values in zip(level.blocks, keys, values, strict=True):
                q, k, v = block.attention.heads(block.norm_1(x))
                block_keys.append(k)
                block_values.append(v)
                mixed = attend_plain(q, torch.cat(block_keys, 1), torch.cat(block_values, 1), None)
                x = x + block.attention.out(mixed.flatten(2))
                x = x + block.feed_forward(block.norm_2(x))
            token = level.logits(level.norm(x[:, 0]), model.embedding).argmax(dim=-1)
            token = torch.where(forced[:, i] >= 0, forced[:, i], token)
            token = torch.where(ended, EOP, token)
            ended = token == EOP
            stream = torch.cat((stream, token[:, None]), dim=1)
        return stream[:, -PATCH_SIZE:]

    def _forced_tokens(self, rows: _Rows) -> Tensor:
        """Return `[B, 16]`: given bytes of the patch that a prompt ends in, -1 where free."""
        forced = np.full((len(rows.number), PATCH_SIZE), -1, dtype=np.int64)
        for row, number in enumerate(rows.number.tolist()):
            given = self.forced[number]
            forced[row, : len(given)] = np.frombuffer(given, dtype=np.uint8)
        return torch.from_numpy(forced).to(rows.number.device)

    def _collect(self, rows: _Rows, tokens: Tensor) -> Tensor:
        """Take over the new bytes; return the rows `[kept]` that go on."""
        going: list[int] = []
        for row, (number, patch) in enumerate(
            zip(rows.number.tolist(), tokens.tolist(), strict=True)
        ):
            data = self.written[number]
            skipped, self.forced[number] = len(self.forced[number]), b""
            has_ended = EOP in patch
            data.extend(patch[skipped : patch.index(EOP) if has_ended else PATCH_SIZE])
            del data[self.limits[number] :]
            is_full = not _has_room(int(rows.length[row]) + 1, self.model.config.max_patches)
            if not (has_ended or is_full or len(data) == self.limits[number]):
                going.append(row)
        return torch.tensor(going, dtype=torch.long, device=tokens.device)

    def _append(self, rows: _Rows, tokens: Tensor) -> None:
        """Run the patch level over one new patch `tokens [B, 16]` a row."""
        model, level = self.model, self.model.patch_level
        at = rows.length
        num_cached = int(at.max()) + 1
        row = torch.arange(len(at), device=at.device)
        filled = torch.arange(num_cached, device=at.device) <= at[:, None]
        mask = torch.where(filled, 0.0, MASKED)[:, None, None]  # [B, 1, 1, T]
        x = level.embed(tokens, at, model.embedding, torch.float32)
        for layer, block in enumerate(level.blocks):
            q, k, v = block.attention.heads(block.norm_1(x), level.rotary_positions(at))
            for cache, new in ((rows.keys, k), (rows.values, v)):
                cache[layer] = _room(cache[layer], num_cached)
                cache[layer][row, at] = new
            cached_k, cached_v = rows.keys[layer], rows.values[layer]
            mixed = attend_plain(
                q[:, None], cached_k[:, :num_cached], cached_v[:, :num_cached], mask
            )
            x = x + block.attention.out(mixed[:, 0].flatten(1))
            x = x + block.feed_forward(block.norm_2(x))
        rows.hidden = level.norm(x)
        rows.length = at + 1
        if rows.earlier.shape[1]:
            rows.earlier = torch.cat((rows.earlier, tokens), dim=1)[:, PATCH_SIZE:]


def _has_room(num_patches: int, max_patches: int) -> bool:
    """Return whether a patch can follow the first `num_patches`, and the end patch after it."""
    return num_patches + 2 <= max_patches


def _room(cache: Tensor, length: int) -> Tensor:
    """Return `cache [B, T, H, K]` with room for `length` patches, grown by half when it must."""
    missing = length - cache.shape[1]
    if missing <= 0:
        return cache
    size = max(length, cache.shape[1] + cache.shape[1] // 2 + 8)
    grown = cache.new_zeros((cache.shape[0], size, *cache.shape[2:]))
    grown[:, : cache.shape[1]] = cache
    return grown

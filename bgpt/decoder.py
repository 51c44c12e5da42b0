# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""One batch of prompts through both levels with caches, byte by byte, to each file's end.

A patch is decoded byte by byte against the byte level's small cache; then it enters the patch
level, whose cache holds keys and values of every earlier patch. Rows that have written `EOP`, or
as much as they may, leave the batch. Which prompts share a batch is `bgpt.generate`'s business,
which token is written `bgpt.choosing`'s.

Shapes: B rows still in the batch, T cached patches, C bytes a patch, H heads, K width a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bgpt.choosing import Choose
from bgpt.decoding_rows import Rows, by_head, with_room
from bgpt.layers import attend_causal, attend_plain, ragged, take_rows
from bgpt.model import Bgpt
from bgpt.patching import PatchedSample, TooLong, collate, layout
from bgpt.protocol import EOP, Prompt
from pipelines.sample import Segment

MASKED = -1e9
"""Added to the score of a cached place that a row has not filled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What was written after one prompt."""

    data: bytes
    ended: bool
    """By `EOP`; else the limit was reached, or the model's sequence is full."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Prompts that are decoded together."""

    numbers: Sequence[int]
    """What the caller calls each, for showing bytes."""
    prompts: Sequence[Prompt]
    max_bytes: Sequence[int]


class Decoder:
    """Decodes one batch."""

    def __init__(
        self,
        model: Bgpt,
        batch: Batch,
        choose: Choose,
        on_bytes: Callable[[int, bytes], None],
    ) -> None:
        self._model = model
        self._batch = batch
        self._choose = choose
        self._on_bytes = on_bytes
        prompts = batch.prompts
        self._patch_size = size = model.config.patch_size
        whole = [len(p.given) // size * size for p in prompts]
        self._forced = [p.given[start:] for p, start in zip(prompts, whole, strict=True)]
        self._position = np.array(whole, np.int64)
        """Of the next patch's first byte in each file."""
        self._room = np.array(batch.max_bytes, np.int64)
        self._data = [bytearray() for _ in prompts]
        self._ended = np.zeros(len(prompts), np.bool_)

    @torch.no_grad()
    def run(self) -> list[Written]:
        """Return what was written after each prompt.

        Raises:
            TooLong: a prompt leaves no room for a patch and the end patch.
        """
        longest = self._model.config.max_patches
        rows = self._read_prompts()
        rows.keep((self._room > 0).nonzero()[0])
        while len(rows.number):
            tokens = self._write_patch(rows)
            going = ~self._ended[rows.number] & (self._room[rows.number] > 0)
            going &= rows.length.cpu().numpy() + 1 <= longest - 2
            kept = going.nonzero()[0]
            rows.keep(kept)
            if len(kept):
                self._append(rows, tokens[torch.from_numpy(kept).to(tokens.device)])
        return [
            Written(data=bytes(data), ended=bool(ended))
            for data, ended in zip(self._data, self._ended, strict=True)
        ]

    def _read_prompts(self) -> Rows:
        """Run the patch level over all whole patches of the prompts and fill the caches.

        Equal prompts are read once.
        """
        model, prompts = self._model, self._batch.prompts
        distinct = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
        samples = [_whole_patches(prompt, self._patch_size) for prompt in distinct]
        most = max(len(sample) for sample in samples)
        if most + 2 > model.config.max_patches:
            raise TooLong(
                f"a prompt of {most} patches leaves no room: the model reads at most "
                f"{model.config.max_patches}, the end patch among them"
            )
        device = next(model.parameters()).device
        batch = collate(samples).to(device)
        rows = ragged(batch.num_patches)
        tokens, at = take_rows(batch.patches, rows), rows.positions()
        level = model.patch_level
        x = level.embed(tokens, at, model.embedding, torch.float32)
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for block in level.blocks:
            q, k, v = block.attention.heads(block.norm_1(x), level.rotary_positions(at))
            q, k, v = rows.pad(q), by_head(rows.pad(k)), by_head(rows.pad(v))
            x = x + block.attention.out(rows.flatten(attend_causal(q, k, v)).flatten(1))
            x = x + block.feed_forward(block.norm_2(x))
            keys.append(k)
            values.append(v)
        hidden = rows.pad(level.norm(x))
        source = model.source_memory(batch, hidden)
        if source is not None:
            source = replace(source, keys=by_head(source.keys), values=by_head(source.values))
        samples_at = torch.arange(len(samples), device=device)
        state = Rows(
            number=np.arange(len(samples)),
            length=batch.num_patches,
            hidden=hidden[samples_at, batch.num_patches - 1],
            earlier=model.byte_level.earlier(batch.patches, samples_at, batch.num_patches),
            keys=keys,
            values=values,
            source=source,
        )
        state.keep(np.array([distinct[prompt] for prompt in prompts], np.int64))
        state.number = np.arange(len(prompts))
        return state

    def _write_patch(self, rows: Rows) -> Tensor:
        """Return the next patch `[B, C]` of every row; shorter if all rows have come to an end.

        What a row holds after its end means nothing.
        """
        model, level = self._model, self._model.byte_level
        config = model.config
        known = level.known_inputs(rows.hidden, rows.earlier, model.embedding)
        forced = self._forced_tokens(rows)
        stream = rows.earlier[:, rows.earlier.shape[1] - config.window :]  # [B, window + i]
        num_heads, head_width = config.byte_heads, config.byte_width // config.byte_heads
        size = (len(rows.number), num_heads, config.patch_size, head_width)
        caches = [(known.new_empty(size), known.new_empty(size)) for _ in level.blocks]
        for i in range(config.patch_size):
            x = known[:, i : i + 1]
            if config.window or i:
                before = stream[:, -config.window :] if config.window else stream[:, -1:]
                x = x + level.byte_inputs(before, 1, model.embedding, x.dtype)
            if rows.source is not None:
                x = x + level.read_source(x[:, None], rows.source, rows.length[:, None])[:, 0]
            entered = None
            if config.value_embeddings:
                entered = stream[:, config.window :][:, -1:]  # [B, 1], at the first position [B, 0]
            for block, (keys, values) in zip(level.blocks, caches, strict=True):
                q, k, v = block.attention.heads(block.norm_1(x), entered=entered)  # [B, 1, H, K]
                keys[:, :, i], values[:, :, i] = k[:, 0], v[:, 0]
                mixed = attend_plain(
                    q, keys[:, :, : i + 1].transpose(1, 2), values[:, :, : i + 1].transpose(1, 2),
                    None,
                )  # fmt: skip
                x = x + block.attention.out(mixed.flatten(2))
                x = x + block.feed_forward(block.norm_2(x))
            logits = level.logits(level.norm(x[:, 0]), model.embedding)
            tokens = self._take(rows, forced[:, i], logits, i)
            if not (~self._ended[rows.number] & (self._room[rows.number] > 0)).any():
                break
            new = torch.from_numpy(tokens).to(stream.device)
            stream = torch.cat((stream, new[:, None]), dim=1)
        for number in rows.number.tolist():
            self._forced[number] = b""
        self._position[rows.number] += self._patch_size
        return stream[:, config.window :]

    def _take(
        self, rows: Rows, forced: NDArray[np.int64], logits: Tensor, i: int
    ) -> NDArray[np.int64]:
        """Return the token `[B]` at place `i` of the patch; what was not given is written.

        Rows that have come to an end get `EOP`.
        """
        number = rows.number
        is_free = forced < 0
        tokens = np.where(is_free, EOP, forced)
        is_open = is_free & ~self._ended[number] & (self._room[number] > 0)
        asked = is_open.nonzero()[0]
        if not len(asked):
            return tokens
        if len(asked) < len(number):
            logits = logits[torch.from_numpy(asked).to(logits.device)]
        at = number[asked]
        tokens[asked] = self._choose(at, self._position[at] + i, logits)
        self._ended[at[tokens[asked] == EOP]] = True
        writes = asked[tokens[asked] != EOP]
        self._room[number[writes]] -= 1
        for which, token in zip(number[writes].tolist(), tokens[writes].tolist(), strict=True):
            self._data[which].append(token)
            self._on_bytes(self._batch.numbers[which], bytes((token,)))
        return tokens

    def _forced_tokens(self, rows: Rows) -> NDArray[np.int64]:
        """Return `[B, C]`: given bytes of the patch that a prompt ends in, -1 where free."""
        forced = np.full((len(rows.number), self._patch_size), -1, dtype=np.int64)
        for row, number in enumerate(rows.number.tolist()):
            given = self._forced[number]
            forced[row, : len(given)] = np.frombuffer(given, dtype=np.uint8)
        return forced

    def _append(self, rows: Rows, tokens: Tensor) -> None:
        """Run the patch level over one new patch `tokens [B, C]` a row."""
        model, level = self._model, self._model.patch_level
        at = rows.length
        num_cached = int(at.max()) + 1
        row = torch.arange(len(at), device=at.device)
        filled = torch.arange(num_cached, device=at.device) <= at[:, None]
        mask = torch.where(filled, 0.0, MASKED)[:, None, None]  # [B, 1, 1, T]
        x = level.embed(tokens, at, model.embedding, torch.float32)
        for layer, block in enumerate(level.blocks):
            q, k, v = block.attention.heads(block.norm_1(x), level.rotary_positions(at))
            for cache, new in ((rows.keys, k), (rows.values, v)):
                cache[layer] = with_room(cache[layer], num_cached)
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
            rows.earlier = torch.cat((rows.earlier, tokens), dim=1)[:, self._patch_size :]


def _whole_patches(prompt: Prompt, patch_size: int) -> PatchedSample:
    """Return the patches of a prompt that are complete, its source's and extensions among them."""
    whole = len(prompt.given) // patch_size * patch_size
    segments = [Segment(extension=prompt.extension, data=prompt.given[:whole])]
    if prompt.source is not None:
        segments.insert(0, prompt.source)
    return layout(segments, scored_from=whole, end=False, patch_size=patch_size)

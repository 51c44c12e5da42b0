# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportPrivateUsage=false
"""The parts both levels are made of: norm, attention, feed-forward, block, and ragged rows.

Every linear layer computes in the dtype of what it is given; weights stay in float32. Causal
masks, caches and positions are the callers' (`bgpt.model`, `bgpt.generate`).

Shapes: B samples, T patches of the longest, N patches in all, D width, H heads, K width a head.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bgpt.config import ModelConfig
from bgpt.protocol import NUM_TOKENS

EPSILON = 1e-5
"""GPT-2's; used by every norm."""
Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys, values `[..., H, K]` to what they attend to, of the shape of the queries."""


@cache
def fast_dtype(device_type: str) -> torch.dtype:
    """Return bfloat16 where products in it are fast, else float32.

    A device without bfloat16 instructions emulates them, many times slower than float32 on a CPU.
    """
    if device_type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    # The public torch.cpu.get_capabilities is younger than the oldest torch we support.
    has_avx512 = torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    fast = has_avx512 or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    return torch.bfloat16 if device_type == "cpu" and fast else torch.float32


class Linear(nn.Module):
    """A linear layer that casts its weights to the dtype of its input."""

    def __init__(self, num_inputs: int, num_outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_outputs, num_inputs))
        self.bias = nn.Parameter(torch.empty(num_outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., num_inputs]` to `[..., num_outputs]`."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class LayerNorm(nn.Module):
    """Layer norm with weight and bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        return F.layer_norm(x, x.shape[-1:], weight, bias, EPSILON)


class RmsNorm(nn.Module):
    """Root-mean-square norm without parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return rms_norm(x)


def rms_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square of the last dimension."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + EPSILON)


def make_norm(config: ModelConfig, width: int) -> nn.Module:
    """Return the norm that `config` asks for."""
    return LayerNorm(width) if config.norm == "layer" else RmsNorm()


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Apply rotary positions to `x [..., H, K]` at `positions [...]`."""
    half = x.shape[-1] // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(1000.0) / half * steps)
    angles = positions[..., None, None].float() * frequencies
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class _Place(torch.autograd.Function):
    """First rows of `[R, ...]` to places `index` of `[size, ...]`; the inverse is a gather."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(index)
        ctx.num_rows = len(x)
        return x.new_zeros((size, *x.shape[1:])).index_copy_(0, index, x[: len(index)])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (index,) = ctx.saved_tensors
        return _gather(grads[0], index, ctx.num_rows), None, None


class _Take(torch.autograd.Function):
    """Rows `index` (distinct) of `[size, ...]` as the first of `[R, ...]`; see `_Place`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, num_rows: int) -> Tensor:
        ctx.save_for_backward(index)
        ctx.size = len(x)
        return _gather(x, index, num_rows)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (index,) = ctx.saved_tensors
        placed = grads[0].new_zeros((ctx.size, *grads[0].shape[1:]))
        return placed.index_copy_(0, index, grads[0][: len(index)]), None, None


def _gather(x: Tensor, index: Tensor, num_rows: int) -> Tensor:
    """Return rows `index` of `x`, then zeros up to `num_rows`."""
    out = x.new_empty((num_rows, *x.shape[1:]))
    torch.index_select(x, 0, index, out=out[: len(index)])
    out[len(index) :] = 0
    return out


@dataclass(frozen=True, kw_only=True, slots=True)
class Ragged:
    """Rows of several lengths, kept without padding; only attention pads them.

    The flat form has a few idle rows at its end (see `round_up`); they meet no other row.
    """

    index: Tensor
    """`[N]` place of every row in the padded `[B * T]`, ascending."""
    num_rows: int
    """R: rows of the flat form, at least N."""
    num_samples: int
    longest: int
    """T: at least the longest row's length."""

    def positions(self) -> Tensor:
        """Return `[R]`: every row's place in its sample; 0 for idle rows."""
        return F.pad(self.index % self.longest, (0, self.num_rows - len(self.index)))

    def pad(self, x: Tensor) -> Tensor:
        """`[R, ...]` to `[B, T, ...]`, zero in the padding."""
        padded = _Place.apply(x, self.index, self.num_samples * self.longest)
        return cast("Tensor", padded).view(self.num_samples, self.longest, *x.shape[1:])

    def flatten(self, x: Tensor) -> Tensor:
        """`[B, T, ...]` to `[R, ...]`, zero in idle rows."""
        flat = x.reshape(self.num_samples * self.longest, *x.shape[2:])
        return cast("Tensor", _Take.apply(flat, self.index, self.num_rows))


def ragged(lengths: Tensor) -> Ragged:
    """Return the rows of samples that have `lengths [B]` rows each."""
    longest = round_up(int(lengths.max()), least=4)
    valid = torch.arange(longest, device=lengths.device) < lengths[:, None]
    index = valid.flatten().nonzero()[:, 0]
    return Ragged(
        index=index, num_rows=round_up(len(index)), num_samples=len(lengths), longest=longest
    )


def take_rows(padded: Tensor, rows: Ragged) -> Tensor:
    """Return the flat form `[R, C]` of integers `padded [B, L, C]`, whatever its L."""
    index = F.pad(rows.index, (0, rows.num_rows - len(rows.index)))
    return padded[index // rows.longest, index % rows.longest]


def round_up(size: int, least: int = 16) -> int:
    """Return `size` or a little more: at most 8 results between a power of two and the next.

    On a CPU every new shape of a bfloat16 product is compiled, about 4 ms each, and the 1,024
    latest are kept. With free sizes that costs more than the products themselves.

    >>> [round_up(n) for n in (1, 16, 17, 500, 513)]
    [16, 16, 32, 512, 576]
    """
    step = max(least, (1 << (size - 1).bit_length()) // 16)
    return -(-size // step) * step


class Attention(nn.Module):
    """Projections of multi-head self-attention; the attending itself is the caller's."""

    def __init__(
        self, config: ModelConfig, width: int, num_heads: int, *, has_value_table: bool = False
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qk_norm = config.qk_norm
        self.qkv = Linear(width, 3 * width, bias=config.biases)
        self.out = Linear(width, width, bias=config.biases)
        self.value_table = nn.Embedding(NUM_TOKENS, width) if has_value_table else None

    def heads(
        self, x: Tensor, positions: Tensor | None = None, entered: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys, values `[..., H, K]` of `x [..., D]`.

        With a value table, the rows of tokens `entered [P, L]` are added to the values of the last
        L positions of `x [P, Q, D]`; L may be 0.
        """
        q, k, v = self.qkv(x).view(*x.shape[:-1], 3, self.num_heads, -1).unbind(-3)
        if self.value_table is not None:
            assert entered is not None
            added = self.value_table(entered).to(v.dtype)  # [P, L, D]
            added = F.pad(added, (0, 0, x.shape[-2] - entered.shape[-1], 0))
            v = v + added.view_as(v)
        if self.qk_norm:
            q, k = rms_norm(q), rms_norm(k)
        if positions is not None:
            q, k = rotate(q, positions), rotate(k, positions)
        return q, k, v


class FeedForward(nn.Module):
    """Two linear layers around the activation."""

    def __init__(self, config: ModelConfig, width: int, inner: int) -> None:
        super().__init__()
        self.activation = config.activation
        self.up = Linear(width, inner, bias=config.biases)
        self.down = Linear(inner, width, bias=config.biases)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., D]` to `[..., D]`."""
        hidden = self.up(x)
        if self.activation == "gelu_new":
            return self.down(F.gelu(hidden, approximate="tanh"))
        return self.down(F.relu(hidden).square())


class Block(nn.Module):
    """A pre-norm transformer block. Decoding runs its parts, because caches differ by level."""

    def __init__(
        self,
        config: ModelConfig,
        width: int,
        num_heads: int,
        inner: int,
        *,
        has_value_table: bool = False,
    ) -> None:
        super().__init__()
        self.norm_1 = make_norm(config, width)
        self.attention = Attention(config, width, num_heads, has_value_table=has_value_table)
        self.norm_2 = make_norm(config, width)
        self.feed_forward = FeedForward(config, width, inner)

    def forward(
        self,
        x: Tensor,
        attend: Attend,
        positions: Tensor | None = None,
        entered: Tensor | None = None,
    ) -> Tensor:
        """Map `[..., D]` to `[..., D]`; `positions` are those that attention rotates by.

        `entered` are the tokens whose value embeddings count, see `Attention.heads`.
        """
        mixed = attend(*self.attention.heads(self.norm_1(x), positions, entered))
        x = x + self.attention.out(mixed.flatten(-2))
        return x + self.feed_forward(self.norm_2(x))


class Blocks(nn.ModuleList):
    """A stack of blocks."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        super().__init__(blocks)

    def __iter__(self) -> Iterator[Block]:
        return cast("Iterator[Block]", super().__iter__())


def attend_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention over `[B, T, H, K]`.

    On a CPU in bfloat16 plain products beat the fused call up to a few hundred positions (at 128:
    7 against 36 ms), and lose to it in float32.
    """
    if q.device.type == "cpu" and q.shape[1] <= (256 if q.dtype == torch.bfloat16 else 32):
        return attend_plain(q, k, v, causal_mask(q.shape[1], q.dtype, q.device))
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def attend_plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention by plain matrix products: `q [P, Q, H, K]`, `k, v [P, L, H, K]`.

    `mask` is added to the scores, `[Q, L]` or broadcastable. At 16 positions this beats the fused
    call on a CPU.
    """
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # [P, H, Q, L]
    if mask is not None:
        scores = scores + mask
    return (scores.softmax(dim=-1) @ v).transpose(1, 2)


def causal_mask(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return `[length, length]`: 0 on and below the diagonal, -inf above."""
    return torch.full((length, length), -math.inf, dtype=dtype, device=device).triu(1)


def slide(embedded: Tensor, weight: Tensor, num_positions: int) -> Tensor:
    """Return `[P, num_positions, W]`: a linear map of the window that ends at every position.

    `embedded [P, window + num_positions - 1, E]`, `weight [W, window * E]`. Positions go in groups
    of 8 (or 4, 2, 1, whatever divides their number) through one wide product with shifted copies of
    the weight: on a CPU as fast as a convolution (27 and 30 ms for 896 patches) and twice as fast
    as unfolding every position.
    """
    width, window = len(weight), weight.shape[1] // embedded.shape[2]
    group = math.gcd(8, num_positions)
    skip = embedded.shape[2]
    shifted = [F.pad(weight, (i * skip, (group - 1 - i) * skip)) for i in range(group)]
    wide = torch.cat(shifted)  # [group * W, (window + group - 1) * E]
    span = window + group - 1
    starts = range(0, num_positions, group)
    windows = torch.stack([embedded[:, at : at + span].flatten(1) for at in starts], dim=1)
    return F.linear(windows, wide).view(-1, num_positions, width)

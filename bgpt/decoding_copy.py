# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateUsage=false
"""A model's twin for decoding on a CPU: the same weights laid out for speed, or in 8 bits.

Laid out (`PackedLinear`), weights stay float32 and go through oneDNN, whose products are twice as
fast as the default library's on some processors (215 against 100 GFLOP/s on one core of a Zen 5)
and, from torch 2.13 on, do not depend in any bit on how many rows share a batch. With 8-bit
weights (`Int8Linear`) a single row costs a fifth, for reading weights is what decoding one prompt
spends its time on; the predictions move a little (docs/decoding.md has the figures).

The twin shares everything but linear layers with its model, and sees no later change of weights.
"""

import copy
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bgpt.int8_product import round_to_int8
from bgpt.layers import FeedForward, Linear
from bgpt.model import Bgpt

PACKED_FOR_ROWS = 32
"""oneDNN picks the layout for so many rows; any number works, and one row gains too."""
PACKED_FROM_WEIGHTS = 1 << 18
"""Smaller layers stay as they are: oneDNN splits even the smallest product over threads, and then
waits for every one of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingModel:
    """A model that is ready to decode."""

    model: Bgpt
    int8: bool
    """A single row meets 8-bit weights."""
    threads: int | None
    """How many threads pay; None: as many as torch is set to."""


def prepare(model: Bgpt, *, int8: bool = False) -> DecodingModel:
    """Return the twin of a model; the model itself where it is not on a CPU.

    Raises:
        ValueError: `int8`, and the model is not on a CPU.
    """
    device = next(model.parameters()).device.type
    if device != "cpu":
        if int8:
            raise ValueError(f"8-bit weights are for the CPU; the model is on {device}")
        return DecodingModel(model=model, int8=False, threads=None)
    largest = max(m.weight.numel() for m in model.modules() if isinstance(m, Linear))
    with torch.no_grad():
        twin = _twin(model, int8=int8)
    # Nothing in a small model's step is worth splitting. Where other work keeps the processor busy,
    # two threads that wait for each other took 10 times as long as one.
    threads = 1 if largest < PACKED_FROM_WEIGHTS else None
    return DecodingModel(model=cast("Bgpt", twin), int8=int8, threads=threads)


@contextmanager
def decoding_threads(model: DecodingModel) -> Generator[None]:
    """Give a model the threads that pay."""
    before = torch.get_num_threads()
    if model.threads is not None and model.threads != before:
        torch.set_num_threads(model.threads)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


class PackedLinear(nn.Module):
    """A linear layer in float32 whose weight lies as oneDNN likes it."""

    def __init__(self, linear: Linear, activation: str = "none") -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias  # some callers read these
        weight = linear.weight.detach().contiguous()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, PACKED_FOR_ROWS)  # noqa: SLF001
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., num_inputs]` to `[..., num_outputs]`."""
        y = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            x, self._packed, self.bias, self._activation, [], "tanh"
        )
        return cast("Tensor", y)


class PackedFeedForward(nn.Module):
    """Two linear layers around GPT-2's activation, which the first applies to its sums."""

    def __init__(self, up: nn.Module, down: nn.Module) -> None:
        super().__init__()
        self.up, self.down = up, down

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., D]` to `[..., D]`."""
        return cast("Tensor", self.down(self.up(x)))


class Int8Linear(nn.Module):
    """A linear layer that takes a single row with 8-bit weights, and more rows as `exact` does."""

    def __init__(self, linear: Linear, exact: nn.Module, activation: str = "none") -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._exact = exact
        bias = None if linear.bias is None else linear.bias.detach().numpy()
        self._matrix = round_to_int8(linear.weight.detach().numpy(), bias)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map `[..., num_inputs]` to `[..., num_outputs]`."""
        if x.numel() != x.shape[-1]:
            return cast("Tensor", self._exact(x))
        y = torch.from_numpy(self._matrix.times(x.reshape(-1).numpy()))
        if self._activation == "gelu":
            y = F.gelu(y, approximate="tanh")
        return y.view(*x.shape[:-1], -1)


def has_packing() -> bool:
    """Return whether this build of torch has oneDNN and its packed products."""
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_reorder_linear_weight"
    )


def _twin(module: nn.Module, *, int8: bool, name: str = "") -> nn.Module:
    """Return a module whose linear layers are others; all else is shared."""
    if isinstance(module, Linear):
        # The head is small, and its errors would be errors of the scores themselves.
        return _twin_of_linear(module, int8=int8 and name != "head")
    if isinstance(module, FeedForward) and module.activation == "gelu_new":
        up = _twin_of_linear(module.up, int8=int8, activation="gelu")
        if up is not module.up:
            return PackedFeedForward(up, _twin_of_linear(module.down, int8=int8))
    twin = copy.copy(module)
    twin._modules = {  # noqa: SLF001
        name: child and _twin(child, int8=int8, name=name)
        for name, child in module._modules.items()  # noqa: SLF001
    }
    return twin


def _twin_of_linear(linear: Linear, *, int8: bool, activation: str = "none") -> nn.Module:
    """Return what takes a linear layer's place, with the activation behind it; or the layer."""
    if has_packing() and linear.weight.numel() >= PACKED_FROM_WEIGHTS:
        exact: nn.Module = PackedLinear(linear, activation)
    elif activation == "none":
        exact = linear
    else:
        return linear
    return Int8Linear(linear, exact, activation) if int8 else exact

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Weights in parts: every rank keeps its rows of each tensor, for models that no device holds.

torch's FSDP2 (`fully_shard`) gathers a block's weights right before the block runs and lets go of
them after it, forwards and backwards, and leaves every rank its rows of the summed gradient.
`bgpt.optim` moves these rows. What goes to disk is whole (`whole_model`, `whole_tensors`), so files
do not show how many ranks wrote them, or whether they held parts. Tensors that are in no block
(embeddings, tables, the head, the source's layers) are one more part, gathered for a whole step.

Every function here that gathers must be called by all ranks, in the same order. What torch has for
it takes half a second to import, so only a run that shards imports it.
"""

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, cast

import torch
from torch import Tensor

from bgpt.layers import Block
from bgpt.model import Bgpt
from bgpt.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

_Tensors: TypeAlias = Mapping[str, Tensor]


def place(model: Bgpt, device: str, ranks: Ranks) -> None:
    """Move `model` to `device`: all of it, or with `ranks.is_sharded` this rank's part.

    It is moved block by block, so the device never holds more than the parts and one block. All
    ranks must have the same weights before.
    """
    if not ranks.is_sharded:
        model.to(device)
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device, (ranks.count,))
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    for module in chain(blocks, [model]):
        sharded = fully_shard(module, mesh=mesh)
        # Wanted is the sum over ranks; and gloo knows no mean.
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
    for method in ("loss", "sample_nats", "score"):
        register_fsdp_forward_method(model, method)


def is_in_parts(tensor: Tensor) -> TypeGuard["DTensor"]:
    """Return whether this rank holds rows of `tensor` alone."""
    return hasattr(tensor, "to_local")


def own_part(tensor: Tensor) -> Tensor:
    """Return this rank's rows of a tensor in parts, sharing memory; a whole tensor as it is."""
    return tensor.to_local() if is_in_parts(tensor) else tensor


def part_of(whole: Tensor, like: Tensor) -> Tensor:
    """Return the rows of `whole` that this rank holds of `like`; all, if `like` is whole."""
    if not is_in_parts(like):
        return whole
    from torch.distributed.tensor import distribute_tensor

    placed = distribute_tensor(
        whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )
    return placed.to_local()


def gathered(part: Tensor, like: Tensor) -> Tensor:
    """Return the whole tensor of which every rank gives the `part` that it holds of `like`."""
    if not is_in_parts(like):
        return part
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        part, like.device_mesh, like.placements,
        run_check=False, shape=like.shape, stride=like.stride(),
    ).full_tensor()  # fmt: skip


def whole_tensors(tensors: _Tensors, ranks: Ranks) -> dict[str, Tensor]:
    """Return `tensors` as they are; parts are put together one by one, on the CPU of rank 0.

    With parts, other ranks get nothing.
    """
    if not ranks.is_sharded:
        return dict(tensors)
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        whole = gathered(own_part(tensor.detach()), tensor)
        if ranks.is_first:
            found[name] = whole.to("cpu")
    return found


def whole_model(model: Bgpt, ranks: Ranks) -> Bgpt:
    """Return `model` as it is; of one in parts a whole copy on the CPU of rank 0.

    With parts, what other ranks get has no weights.
    """
    if not ranks.is_sharded:
        return model
    # After a forward pass without a backward one the part outside of blocks is still whole.
    cast("FSDPModule", cast("object", model)).reshard()
    tensors = whole_tensors(model.state_dict(), ranks)
    with torch.device("meta"):
        whole = Bgpt(model.config)
    if ranks.is_first:
        whole.load_state_dict(tensors, assign=True)
    return whole.train(model.training)

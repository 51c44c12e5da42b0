"""The tensors of the authors' checkpoints and where each stands in our model, as one table.

Their names are GPT-2's, and GPT-2 keeps its linear weights as (in, out); ours are (out, in). What
their files hold beyond the model (mask buffers, a table that nothing reads) is named here too.
This module reads no file: `bgpt.pth` does, and `bgpt.interop` joins the two.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bgpt.config import ModelConfig

PATCH_EMBEDDING = "patch_level_decoder.patch_embedding"
PATCH_BASE = "patch_level_decoder.base"
BYTE_BASE = "byte_level_decoder.base.transformer"
LM_HEAD = "byte_level_decoder.base.lm_head.weight"
"""GPT-2 ties it to the byte table and stores it twice."""
CLASSIFIER = "classifier"
"""The linear layer over the mean patch vector; `weight [classes, D]`, `bias [classes]`."""
PATCH_WORDS = f"{PATCH_BASE}.wte.weight"
"""GPT-2's own word table at the patch level, `[1, D]`: nothing reads it."""
PATCH_POSITIONS = f"{PATCH_BASE}.wpe.weight"
BYTE_POSITIONS = f"{BYTE_BASE}.wpe.weight"

_MASK = re.compile(
    rf"({re.escape(PATCH_BASE)}|{re.escape(BYTE_BASE)})\.h\.[0-9]+\.attn\.(bias|masked_bias)"
)
_PARTS = (
    # theirs, ours, (in, out) there
    ("ln_1", "norm_1", False),
    ("attn.c_attn", "attention.qkv", True),
    ("attn.c_proj", "attention.out", True),
    ("ln_2", "norm_2", False),
    ("mlp.c_fc", "feed_forward.up", True),
    ("mlp.c_proj", "feed_forward.down", True),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """One tensor of theirs."""

    theirs: str
    ours: str
    transposed: bool = False
    """Theirs is the transpose of ours."""


def slots(config: ModelConfig, *, is_classifier: bool) -> Iterator[Slot]:
    """Yield every tensor that a checkpoint of `config` must hold, in GPT-2's order."""
    yield Slot(theirs=f"{PATCH_EMBEDDING}.weight", ours="patch_level.table", transposed=True)
    yield Slot(theirs=f"{PATCH_EMBEDDING}.bias", ours="patch_level.table_bias")
    yield Slot(theirs=PATCH_POSITIONS, ours="patch_level.positions")
    yield from _blocks(PATCH_BASE, "patch_level", config.patch_layers)
    if is_classifier:
        yield Slot(theirs=f"{CLASSIFIER}.weight", ours="classifier.weight")
        yield Slot(theirs=f"{CLASSIFIER}.bias", ours="classifier.bias")
        return
    yield Slot(theirs=f"{BYTE_BASE}.wte.weight", ours="byte_level.table.weight")
    yield Slot(theirs=BYTE_POSITIONS, ours="byte_level.positions")
    yield from _blocks(BYTE_BASE, "byte_level", config.byte_layers)


def is_mask(name: str) -> bool:
    """Return whether `name` is an attention-mask buffer, which old transformers versions store.

    >>> is_mask("patch_level_decoder.base.h.0.attn.masked_bias")
    True
    >>> is_mask("patch_level_decoder.base.h.0.attn.c_attn.bias")
    False
    """
    return _MASK.fullmatch(name) is not None


def num_layers(names: Iterable[str], base: str) -> int:
    """Return how many different layers below `base` the names mention.

    A gap in their numbers is found later, as a missing tensor.

    >>> num_layers(["b.h.0.ln_1.bias", "b.h.0.ln_2.bias", "b.h.1.ln_1.bias", "b.ln_f.bias"], "b")
    2
    """
    layer = re.compile(rf"{re.escape(base)}\.h\.(0|[1-9][0-9]*)\.")
    return len({found[1] for name in names if (found := layer.match(name))})


def _blocks(theirs: str, ours: str, layers: int) -> Iterator[Slot]:
    """Yield the tensors of one level's blocks and of its last norm."""
    for layer in range(layers):
        for their_part, our_part, conv in _PARTS:
            for leaf in ("weight", "bias"):
                yield Slot(
                    theirs=f"{theirs}.h.{layer}.{their_part}.{leaf}",
                    ours=f"{ours}.blocks.{layer}.{our_part}.{leaf}",
                    transposed=conv and leaf == "weight",
                )
    for leaf in ("weight", "bias"):
        yield Slot(theirs=f"{theirs}.ln_f.{leaf}", ours=f"{ours}.norm.{leaf}")

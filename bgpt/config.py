"""What a model is made of: one frozen configuration, and the named presets.

Every architecture of the project is one `ModelConfig` over the same code (`bgpt.model`). How a
model is trained stands in `bgpt.optim` and the trainer's own configuration, not here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from simulators.suggest import unknown_name

PATCH_SIZE = 16
"""Bytes a patch in the paper (section 3), and unless a model says otherwise."""
ADDRESS_BITS = 16
"""Bits of a source byte's place that `source_attention` is told; places go round after that."""
NUMERIC_WIDTH = 40
"""Columns of `numeric_bytes`: 8 bits, 8 waves as sine and cosine, 16 ramps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Sizes and parts of one model. The defaults are the paper's parts."""

    patch_width: int
    patch_layers: int
    patch_heads: int
    patch_ffn: int
    """Inner width of the patch level's feed-forward layers."""
    byte_width: int
    byte_layers: int
    byte_heads: int
    byte_ffn: int
    max_patches: int = 512
    """Longest sequence: a bound for every input, and the size of a learned position table."""
    patch_size: int = PATCH_SIZE
    """Bytes a patch: a multiple of 4 in 4..64. `max_patches` counts patches, not bytes."""

    norm: Literal["layer", "rms"] = "layer"
    """GPT-2's layer norm with weight and bias, or a root-mean-square norm without either."""
    activation: Literal["gelu_new", "relu2"] = "gelu_new"
    positions: Literal["learned", "rotary"] = "learned"
    """Positions of the patch level. Those of the byte level are always learned."""
    qk_norm: bool = False
    """Normalise queries and keys of every head."""
    biases: bool = True
    """Biases in attention and feed-forward layers."""
    zero_init_outputs: bool = False
    """Start every block as the identity: its two output projections begin at zero."""

    byte_embedding: int | None = None
    """Width of a byte embedding that both levels share; a patch is its embeddings side by side.
    None: the paper's one-hot linear patch embedding, and the byte level's own table."""
    patch_at_every_byte: bool = False
    """One projection of the patch vector for every byte position. False: the paper's prefix, the
    patch vector as it is in front of the bytes (both levels must then have one width)."""
    tied_head: bool = True
    """The output head is the byte level's own table (paper). False: a matrix of its own."""
    prev: bool = False
    """Byte i of the previous patch enters the byte level at position i."""
    prev_layers: int = 0
    """Bidirectional blocks over the previous patch's bytes before they enter as `prev`."""
    numeric_bytes: bool = False
    """Byte embedding and head begin with the value's bits and smooth codes of its size, in their
    first `NUMERIC_WIDTH` columns; training goes on from there."""
    window: int = 0
    """This many raw bytes before a position enter it as embeddings side by side; 0: none."""
    window_width: int = 32
    """Width of a byte in the window."""
    value_embeddings: bool = False
    """Every byte-level block has a table of its own, zero at first, from which the byte that enters
    a position adds to the values there; a patch's first position, which no byte enters, gets none.
    """
    source_attention: bool = False
    """Byte positions attend to the bytes of the source: the file to convert, or the given part of
    a file to continue (a machine's memory and first state)."""
    source_heads: int = 2
    source_window: int = 16
    """A source byte is read together with this many bytes around it; a multiple of 2."""
    bf16: bool = False
    """Training in bfloat16 on devices that are fast at it; scoring and weights stay in float32."""

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other."""
        for name in ("patch_width", "patch_layers", "patch_heads", "patch_ffn", "byte_width",
                     "byte_layers", "byte_heads", "byte_ffn", "max_patches"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.patch_size % 4 or not 4 <= self.patch_size <= 64:
            raise ValueError(f"patch_size must be a multiple of 4 in 4..64, not {self.patch_size}")
        for level in ("patch", "byte"):
            width, heads = getattr(self, f"{level}_width"), getattr(self, f"{level}_heads")
            if width % heads:
                raise ValueError(f"{level}_width {width} is not a multiple of {heads} heads")
        if self.positions == "rotary" and self.patch_width // self.patch_heads % 2:
            raise ValueError("rotary positions need an even width per head")
        if not self.patch_at_every_byte and self.patch_width != self.byte_width:
            raise ValueError(
                f"patch_width {self.patch_width} and byte_width {self.byte_width} must be equal "
                "unless patch_at_every_byte is set"
            )
        if self.byte_embedding is not None and self.byte_embedding < 1:
            raise ValueError(f"byte_embedding must be at least 1, not {self.byte_embedding}")
        if self.tied_head and self.byte_embedding not in (None, self.byte_width):
            raise ValueError(
                f"a tied head needs byte_embedding {self.byte_embedding} == byte_width "
                f"{self.byte_width}; set tied_head to false"
            )
        extras = self.prev or self.window or self.source_attention
        if extras and self.byte_embedding is None:
            raise ValueError("prev, window and source_attention need a shared byte_embedding")
        if self.numeric_bytes and min(self.byte_embedding or 0, self.byte_width) < NUMERIC_WIDTH:
            raise ValueError(
                f"numeric_bytes needs byte_embedding and byte_width of at least {NUMERIC_WIDTH}"
            )
        if self.source_heads < 1 or self.byte_width % self.source_heads:
            raise ValueError(
                f"byte_width {self.byte_width} is no multiple of {self.source_heads} source heads"
            )
        if self.source_window < 2 or self.source_window % 2:
            raise ValueError(f"source_window must be even and at least 2, not {self.source_window}")
        if self.window_width < 1:
            raise ValueError(f"window_width must be at least 1, not {self.window_width}")
        if self.prev_layers < 0 or (self.prev_layers and not self.prev):
            raise ValueError(f"prev_layers {self.prev_layers} needs prev, and is not negative")
        if not 0 <= self.window <= 64:
            raise ValueError(f"window must be in 0..64, not {self.window}")


def paper() -> ModelConfig:
    """Return the paper's model: 110,084,352 parameters (its never used 1 x 768 table included)."""
    return ModelConfig(
        patch_width=768, patch_layers=12, patch_heads=12, patch_ffn=3072,
        byte_width=768, byte_layers=3, byte_heads=12, byte_ffn=3072,
    )  # fmt: skip


def compact_cpu() -> ModelConfig:
    """Return the small model for machine states: trains in minutes on two cores."""
    return ModelConfig(
        patch_width=160, patch_layers=3, patch_heads=5, patch_ffn=640,
        byte_width=64, byte_layers=1, byte_heads=4, byte_ffn=256,
        norm="rms", activation="relu2", positions="learned", qk_norm=True, biases=False,
        zero_init_outputs=True, byte_embedding=64, patch_at_every_byte=True,
        tied_head=False, prev=True, prev_layers=2, numeric_bytes=True, source_attention=True,
        bf16=True,
    )  # fmt: skip


def compact_music() -> ModelConfig:
    """Return the small model for conversion: a byte window, and attention to the source's bytes."""
    return ModelConfig(
        patch_width=160, patch_layers=4, patch_heads=5, patch_ffn=640,
        byte_width=96, byte_layers=1, byte_heads=4, byte_ffn=384,
        norm="rms", activation="relu2", positions="learned", qk_norm=True, biases=False,
        zero_init_outputs=True, byte_embedding=64, patch_at_every_byte=True,
        tied_head=False, window=32, source_attention=True, bf16=True,
    )  # fmt: skip


PRESETS: Mapping[str, Callable[[], ModelConfig]] = {
    "paper": paper,
    "compact-cpu": compact_cpu,
    "compact-music": compact_music,
}


class UnknownPreset(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """A preset name that is not in `PRESETS`; the message names the nearest."""


def preset(name: str) -> ModelConfig:
    """Return the configuration called `name`.

    Raises:
        UnknownPreset: no preset has that name.
    """
    try:
        make = PRESETS[name]
    except KeyError:
        raise UnknownPreset(unknown_name("preset", name, PRESETS)) from None
    return make()

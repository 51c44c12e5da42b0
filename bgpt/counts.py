"""How many numbers a model holds and how much it computes, by formula.

Parameters are exact. FLOPs are those of matrix products, 2 for a multiply-add, as this code runs
them: the paper's one-hot patch embedding is look-ups and costs nothing, nor do value embeddings,
causal attention counts whole squares, a byte window's shifted copies count in full. Left out:
element-wise work, and the few padding rows that `layers.round_up` adds. A backward pass costs twice
the forward pass.

Letters: D patch width, W byte width, E shared byte embedding, T patches, P scored patches, S source
patches.
"""

import math
from dataclasses import dataclass

from bgpt.config import ADDRESS_BITS, ModelConfig
from bgpt.protocol import NUM_TOKENS

SLIDE_GROUP = 8
"""Positions that `layers.slide` puts through one product, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """Numbers in a model; `total` is the sum of the others."""

    total: int
    patch_level: int
    byte_level: int
    shared: int
    """The byte embedding that both levels read; 0 in the paper's model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flops:
    """Cost of one sequence."""

    patches: int
    """Patches of the sequence, extension and end patch included."""
    source_patches: int
    """Patches 1 .. `source_patches` hold the source; 0 without one."""
    forward: int
    training: int
    """Forward and backward pass; the optimizer's work is left out."""


def count_parameters(config: ModelConfig) -> Parameters:
    """Return how many parameters a model of `config` has.

    >>> from bgpt.config import paper
    >>> count_parameters(paper()).total + 768  # the authors' never used 1 x 768 table
    110084352
    """
    patch, byte = _patch_level_parameters(config), _byte_level_parameters(config)
    shared = NUM_TOKENS * (config.byte_embedding or 0)
    return Parameters(
        total=patch + byte + shared, patch_level=patch, byte_level=byte, shared=shared
    )


def count_flops(config: ModelConfig, patches: int, source_patches: int = 0) -> Flops:
    """Return the cost of a sequence of `patches`, every token after the first patch scored.

    `source_patches` matters only to a model that attends to its source.

    Raises:
        ValueError: fewer than two patches, more than the model reads, or a source that is longer
            than the sequence.
    """
    if not 2 <= patches <= config.max_patches:
        raise ValueError(f"patches must be in 2..{config.max_patches}, not {patches}")
    if not 0 <= source_patches <= patches - 2:
        raise ValueError(f"source_patches must be in 0..{patches - 2}, not {source_patches}")
    forward = _patch_level_flops(config, patches - 1)
    forward += _byte_level_flops(config, patches - 1, source_patches)
    training = 3 * forward
    if config.source_attention and source_patches:
        training -= _address_flops(config, source_patches)  # bits of places have no gradient
    return Flops(patches=patches, source_patches=source_patches, forward=forward, training=training)


def _linear(config: ModelConfig, inputs: int, outputs: int) -> int:
    """Return the parameters of a layer that has a bias if the configuration says so."""
    return inputs * outputs + (outputs if config.biases else 0)


def _norm(config: ModelConfig, width: int) -> int:
    return 2 * width if config.norm == "layer" else 0


def _block_parameters(config: ModelConfig, width: int, inner: int) -> int:
    return (
        2 * _norm(config, width)
        + _linear(config, width, 3 * width)
        + _linear(config, width, width)
        + _linear(config, width, inner)
        + _linear(config, inner, width)
    )


def _patch_level_parameters(config: ModelConfig) -> int:
    width = config.patch_width
    if config.byte_embedding is None:
        total = config.patch_size * NUM_TOKENS * width + width
    else:
        total = _linear(config, config.patch_size * config.byte_embedding, width)
    if config.positions == "learned":
        total += config.max_patches * width
    total += config.patch_layers * _block_parameters(config, width, config.patch_ffn)
    return total + _norm(config, width)


def _byte_level_parameters(config: ModelConfig) -> int:
    width, block = config.byte_width, _block_parameters(
        config, config.byte_width, config.byte_ffn
    )  # fmt: skip
    # Projections of the patch vector to every position have a bias whatever `biases` says.
    from_patch = (config.patch_width + 1) * config.patch_size * width
    total = config.byte_layers * block + _norm(config, width)
    total += config.byte_layers * NUM_TOKENS * width if config.value_embeddings else 0
    total += from_patch if config.patch_at_every_byte else (config.patch_size + 1) * width
    if config.byte_embedding is None:
        total += NUM_TOKENS * width
    else:
        embedding = config.byte_embedding
        if config.window:
            total += embedding * config.window_width + config.window * config.window_width * width
        else:
            total += embedding * width
        total += embedding * width if config.prev else 0
    if config.prev_layers:
        total += from_patch + config.prev_layers * block + width * width
    if config.source_attention:
        assert config.byte_embedding is not None
        total += config.byte_embedding * config.window_width
        total += config.source_window * config.window_width * width
        total += ADDRESS_BITS * width + config.source_heads  # and a sharpness for each head
        total += _linear(config, width, config.byte_ffn) + _linear(config, config.byte_ffn, width)
        total += from_patch
        total += _linear(config, width, 2 * width) + 2 * _linear(config, width, width)
    if not config.tied_head:
        total += width * NUM_TOKENS
    return total


def _product(rows: int, inner: int, columns: int) -> int:
    """Return the FLOPs of `[rows, inner] @ [inner, columns]`."""
    return 2 * rows * inner * columns


def _block_flops(rows: int, attended: int, width: int, inner: int) -> int:
    """Return the FLOPs of a block over `rows`, each of which attends to `attended` rows."""
    return (
        _product(rows, width, 4 * width)  # queries, keys, values, output
        + 2 * _product(rows, width, attended)  # scores, then the mix
        + 2 * _product(rows, width, inner)
    )


def _slide_flops(rows: int, num_positions: int, window: int, window_width: int, width: int) -> int:
    """Return the FLOPs of `layers.slide` over `rows` of `num_positions` each."""
    group = math.gcd(SLIDE_GROUP, num_positions)
    columns = (window + group - 1) * window_width
    return _product(rows * num_positions // group, columns, group * width)


def _patch_level_flops(config: ModelConfig, rows: int) -> int:
    width = config.patch_width
    total = config.patch_layers * _block_flops(rows, rows, width, config.patch_ffn)
    if config.byte_embedding is not None:
        total += _product(rows, config.patch_size * config.byte_embedding, width)
    return total


def _byte_level_flops(config: ModelConfig, patches: int, source_patches: int) -> int:
    """Return the FLOPs of the byte level over `patches` scored patches, the head included."""
    width, tokens = config.byte_width, config.patch_size * patches
    block = _block_flops(tokens, config.patch_size, width, config.byte_ffn)
    from_patch = _product(patches, config.patch_width, config.patch_size * width)
    total = config.byte_layers * block + _product(tokens, width, NUM_TOKENS)
    if config.patch_at_every_byte:
        total += from_patch
    if config.byte_embedding is not None:
        if config.window:
            total += _product(NUM_TOKENS, config.byte_embedding, config.window_width)
            total += _slide_flops(
                patches, config.patch_size, config.window, config.window_width, width
            )
        else:  # nothing of a patch is known at its first position
            total += _product(patches * (config.patch_size - 1), config.byte_embedding, width)
        total += _product(tokens, config.byte_embedding, width) if config.prev else 0
    if config.prev_layers:
        total += from_patch + config.prev_layers * block + _product(tokens, width, width)
    if config.source_attention and source_patches:
        total += _source_flops(config, tokens, source_patches)
    return total


def _address_flops(config: ModelConfig, source_patches: int) -> int:
    """Return the FLOPs of telling the source's bytes where they stand."""
    return _product(config.patch_size * source_patches, ADDRESS_BITS, config.byte_width)


def _source_flops(config: ModelConfig, tokens: int, source_patches: int) -> int:
    """Return the FLOPs of reading the source, and of attending to it from `tokens` positions."""
    assert config.byte_embedding is not None
    width, source = config.byte_width, config.patch_size * source_patches
    return (
        _product(NUM_TOKENS, config.byte_embedding, config.window_width)
        + _slide_flops(1, source, config.source_window, config.window_width, width)
        + _product(source_patches, config.patch_width, config.patch_size * width)
        + _address_flops(config, source_patches)
        + 2 * _product(source, width, config.byte_ffn)
        + _product(source, width, 2 * width)
        + 2 * _product(tokens, width, width)  # queries, output
        + 2 * _product(tokens, width, source)  # scores, then the mix
    )

"""The one definition of the figure, and the authors' own beside it. No torch.

Bits per byte counts the scored region's bytes and the first end-of-patch token that ends it, and
nothing of the padding. The authors' loss is a mean over all tokens, padding included; it reads
lower, so it goes by a name of its own.
"""

import math

from bgpt.config import PATCH_SIZE


def bits_per_byte(total_nats: float, num_bytes: int) -> float:
    """Return bits per byte of a region of `num_bytes` true bytes that cost `total_nats`.

    `total_nats` includes the first `EOP` that ends the region.

    >>> bits_per_byte(8 * math.log(2), 4)
    2.0

    Raises:
        ValueError: the region is empty: it has no bytes to divide by.
    """
    if num_bytes < 1:
        raise ValueError(f"bits per byte needs at least one byte, not {num_bytes}")
    return total_nats / math.log(2) / num_bytes


def authors_nats_per_token(
    total_nats_all_tokens: float, num_patches: int, patch_size: int = PATCH_SIZE
) -> float:
    """Return the authors' figure: mean nats over all tokens of every patch but the first.

    `num_patches` counts the whole sequence, the first extension patch and the end patch included.

    >>> authors_nats_per_token(48.0, 4)
    1.0

    Raises:
        ValueError: fewer than two patches: nothing is predicted.
    """
    if num_patches < 2:
        raise ValueError(f"a sequence has at least two patches, not {num_patches}")
    return total_nats_all_tokens / (patch_size * (num_patches - 1))

"""What the train samples of a music corpus are made of, as far as their number reaches.

The materials come one after another: real tunes, real ones in other keys, recombined ones. Which of
them a number of samples may have, and what the first so many samples then are, is said here; the
pairs are made by `pipelines.sources.music`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pipelines.plan import JsonValue, Side
from pipelines.sources.base_tunes import BaseTunes
from pipelines.sources.recombinations import Recombinations
from pipelines.sources.transpositions import Transposition

TIERS = (1_000, 10_000, 100_000, 1_000_000)
"""Numbers of train samples whose material a manifest tells, as far as the corpus reaches."""
TIER_MATERIALS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {10_000: ("real",), 100_000: ("real", "transposed")}
)
"""Up to so many train samples, what they may be made of where the material is `tiers`."""
_ALL_MATERIALS = ("real", "transposed", "recombined")


class Lot(NamedTuple):
    """What a run of a side's samples is made of."""

    material: str
    """`real`, `transposed` or `recombined`."""
    num_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """What shards are made from."""

    tunes: BaseTunes
    transpositions: Sequence[Transposition]
    recombinations: Recombinations | None
    lots: Mapping[Side, Sequence[Lot]]
    """In the order of the samples."""


def allowed_materials(material: str, number: int) -> tuple[str, ...]:
    """Return what so many train samples may be made of."""
    if material != "tiers":
        return (material,)
    bounds = [bound for bound in sorted(TIER_MATERIALS) if number <= bound]
    return TIER_MATERIALS[bounds[0]] if bounds else _ALL_MATERIALS


def limits(materials: Sequence[str]) -> str:
    """Return what train samples are made of, and what else would give more."""
    made_of = f"so many train samples are made of {' or '.join(materials)} tunes"
    if tuple(materials) == _ALL_MATERIALS:
        return made_of
    return f"{made_of} only; a larger tier or another --material has more"


def tier_of(plan: Materials, pairs: int) -> dict[str, JsonValue]:
    """Return what the first so many train samples are made of: pairs, base tunes, keys, materials.

    The base tunes of a recombined one are those that its first choice of phrases is from.
    """
    tier: dict[str, JsonValue] = {"pairs": pairs}
    tunes: set[int] = set()
    semitones: set[int] = set()
    left = pairs
    for material, number in plan.lots["train"]:
        count = min(left, number)
        left -= count
        tier[material] = count
        if material == "real":
            tunes.update(range(count))
        elif material == "transposed":
            moved = plan.transpositions[:count]
            tunes.update(one.tune for one in moved)
            semitones.update(one.semitones for one in moved)
        elif count:
            assert plan.recombinations is not None
            recombiner = plan.recombinations.recombiner
            numbers = np.arange(count)
            choices = recombiner.choices(numbers, np.zeros_like(numbers))
            tunes.update(np.unique(recombiner.tune_of[choices.phrases]).tolist())
        if material != "transposed" and count:
            semitones.add(0)
    return {
        "real": 0,
        "transposed": 0,
        "recombined": 0,
        **tier,
        "base_tunes": len(tunes),
        "keys": len(semitones),
    }


def tier_numbers(pairs: int) -> list[int]:
    """Return the tiers up to a number of pairs, and that number itself."""
    return sorted({*(tier for tier in TIERS if tier <= pairs), *([pairs] if pairs else [])})

"""What a model was trained to do, as the provenance in its `config.json` says it.

Two things cannot be read off weights: which formats a model converts, and which machine it
simulates in how much memory. Training writes both down. A checkpoint of the authors says neither,
so its import can say it, or a single call (`declared`). This reads no weights and makes no prompts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from bgpt.data import DIRECTIONS
from pipelines.sources.cpu_options import CpuOptions
from simulators.registry import TOY
from simulators.suggest import unknown_name

Provenance = Mapping[str, Any]
_SAYS = ("directions", "prompt_bytes", "corpus", "corpora")


def is_silent(provenance: Provenance) -> bool:
    """Return whether a provenance says nothing of what the model was trained to do."""
    return not any(key in provenance for key in _SAYS)


def directions_of(provenance: Provenance) -> list[tuple[str, str]]:
    """Return (from, to) of every conversion that a model was trained for."""
    trained: object = provenance.get("directions")
    return [
        pair
        for name, pair in DIRECTIONS.items()
        if isinstance(trained, Mapping) and name in trained
    ]


def names_into(extension: str) -> list[str]:
    """Return the names of the conversions that end in files of `extension`.

    >>> names_into("mid")
    ['abc-to-midi']
    """
    return [name for name, (_, target) in DIRECTIONS.items() if target == extension]


def simulations_of(provenance: Provenance) -> dict[str, Provenance]:
    """Return, by corpus, what a model's provenance says of every machine that it simulates.

    Each is itself as the provenance of a model of that corpus alone: `prompt_bytes`, and `cpu`
    where it was kept. A model of a mixture has several corpora, of which some may be of machines.
    """
    corpora: object = provenance.get("corpora")
    records: list[Provenance] = [provenance]
    if isinstance(corpora, list):
        parts = cast("list[Provenance]", corpora)
        records = [{**part, "corpus": part.get("name")} for part in parts]
    return {
        str(record.get("corpus", "")): record
        for record in records
        if isinstance(record.get("prompt_bytes"), int) and record["prompt_bytes"] > 0
    }


def simulation_of(path: Path, provenance: Provenance, corpus: str | None = None) -> Provenance:
    """Return what is said of the machine of corpus `corpus`, or of the only one there is.

    Raises:
        ValueError: the model in folder `path` simulates none, not this one, or several.
    """
    known = simulations_of(provenance)
    if not known:
        if is_silent(provenance):
            raise ValueError(
                f"{path}: does not say what it was trained to simulate; pass --system and "
                "--memory-bytes here, or to bgpt import"
            )
        raise ValueError(f"{path}: was not trained to simulate; use a model of a cpu corpus")
    if corpus is not None:
        if corpus not in known:
            raise ValueError(f"{path}: {unknown_name('corpus', corpus, known)}")
        return known[corpus]
    if len(known) > 1:
        raise ValueError(
            f"{path}: simulates the machines of {' and '.join(sorted(known))}; say which with "
            "--corpus"
        )
    return next(iter(known.values()))


def declared(
    *,
    directions: Sequence[str] = (),
    system: str | None = None,
    memory_bytes: int | None = None,
    profile: str | None = None,
    layout: str | None = None,
) -> dict[str, Any]:
    """Return the provenance of a model that was trained to do this; empty where nothing is said.

    >>> declared(system="toy", memory_bytes=64)["prompt_bytes"]
    80

    Raises:
        ValueError: an unknown direction, half a machine, or one that there cannot be.
    """
    for name in directions:
        if name not in DIRECTIONS:
            raise ValueError(unknown_name("direction", name, DIRECTIONS))
    said: dict[str, Any] = {"directions": dict.fromkeys(directions, 1.0)} if directions else {}
    if (system, memory_bytes, profile, layout) == (None, None, None, None):
        return said
    if system is None or memory_bytes is None:
        raise ValueError("a machine is said by --system and --memory-bytes together")
    options = CpuOptions(
        system=system,
        memory_bytes=memory_bytes,
        # How long programs were is not asked for: any that fits may be given.
        max_instructions=memory_bytes // 4 if system == TOY else None,
        profile=profile,
        layout=layout,
    )
    prompt_bytes = memory_bytes + options.make_system().state_bytes
    return {**said, "prompt_bytes": prompt_bytes, "cpu": options.settings()}

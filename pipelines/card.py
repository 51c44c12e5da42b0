"""The card of a corpus: `README.md` beside its manifest, for people who find the folder.

It follows from the manifest alone: what the samples are, how many, of which material and licence,
what was dropped and why, and how the shards are read without this project. Whatever it says, a
program reads in `manifest.json`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pipelines.manifest import Manifest
from pipelines.plan import SIDES, Side

CARD_NAME: Final = "README.md"


def card(manifest: Manifest) -> str:
    """Return the card as Markdown."""
    provenance = manifest.provenance
    parts = [
        f"# {manifest.name}",
        _what(manifest),
        _table(
            ("side", "samples", "shards", "bytes", "sha256 of the shards' hashes"),
            [_side_row(manifest, side) for side in SIDES],
        ),
        _facts(provenance),
    ]
    if tiers := _rows(provenance, "tiers"):
        parts += [
            "## Material by number of train samples",
            "The first so many train samples, and what they are made of. Base tunes are the real "
            "tunes that the pairs are drawn from; a curve over pairs and one over base tunes say "
            "different things.",
            _table(_TIER_COLUMNS, [[row[name] for name in _TIER_COLUMNS] for row in tiers]),
        ]
    if collections := _rows(provenance, "collections"):
        terms = cast("Mapping[str, str]", provenance.get("terms", {}))
        parts += [
            "## Collections and licences",
            "Every sample names its collections and licences in `index.parquet`.",
            _table(
                ("collection", "licence", "tunes of the catalogue", "what is known of the terms"),
                [
                    (
                        row["collection"],
                        row["licence"],
                        row["tunes"],
                        terms.get(row["collection"], ""),
                    )
                    for row in collections
                ],
            ),
        ]
    if dropped := _dropped(manifest):
        parts += [
            "## What was dropped",
            "Produced = kept + dropped; nothing is cut to fit.",
            _table(("where", "reason", "number"), dropped),
        ]
    parts += ["## Reading it", _reading(manifest)]
    return "\n\n".join(part for part in parts if part) + "\n"


_TIER_COLUMNS: Final = ("pairs", "base_tunes", "keys", "real", "transposed", "recombined")


def _what(manifest: Manifest) -> str:
    """Return what a sample is, and which configuration this is."""
    files = " and ".join(f"`KEY.{extension}`" for extension in manifest.extensions)
    given = (
        f" The first {manifest.prompt_bytes} bytes are given, the rest is simulated."
        if manifest.prompt_bytes
        else ""
    )
    return (
        f"A sample is {files}.{given} Seed {manifest.settings.get('seed')}, configuration "
        f"`{manifest.config_sha256[:16]}`. Made by ByteWorld: the same configuration gives these "
        "bytes again."
    )


def _side_row(manifest: Manifest, side: Side) -> tuple[object, ...]:
    entry = manifest.sides[side]
    size = sum(shard.bytes for shard in entry.shards)
    return side, entry.kept, len(entry.shards), size, f"`{manifest.side_sha256(side)[:16]}`"


def _facts(provenance: Mapping[str, Any]) -> str:
    """Return where the material is from, a line a fact."""
    names = ("material", "licence", "citation", "converter", "revision")
    return "\n".join(f"- {name}: {provenance[name]}" for name in names if name in provenance)


def _rows(provenance: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return cast("Sequence[Mapping[str, Any]]", provenance.get(name, ()))


def _dropped(manifest: Manifest) -> list[tuple[object, ...]]:
    """Return all that was dropped: in planning, in making variants, and in every side's shards."""
    places: list[tuple[str, Mapping[str, int]]] = [("planning", manifest.planning.dropped)]
    for name, where in (("transposed", "transpositions"), ("phrases", "phrases")):
        found = cast("Mapping[str, Any]", manifest.provenance.get(name, {}))
        places.append((where, found.get("dropped", {})))
    places += [(f"{side} shards", manifest.sides[side].dropped) for side in SIDES]
    return [
        (where, reason, number)
        for where, dropped in places
        for reason, number in sorted(dropped.items())
    ]


def _reading(manifest: Manifest) -> str:
    """Return how the shards are read without this project."""
    name, last = manifest.name, len(manifest.sides["train"].shards) - 1
    names = f"train/{name}-{{000000..{max(last, 0):06d}}}.tar"
    return (
        "    import webdataset\n"
        f'    samples = webdataset.WebDataset("{names}", shardshuffle=False)\n\n'
        "    import datasets\n"
        '    samples = datasets.load_dataset("webdataset", data_files="train/*.tar")'
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; numbers stand right and have separators."""
    numeric = [all(isinstance(row[i], int) for row in rows) for i in range(len(heads))]
    lines = [heads, ["---:" if right else ":---" for right in numeric]]
    lines += [[f"{c:,}" if isinstance(c, int) else str(c) for c in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""Where the tunes of a music corpus are from, and the hashes that say which they were.

For manifests: the terms of every collection, what was dropped and why, and two hashes that decide
whether shards of before are still right.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from pipelines.plan import SIDES, JsonValue
from pipelines.sources.base_tunes import BaseTunes, Drop
from pipelines.sources.catalogue import FOLDER, Catalogue
from pipelines.sources.tunes import RawTune


def by_reason(drops: Sequence[Drop]) -> dict[str, int]:
    """Return how many tunes were dropped for each reason."""
    return dict(sorted(Counter(str(drop.reason) for drop in drops).items()))


def tunes_sha256(tunes: BaseTunes) -> str:
    """Return a hash of all tunes, train first, in order: what planning came to."""
    digest = hashlib.sha256()
    for side in SIDES:
        digest.update(len(tunes.sides[side]).to_bytes(8, "little"))
        for tune in tunes.sides[side]:
            for data in (tune.group.encode(), (tune.codes + tune.form).encode(), tune.mid_digest):
                digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def catalogue_sha256(raw: Sequence[RawTune]) -> str:
    """Return a hash of all tunes as they were read, whatever folder they lay in."""
    digest = hashlib.sha256()
    for tune in raw:
        for part in (tune.collection, str(tune.licence), tune.file, tune.text):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def provenance_of(catalogue: Catalogue, tunes: BaseTunes) -> dict[str, JsonValue]:
    """Return where the tunes are from, and what was dropped of each file of a user's folder."""
    every = [tune for side in SIDES for tune in tunes.sides[side]]
    collections = Counter((tune.collection, tune.licence) for tune in every)
    provenance: dict[str, JsonValue] = {
        "base_tunes": {side: len(tunes.sides[side]) for side in SIDES},
        "collections": [
            {"collection": collection, "licence": licence, "tunes": count}
            for (collection, licence), count in sorted(collections.items())
        ],
        "converter": "abc2midi 5.02 of symusic 0.6.0, or a build that makes the same golden files",
    }
    if catalogue.kind == FOLDER:
        by_file: dict[str, list[str]] = {}
        for drop in sorted(tunes.drops, key=lambda drop: drop.tune.place):
            by_file.setdefault(drop.tune.file, []).append(_drop_line(drop))
        provenance["dropped_by_file"] = dict(sorted(by_file.items()))
    return provenance


def _drop_line(drop: Drop) -> str:
    """Return one line on a dropped tune, e.g. `X:3 unknown_key: 'Es'`."""
    where = f"X:{drop.tune.number} " if drop.tune.number else ""
    return f"{where}{drop.reason}" + (f": {drop.detail}" if drop.detail else "")

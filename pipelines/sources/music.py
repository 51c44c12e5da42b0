"""Music: real tunes as pairs of canonical ABC and the MIDI that abc2midi makes of it.

The plan reads a whole catalogue, brings every tune into its normal form, converts it, drops exact
duplicates (as ABC and as MIDI) and over-long pairs, finds clusters of near-duplicates, and splits
by cluster. It takes seconds, so it makes the pairs themselves, and a shard only hands them out.

Transposed and recombined tunes are not made here.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from pipelines.dedup import cluster_ids
from pipelines.ngram_kernel import NGRAM_INTERVALS
from pipelines.plan import SIDES, JsonValue, Plan, SampleShard, Side, SourceError
from pipelines.sample import Sample, Segment, sample_key
from pipelines.sources.tunes import (
    FILE_LICENCES,
    Licence,
    RawTune,
    folder_tunes,
    music21_tunes,
)
from pipelines.split import side_of_group
from simulators.music.canonical import TuneRejected, canonicalise
from simulators.music.converter import (
    ConverterDiffers,
    ConverterMissing,
    ConverterNotRun,
    check_converter,
    convert,
    golden_sha256,
)
from simulators.music.midi import MidiError, read_notes
from simulators.music.note_batches import melody_batch, read_note_batch
from simulators.music.reasons import DropReason
from simulators.suggest import unknown_name

MUSIC21 = "music21"
MAX_LAYOUT_BYTES = 8192
"""A model's sequence: 512 patches of 16 bytes."""

_PATCH_BYTES = 16
_FORM_VERSION = 1
"""Raised whenever the same catalogue gives other pairs: the normal form, clusters, or order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicOptions:
    """Which tunes; `corpora.NAME.music` in `params.yaml`."""

    tunes: str = MUSIC21
    """`music21` for the tunes of the installed music21 package, or a folder of `.abc` files."""
    licences: tuple[str, ...] | None = None
    """Keep only tunes under these licences (see `Licence`); `None` keeps all."""

    def __post_init__(self) -> None:
        """Refuse an empty path and unknown licences."""
        if not self.tunes:
            raise ValueError("tunes: give music21 or a folder of .abc files")
        for name in self.licences or ():
            if name not in set(Licence):
                raise ValueError(unknown_name("licence", name, Licence))
        if self.licences is not None and not self.licences:
            raise ValueError("licences: an empty list keeps no tune; leave it out to keep all")


class _Pair(NamedTuple):
    """One tune in both forms; with its group, all that a sample needs."""

    abc: bytes
    mid: bytes
    group: str
    collection: str
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drop:
    """A tune that was left out."""

    tune: RawTune
    reason: DropReason
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicSource:
    """The source of ABC and MIDI pairs."""

    corpus: str
    seed: int
    """Decides the order of the samples, not their bytes."""
    options: MusicOptions

    def plan(self, needed: Mapping[Side, int]) -> Plan:  # noqa: ARG002 - the plan holds all tunes
        """Read, convert and cluster the whole catalogue; see `pipelines.plan.Source.plan`.

        Raises:
            SourceError: the catalogue is missing or empty, not one tune of it is left, or the
                converter is missing, another one, or was kept from running.
        """
        from_package = self.options.tunes == MUSIC21
        drops: list[_Drop] = []
        try:
            check_converter()
            raw = music21_tunes() if from_package else folder_tunes(Path(self.options.tunes))
            kept = _kept_pairs(raw, self.options.licences, drops)
        except (ConverterMissing, ConverterDiffers, ConverterNotRun) as error:
            raise SourceError(str(error)) from error
        sides: dict[Side, list[_Pair]] = {"train": [], "test": []}
        for pair in sorted(kept, key=lambda pair: _shuffle_key(self.seed, pair)):
            sides[side_of_group(pair.group)].append(pair)
        dropped = Counter(str(drop.reason) for drop in drops)
        if not kept:
            counts = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items()))
            raise SourceError(f"{self.options.tunes}: no tune is left of {len(raw)}: {counts}")
        return Plan(
            corpus=self.corpus,
            settings={
                "source": "music",
                "seed": self.seed,
                "options": {
                    "tunes": MUSIC21 if from_package else "folder",
                    "licences": sorted(map(str, self.options.licences or FILE_LICENCES)),
                },
                "form_version": _FORM_VERSION,
                "catalogue_sha256": _catalogue_sha256(raw),
                "converter_golden_sha256": golden_sha256(),
                "max_layout_bytes": MAX_LAYOUT_BYTES,
                "ngram_intervals": NGRAM_INTERVALS,
                "pairs_sha256": _pairs_sha256(sides),
            },
            extensions=("abc", "mid"),
            columns={"collection": "str", "licence": "str"},
            available={side: len(pairs) for side, pairs in sides.items()},
            read=len(raw),
            dropped=dict(sorted(dropped.items())),
            provenance=_provenance(from_package, kept, drops),
            payload=sides,
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Hand out pairs `first` to `first + count - 1`; see `pipelines.plan.Source.shard`."""
        sides = cast("Mapping[Side, Sequence[_Pair]]", plan.payload)
        pairs = sides[side][first : first + count]
        samples = [
            Sample(
                key=sample_key(plan.corpus, side, number),
                segments=(
                    Segment(extension="abc", data=pair.abc),
                    Segment(extension="mid", data=pair.mid),
                ),
                group=pair.group,
                meta={"collection": pair.collection, "licence": pair.licence},
            )
            for number, pair in enumerate(pairs, first)
        ]
        return SampleShard(samples=samples)


def layout_bytes(abc: bytes, mid: bytes) -> int:
    """Return the size of a pair as the model reads it.

    An extension patch before each file, each file padded to whole patches, one end patch.

    >>> layout_bytes(b"x" * 16, b"x" * 17)
    96
    """
    patches = 3 + sum(-(-len(data) // _PATCH_BYTES) for data in (abc, mid))
    return patches * _PATCH_BYTES


def _kept_pairs(
    raw: Sequence[RawTune], licences: Sequence[str] | None, drops: list[_Drop]
) -> list[_Pair]:
    """Return every pair that is kept, in the catalogue's order; the others go to `drops`."""
    forms = list(_distinct_forms(raw, licences, drops))
    converted = convert([form for _, form in forms])
    tunes: list[tuple[RawTune, bytes, bytes]] = []
    seen: set[bytes] = set()
    for (tune, form), mid in zip(forms, converted, strict=True):
        abc = form.encode("ascii")
        if isinstance(mid, DropReason):
            drops.append(_Drop(tune=tune, reason=mid))
        elif mid in seen:
            drops.append(_Drop(tune=tune, reason=DropReason.DUPLICATE_MIDI))
        elif (size := layout_bytes(abc, mid)) > MAX_LAYOUT_BYTES:
            detail = f"{size} > {MAX_LAYOUT_BYTES} bytes"
            drops.append(_Drop(tune=tune, reason=DropReason.PAIR_TOO_LONG, detail=detail))
        else:
            try:
                read_notes(mid)
            except MidiError as error:
                reason = DropReason.CONVERTER_BAD_MIDI
                drops.append(_Drop(tune=tune, reason=reason, detail=str(error)))
                continue
            seen.add(mid)
            tunes.append((tune, abc, mid))
    groups = cluster_ids(
        *melody_batch(read_note_batch([mid for _, _, mid in tunes])),
        [hashlib.blake2b(mid, digest_size=16).hexdigest() for _, _, mid in tunes],
    )
    return [
        _Pair(abc, mid, group, tune.collection, str(tune.licence))
        for (tune, abc, mid), group in zip(tunes, groups, strict=True)
    ]


def _distinct_forms(
    raw: Sequence[RawTune], licences: Sequence[str] | None, drops: list[_Drop]
) -> Iterator[tuple[RawTune, str]]:
    """Yield each tune with its normal form, the first of each form only."""
    seen: set[str] = set()
    for tune in raw:
        if tune.dropped is not None:
            drops.append(_Drop(tune=tune, reason=tune.dropped))
            continue
        if licences is not None and tune.licence not in licences:
            drops.append(_Drop(tune=tune, reason=DropReason.LICENCE_NOT_WANTED))
            continue
        try:
            form = canonicalise(tune.text)
        except TuneRejected as rejected:
            drops.append(_Drop(tune=tune, reason=rejected.reason, detail=rejected.detail))
            continue
        if form in seen:
            drops.append(_Drop(tune=tune, reason=DropReason.DUPLICATE_ABC))
            continue
        seen.add(form)
        yield tune, form


def _shuffle_key(seed: int, pair: _Pair) -> bytes:
    """Return what the samples of a side are sorted by: a hash of the content under the seed."""
    key = seed.to_bytes(8, "little")
    return hashlib.blake2b(pair.abc + pair.mid, digest_size=16, key=key).digest()


def _pairs_sha256(sides: Mapping[Side, Sequence[_Pair]]) -> str:
    """Return a hash of all pairs, train first, in order: what the plan came to."""
    digest = hashlib.sha256()
    for side in SIDES:
        digest.update(len(sides[side]).to_bytes(8, "little"))
        for pair in sides[side]:
            for data in (pair.group.encode(), pair.abc, pair.mid):
                digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _catalogue_sha256(raw: Sequence[RawTune]) -> str:
    """Return a hash of all tunes as they were read, whatever folder they lay in."""
    digest = hashlib.sha256()
    for tune in raw:
        for part in (tune.collection, tune.file, tune.text):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _provenance(
    from_package: bool, kept: Sequence[_Pair], drops: Sequence[_Drop]
) -> dict[str, JsonValue]:
    """Return where the tunes are from, and what was dropped of each file of a user's folder."""
    collections = Counter((pair.collection, pair.licence) for pair in kept)
    provenance: dict[str, JsonValue] = {
        "licence": "mixed; the column licence says it of every sample",
        "collections": [
            {"collection": collection, "licence": licence, "pairs": count}
            for (collection, licence), count in sorted(collections.items())
        ],
        "converter": "abc2midi 5.02 of symusic 0.6.0, or a build that makes the same golden files",
    }
    if from_package:
        provenance["material"] = "ABC tunes of the music21 package"
        return provenance
    provenance["material"] = "the user's own folder of .abc files"
    by_file: dict[str, list[str]] = {}
    for drop in sorted(drops, key=lambda drop: drop.tune.place):
        by_file.setdefault(drop.tune.file, []).append(_drop_line(drop))
    provenance["dropped_by_file"] = dict(sorted(by_file.items()))
    return provenance


def _drop_line(drop: _Drop) -> str:
    """Return one line on a dropped tune, e.g. `X:3 unknown_key: 'Es'`."""
    where = f"X:{drop.tune.number} " if drop.tune.number else ""
    return f"{where}{drop.reason}" + (f": {drop.detail}" if drop.detail else "")

"""Music: pairs of ABC and the MIDI that abc2midi makes of it, from 10^3 to 10^7, test tunes unseen.

One list of train samples, of which every scale is a prefix: first all real tunes as they are, then
real tunes in their other keys, then tunes recombined out of phrases of train tunes. Test samples
are real tunes only, of clusters of their own. All pairs are distinct, as text and as sound: real
and transposed ones by the plan, recombined ones by how they are numbered.

The plan reads, converts and clusters the catalogue, checks transpositions and cuts phrases, each
only as far as the wanted numbers reach; a shard makes its pairs again from texts and numbers.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, cast

import numpy as np

from pipelines.engine import IN_PROCESS, Engine
from pipelines.near_index import NearIndex
from pipelines.ngram_kernel import NGRAM_INTERVALS
from pipelines.plan import (
    SIDES,
    JsonValue,
    Plan,
    SampleShard,
    SamplesUnreachable,
    Side,
    SourceError,
)
from pipelines.sample import Sample, Segment, sample_key
from pipelines.sources.base_tunes import BaseTune, BaseTunes, Drop, keep_tunes
from pipelines.sources.catalogue import FOLDER, Catalogue, read_catalogue
from pipelines.sources.music_options import MusicOptions
from pipelines.sources.music_pairs import MAX_LAYOUT_BYTES, PairMaker, Pairs
from pipelines.sources.recombinations import Recombinations, cut_phrases
from pipelines.sources.transpositions import Transposition, keep_transpositions, make_transposed
from pipelines.sources.tunes import RawTune
from simulators.music.abc.recombine import Recombiner
from simulators.music.conversion.converter import (
    ConverterDiffers,
    ConverterMissing,
    ConverterNotRun,
    check_converter,
    golden_sha256,
)

_FORM_VERSION = 2
"""Raised whenever the same catalogue gives other pairs: the normal form, clusters, order, keys,
phrases and their choices."""
TIERS = (1_000, 10_000, 100_000, 1_000_000)
"""Numbers of train samples whose material a manifest tells, as far as the corpus reaches."""
TIER_MATERIALS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {10_000: ("real",), 100_000: ("real", "transposed")}
)
"""Up to so many train samples, what they may be made of where the material is `tiers`."""
_ALL_MATERIALS = ("real", "transposed", "recombined")


class _Lot(NamedTuple):
    """What a run of a side's samples is made of."""

    material: str
    """`real`, `transposed` or `recombined`."""
    num_samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Payload:
    """What shards are made from."""

    tunes: BaseTunes
    transpositions: Sequence[Transposition]
    recombinations: Recombinations | None
    lots: Mapping[Side, Sequence[_Lot]]
    """In the order of the samples."""


class _Made(NamedTuple):
    """A sample without its key."""

    abc: bytes
    mid: bytes
    material: str
    semitones: int
    tunes: Sequence[BaseTune]
    """What it is made of: one tune, or the four that its phrases are from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicSource:
    """The source of ABC and MIDI pairs."""

    corpus: str
    seed: int
    """Decides the order of samples, their keys and their phrases; not the split."""
    options: MusicOptions

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        """Read, convert and cluster the catalogue; see `pipelines.plan.Source.plan`.

        Raises:
            SamplesUnreachable: the tunes do not give so many samples; names the most.
            SourceError: the catalogue is missing or empty, not one tune of it is left, or the
                converter is missing, another one, or was kept from running.
        """
        options = self.options
        try:
            check_converter()
            catalogue = read_catalogue(options.tunes, control_codes=options.control_codes)
            tunes = keep_tunes(catalogue.tunes, options.licences, self._maker, self.seed, engine)
            if not len(tunes):
                counts = ", ".join(f"{k} {n}" for k, n in _by_reason(tunes.drops).items())
                there = ", ".join(sorted({str(tune.licence) for tune in catalogue.tunes}))
                raise SourceError(
                    f"{options.tunes}: no tune is left of {len(catalogue.tunes)}: {counts}; "
                    f"licences there: {there}"
                )
            return self._plan(catalogue, tunes, needed, engine)
        except (ConverterMissing, ConverterDiffers, ConverterNotRun) as error:
            raise SourceError(str(error)) from error

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        """Make pairs `first` to `first + count - 1`; see `pipelines.plan.Source.shard`."""
        payload = cast("_Payload", plan.payload)
        made: list[_Made] = []
        dropped: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        before = 0
        for material, number in payload.lots[side]:
            start, end = max(first - before, 0), min(first + count - before, number)
            before += number
            if start < end:
                counts[material] += end - start
                made += self._make(payload, side, material, range(start, end), dropped)
        return SampleShard(
            samples=[
                _sample(sample_key(plan.corpus, side, number), one)
                for number, one in enumerate(made, first)
            ],
            dropped=dict(sorted(dropped.items())),
            counts=dict(counts),
        )

    @property
    def _maker(self) -> PairMaker:
        return PairMaker(preset=self.options.preset)

    def _plan(
        self, catalogue: Catalogue, tunes: BaseTunes, needed: Mapping[Side, int], engine: Engine
    ) -> Plan:
        """Say which samples there are, as far as `needed` reaches."""
        train, test = tunes.sides["train"], tunes.sides["test"]
        wanted = {side: needed.get(side, 0) for side in SIDES}
        if wanted["test"] > len(test):
            raise SamplesUnreachable(self.corpus, "test", wanted=wanted["test"], maximum=len(test))
        lots: list[_Lot] = []
        details: dict[str, JsonValue] = {}
        transpositions: Sequence[Transposition] = ()
        recombinations: Recombinations | None = None
        materials = _materials(self.options.material, wanted["train"])
        reached = 0
        if "real" in materials:
            lots.append(_Lot("real", len(train)))
            reached += len(train)
        if "transposed" in materials and (missing := wanted["train"] - reached) > 0:
            found = keep_transpositions(
                train, [*train, *test], missing, self._maker, self.seed, engine
            )
            transpositions = found.kept
            lots.append(_Lot("transposed", len(transpositions)))
            reached += len(transpositions)
            details["transposed"] = {
                "kept": len(found.kept),
                "dropped": dict(sorted(found.dropped.items())),
            }
        if "recombined" in materials and wanted["train"] > reached:
            recombinations, dropped = self._recombinations(tunes, engine)
            recombiner = recombinations.recombiner
            lots.append(_Lot("recombined", recombiner.capacity))
            reached += recombiner.capacity
            details["phrases"] = {
                "kept": len(recombiner.tune_of),
                "tunes": len(recombiner.tunes()),
                "dropped": dict(sorted(dropped.items())),
            }
        if wanted["train"] > reached:
            raise SamplesUnreachable(
                self.corpus,
                "train",
                wanted=wanted["train"],
                maximum=reached,
                why=_limits(materials),
            )
        payload = _Payload(
            tunes=tunes,
            transpositions=transpositions,
            recombinations=recombinations,
            lots={"train": lots, "test": [_Lot("real", len(test))]},
        )
        return Plan(
            corpus=self.corpus,
            settings=self._settings(catalogue, tunes),
            extensions=("abc", "mid"),
            columns={
                "collection": "str",
                "licence": "str",
                "material": "str",
                "semitones": "int",
                "tunes": "str",
            },
            read=len(catalogue.tunes),
            dropped=_by_reason(tunes.drops),
            provenance={
                **catalogue.provenance,
                **_provenance(catalogue, tunes),
                **details,
                "tiers": [tier_of(payload, number) for number in _tier_numbers(wanted["train"])],
            },
            payload=payload,
        )

    def _settings(self, catalogue: Catalogue, tunes: BaseTunes) -> dict[str, JsonValue]:
        """Return all that decides the bytes."""
        options = self.options
        return {
            "source": "music",
            "seed": self.seed,
            "options": {
                "tunes": catalogue.kind,
                "licences": None if options.licences is None else sorted(options.licences),
                "material": options.material,
                "preset": options.preset,
                "control_codes": options.control_codes,
            },
            "form_version": _FORM_VERSION,
            "catalogue_sha256": _catalogue_sha256(catalogue.tunes),
            "converter_golden_sha256": golden_sha256(options.preset),
            "max_layout_bytes": MAX_LAYOUT_BYTES,
            "ngram_intervals": NGRAM_INTERVALS,
            "tunes_sha256": _tunes_sha256(tunes),
        }

    def _recombinations(
        self, tunes: BaseTunes, engine: Engine
    ) -> tuple[Recombinations, Mapping[str, int]]:
        """Cut the phrases of the train side."""
        phrases, dropped = cut_phrases(tunes.sides["train"], self._maker, engine)
        flat, offsets = tunes.melodies["test"]
        recombinations = Recombinations(
            recombiner=Recombiner(phrases, self.seed),
            real_sounds=frozenset(tune.sound for side in SIDES for tune in tunes.sides[side]),
            test_tunes=NearIndex.build(np.frombuffer(flat, np.uint8), np.array(offsets, np.int64)),
            maker=self._maker,
        )
        return recombinations, dropped

    def _make(
        self, payload: _Payload, side: Side, material: str, numbers: range, dropped: Counter[str]
    ) -> list[_Made]:
        """Make pairs of one material by their numbers within it."""
        tunes = payload.tunes.sides[side]
        if material == "recombined":
            assert payload.recombinations is not None
            found, lost = payload.recombinations.make(numbers)
            dropped.update(lost)
            return [
                _Made(one.abc, one.mid, material, 0, [tunes[part] for part in one.parts])
                for one in found
            ]
        if material == "transposed":
            wanted = payload.transpositions[numbers.start : numbers.stop]
            pairs = make_transposed(tunes, wanted, self._maker)
            _check_all_made(pairs)
            return [
                _Made(abc, mid, material, one.semitones, [tunes[one.tune]])
                for one, abc, mid in zip(wanted, pairs.abc, pairs.mid, strict=True)
            ]
        real = tunes[numbers.start : numbers.stop]
        pairs = self._maker.make([(tune.codes, tune.form) for tune in real])
        _check_all_made(pairs)
        return [
            _Made(abc, mid, material, 0, [tune])
            for tune, abc, mid in zip(real, pairs.abc, pairs.mid, strict=True)
        ]


def _materials(material: str, number: int) -> tuple[str, ...]:
    """Return what so many train samples may be made of."""
    if material != "tiers":
        return (material,)
    bounds = [bound for bound in sorted(TIER_MATERIALS) if number <= bound]
    return TIER_MATERIALS[bounds[0]] if bounds else _ALL_MATERIALS


def _limits(materials: Sequence[str]) -> str:
    """Return what train samples are made of, and what else would give more."""
    made_of = f"so many train samples are made of {' or '.join(materials)} tunes"
    if tuple(materials) == _ALL_MATERIALS:
        return made_of
    return f"{made_of} only; a larger tier or another --material has more"


def tier_of(payload: object, pairs: int) -> dict[str, JsonValue]:
    """Return what the first so many train samples are made of: pairs, base tunes, keys, materials.

    The base tunes of a recombined one are those that its first choice of phrases is from.
    """
    plan = cast("_Payload", payload)
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


def _tier_numbers(pairs: int) -> list[int]:
    """Return the tiers up to a number of pairs, and that number itself."""
    return sorted({*(tier for tier in TIERS if tier <= pairs), *([pairs] if pairs else [])})


def _sample(key: str, made: _Made) -> Sample:
    """Return a pair as a sample; its group is that of the first tune that it is made of."""
    return Sample(
        key=key,
        segments=(
            Segment(extension="abc", data=made.abc),
            Segment(extension="mid", data=made.mid),
        ),
        group=made.tunes[0].group,
        meta={
            "collection": _joined(tune.collection for tune in made.tunes),
            "licence": _joined(tune.licence for tune in made.tunes),
            "material": made.material,
            "semitones": made.semitones,
            "tunes": "+".join(str(tune.number) for tune in made.tunes),
        },
    )


def _joined(names: Iterable[str]) -> str:
    """Return each name once, sorted, as in `airdsAirs+oneills1850`."""
    return "+".join(sorted(set(names)))


def _check_all_made(pairs: Pairs) -> None:
    """Refuse what came out in planning and does not now: another converter, or a broken machine."""
    for abc, reason in zip(pairs.abc, pairs.reasons, strict=True):
        if reason is not None:
            raise SourceError(
                f"a tune that converted in planning does not now ({reason}): {abc[:80]!r}; "
                "run the same command again"
            )


def _by_reason(drops: Sequence[Drop]) -> dict[str, int]:
    return dict(sorted(Counter(str(drop.reason) for drop in drops).items()))


def _tunes_sha256(tunes: BaseTunes) -> str:
    """Return a hash of all tunes, train first, in order: what planning came to."""
    digest = hashlib.sha256()
    for side in SIDES:
        digest.update(len(tunes.sides[side]).to_bytes(8, "little"))
        for tune in tunes.sides[side]:
            for data in (tune.group.encode(), (tune.codes + tune.form).encode(), tune.mid_digest):
                digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _catalogue_sha256(raw: Sequence[RawTune]) -> str:
    """Return a hash of all tunes as they were read, whatever folder they lay in."""
    digest = hashlib.sha256()
    for tune in raw:
        for part in (tune.collection, str(tune.licence), tune.file, tune.text):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _provenance(catalogue: Catalogue, tunes: BaseTunes) -> dict[str, JsonValue]:
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

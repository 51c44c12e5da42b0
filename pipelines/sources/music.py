"""Music: pairs of ABC and the MIDI that abc2midi makes of it, from 10^3 to 10^7, test tunes unseen.

One list of train samples, of which every scale is a prefix: first all real tunes as they are, then
real tunes in their other keys, then tunes recombined out of phrases of train tunes. Test samples
are real tunes only, of clusters of their own. All pairs are distinct, as text and as sound: real
and transposed ones by the plan, recombined ones by how they are numbered.

The plan reads, converts and clusters the catalogue, checks transpositions and cuts phrases, each
only as far as the wanted numbers reach; a shard makes its pairs again from texts and numbers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from pipelines.sources.base_tunes import BaseTune, BaseTunes, keep_tunes
from pipelines.sources.catalogue import Catalogue, read_catalogue
from pipelines.sources.music_options import MusicOptions
from pipelines.sources.music_pairs import MAX_LAYOUT_BYTES, PairMaker, Pairs
from pipelines.sources.music_provenance import (
    by_reason,
    catalogue_sha256,
    provenance_of,
    tunes_sha256,
)
from pipelines.sources.music_tiers import (
    Lot,
    Materials,
    allowed_materials,
    limits,
    tier_numbers,
    tier_of,
)
from pipelines.sources.recombinations import Recombinations, cut_phrases
from pipelines.sources.transpositions import Transposition, keep_transpositions, make_transposed
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
                counts = ", ".join(f"{k} {n}" for k, n in by_reason(tunes.drops).items())
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
        payload = cast("Materials", plan.payload)
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
        lots: list[Lot] = []
        details: dict[str, JsonValue] = {}
        transpositions: Sequence[Transposition] = ()
        recombinations: Recombinations | None = None
        materials = allowed_materials(self.options.material, wanted["train"])
        reached = 0
        if "real" in materials:
            lots.append(Lot("real", len(train)))
            reached += len(train)
        if "transposed" in materials and (missing := wanted["train"] - reached) > 0:
            found = keep_transpositions(
                train, [*train, *test], missing, self._maker, self.seed, engine
            )
            transpositions = found.kept
            lots.append(Lot("transposed", len(transpositions)))
            reached += len(transpositions)
            details["transposed"] = {
                "kept": len(found.kept),
                "dropped": dict(sorted(found.dropped.items())),
            }
        if "recombined" in materials and wanted["train"] > reached:
            recombinations, dropped = self._recombinations(tunes, engine)
            recombiner = recombinations.recombiner
            lots.append(Lot("recombined", recombiner.capacity))
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
                why=limits(materials),
            )
        payload = Materials(
            tunes=tunes,
            transpositions=transpositions,
            recombinations=recombinations,
            lots={"train": lots, "test": [Lot("real", len(test))]},
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
            dropped=by_reason(tunes.drops),
            provenance={
                **catalogue.provenance,
                **provenance_of(catalogue, tunes),
                **details,
                "tiers": [tier_of(payload, number) for number in tier_numbers(wanted["train"])],
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
            "catalogue_sha256": catalogue_sha256(catalogue.tunes),
            "converter_golden_sha256": golden_sha256(options.preset),
            "max_layout_bytes": MAX_LAYOUT_BYTES,
            "ngram_intervals": NGRAM_INTERVALS,
            "tunes_sha256": tunes_sha256(tunes),
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
        self, payload: Materials, side: Side, material: str, numbers: range, dropped: Counter[str]
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

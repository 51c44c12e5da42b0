"""The real tunes that a music corpus is made from: read, converted, told apart, split by cluster.

From a catalogue to the tunes that stay, in the order of the corpus, and why each other one does
not: not wanted, no normal form, not convertible, a duplicate as text or as sound, too long. Near
duplicates form clusters **before** anything is transposed or recombined, and a cluster stands on
one side of the split.

It keeps texts and hashes only, no MIDI: that is made again by whoever writes a shard, in less time
than keeping it would take. What else is made of these tunes is not known here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from pipelines.dedup import cluster_ids
from pipelines.engine import Engine
from pipelines.plan import SIDES, Side
from pipelines.sources.music_pairs import PairMaker
from pipelines.sources.tunes import RawTune
from pipelines.split import side_of_group
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.reasons import DropReason

CHUNK_TUNES = 2000
"""Tunes of one job: 2,000 take about half a second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """A tune that was left out."""

    tune: RawTune
    reason: DropReason
    detail: str = ""


class BaseTune(NamedTuple):
    """One real tune of the corpus."""

    number: int
    """Its place in the catalogue, from 0."""
    form: str
    """In normal form."""
    codes: str
    """Control codes, put before the form; empty where there are none."""
    group: str
    """Its cluster."""
    collection: str
    licence: str
    mid_digest: bytes
    """Of its MIDI file, 16 bytes."""
    sound: bytes
    """See `music_pairs.Checked`."""
    first_pitch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseTunes:
    """What is left of a catalogue."""

    sides: Mapping[Side, Sequence[BaseTune]]
    """In the order of the corpus."""
    melodies: Mapping[Side, tuple[bytes, Sequence[int]]]
    """Interval bytes of each side's tunes in a row, and offsets; see `melody_batch`."""
    drops: Sequence[Drop]

    def __len__(self) -> int:
        """Return the number of tunes."""
        return sum(map(len, self.sides.values()))


def keep_tunes(
    raw: Sequence[RawTune],
    licences: Sequence[str] | None,
    maker: PairMaker,
    seed: int,
    engine: Engine,
) -> BaseTunes:
    """Return the tunes of a catalogue that stay.

    The order of a side is that of a hash of the pairs' bytes under `seed`.

    Raises:
        ConverterNotRun: the machine kept the converter from running; another time it may.
    """
    drops: list[Drop] = []
    forms = list(_distinct_forms(raw, licences, drops))
    work = _CheckForms(maker=maker, seed=seed, texts=[(tune.codes, tune.form) for tune in forms])
    starts = range(0, len(forms), CHUNK_TUNES)
    found = dict(engine.run(work, list(starts)))
    checked = [one for start in starts for one in found[start]]
    kept: list[tuple[_Form, _CheckedForm]] = []
    seen: set[bytes] = set()
    for form, check in zip(forms, checked, strict=True):
        reason, detail = check.reason, check.detail
        if reason is None and check.mid_digest in seen:
            reason, detail = DropReason.DUPLICATE_MIDI, ""
        if reason is not None:
            drops.append(Drop(tune=raw[form.number], reason=reason, detail=detail))
            continue
        seen.add(check.mid_digest)
        kept.append((form, check))
    groups = _clusters([check for _, check in kept])
    kept_in_order = sorted(zip(kept, groups, strict=True), key=lambda item: item[0][1].order)
    sides: dict[Side, list[BaseTune]] = {side: [] for side in SIDES}
    melodies: dict[Side, list[bytes]] = {side: [] for side in SIDES}
    for (form, check), group in kept_in_order:
        side = side_of_group(group)
        melodies[side].append(check.melody)
        tune = raw[form.number]
        sides[side].append(
            BaseTune(
                number=form.number,
                form=form.form,
                codes=form.codes,
                group=group,
                collection=tune.collection,
                licence=str(tune.licence),
                mid_digest=check.mid_digest,
                sound=check.sound,
                first_pitch=check.first_pitch,
            )
        )
    return BaseTunes(
        sides=sides,
        melodies={side: _in_a_row(found) for side, found in melodies.items()},
        drops=drops,
    )


class _Form(NamedTuple):
    number: int
    form: str
    codes: str


def _distinct_forms(
    raw: Sequence[RawTune], licences: Sequence[str] | None, drops: list[Drop]
) -> Iterator[_Form]:
    """Yield each tune with its normal form, the first of each form only."""
    seen: set[str] = set()
    for number, tune in enumerate(raw):
        if tune.dropped is not None:
            drops.append(Drop(tune=tune, reason=tune.dropped))
            continue
        if licences is not None and tune.licence not in licences:
            drops.append(Drop(tune=tune, reason=DropReason.LICENCE_NOT_WANTED))
            continue
        try:
            form = canonicalise(tune.text)
        except TuneRejected as rejected:
            drops.append(Drop(tune=tune, reason=rejected.reason, detail=rejected.detail))
            continue
        if form in seen:
            drops.append(Drop(tune=tune, reason=DropReason.DUPLICATE_ABC))
            continue
        seen.add(form)
        yield _Form(number, form, tune.control_codes)


class _CheckedForm(NamedTuple):
    """What a worker tells of a tune."""

    reason: DropReason | None
    detail: str = ""
    mid_digest: bytes = b""
    order: bytes = b""
    melody: bytes = b""
    sound: bytes = b""
    first_pitch: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _CheckForms:
    """The work of a job: convert tunes `start` to `start + CHUNK_TUNES - 1`."""

    maker: PairMaker
    seed: int
    texts: Sequence[tuple[str, str]]
    """Control codes and normal form."""

    def __call__(self, start: int) -> tuple[int, list[_CheckedForm]]:
        texts = self.texts[start : start + CHUNK_TUNES]
        pairs = self.maker.make(texts)
        key = self.seed.to_bytes(8, "little")
        found: list[_CheckedForm] = []
        for i in range(len(texts)):
            if (reason := pairs.reasons[i]) is not None:
                found.append(_CheckedForm(reason, pairs.details[i]))
                continue
            abc, mid = pairs.abc[i], pairs.mid[i]
            found.append(
                _CheckedForm(
                    reason=None,
                    mid_digest=blake2b(mid, digest_size=16).digest(),
                    order=blake2b(abc + mid, digest_size=16, key=key).digest(),
                    melody=pairs.melody(i),
                    sound=pairs.sounds[i],
                    first_pitch=pairs.first_pitches[i],
                )
            )
        return start, found


def _clusters(kept: Sequence[_CheckedForm]) -> list[str]:
    """Return the cluster of every tune."""
    flat, offsets = _in_a_row([check.melody for check in kept])
    return cluster_ids(
        np.frombuffer(flat, np.uint8),
        np.array(offsets, np.int64),
        [check.mid_digest.hex() for check in kept],
    )


def _in_a_row(melodies: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Return all melodies one after another, with the offsets of each and the end."""
    return b"".join(melodies), np.cumsum([0, *map(len, melodies)]).tolist()

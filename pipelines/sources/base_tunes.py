"""The real tunes that a music corpus is made from: read, converted, told apart, split by cluster.

From a catalogue to the tunes that stay, in the order of the corpus, and why each other one does
not: not wanted, no normal form, not convertible, a duplicate as text or as sound, too long. Near
duplicates form clusters **before** anything is transposed or recombined, and a cluster stands on
one side of the split.

It keeps texts and hashes only, no MIDI: that is made again by whoever writes a shard, in less time
than keeping it would take. What else is made of these tunes is not known here.
"""

from collections.abc import Mapping, Sequence
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

PLAIN = PairMaker(preset="plain")
"""How clusters are found, whatever preset a corpus has."""
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
    """See `music_pairs.Pairs`."""
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

    Clusters are those of the whole catalogue, converted plainly, whatever licences and preset are
    asked for: so a tune stands on the same side in every corpus of the catalogue. The order of a
    side is that of a hash of the pairs' bytes under `seed`.

    Raises:
        ConverterNotRun: the machine kept the converter from running; another time it may.
    """
    drops: list[Drop] = []
    wanted, every = _forms(raw, licences, drops)
    plain = dict(zip(every, _check(list(every.values()), PLAIN, seed, engine), strict=True))
    groups = _clusters({form: check for form, check in plain.items() if check.is_music})
    # What came out already is not made again: all, under the plain preset.
    is_made = [maker == PLAIN and every[one.form].codes == one.codes for one in wanted]
    again = [one for one, made in zip(wanted, is_made, strict=True) if not made]
    checks = iter(_check(again, maker, seed, engine))
    kept: list[tuple[_Form, _CheckedForm]] = []
    seen: set[bytes] = set()
    for one, made in zip(wanted, is_made, strict=True):
        check = plain[one.form] if made else next(checks)
        reason, detail = check.reason, check.detail
        if reason is None and not plain[one.form].is_music:
            reason, detail = plain[one.form].reason, plain[one.form].detail
        elif reason is None and check.mid_digest in seen:
            reason, detail = DropReason.DUPLICATE_MIDI, ""
        if reason is not None:
            drops.append(Drop(tune=raw[one.number], reason=reason, detail=detail))
            continue
        seen.add(check.mid_digest)
        kept.append((one, check))
    sides: dict[Side, list[BaseTune]] = {side: [] for side in SIDES}
    melodies: dict[Side, list[bytes]] = {side: [] for side in SIDES}
    for one, check in sorted(kept, key=lambda pair: pair[1].order):
        tune, group = raw[one.number], groups[one.form]
        side = side_of_group(group)
        melodies[side].append(check.melody)
        sides[side].append(
            BaseTune(
                number=one.number,
                form=one.form,
                codes=one.codes,
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
    """A tune of the catalogue in normal form."""

    number: int
    form: str
    codes: str


def _forms(
    raw: Sequence[RawTune], licences: Sequence[str] | None, drops: list[Drop]
) -> tuple[list[_Form], dict[str, _Form]]:
    """Return the wanted tunes, the first of each form, and the first of each form of all."""
    wanted: dict[str, _Form] = {}
    every: dict[str, _Form] = {}
    for number, tune in enumerate(raw):
        if tune.dropped is not None:
            drops.append(Drop(tune=tune, reason=tune.dropped))
            continue
        is_wanted = licences is None or tune.licence in licences
        try:
            one = _Form(number, canonicalise(tune.text), tune.control_codes)
        except TuneRejected as rejected:
            if is_wanted:
                drops.append(Drop(tune=tune, reason=rejected.reason, detail=rejected.detail))
        else:
            every.setdefault(one.form, one)
            if is_wanted and wanted.setdefault(one.form, one) is not one:
                drops.append(Drop(tune=tune, reason=DropReason.DUPLICATE_ABC))
        if not is_wanted:
            drops.append(Drop(tune=tune, reason=DropReason.LICENCE_NOT_WANTED))
    return list(wanted.values()), every


def _check(
    forms: Sequence[_Form], maker: PairMaker, seed: int, engine: Engine
) -> list["_CheckedForm"]:
    """Convert tunes in parts; what came of each, in order."""
    work = _CheckForms(maker=maker, seed=seed, texts=[(one.codes, one.form) for one in forms])
    starts = range(0, len(forms), CHUNK_TUNES)
    found = dict(engine.run(work, list(starts)))
    return [check for start in starts for check in found[start]]


class _CheckedForm(NamedTuple):
    """What a worker tells of a tune."""

    reason: DropReason | None
    detail: str = ""
    mid_digest: bytes = b""
    order: bytes = b""
    melody: bytes = b""
    sound: bytes = b""
    first_pitch: int = 0

    @property
    def is_music(self) -> bool:
        """Return whether it converts, be it too long for a sample or not."""
        return self.reason is None or self.reason is DropReason.PAIR_TOO_LONG


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
            abc, mid = pairs.abc[i], pairs.mid[i]
            check = _CheckedForm(
                reason=pairs.reasons[i],
                detail=pairs.details[i],
                mid_digest=blake2b(mid, digest_size=16).digest(),
                order=blake2b(abc + mid, digest_size=16, key=key).digest(),
                melody=pairs.melody(i),
                sound=pairs.sounds[i],
                first_pitch=pairs.first_pitches[i],
            )
            found.append(check if check.is_music else _CheckedForm(check.reason, check.detail))
        return start, found


def _clusters(music: Mapping[str, _CheckedForm]) -> dict[str, str]:
    """Return the cluster of every tune by its form."""
    flat, offsets = _in_a_row([check.melody for check in music.values()])
    names = cluster_ids(
        np.frombuffer(flat, np.uint8),
        np.array(offsets, np.int64),
        [check.mid_digest.hex() for check in music.values()],
    )
    return dict(zip(music, names, strict=True))


def _in_a_row(melodies: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Return all melodies one after another, with the offsets of each and the end."""
    return b"".join(melodies), np.cumsum([0, *map(len, melodies)]).tolist()

"""Real tunes in their other keys: which tune in which key comes when, and that each comes out so.

Candidate `i` is tune `i mod n` in its next key: all tunes in a second key come before any in a
third, each tune's keys in an order of its own. Every candidate is converted in planning and held
against its tune: the melody must be the same notes, moved; text and sound must not have occurred.
So a shard only makes again what is known to come out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.engine import Engine
from pipelines.sources.base_tunes import BaseTune
from pipelines.sources.music_pairs import PairMaker, Pairs
from simulators.music.abc.transpose import SHIFTS, NotTransposable, Transposer
from simulators.music.reasons import DropReason
from simulators.permutation import hashed

CHUNK_CANDIDATES: Final = 2000
"""Candidates of one job."""
_ROUND_CHUNKS: Final = 16
"""Jobs given out before it is looked whether there are enough; a number of its own, so that what is
kept does not depend on the workers."""


class Transposition(NamedTuple):
    """A tune and how far it is moved."""

    tune: int
    """Number in the train side's order."""
    semitones: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Transpositions:
    """What was kept."""

    kept: Sequence[Transposition]
    """In the order of the corpus."""
    dropped: Counter[str]
    """Candidates that were looked at and not kept, by reason."""


def keep_transpositions(
    tunes: Sequence[BaseTune],
    known: Sequence[BaseTune],
    needed: int,
    maker: PairMaker,
    seed: int,
    engine: Engine,
) -> Transpositions:
    """Return the first `needed` transpositions of `tunes` that come out right, or all there are.

    `known` are the tunes of both sides, whose pairs no transposition may repeat.
    """
    keys = _keys(len(tunes), seed)
    work = _CheckTranspositions(maker=maker, seed=seed, tunes=tunes)
    seen = {blake2b((tune.codes + tune.form).encode(), digest_size=16).digest() for tune in known}
    seen |= {tune.mid_digest for tune in known}
    kept: list[Transposition] = []
    dropped: Counter[str] = Counter()
    starts = list(range(0, keys.size, CHUNK_CANDIDATES))
    done = 0
    while done < len(starts) and len(kept) < needed:
        jobs = starts[done : done + _ROUND_CHUNKS]
        done += len(jobs)
        found = dict(engine.run(work, jobs))
        for start in jobs:
            for number, check in enumerate(found[start], start):
                reason = check.reason
                if reason is None and check.abc_digest in seen:
                    reason = DropReason.DUPLICATE_ABC
                elif reason is None and check.mid_digest in seen:
                    reason = DropReason.DUPLICATE_MIDI
                if reason is not None:
                    dropped[str(reason)] += 1
                    continue
                seen |= {check.abc_digest, check.mid_digest}
                kept.append(_candidate(keys, number))
    return Transpositions(kept=kept[:needed], dropped=dropped)


def make_transposed(
    tunes: Sequence[BaseTune], wanted: Sequence[Transposition], maker: PairMaker
) -> Pairs:
    """Return the pairs of transpositions; what does not come out right has a reason."""
    texts: list[tuple[str, str]] = []
    refused: dict[int, str] = {}
    for i, (number, semitones) in enumerate(wanted):
        tune = tunes[number]
        try:
            moved = _transposer(tune.form).to(semitones)
        except NotTransposable as error:
            moved = tune.form  # converted in vain, and dropped below
            refused[i] = str(error)
        texts.append((tune.codes, moved))
    pairs = maker.make(texts)
    for i, (number, semitones) in enumerate(wanted):
        tune = tunes[number]
        if i in refused:
            pairs.reasons[i], pairs.details[i] = DropReason.NOT_TRANSPOSABLE, refused[i]
        elif pairs.reasons[i] is None and (
            pairs.sounds[i] != tune.sound or pairs.first_pitches[i] != tune.first_pitch + semitones
        ):
            pairs.reasons[i] = DropReason.SOUNDS_OTHERWISE
    return pairs


@lru_cache(maxsize=20_000)
def _transposer(form: str) -> Transposer:
    """Return a tune's transposer, kept: a tune comes back in other keys."""
    return Transposer(form)


class _Check(NamedTuple):
    """What a worker tells of a candidate."""

    reason: DropReason | None
    abc_digest: bytes = b""
    mid_digest: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class _CheckTranspositions:
    """The work of a job: make candidates `start` to `start + CHUNK_CANDIDATES - 1`."""

    maker: PairMaker
    seed: int
    tunes: Sequence[BaseTune]

    def __call__(self, start: int) -> tuple[int, list[_Check]]:
        keys = _keys(len(self.tunes), self.seed)
        end = min(start + CHUNK_CANDIDATES, keys.size)
        wanted = [_candidate(keys, number) for number in range(start, end)]
        pairs = make_transposed(self.tunes, wanted, self.maker)
        return start, list(_checks(pairs))


def _checks(pairs: Pairs) -> Iterator[_Check]:
    for abc, mid, reason in zip(pairs.abc, pairs.mid, pairs.reasons, strict=True):
        if reason is None:
            digests = [blake2b(data, digest_size=16).digest() for data in (abc, mid)]
            yield _Check(None, *digests)
        else:
            yield _Check(reason)


@lru_cache(maxsize=2)
def _keys(num_tunes: int, seed: int) -> NDArray[np.int64]:
    """Return `[11, tunes]`: how far each tune is moved in each turn."""
    numbers = np.arange(len(SHIFTS) * num_tunes, dtype=np.int64)
    order = np.argsort(hashed(numbers, seed, "keys").reshape(num_tunes, len(SHIFTS)), axis=1)
    return np.array(SHIFTS, np.int64)[order].T


def _candidate(keys: NDArray[np.int64], number: int) -> Transposition:
    turn, tune = divmod(number, keys.shape[1])
    return Transposition(tune, int(keys[turn, tune]))

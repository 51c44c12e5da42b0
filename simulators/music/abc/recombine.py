"""New tunes out of the phrases of others: tune `i` is four phrases of one kind, computed from `i`.

A tune is opening, cadence, opening, cadence: as two repeated halves (`|:a b:||:c d:|`) or played
through once. Which phrases it has follows from its number by a permutation of all that can be
chosen, so **no two numbers give the same choice**, none has to be remembered, and any part can be
made by any process. From distinct choices follow distinct tunes, as text and as sound, because

- within the phrases that can stand at one place no two sound alike, whatever their unit or pickup;
- all phrases last four bars of their metre, so the tune's notes say which phrase sounded where;
- a repeated tune has twice the notes of the one that is played through.

`sound` says what a tune must sound like; who converts it holds the result against that.

It reads no tune (`phrases` does), converts nothing, and knows no test set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from simulators.music.abc.phrases import PHRASE_BARS, PhraseKind
from simulators.permutation import Permutation, hashed

TICKS_PER_QUARTER: Final = 480
"""Of every file that abc2midi writes."""
ATTEMPTS: Final = 64
"""Choices kept for every number, should the first ones not do."""
PERIOD: Final = 1000
"""After so many numbers the sequence of phrase kinds begins again: as many as a shard has."""
MIN_PHRASES: Final = 16
"""Fewest openings, and cadences, of a kind that tunes are made of."""
MIN_PERIODS: Final = 10_000
"""Fewest periods that a kind must last, so that a rare one does not end the sequence early."""
MAX_PHRASES: Final = 1 << 15
"""Most of each that are used: the choices of a kind then number at most 2^61."""


class Phrase(NamedTuple):
    """A phrase with its sound."""

    kind: PhraseKind
    is_cadence: bool
    text: str
    key: str
    tune: int
    """Which tune it is from."""
    starts: NDArray[np.int64]
    """Ticks from the phrase's start; sorted as the notes of a file are."""
    durations: NDArray[np.int64]
    pitches: NDArray[np.uint8]

    @property
    def sound(self) -> bytes:
        """Return what no two phrases that may stand at one place share."""
        return self.starts.tobytes() + self.durations.tobytes() + self.pitches.tobytes()


class Sound(NamedTuple):
    """Notes of several tunes, as `simulators.music.midi.note_batches` has them."""

    offsets: NDArray[np.int64]
    """`[n + 1]`: the notes of tune `i` are `offsets[i]:offsets[i + 1]`."""
    starts: NDArray[np.int64]
    """Ticks."""
    durations: NDArray[np.int64]
    pitches: NDArray[np.uint8]


class Choices(NamedTuple):
    """What some tunes are made of."""

    phrases: NDArray[np.int64]
    """`[n, 4]` numbers of phrases: opening, cadence, opening, cadence."""
    repeated: NDArray[np.bool_]
    """`[n]`: whether both halves are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pool:
    """The phrases of one kind, and its share of all tunes."""

    openings: NDArray[np.int64]
    """Numbers of phrases."""
    cadences: NDArray[np.int64]
    share: int
    """Tunes of it in every `PERIOD`."""

    @property
    def reach(self) -> int:
        """Return how many tunes it gives, each with `ATTEMPTS` choices."""
        return 2 * len(self.openings) ** 2 * len(self.cadences) ** 2 // ATTEMPTS


@final
class Recombiner:
    """All phrases, and the tunes that they give."""

    def __init__(self, phrases: Iterable[Phrase], seed: int) -> None:
        """Take phrases in an order that decides which of two that sound alike stays."""
        distinct = _distinct(phrases)
        self._seed = seed
        self._pools = _pools(distinct)
        self._texts = [phrase.text for phrase in distinct]
        self._keys = [phrase.key for phrase in distinct]
        self._kinds = [phrase.kind for phrase in distinct]
        self._notes = _Notes(
            counts=np.array([len(phrase.pitches) for phrase in distinct], np.int64),
            starts=_joined([phrase.starts for phrase in distinct], np.int64),
            durations=_joined([phrase.durations for phrase in distinct], np.int64),
            pitches=_joined([phrase.pitches for phrase in distinct], np.uint8),
        )
        self.tune_of: NDArray[np.int64] = np.array([phrase.tune for phrase in distinct], np.int64)
        """`[phrases]`: which tune each is from."""
        # Which pool a number takes, and its rank among the numbers that take the same.
        of_period = np.repeat(np.arange(len(self._pools)), [pool.share for pool in self._pools])
        mixed = np.argsort(hashed(np.arange(len(of_period)), seed, "kinds"), kind="stable")
        self._pool_of = of_period[mixed].astype(np.int64)
        self._ranks = np.zeros(len(of_period), np.int64)
        for number, pool in enumerate(self._pools):
            self._ranks[self._pool_of == number] = np.arange(pool.share)

    @property
    def capacity(self) -> int:
        """Return how many tunes there are, from number 0 on; 0 where phrases are too few."""
        return PERIOD * min((pool.reach // pool.share for pool in self._pools), default=0)

    def tunes(self) -> list[int]:
        """Return the tunes whose phrases are used, in order."""
        used = [places for pool in self._pools for places in (pool.openings, pool.cadences)]
        return np.unique(self.tune_of[np.concatenate(used)]).tolist() if used else []

    def choices(self, numbers: NDArray[np.int64], attempts: NDArray[np.int64]) -> Choices:
        """Return what tunes `numbers` are made of at the given attempts; `[n]` both.

        Raises:
            IndexError: a number or an attempt is out of range.
        """
        _check_range("tune", numbers, self.capacity)
        _check_range("attempt", attempts, ATTEMPTS)
        phrases = np.zeros((len(numbers), 4), np.int64)
        repeated = np.zeros(len(numbers), np.bool_)
        pool_of = self._pool_of[numbers % PERIOD]
        for number in np.unique(pool_of).tolist():
            pool = self._pools[int(number)]
            rows = np.flatnonzero(pool_of == number)
            places = numbers[rows] // PERIOD * pool.share + self._ranks[numbers[rows] % PERIOD]
            order = Permutation(pool.reach * ATTEMPTS, self._seed, "choices", number)
            rest = order(attempts[rows] * pool.reach + places)
            rest, repeated[rows] = rest // 2, rest % 2 == 1
            for place, of in enumerate((pool.openings, pool.cadences) * 2):
                rest, digit = np.divmod(rest, len(of))
                phrases[rows, place] = of[digit]
        return Choices(phrases, repeated)

    def texts(self, choices: Choices) -> list[str]:
        """Return the tunes in normal form."""
        rows = zip(choices.phrases.tolist(), choices.repeated.tolist(), strict=True)
        return [self._text(row, repeated=repeated) for row, repeated in rows]

    def _text(self, row: Sequence[int], *, repeated: bool) -> str:
        kind = self._kinds[row[-1]]
        # Without a pickup a bar ends with every phrase; with one the next phrase completes it.
        end = "|" if kind.pickup == "0" else ""
        a, b, c, d = (self._texts[number] for number in row)
        head = f"X:1\nL:{kind.unit}\nM:{kind.metre}\nK:{self._keys[row[-1]]}\n"
        if repeated:
            return f"{head}|:{a}{end}\n{b}:|\n|:{c}{end}\n{d}:|\n"
        return f"{head}{a}{end}\n{b}{end}\n{c}{end}\n{d}|]\n"

    def sound(self, choices: Choices) -> Sound:
        """Return what tunes must sound like."""
        rows = zip(choices.phrases.tolist(), choices.repeated.tolist(), strict=True)
        played = [_played(row, repeated=repeated) for row, repeated in rows]
        flat = np.array([number for row in played for number in row], np.int64)
        places = np.array([place for row in played for place in range(len(row))], np.int64)
        ticks = np.array([phrase_ticks(self._kinds[row[0]].metre) for row in played], np.int64)
        sizes = np.array([len(row) for row in played], np.int64)
        counts = self._notes.counts[flat]
        ends = np.cumsum(counts)
        firsts = np.cumsum(self._notes.counts) - self._notes.counts
        notes = np.repeat(firsts[flat] - ends + counts, counts) + np.arange(int(counts.sum()))
        tune_ends = ends[np.cumsum(sizes) - 1] if played else ends
        return Sound(
            offsets=np.concatenate([np.zeros(1, np.int64), tune_ends]),
            starts=self._notes.starts[notes] + np.repeat(places * np.repeat(ticks, sizes), counts),
            durations=self._notes.durations[notes],
            pitches=self._notes.pitches[notes],
        )


def _played(row: Sequence[int], *, repeated: bool) -> tuple[int, ...]:
    """Return the phrases in the order in which they sound."""
    a, b, c, d = row
    return (a, b, a, b, c, d, c, d) if repeated else (a, b, c, d)


def phrase_ticks(metre: str) -> int:
    """Return how long a phrase is.

    >>> phrase_ticks("6/8")
    5760
    """
    beats, beat = metre.split("/")
    return PHRASE_BARS * int(beats) * 4 * TICKS_PER_QUARTER // int(beat)


class _Notes(NamedTuple):
    """The notes of all phrases, one after another."""

    counts: NDArray[np.int64]
    """`[phrases]`."""
    starts: NDArray[np.int64]
    durations: NDArray[np.int64]
    pitches: NDArray[np.uint8]


def _joined(arrays: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *arrays])


def _check_range(name: str, values: NDArray[np.int64], end: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() < end):
        raise IndexError(f"{name} {values.min()}..{values.max()} reaches outside 0..{end - 1}")


def _distinct(phrases: Iterable[Phrase]) -> list[Phrase]:
    """Return the first phrase of every sound that can stand at one place.

    Units and pickups are no part of a sound, so they are compared too: two tunes of two kinds would
    otherwise sound alike.
    """
    seen: set[tuple[str, int, bool, bytes]] = set()
    distinct: list[Phrase] = []
    for phrase in phrases:
        key = (phrase.kind.metre, phrase.kind.sharps, phrase.is_cadence, phrase.sound)
        if key not in seen:
            seen.add(key)
            distinct.append(phrase)
    return distinct


def _pools(phrases: Sequence[Phrase]) -> list[_Pool]:
    """Return the kinds with phrases enough, each with a share by how many tunes they are from."""
    places: dict[PhraseKind, tuple[list[int], list[int]]] = {}
    tunes: dict[PhraseKind, set[int]] = {}
    for number, phrase in enumerate(phrases):
        places.setdefault(phrase.kind, ([], []))[phrase.is_cadence].append(number)
        tunes.setdefault(phrase.kind, set()).add(phrase.tune)
    enough = [kind for kind, both in places.items() if min(map(len, both)) >= MIN_PHRASES]
    while True:
        shares = _shares([len(tunes[kind]) for kind in enough])
        pools = [
            _Pool(
                openings=np.array(places[kind][False][:MAX_PHRASES], np.int64),
                cadences=np.array(places[kind][True][:MAX_PHRASES], np.int64),
                share=share,
            )
            for kind, share in zip(enough, shares, strict=True)
        ]
        lasting = [pool.share > 0 and pool.reach // pool.share >= MIN_PERIODS for pool in pools]
        if all(lasting):
            return pools
        if not any(lasting):
            # The one that reaches furthest, alone.
            best = max(range(len(pools)), key=lambda i: pools[i].reach)
            return [replace(pools[best], share=PERIOD)]
        enough = [kind for kind, lasts in zip(enough, lasting, strict=True) if lasts]


def _shares(weights: Sequence[int]) -> list[int]:
    """Deal `PERIOD` places out by weight, the remainders to the largest.

    >>> _shares([2, 1])
    [667, 333]
    """
    total = sum(weights)
    exact = [divmod(PERIOD * weight, total) for weight in weights]
    shares = [share for share, _ in exact]
    largest = sorted(range(len(weights)), key=lambda i: (-exact[i][1], i))
    for i in largest[: PERIOD - sum(shares) if weights else 0]:
        shares[i] += 1
    return shares

"""Recombined tunes of the train side: the phrases that they are made of, and samples by number.

In planning every phrase of every train tune is converted alone, which tells what it sounds like
and that it lasts exactly its four bars. Tune number `i` then follows from `i` alone (see
`simulators.music.abc.recombine`). Where it must not be (it repeats itself, sounds like a real tune,
is a near-duplicate of a test tune) the next choice for the same number takes its place, so nothing
has to be known of the other numbers, and no two are ever the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.engine import Engine
from pipelines.near_index import NearIndex
from pipelines.plan import SourceError
from pipelines.sources.base_tunes import BaseTune
from pipelines.sources.music_pairs import PairMaker, Pairs
from simulators.music.abc.phrases import CutPhrase, phrases_of
from simulators.music.abc.recombine import (
    ATTEMPTS,
    Choices,
    Phrase,
    Recombiner,
    Sound,
    phrase_ticks,
)
from simulators.music.reasons import DropReason

CHUNK_TUNES: Final = 500
"""Tunes of one job: cutting and converting the phrases of 500 takes about half a second."""
_FIRST_TICK: Final = 1
"""When abc2midi begins: every note stands one tick after its time."""


class Recombined(NamedTuple):
    """One recombined tune."""

    abc: bytes
    mid: bytes
    parts: tuple[int, ...]
    """The tunes that its four phrases are from, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recombinations:
    """Everything that recombined samples depend on; sent to every worker."""

    recombiner: Recombiner
    real_sounds: frozenset[bytes]
    """Of all real tunes, on both sides."""
    test_tunes: NearIndex
    maker: PairMaker

    def make(self, numbers: Sequence[int]) -> tuple[list[Recombined], Mapping[str, int]]:
        """Return recombined tunes by number, and the choices that were dropped, by reason.

        Raises:
            SourceError: none of the choices for a number will do.
        """
        wanted = np.array(numbers, np.int64)
        made: dict[int, Recombined] = {}
        dropped: Counter[str] = Counter()
        attempts = np.zeros(len(wanted), np.int64)
        places = np.arange(len(wanted))
        while len(places):
            choices = self.recombiner.choices(wanted[places], attempts[places])
            pairs = self._pairs(choices)
            for i, place in enumerate(places.tolist()):
                if (reason := pairs.reasons[i]) is None:
                    parts = self.recombiner.tune_of[choices.phrases[i]].tolist()
                    made[place] = Recombined(pairs.abc[i], pairs.mid[i], tuple(parts))
                else:
                    dropped[str(reason)] += 1
            places = np.array([place for place in places.tolist() if place not in made], np.int64)
            attempts[places] += 1
            if len(places) and int(attempts[places].max()) >= ATTEMPTS:
                raise SourceError(
                    f"recombined tune {wanted[places[0]]}: none of {ATTEMPTS} choices will do: "
                    f"{dict(dropped)}; use other tunes, or another seed"
                )
        return [made[place] for place in range(len(wanted))], dropped

    def _pairs(self, choices: Choices) -> Pairs:
        """Convert what was chosen; what will not do has a reason."""
        pairs = self.maker.make([("", text) for text in self.recombiner.texts(choices)])
        right = _sound_as(pairs, self.recombiner.sound(choices))
        near = self.test_tunes.near(*pairs.melodies)
        first, second = choices.phrases[:, :2], choices.phrases[:, 2:]
        same_halves = (first == second).all(axis=1)
        for i, reason in enumerate(pairs.reasons):
            if reason is not None:
                continue
            if not right[i]:
                pairs.reasons[i] = DropReason.SOUNDS_OTHERWISE
            elif same_halves[i]:
                pairs.reasons[i] = DropReason.SAME_HALVES
            elif pairs.sounds[i] in self.real_sounds:
                pairs.reasons[i] = DropReason.SAME_AS_REAL
            elif near[i]:
                pairs.reasons[i] = DropReason.NEAR_TEST_TUNE
        return pairs


def cut_phrases(
    tunes: Sequence[BaseTune], maker: PairMaker, engine: Engine
) -> tuple[list[Phrase], Mapping[str, int]]:
    """Return the phrases of all tunes, in their order, and how many were dropped, by reason."""
    work = _CutPhrases(maker=maker, tunes=tunes)
    starts = range(0, len(tunes), CHUNK_TUNES)
    found = dict(engine.run(work, list(starts)))
    dropped: Counter[str] = Counter()
    for start in starts:
        dropped.update(found[start][1])
    return [phrase for start in starts for phrase in found[start][0]], dropped


@dataclass(frozen=True, kw_only=True, slots=True)
class _CutPhrases:
    """The work of a job: the phrases of tunes `start` to `start + CHUNK_TUNES - 1`."""

    maker: PairMaker
    tunes: Sequence[BaseTune]

    def __call__(self, start: int) -> tuple[int, tuple[list[Phrase], Counter[str]]]:
        end = min(start + CHUNK_TUNES, len(self.tunes))
        cut = [
            (number, phrase)
            for number in range(start, end)
            for phrase in phrases_of(self.tunes[number].form)
        ]
        pairs = self.maker.make([("", _alone(phrase)) for _, phrase in cut])
        phrases: list[Phrase] = []
        dropped: Counter[str] = Counter()
        offsets = pairs.notes.offsets.tolist()
        for i, (number, phrase) in enumerate(cut):
            reason = pairs.reasons[i]
            notes = slice(offsets[i], offsets[i + 1] - 1)
            starts = pairs.notes.start_ticks[notes]
            if reason is None and not _lasts(phrase, pairs, offsets[i], offsets[i + 1]):
                reason = DropReason.SOUNDS_OTHERWISE
            if reason is not None:
                dropped[str(reason)] += 1
                continue
            phrases.append(
                Phrase(
                    kind=phrase.kind,
                    is_cadence=phrase.is_cadence,
                    text=phrase.text,
                    key=phrase.key,
                    tune=number,
                    starts=starts.copy(),
                    durations=pairs.notes.duration_ticks[notes].copy(),
                    pitches=pairs.notes.pitches[notes].copy(),
                )
            )
        return start, (phrases, dropped)


def _alone(phrase: CutPhrase) -> str:
    """Return a tune of one phrase and a note that shows when it is over."""
    kind = phrase.kind
    end = "|" if kind.pickup == "0" else ""
    head = f"X:1\nL:{kind.unit}\nM:{kind.metre}\nK:{phrase.key}\n"
    return f"{head}{phrase.text}{end}\nC|\n"


def _lasts(phrase: CutPhrase, pairs: Pairs, first: int, end: int) -> bool:
    """Return whether a phrase, alone, lasts exactly its four bars, on one channel.

    Something in it may stretch time (a fermata does); the note after it then comes late.
    """
    notes = pairs.notes
    over = phrase_ticks(phrase.kind.metre) + _FIRST_TICK
    return (
        end - first >= 2
        and int(notes.channels[first:end].max()) == int(notes.channels[first])
        and int(notes.start_ticks[end - 1]) == over
        and int((notes.start_ticks[first : end - 1] + notes.duration_ticks[first : end - 1]).max())
        <= over
    )


def _sound_as(pairs: Pairs, wanted: Sound) -> NDArray[np.bool_]:
    """Return which pairs have exactly the notes that they should."""
    found = pairs.notes
    sizes, wanted_sizes = np.diff(found.offsets), np.diff(wanted.offsets)
    right = sizes == wanted_sizes
    for i in np.flatnonzero(right).tolist():
        ours = slice(int(found.offsets[i]), int(found.offsets[i + 1]))
        theirs = slice(int(wanted.offsets[i]), int(wanted.offsets[i + 1]))
        right[i] = (
            np.array_equal(found.start_ticks[ours], wanted.starts[theirs])
            and np.array_equal(found.pitches[ours], wanted.pitches[theirs])
            and np.array_equal(found.duration_ticks[ours], wanted.durations[theirs])
        )
    return right

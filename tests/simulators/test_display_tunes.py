"""The display tunes: they convert, they fill their bars, and they are nobody else's."""

import re

import numpy as np
from numpy.typing import NDArray

from pipelines.near_index import NearIndex
from pipelines.sources.tunes import music21_tunes
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.conversion.converter import convert
from simulators.music.looking.display_tunes import display_tunes
from simulators.music.looking.piano_roll import read_roll
from simulators.music.midi.note_batches import melody_batch, read_note_batch

BARS = {"jig": 16, "reel": 16, "waltz": 16, "march": 16, "air": 12}
"""Bars as played, repeats unfolded."""


def melodies(tunes: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the melodies of every tune that converts, in flat arrays."""
    files = [mid for mid in convert(tunes) if isinstance(mid, bytes)]
    return melody_batch(read_note_batch(files))


def test_every_tune_is_in_normal_form_and_fills_its_bars() -> None:
    tunes = display_tunes()
    assert {tune.kind for tune in tunes} == BARS.keys()
    assert len({tune.name for tune in tunes}) == len(tunes) == 5
    for tune, mid in zip(tunes, convert([tune.abc for tune in tunes]), strict=True):
        assert isinstance(mid, bytes), tune.name
        assert canonicalise(tune.abc) == tune.abc
        assert re.fullmatch("[a-z]+(-[a-z]+)*", tune.name)
        assert 60 <= tune.quarters_per_minute <= 200
        roll = read_roll(mid)
        assert (roll.fault, roll.left_out, len(roll.bars)) == (None, 0, BARS[tune.kind])
        music = [line for line in tune.abc.split("\n")[4:] if line]
        assert all(line.endswith(("|", ":|")) for line in music)
        assert roll.bars[-1] < roll.quarters <= roll.bars[-1] + roll.bars[1]
    assert display_tunes()[0].title == "Bytes by the Dozen"


def test_no_display_tune_is_a_near_duplicate_of_one_of_music21s() -> None:
    forms: set[str] = set()
    for raw in music21_tunes():
        try:
            forms.add(canonicalise(raw.text))
        except TuneRejected:
            continue
    intervals, offsets = melodies(sorted(forms))
    assert len(offsets) > 12_000
    theirs = NearIndex.build(intervals, offsets)
    ours = melodies([tune.abc for tune in display_tunes()])
    assert theirs.near(*ours).tolist() == [False] * 5
    # The same jig in another key is one of ours; and what is theirs is found.
    moved = melodies([display_tunes()[0].abc.replace("K:D\n", "K:Db\n")])
    assert NearIndex.build(*ours).near(*moved).tolist() == [True]
    assert theirs.near(intervals[: offsets[9]], offsets[:10]).all()

"""The display tunes: they convert, they fill their bars, and they are nobody else's."""

import re

from pipelines.dedup import interval_ngrams, is_near_duplicate, melody_intervals
from pipelines.sources.tunes import music21_tunes
from simulators.music.canonical import TuneRejected, canonicalise
from simulators.music.converter import convert
from simulators.music.display_tunes import display_tunes
from simulators.music.midi import read_notes
from simulators.music.piano_roll import read_roll

BARS = {"jig": 16, "reel": 16, "waltz": 16, "march": 16, "air": 12}
"""Bars as played, repeats unfolded."""


def melodies(tunes: list[str]) -> list[frozenset[bytes]]:
    """Return the interval n-grams of every tune that converts."""
    files = [mid for mid in convert(tunes) if isinstance(mid, bytes)]
    return [interval_ngrams(melody_intervals(read_notes(mid))) for mid in files]


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
    theirs = melodies(sorted(forms))
    assert len(theirs) > 12_000
    ours = melodies([tune.abc for tune in display_tunes()])
    assert not [(i, j) for i, one in enumerate(ours) for j, other in enumerate(theirs)
                if is_near_duplicate(one, other)]  # fmt: skip
    # The same jig in another key would have been found.
    moved = display_tunes()[0].abc.replace("K:D\n", "K:Db\n")
    assert is_near_duplicate(ours[0], melodies([moved])[0])

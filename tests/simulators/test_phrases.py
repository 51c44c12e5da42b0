"""Phrases: where a tune is cut, what of it gives none, and that all of them convert."""

from collections import Counter

import pytest

from simulators.music.abc.canonical import canonicalise
from simulators.music.abc.fields import key_sharps
from simulators.music.abc.phrases import PhraseKind, phrases_of


def tune(music: str, *, unit: str = "1/8", metre: str = "2/4", key: str = "G") -> str:
    return canonicalise(f"X:1\nL:{unit}\nM:{metre}\nK:{key}\n{music}\n")


EIGHT = "GABc|dcBA|GABc|d4|edcB|ABcd|edcA|G4"


@pytest.mark.parametrize(
    ("music", "texts"),
    [
        # Eight plain bars: an opening and a cadence; lines and bar lines at the ends do not count.
        (f"|:{EIGHT}:|", ["GABc|dcBA|GABc|d4", "edcB|ABcd|edcA|G4"]),
        ("GABc|dcBA|GABc|d4|\nedcB|ABcd|edcA|G4|]", ["GABc|dcBA|GABc|d4", "edcB|ABcd|edcA|G4"]),
        # A pickup goes with the phrase that it leads to; the bar before it stays open.
        (
            "D|GABc|dcBA|GABc|d3\nd|edcB|ABcd|edcA|G3||",
            ["D|GABc|dcBA|GABc|d3", "d|edcB|ABcd|edcA|G3"],
        ),
        # Two sections, one of them with signs that belong to the next phrase.
        (
            "GABc|dcBA|GABc|d4|(3edc {a}B2|ABcd|edcA|G4:|",
            ["GABc|dcBA|GABc|d4", "(3edc {a}B2|ABcd|edcA|G4"],
        ),
        ("GABc|dcBA|GABc|d4|~T.edcB|ABcd|edcA|G4|", ["GABc|dcBA|GABc|d4", "~T.edcB|ABcd|edcA|G4"]),
        # A slur over the cut is left out of both; one within a phrase stays.
        ("(GA)Bc|dcBA|GABc|d3(d|e)dcB|ABcd|edcA|G4|", ["GABc|dcBA|GABc|d3d", "edcB|ABcd|edcA|G4"]),
        # Broken rhythm and rests count as they sound.
        ("G>AB<c|dcBA|GABc|d2z2|edcB|ABcd|edcA|G4|", ["G>AB<c|dcBA|GABc|d2z2",
                                                       "edcB|ABcd|edcA|G4"]),
    ],
)  # fmt: skip
def test_a_section_is_cut_every_four_bars(music: str, texts: list[str]) -> None:
    phrases = phrases_of(tune(music))
    assert [phrase.text for phrase in phrases] == texts
    assert [phrase.is_cadence for phrase in phrases] == [False] * (len(texts) - 1) + [True]


@pytest.mark.parametrize(
    ("music", "texts"),
    [
        ("GABc|dcBA|GABc|d4|edcB|ABcd|", []),  # six bars
        ("GABc|dcBA|GABc|d4-|d4|ABcd|edcA|G4|", ["d4|ABcd|edcA|G4"]),  # a tie over the cut
        ("GABc|dcBA|GABc|d2d4|cB|ABcd|edcA|G4|", []),  # a note over the cut, bars awry
        ("GABc|dcBA|GAB|d4|edcB|ABcd|edcA|G5|", []),  # bars of other lengths
        ("[GB]ABc|dcBA|GABc|d4|edcB|ABcd|edcA|G4|", []),  # a chord
        ('"G"GABc|dcBA|GABc|d4|edcB|ABcd|edcA|G4|', []),  # a chord symbol
        ("GABc|dcBA|GABc|d4|1edcB|ABcd|edcA|G4|", []),  # an ending
        ("GABc|dcBA|GABc|d4|\nK:D\nedcB|ABcd|edcA|G4|", []),  # another key
        ("z4|z4|z4|z2GA|edcB|ABcd|edcA|G4|", ["edcB|ABcd|edcA|G4"]),  # hardly a note
        # An accidental in the last, open bar would reach into the next phrase's pickup.
        ("D|GABc|dcBA|GABc|^d3 d|edcB|ABcd|edcA|G3|", ["d|edcB|ABcd|edcA|G3"]),
        ("GABc|dcBA|GABc|d2>d|e>dcB|ABcd|edcA|G4|", []),  # three beats and a half: awry
    ],
)
def test_what_does_not_come_apart_gives_no_phrase(music: str, texts: list[str]) -> None:
    assert [phrase.text for phrase in phrases_of(tune(music))] == texts


def test_no_metre_and_no_plain_key_give_no_phrase() -> None:
    assert phrases_of(tune(EIGHT + "|")) != []
    assert phrases_of(tune(EIGHT + "|", metre="none")) == []
    assert phrases_of(tune(EIGHT + "|", key="HP")) == []
    assert phrases_of(tune(EIGHT + "|", key="D =c")) == []


def test_a_kind_is_unit_metre_signature_and_pickup() -> None:
    kinds = Counter(
        phrase.kind
        for key in ("G", "Em", "Ador", "Dmix")  # one sharp all of them
        for phrase in phrases_of(tune("D|GABc|dcBA|GABc|d3d|edcB|ABcd|edcA|G3|", key=key))
    )
    assert kinds == {PhraseKind("1/8", "2/4", 1, "1/8"): 8}
    assert phrases_of(tune(EIGHT + "|", unit="1/8"))[0].kind.pickup == "0"


def test_the_sharps_of_every_plain_key() -> None:
    for sharps, names in {
        0: "C Am Ddor Ephr Flyd Gmix Bloc",
        -3: "Eb Cm Fdor Gphr Ablyd Bbmix Dloc",
        6: "F# D#m G#dor A#phr Blyd C#mix E#loc",
    }.items():
        assert [key_sharps(name) for name in names.split()] == [sharps] * 7
    assert key_sharps("none") is None

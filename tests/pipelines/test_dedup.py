"""Near-duplicates: blind to transposition, exact at the threshold, complete, in any order."""

import hashlib
from collections import defaultdict
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pipelines.dedup import (
    NGRAM_INTERVALS,
    candidate_pairs,
    cluster_ids,
    interval_ngrams,
    is_near_duplicate,
    melody_intervals,
)
from simulators.music.midi import Note

TUNE = [60, 62, 64, 65, 67, 64, 60, 67, 69, 71, 72, 67, 64, 62, 60]


def notes(pitches: list[int], channel: int = 0) -> list[Note]:
    return [Note(10 * i, 9, pitch, 80, channel) for i, pitch in enumerate(pitches)]


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@given(st.lists(st.integers(20, 80), max_size=40), st.integers(-20, 40))
def test_transposing_changes_nothing(pitches: list[int], semitones: int) -> None:
    moved = [pitch + semitones for pitch in pitches]
    assert melody_intervals(notes(moved)) == melody_intervals(notes(pitches))


def test_the_melody_is_the_highest_note_of_the_lowest_channel() -> None:
    chords = [*notes([60, 64, 62]), *notes([55, 50, 40]), *notes([90, 20, 90], channel=1)]
    assert melody_intervals(chords) == bytes([128 + 4, 128 - 2])
    assert melody_intervals(notes([0, 127, 0])) == bytes([255, 1])
    assert melody_intervals([]) == b""


def test_half_of_the_ngrams_makes_a_near_duplicate() -> None:
    def grams(*numbers: int) -> frozenset[bytes]:
        return frozenset(bytes([number]) for number in numbers)

    assert is_near_duplicate(grams(1, 2, 3), grams(2, 3, 4))  # 2 of 4
    assert not is_near_duplicate(grams(1, 2, 3), grams(3, 4))  # 1 of 4
    assert is_near_duplicate(grams(1), grams(1, 2))
    assert is_near_duplicate(interval_ngrams(b""), interval_ngrams(b""))


def test_short_melodies_are_their_own_only_ngram() -> None:
    size = NGRAM_INTERVALS
    assert interval_ngrams(b"abc") == frozenset([b"abc"])
    assert interval_ngrams(bytes(range(size))) == frozenset([bytes(range(size))])
    assert len(interval_ngrams(bytes(range(size + 1)))) == 2


def test_a_cluster_joins_what_variants_connect_and_is_named_by_its_smallest_hash() -> None:
    base = melody_intervals(notes(TUNE))
    variant = base + bytes([128, 129])
    further = variant + bytes([127, 131, 120, 140])  # near the variant
    other = melody_intervals(notes([60, 60, 72, 59, 71, 58, 70, 57, 69]))
    names = [name(i) for i in range(4)]
    ids = cluster_ids([base, variant, further, other], names)
    assert ids == [min(names[:3])] * 3 + [names[3]]
    assert cluster_ids([], []) == []


def _all_pairs(ngrams: list[frozenset[bytes]]) -> set[tuple[int, int]]:
    """Return every near-duplicate pair by an inverted index: complete by construction."""
    holders: defaultdict[bytes, list[int]] = defaultdict(list)
    for number, grams in enumerate(ngrams):
        for gram in grams:
            holders[gram].append(number)
    pairs = {pair for held in holders.values() for pair in combinations(held, 2)}
    return {(i, j) for i, j in pairs if is_near_duplicate(ngrams[i], ngrams[j])}


_MELODIES = st.lists(
    st.lists(st.sampled_from([126, 127, 128, 129]), max_size=12).map(bytes), max_size=12
)


@given(_MELODIES, st.randoms(use_true_random=False))
def test_clusters_are_exact_and_do_not_depend_on_the_order(
    melodies: list[bytes], random: object
) -> None:
    ngrams = [interval_ngrams(melody) for melody in melodies]
    names = [name(i) for i in range(len(melodies))]
    ids = cluster_ids(melodies, names)
    # The components of the exact graph, found by spreading the smallest name.
    expected = list(names)
    edges = _all_pairs(ngrams)
    for _ in melodies:
        for i, j in edges:
            expected[i] = expected[j] = min(expected[i], expected[j])
    assert ids == expected
    assert edges <= set(candidate_pairs(ngrams))
    order = list(range(len(melodies)))
    random.shuffle(order)  # pyright: ignore[reportAttributeAccessIssue]
    shuffled = cluster_ids([melodies[i] for i in order], [names[i] for i in order])
    assert shuffled == [ids[i] for i in order]

"""Near-duplicates: blind to transposition, exact at the threshold, complete, in any order."""

import hashlib
import random
import time
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dedup import cluster_ids
from pipelines.ngram_kernel import NGRAM_INTERVALS, all_ngrams
from simulators.music.midi.note_batches import melody_batch, read_note_batch
from tests.pipelines.near_oracle import SIZE, clusters, flat, interval_ngrams, near_pairs
from tests.simulators.test_note_batches import real_files

TUNE = [60, 62, 64, 65, 67, 64, 60, 67, 69, 71, 72, 67, 64, 62, 60]


def melody(pitches: list[int]) -> bytes:
    return bytes(after - before + 128 for before, after in pairwise(pitches))


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def names_of(melodies: list[bytes]) -> list[str]:
    return cluster_ids(*flat(melodies), [name(i) for i in range(len(melodies))])


@cache
def real_melodies() -> list[bytes]:
    """Return the melodies of some hundred real tunes, and variants of half of them."""
    intervals, offsets = melody_batch(read_note_batch(real_files()))
    melodies = [intervals[start:end].tobytes() for start, end in pairwise(offsets.tolist())]
    rng = random.Random(7)
    for original in melodies[::2]:
        variant = bytearray(original)
        for _ in range(rng.randint(1, max(2, len(variant) // 16))):
            if variant:
                variant[rng.randrange(len(variant))] = rng.randint(120, 136)
        melodies.append(bytes(variant))
    return melodies


def is_one_cluster(one: bytes, other: bytes) -> bool:
    return len(set(names_of([one, other]))) == 1


def test_half_of_the_ngrams_makes_a_near_duplicate() -> None:
    # Six-note windows over distinct steps: n intervals have n - 4 n-grams.
    steps = bytes(range(100, 140))
    assert is_one_cluster(steps[0:7], steps[1:8])  # 2 of 4
    assert not is_one_cluster(steps[0:7], steps[2:8])  # 1 of 4
    assert is_one_cluster(steps[0:5], steps[0:6])  # 1 of 2
    assert not is_one_cluster(steps[0:5], steps[0:7])  # 1 of 3
    assert is_one_cluster(steps[0:14], steps[5:14])  # 5 of 10
    assert not is_one_cluster(steps[0:15], steps[5:14])  # 5 of 11
    assert is_one_cluster(b"", b"")


def test_short_melodies_are_their_own_only_ngram() -> None:
    assert NGRAM_INTERVALS == SIZE
    assert not is_one_cluster(b"abc", b"abcd")
    assert is_one_cluster(b"abc", b"abc")
    # As numbers these would be equal but for their lengths.
    short = [b"", b"\0", b"\0\0", b"\0" * 3, b"\0" * 4, b"\0" * 5]
    assert len(set(names_of(short))) == len(short)
    assert is_one_cluster(b"\0" * 5, b"\0" * 9)  # the same n-gram five times


@given(st.lists(st.binary(max_size=14), max_size=6))
def test_the_ngrams_are_those_of_the_definition(melodies: list[bytes]) -> None:
    ngrams, offsets = all_ngrams(*flat(melodies))
    for number, one in enumerate(melodies):
        found = ngrams[offsets[number] : offsets[number + 1]].tolist()
        expected = {int.from_bytes(g, "big") + (len(g) << 40) for g in interval_ngrams(one)}
        assert found == sorted(expected)


def test_transposed_tunes_and_what_variants_connect_are_a_cluster() -> None:
    base = melody(TUNE)
    variant = base + bytes([128, 129])
    further = variant + bytes([127, 131, 120, 140])  # near the variant
    other = melody([60, 60, 72, 59, 71, 58, 70, 57, 69])
    names = [name(i) for i in range(5)]
    ids = names_of([base, variant, further, other, melody([p + 5 for p in TUNE])])
    expected = min(*names[:3], names[4])
    assert ids == [expected] * 3 + [names[3], expected]
    assert names_of([]) == []


def test_as_many_hashes_as_melodies_are_wanted() -> None:
    with pytest.raises(ValueError, match="2 melodies, but 1 hashes"):
        cluster_ids(*flat([b"a", b"b"]), ["x"])


# Few steps, so that sets overlap; lengths from nothing to four times the n-gram.
_MELODIES = st.lists(
    st.lists(st.sampled_from([126, 127, 128, 129]), max_size=20).map(bytes), max_size=14
)


def test_clusters_are_exact_and_do_not_depend_on_the_order() -> None:
    joined = 0

    @settings(max_examples=300, deadline=None)
    @given(_MELODIES, st.lists(st.integers(0, 200), max_size=20), st.randoms())
    def check(melodies: list[bytes], cuts: list[int], rng: random.Random) -> None:
        nonlocal joined
        # Parts of what is there already: sets that contain one another, and equal ones.
        for cut in cuts if melodies else []:
            whole = melodies[cut % len(melodies)]
            melodies.append(whole[cut % 3 :] + whole[: cut % 4])
        names = [name(i) for i in range(len(melodies))]
        ids = cluster_ids(*flat(melodies), names)
        assert ids == clusters(melodies, names)
        joined += len(ids) - len(set(ids))
        order = list(range(len(melodies)))
        rng.shuffle(order)
        shuffled = cluster_ids(*flat([melodies[i] for i in order]), [names[i] for i in order])
        assert shuffled == [ids[i] for i in order]

    check()
    assert joined > 300


def test_clusters_of_real_tunes_are_exact() -> None:
    melodies = real_melodies()
    names = [name(i) for i in range(len(melodies))]
    ids = cluster_ids(*flat(melodies), names)
    assert ids == clusters(melodies, names)
    assert len(near_pairs([interval_ngrams(melody) for melody in melodies])) > 50
    assert len(set(ids)) > 200


def test_many_tunes_of_one_melody_take_no_time() -> None:
    # All pairs of 100,000 would be minutes.
    melodies = [melody(TUNE)] * 50_000 + [b""] * 50_000
    names = [f"{i:06}" for i in range(len(melodies))]
    cluster_ids(*flat(melodies[:2]), names[:2])  # compiled by now
    before = time.process_time()
    ids = cluster_ids(*flat(melodies), names)
    assert time.process_time() - before < 3
    assert ids == [names[0]] * 50_000 + [names[50_000]] * 50_000
    assert len(np.unique(ids)) == 2

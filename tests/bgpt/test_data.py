"""Batches are a pure function of their number, hold every sample once an epoch, and pad little."""

from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgpt.data import BatchStream, DrawnSample, SampleView, TrainingSample, patch_batch
from bgpt.patching import TooLong, num_patches
from simulators.permutation import hashed


class Files:
    """Files of many lengths, in memory."""

    def __init__(self, num_samples: int, *, max_bytes: int = 400) -> None:
        lengths = hashed(np.arange(num_samples), "length") % np.uint64(max_bytes)
        self._files = [bytes([i % 251]) * (1 + int(n)) for i, n in enumerate(lengths)]

    def __len__(self) -> int:
        return len(self._files)

    def read(self, index: int, /) -> tuple[bytes, ...]:
        return (self._files[index],)

    def key(self, index: int, /) -> str:
        return f"sample-{index}"

    def column(self, name: str, /) -> list[int]:
        assert name == "size_bin"
        return [len(file) for file in self._files]


class Pairs(Files):
    """A tune and its conversion."""

    def read(self, index: int, /) -> tuple[bytes, ...]:
        (data,) = super().read(index)
        return (b"abc" + data, b"mid" + 2 * data)

    def column(self, name: str, /) -> list[int]:
        which = ("size_abc", "size_mid").index(name)
        return [len(self.read(i)[which]) for i in range(len(self))]


def view_of_files(num_samples: int, *, patch_size: int = 16, **options: int) -> SampleView:
    files = Files(num_samples, **options)
    return SampleView(
        files, extensions=["bin"], prompt_bytes=0, directions={}, patch_size=patch_size
    )


def view_of_pairs(
    num_samples: int, directions: dict[str, float], patch_size: int = 16
) -> SampleView:
    return SampleView(
        Pairs(num_samples),
        extensions=["abc", "mid"],
        prompt_bytes=0,
        directions=directions,
        patch_size=patch_size,
    )


def keys(batch: list[DrawnSample]) -> list[str]:
    return [sample.key for sample in batch]


def read(batch: list[DrawnSample]) -> list[TrainingSample]:
    return [sample.read() for sample in batch]


@pytest.mark.parametrize("patch_size", [8, 16, 32])
def test_a_sample_is_as_long_as_its_index_says_before_it_is_read(patch_size: int) -> None:
    directions: dict[str, float] = {"abc-to-midi": 1, "midi-to-abc": 1}
    for view in (
        view_of_files(40, patch_size=patch_size),
        view_of_pairs(40, directions, patch_size),
    ):
        drawn = view.drawn(np.arange(80), 0)
        assert len(drawn) == 80
        for sample in drawn:
            segments = sample.read().segments
            assert sample.num_patches == num_patches(segments, patch_size)
            assert sample.num_bytes == sum(len(segment.data) for segment in segments)
            assert sample.read().key == sample.key


@settings(max_examples=40, deadline=None)
@given(
    num_samples=st.integers(1, 60),
    batch_size=st.integers(1, 7),
    window_batches=st.integers(1, 9),
    seed=st.integers(0, 5),
)
def test_a_batch_is_the_same_in_whatever_order_batches_are_asked_for(
    num_samples: int, batch_size: int, window_batches: int, seed: int
) -> None:
    def stream() -> BatchStream:
        return BatchStream(
            view_of_files(num_samples),
            batch_size=batch_size,
            window_batches=window_batches,
            seed=seed,
        )

    in_order = stream()
    forwards = [keys(in_order.batch(i)) for i in range(20)]
    assert all(len(batch) == batch_size for batch in forwards)
    backwards = stream()
    assert [keys(backwards.batch(i)) for i in reversed(range(20))] == forwards[::-1]
    assert keys(stream().batch(13)) == forwards[13]


def test_two_workers_that_take_every_other_batch_see_what_one_sees() -> None:
    def stream() -> BatchStream:
        return BatchStream(view_of_files(50), batch_size=4, window_batches=3, seed=1)

    one, even, odd = stream(), stream(), stream()
    whole = [keys(one.batch(i)) for i in range(12)]
    assert [keys(even.batch(i)) for i in range(0, 12, 2)] == whole[0::2]
    assert [keys(odd.batch(i)) for i in range(1, 12, 2)] == whole[1::2]


@settings(max_examples=30, deadline=None)
@given(batch_size=st.integers(1, 6), window_batches=st.integers(1, 4), epochs=st.integers(1, 3))
def test_every_sample_comes_once_an_epoch(
    batch_size: int, window_batches: int, epochs: int
) -> None:
    window = batch_size * window_batches
    view = view_of_files(3 * window)
    stream = BatchStream(view, batch_size=batch_size, window_batches=window_batches, seed=0)
    seen = Counter(
        chain.from_iterable(keys(stream.batch(i)) for i in range(3 * window_batches * epochs))
    )
    assert set(seen.values()) == {epochs}
    assert len(seen) == 3 * window


def test_the_tail_of_an_epoch_is_not_dropped() -> None:
    stream = BatchStream(view_of_files(7), batch_size=3, window_batches=1, seed=0)
    seen = Counter(chain.from_iterable(keys(stream.batch(i)) for i in range(7)))
    assert set(seen.values()) == {3}
    assert len(seen) == 7


def test_epochs_and_seeds_differ_in_order() -> None:
    def order(seed: int) -> list[list[str]]:
        stream = BatchStream(view_of_files(40), batch_size=40, window_batches=1, seed=seed)
        return [keys(stream.batch(i)) for i in range(2)]

    def windows(seed: int) -> list[list[str]]:
        stream = BatchStream(view_of_files(40), batch_size=5, window_batches=2, seed=seed)
        return [keys(stream.batch(i)) for i in range(16)]

    assert sorted(order(0)[0]) == sorted(order(0)[1])
    assert windows(0)[:8] != windows(0)[8:]
    assert windows(0) != windows(1)


def test_batches_of_like_lengths_pad_little_and_do_not_come_sorted() -> None:
    view = view_of_files(2000)

    def padding(window_batches: int) -> tuple[float, list[int]]:
        stream = BatchStream(view, batch_size=16, window_batches=window_batches, seed=0)
        batches = [patch_batch(read(stream.batch(i)), "target") for i in range(64)]
        true = sum(int(batch.num_patches.sum()) for batch in batches)
        padded = sum(batch.patches.shape[0] * batch.patches.shape[1] for batch in batches)
        return 1 - true / padded, [batch.patches.shape[1] for batch in batches]

    alone, _ = padding(1)
    bucketed, lengths = padding(32)
    assert alone > 0.3
    assert bucketed < 0.06
    rises = sum(a < b for a, b in pairwise(lengths))
    assert 15 < rises < 48


def test_directions_turn_the_pair_and_follow_their_weights() -> None:
    view = view_of_pairs(100, {"abc-to-midi": 3, "midi-to-abc": 1})
    stream = BatchStream(view, batch_size=50, window_batches=2, seed=0)
    turned = Counter(
        tuple(segment.extension for segment in sample.segments)
        for number in range(40)
        for sample in read(stream.batch(number))
    )
    assert turned[("abc", "mid")] + turned[("mid", "abc")] == 2000
    assert 0.71 < turned[("abc", "mid")] / 2000 < 0.79
    sample = view.sample(3, "midi-to-abc")
    assert [segment.data[:3] for segment in sample.segments] == [b"mid", b"abc"]


def test_a_simulation_scores_what_comes_after_its_prompt() -> None:
    view = SampleView(Files(9), extensions=["bin"], prompt_bytes=1, directions={})
    batch = patch_batch([view.sample(4, None)], "target")
    length = len(Files(9).read(4)[0])
    assert batch.num_bytes == length - 1
    assert batch.num_tokens == length


@pytest.mark.parametrize(
    ("extensions", "directions", "message"),
    [
        (["abc", "mid"], {"abc-to-mid": 1.0}, "unknown direction 'abc-to-mid': did you mean"),
        (["bin"], {"abc-to-midi": 1.0}, r"does not fit a corpus of \.bin files"),
        (["abc", "mid"], {}, "a corpus of pairs needs directions"),
        (["abc", "mid"], {"abc-to-midi": 0.0}, "must be above 0, not 0.0"),
    ],
)
def test_directions_that_do_not_fit_are_refused(
    extensions: list[str], directions: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SampleView(Pairs(3), extensions=extensions, prompt_bytes=0, directions=directions)


def test_a_sample_that_is_too_long_is_named_before_training() -> None:
    view = view_of_files(50)
    view.check_lengths(30)
    with pytest.raises(TooLong, match=r"more than the 20 patches .* sample-\d+, takes 2\d;"):
        view.check_lengths(20)


def test_patches_of_another_size_let_other_samples_in() -> None:
    sizes = [len(Files(50).read(i)[0]) for i in range(50)]
    for patch_size in (8, 16, 32):
        view = view_of_files(50, patch_size=patch_size)
        fitting = sum(2 + -(-size // patch_size) <= 20 for size in sizes)
        kept, num_dropped = view.without_too_long(20)
        assert (len(kept), num_dropped) == (fitting, 50 - fitting)
        assert kept.patch_size == patch_size
        kept.check_lengths(20)
        kept.drawn(np.arange(3), 0)


def test_an_extension_that_does_not_fit_a_patch_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="extension 'emulator' is longer than a patch of 4 bytes"):
        SampleView(Files(3), extensions=["emulator"], prompt_bytes=0, directions={}, patch_size=4)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="no sample to train on"):
        BatchStream(view_of_files(0), batch_size=1, window_batches=1, seed=0)

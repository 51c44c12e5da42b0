import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgpt.patching import TooLong, collate, layout, num_patches
from bgpt.protocol import EOP
from pipelines.sample import Segment


def segment(extension: str, data: bytes) -> Segment:
    return Segment(extension=extension, data=data)


def padded(text: bytes) -> list[int]:
    return [*text, *[EOP] * (16 - len(text))]


def test_a_file_is_extension_data_and_one_end_patch() -> None:
    sample = layout([segment("bin", b"0123456789abcdefXY")])
    assert sample.tokens.tolist() == [
        padded(b"bin"),
        padded(b"0123456789abcdef"),
        padded(b"XY"),
        padded(b""),
    ]
    assert sample.source_patches == 0


def test_a_conversion_has_two_extensions_and_one_end_patch() -> None:
    sample = layout([segment("abc", b"X:1"), segment("mid", b"MThd")])
    assert sample.tokens.tolist() == [
        padded(b"abc"),
        padded(b"X:1"),
        padded(b"mid"),
        padded(b"MThd"),
        padded(b""),
    ]
    assert sample.source_patches == 1


@pytest.mark.parametrize(
    # target bytes, given, places (patch, first, stop) that are scored
    ("size", "given_bytes", "scored"),
    [
        (3, 0, [(1, 0, 4)]),  # the EOP stands in the data's own patch
        (16, 0, [(1, 0, 16), (2, 0, 1)]),  # the EOP is the end patch's first token
        (18, 16, [(2, 0, 3)]),  # a given prefix is not scored
        (18, 5, [(1, 5, 16), (2, 0, 3)]),  # nor is one that ends inside a patch
        (16, 16, [(2, 0, 1)]),  # everything given: the end is still predicted
        (0, 0, [(1, 0, 1)]),  # an empty file ends at once
    ],
)
def test_the_target_region_is_its_bytes_and_the_first_eop(
    size: int, given_bytes: int, scored: list[tuple[int, int, int]]
) -> None:
    sample = layout([segment("bin", bytes(size))], scored_from=given_bytes)
    expected = np.zeros_like(sample.loss_mask)
    for patch, first, stop in scored:
        expected[patch, first:stop] = True
    assert (sample.loss_mask == expected).all()


def test_the_file_region_scores_all_segments_but_no_extension() -> None:
    mask = layout([segment("abc", b"X:1"), segment("mid", bytes(16))], loss="file").loss_mask
    assert mask.sum(axis=1).tolist() == [0, 4, 0, 16, 1]


def test_a_source_that_fills_its_patch_has_no_eop_to_score() -> None:
    mask = layout([segment("abc", bytes(16)), segment("mid", b"M")], loss="file").loss_mask
    assert mask.sum(axis=1).tolist() == [0, 16, 0, 2, 0]


def test_the_authors_region_is_every_token_but_the_first_patch() -> None:
    mask = layout([segment("abc", b"X:1"), segment("mid", b"MThd")], loss="tokens").loss_mask
    assert mask.sum(axis=1).tolist() == [0, 16, 16, 16, 16]


@pytest.mark.parametrize("patch_size", [4, 8, 16, 32])
def test_a_file_is_scored_byte_by_byte_whatever_the_patch(patch_size: int) -> None:
    for size in range(40):
        file, given_bytes = segment("bin", bytes(range(size))), size // 3
        sample = layout([file], scored_from=given_bytes, patch_size=patch_size)
        assert sample.tokens.shape == (2 + -(-size // patch_size), patch_size)
        assert len(sample) == num_patches([file], patch_size)
        expected = [*range(given_bytes, size), EOP]
        assert sample.tokens[sample.loss_mask].tolist() == expected
        assert collate([sample]).num_bytes == size - given_bytes


def test_a_patch_of_8_holds_8_bytes_of_extension_source_and_target() -> None:
    segments = [segment("abc", b"X:1\nK:C\nCD"), segment("mid", b"MThd")]
    sample = layout(segments, patch_size=8)
    assert [bytes(t for t in patch if t != EOP) for patch in sample.tokens.tolist()] == [
        b"abc", b"X:1\nK:C\n", b"CD", b"mid", b"MThd", b"",
    ]  # fmt: skip
    assert sample.source_patches == 2


def test_an_extension_that_is_longer_than_a_patch_is_refused() -> None:
    assert len(layout([segment("jpeg", b"x")], patch_size=4)) == 3
    with pytest.raises(ValueError, match="extension 'xhtml' is longer than a patch of 4 bytes"):
        layout([segment("xhtml", b"x")], patch_size=4)


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=2))
def test_the_bytes_come_back_out_of_the_patches(datas: list[bytes]) -> None:
    segments = [segment("bin", data) for data in datas]
    sample = layout(segments, loss="file")
    assert len(sample) == num_patches(segments)
    scored = sample.tokens[sample.loss_mask & (sample.tokens != EOP)]
    assert bytes(scored.tolist()) == b"".join(datas)


def test_a_batch_pads_on_the_right_and_counts_what_is_scored() -> None:
    batch = collate([layout([segment("bin", bytes(n))], scored_from=1) for n in (1, 40)])
    assert batch.patches.shape == (2, 5, 16)
    assert batch.num_patches.tolist() == [3, 5]
    assert (batch.num_bytes, batch.num_tokens) == (39, 41)
    assert bool((batch.patches[0, 3:] == EOP).all())
    assert not bool(batch.loss_mask[0, 3:].any())


def test_the_parts_of_a_batch_hold_its_rows_and_fit_the_bound() -> None:
    sizes = (1, 300, 20, 20, 20, 500)
    batch = collate([layout([segment("bin", bytes(n))]) for n in sizes])
    parts = batch.split(24)
    assert [part.num_patches.tolist() for part in parts] == [[3], [21], [4, 4, 4], [34]]
    assert sum(part.num_tokens for part in parts) == batch.num_tokens
    assert sum(part.num_bytes for part in parts) == batch.num_bytes == sum(sizes)
    for part in parts:
        assert part.patches.shape[1] == int(part.num_patches.max())


def test_a_prompt_has_no_end_patch() -> None:
    assert len(layout([segment("bin", bytes(32))], end=False)) == 3


def test_what_does_not_fit_is_an_error_and_never_cut() -> None:
    with pytest.raises(TooLong, match="33 bytes takes 5 patches, the model reads at most 4"):
        layout([segment("bin", bytes(33))], max_patches=4)


@pytest.mark.parametrize(
    ("num_segments", "scored_from", "message"),
    [
        (0, 0, "one or two segments, not 0"),
        (3, 0, "one or two segments, not 3"),
        (1, 6, "scored_from 6 lies outside the last segment, which has 5 bytes"),
    ],
)
def test_impossible_samples_are_refused(num_segments: int, scored_from: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout([segment("bin", bytes(5))] * num_segments, scored_from=scored_from)

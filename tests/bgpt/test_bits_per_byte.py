import math

import pytest

from bgpt.bits_per_byte import authors_nats_per_token, bits_per_byte


def test_a_uniform_model_of_257_tokens_costs_a_little_over_eight_bits() -> None:
    num_bytes = 1000
    assert bits_per_byte((num_bytes + 1) * math.log(257), num_bytes) == pytest.approx(
        8.0056 * 1.001, abs=1e-4
    )


def test_the_authors_figure_counts_every_token_but_the_first_patch() -> None:
    # 5 patches, all but the first predicted: 64 tokens.
    assert authors_nats_per_token(64 * 0.25, 5) == pytest.approx(0.25)


def test_the_two_figures_differ_by_the_padding() -> None:
    # 430 bytes of data: 2 tokens of padding and the end patch cost nothing here.
    nats, num_bytes = 430.0, 430
    theirs = authors_nats_per_token(nats, 1 + 27 + 1) / math.log(2)
    pad = (-num_bytes % 16) + 16
    assert theirs * (num_bytes + pad) / num_bytes == pytest.approx(bits_per_byte(nats, num_bytes))


def test_an_empty_region_has_no_figure() -> None:
    with pytest.raises(ValueError, match="at least one byte, not 0"):
        bits_per_byte(1.0, 0)
    with pytest.raises(ValueError, match="at least two patches, not 1"):
        authors_nats_per_token(1.0, 1)

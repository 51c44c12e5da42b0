import numpy as np
import pytest

from bgpt.sampling import Sampling, draw, probabilities, random_words, stream_seeds

ROW = np.log(np.array([[0.5, 0.25, 0.15, 0.1]], np.float32))


# settings -> probabilities of four tokens that the model gives 50, 25, 15 and 10 %
TABLE = [
    (Sampling(), [0.5, 0.25, 0.15, 0.1]),
    (Sampling(temperature=0.5), [0.25 / 0.345, 0.0625 / 0.345, 0.0225 / 0.345, 0.01 / 0.345]),
    (Sampling(top_k=2), [2 / 3, 1 / 3, 0, 0]),
    (Sampling(top_k=1), [1, 0, 0, 0]),
    (Sampling(top_k=99), [0.5, 0.25, 0.15, 0.1]),
    # the smallest set that reaches 75 %: exactly two; 76 % needs a third
    (Sampling(top_p=0.7499), [2 / 3, 1 / 3, 0, 0]),
    (Sampling(top_p=0.76), [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
    (Sampling(top_p=0.01), [1, 0, 0, 0]),
    (Sampling(top_p=1.0), [0.5, 0.25, 0.15, 0.1]),
    # top_p looks at what top_k has left: of 2/3 and 1/3 the first reaches 60 %
    (Sampling(top_k=2, top_p=0.6), [1, 0, 0, 0]),
]


@pytest.mark.parametrize(("sampling", "expected"), TABLE)
def test_what_is_left_out_and_what_the_others_get(
    sampling: Sampling, expected: list[float]
) -> None:
    np.testing.assert_allclose(probabilities(ROW, sampling)[0], expected, atol=1e-6)


def test_of_equal_tokens_the_lower_ones_are_kept() -> None:
    assert probabilities(np.zeros((1, 4), np.float32), Sampling(top_k=2)).tolist() == [
        [0.5, 0.5, 0, 0]
    ]


def test_draws_come_as_often_as_they_should() -> None:
    count = 100_000
    words = random_words(stream_seeds(3, ["x"]).repeat(count), np.arange(count))
    drawn = draw(ROW.repeat(count, 0), words, Sampling())
    found = np.bincount(drawn, minlength=4)
    expected = count * np.exp(ROW[0].astype(np.float64))
    # 16.27: what chi-square with 3 degrees of freedom exceeds once in 1,000.
    assert ((found - expected) ** 2 / expected).sum() < 16.27


def test_a_token_without_probability_is_never_drawn() -> None:
    row = np.array([[-np.inf, 0.0, -np.inf]], np.float32).repeat(4, 0)
    words = np.array([0, 1, 2**63, 2**64 - 1], np.uint64)
    assert draw(row, words, Sampling()).tolist() == [1, 1, 1, 1]


def test_words_depend_on_seed_key_and_position_alone() -> None:
    seeds = stream_seeds(5, ["a", "b", 0])
    assert len(set(seeds.tolist()) | set(stream_seeds(6, ["a", "b", 0]).tolist())) == 6
    together = random_words(seeds, np.array([7, 7, 9]))
    alone = [int(random_words(seeds[i : i + 1], np.array([p]))[0]) for i, p in enumerate((7, 7, 9))]
    assert together.tolist() == alone


def test_the_words_of_this_version_are_these() -> None:
    words = random_words(stream_seeds(0, [0, "tune"]), np.array([0, 1000]))
    assert [hex(word) for word in words.tolist()] == GOLDEN


GOLDEN = ["0xcc3380ea93dfc91c", "0x8df1f63452cf46e9"]


# settings -> what is wrong with them
WRONG = [
    ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
    ({"temperature": float("nan")}, "temperature must be above 0, not nan"),
    ({"temperature": float("inf")}, "temperature must be above 0, not inf"),
    ({"top_k": 0}, "top_k must be at least 1, not 0"),
    ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
    ({"top_p": 1.1}, "top_p must be above 0 and at most 1, not 1.1"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)  # pyright: ignore[reportArgumentType]

import numpy as np
import pytest

from bgpt.int8_product import round_to_int8


@pytest.mark.parametrize("shape", [(1, 1), (7, 33), (257, 768)])
def test_a_product_is_that_of_the_rounded_weights(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    weights, bias = rng.standard_normal(shape), rng.standard_normal(shape[0])
    row = rng.standard_normal(shape[1]).astype(np.float32)
    matrix = round_to_int8(weights.astype(np.float32), bias.astype(np.float32))
    rounded = matrix.weights.astype(np.float64) * matrix.steps[:, None]
    assert np.abs(rounded - weights).max() <= matrix.steps.max() * 0.501
    np.testing.assert_allclose(matrix.times(row), rounded @ row + bias, rtol=1e-4, atol=1e-4)


def test_an_output_without_weights_is_its_bias() -> None:
    matrix = round_to_int8(np.zeros((2, 3), np.float32), None)
    assert matrix.times(np.ones(3, np.float32)).tolist() == [0, 0]

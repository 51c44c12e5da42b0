"""A law is found again where there is one, and its band is wide where there is none."""

import math

import numpy as np
import pytest

from benchmarks.studies.power_law import ScalePoint, fit_power_law

SCALES = (1_000, 3_000, 10_000, 30_000, 100_000)


def points(
    values: list[float], stderr: float | None, scales: tuple[int, ...] = SCALES
) -> list[ScalePoint]:
    return [
        ScalePoint(samples=n, bits_per_byte=value, stderr=stderr)
        for n, value in zip(scales, values, strict=True)
    ]


def test_a_law_over_a_floor_is_found_again() -> None:
    law = fit_power_law(points([0.25 + 40 * n**-0.6 for n in SCALES], 0.01), 0.25)
    assert law is not None
    assert (math.exp(law.log_a), law.b) == (pytest.approx(40), pytest.approx(0.6))
    assert law.at(10**6) == pytest.approx(0.25 + 40 * 1e6**-0.6)
    low, high = law.interval(10**6)
    assert 0.25 < low < law.at(10**6) < high


def test_it_agrees_with_weighted_least_squares_of_numpy() -> None:
    values = [1.31, 0.80, 0.52, 0.26, 0.21]
    errors = [0.05, 0.02, 0.02, 0.01, 0.03]
    given = [
        ScalePoint(samples=n, bits_per_byte=value, stderr=error)
        for n, value, error in zip(SCALES, values, errors, strict=True)
    ]
    law = fit_power_law(given, 0.0)
    weights = np.array(values) / np.array(errors)
    (slope, constant), covariance = np.polyfit(
        np.log(SCALES), np.log(values), 1, w=weights, cov="unscaled"
    )
    assert law is not None
    assert (law.b, law.log_a) == (pytest.approx(-slope), pytest.approx(constant))
    residuals = weights * (np.log(values) - constant - slope * np.log(SCALES))
    misfit = float(residuals @ residuals) / 3
    assert misfit > 1
    assert law.misfit == pytest.approx(misfit)
    assert law.covariance[1][1] == pytest.approx(misfit * covariance[0, 0])
    assert law.covariance[0][0] == pytest.approx(misfit * covariance[1, 1])
    assert law.covariance[0][1] == pytest.approx(-misfit * covariance[0, 1])


def test_the_band_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    truth = [30 * n**-0.5 for n in SCALES]
    further = 30 * 1e6**-0.5
    held = 0
    for _ in range(400):
        drawn = [value * math.exp(0.05 * random.standard_normal()) for value in truth]
        given = [
            ScalePoint(samples=n, bits_per_byte=value, stderr=0.05 * value)
            for n, value in zip(SCALES, drawn, strict=True)
        ]
        law = fit_power_law(given, 0.0)
        assert law is not None
        low, high = law.interval(10**6)
        held += low <= further <= high
    assert 0.93 < held / 400 < 0.995  # two standard errors: 95.4 %, somewhat more where they grow


def test_points_off_the_line_widen_the_band() -> None:
    straight = fit_power_law(points([10 * n**-0.5 for n in SCALES], 0.001), 0.0)
    bent = fit_power_law(points([0.3, 0.29, 0.28, 0.05, 0.049], 0.001), 0.0)
    assert straight is not None
    assert bent is not None
    assert bent.misfit > 100
    widths = [math.log(law.interval(1e6)[1] / law.interval(1e6)[0]) for law in (straight, bent)]
    assert widths[1] > 10 * widths[0]


def test_without_errors_of_points_the_scatter_alone_counts() -> None:
    law = fit_power_law(points([1.0, 0.7, 0.4, 0.3, 0.2], None), 0.0)
    assert law is not None
    assert law.misfit == 1
    assert law.covariance[1][1] > 0


@pytest.mark.parametrize(
    ("values", "scales", "floor"),
    [
        ([0.5, 0.3], (1_000, 10_000), 0.0),  # always a line
        ([0.5, 0.3, 0.31], (1_000, 10_000, 10_000), 0.0),  # two scales
        ([0.5, 0.3, 0.2], (1_000, 10_000, 100_000), 0.2),  # at the floor
    ],
)
def test_no_law_goes_through_too_little(
    values: list[float], scales: tuple[int, ...], floor: float
) -> None:
    assert fit_power_law(points(values, 0.01, scales), floor) is None

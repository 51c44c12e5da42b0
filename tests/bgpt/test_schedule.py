"""The learning rate rises, holds and decays, over steps and over bytes alike."""

import pytest

from bgpt.schedule import Budget, Schedule

# warmup, hold_until, final, progress -> share of the peak
CASES = [
    (0.1, 0.5, 0.0, 0.0, 0.0),
    (0.1, 0.5, 0.0, 0.05, 0.5),
    (0.1, 0.5, 0.0, 0.1, 1.0),
    (0.1, 0.5, 0.0, 0.5, 1.0),
    (0.1, 0.5, 0.0, 0.75, 0.5),
    (0.1, 0.5, 0.0, 1.0, 0.0),
    (0.1, 0.5, 0.2, 0.75, 0.6),
    (0.1, 0.5, 0.2, 1.0, 0.2),
    (0.0, 0.5, 0.0, 0.0, 1.0),  # no warm-up
    (0.0, 1.0, 0.0, 1.0, 1.0),  # no decay
    (0.0, 0.0, 0.0, 0.25, 0.75),  # decay from the first step
    (0.1, 0.5, 0.2, 1.7, 0.2),  # past the end
]


@pytest.mark.parametrize(("warmup", "hold_until", "final", "progress", "expected"), CASES)
def test_the_rate_is_the_expected_share_of_its_peak(
    warmup: float, hold_until: float, final: float, progress: float, expected: float
) -> None:
    schedule = Schedule(warmup=warmup, hold_until=hold_until, final=final)
    assert schedule.scale(progress) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup": 0.5, "hold_until": 0.4}, "0 <= warmup <= hold_until <= 1"),
        ({"warmup": -0.1}, "0 <= warmup"),
        ({"final": 1.5}, "final must be in"),
    ],
)
def test_an_impossible_schedule_is_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Schedule(**values)


def test_a_budget_counts_steps_or_bytes() -> None:
    assert Budget(steps=200).progress(num_steps=50, num_bytes=9) == 0.25
    assert Budget(bytes=1000).progress(num_steps=50, num_bytes=500) == 0.5


@pytest.mark.parametrize("values", [{}, {"steps": 3, "bytes": 3}, {"steps": 0}, {"bytes": -1}])
def test_a_budget_of_none_or_of_both_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="exactly one of steps and bytes"):
        Budget(**values)

"""Short samples come first, a batch is a function of its number, then the whole corpus comes."""

import numpy as np
import pytest

from bgpt.curriculum import STAGES, Curriculum, open_batches
from bgpt.data import BatchStream, SampleStream
from bgpt.mixture import Mixture
from bgpt.train_config import TrainConfig
from tests.bgpt.test_data import view_of_files


def curriculum(view: SampleStream, num_batches: int = 24, window_batches: int = 3) -> Curriculum:
    return Curriculum(
        view,
        num_batches=num_batches,
        first_share=0.05,
        batch_size=4,
        window_batches=window_batches,
        seed=7,
    )


def longest(stream: Curriculum, numbers: range) -> list[int]:
    return [max(sample.num_bytes for sample in stream.batch(n)) for n in numbers]


def test_no_stage_draws_a_sample_longer_than_its_share_and_stages_grow() -> None:
    view = view_of_files(400)
    sizes = np.sort(view.sizes[0])
    stream = curriculum(view)
    for stage in range(STAGES):
        count = round(400 * 0.05 ** (1 - stage / STAGES))
        assert max(longest(stream, range(3 * stage, 3 * stage + 3))) <= sizes[count - 1] + 15
    assert max(longest(stream, range(3))) < max(longest(stream, range(21, 24)))
    assert len({sample.key for n in range(24) for sample in stream.batch(n)}) > 60


def test_after_it_the_batches_are_those_of_a_run_without() -> None:
    view = view_of_files(50)
    stream = curriculum(view, num_batches=10)
    plain = BatchStream(view, batch_size=4, window_batches=3, seed=7)
    for number in range(20):
        assert stream.batch(10 + number) == plain.batch(number)


@pytest.mark.parametrize("num_batches", [1, 5, 8, 9, 31])
def test_a_batch_depends_on_its_number_alone(num_batches: int) -> None:
    view = view_of_files(60)
    numbers = range(num_batches + 4)
    in_order = curriculum(view, num_batches)
    backwards = curriculum(view, num_batches)
    keys = [[sample.key for sample in in_order.batch(n)] for n in numbers]
    again = [[sample.key for sample in backwards.batch(n)] for n in reversed(numbers)]
    assert again[::-1] == keys
    assert all(len(batch) == 4 for batch in keys)


def test_of_several_corpora_each_begins_with_its_own_short_samples() -> None:
    views = {"a": view_of_files(100), "b": view_of_files(100, max_bytes=40)}
    stream = curriculum(Mixture(views, {"a": 1, "b": 1}))
    first = [sample for n in range(3) for sample in stream.batch(n)]
    assert {sample.corpus for sample in first} == {"a", "b"}
    for name, view in views.items():
        shortest = np.sort(view.lengths)[4]
        assert all(s.num_patches <= shortest for s in first if s.corpus == name)


def test_a_configuration_without_a_curriculum_has_none() -> None:
    view = view_of_files(10)
    assert isinstance(open_batches(view, TrainConfig(steps=1)), BatchStream)
    assert isinstance(open_batches(view, TrainConfig(steps=1, curriculum_steps=1)), Curriculum)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"curriculum_steps": -1}, "curriculum_steps must be 0 or more, not -1"),
        ({"curriculum_from": 0.0}, r"curriculum_from must be in \(0, 1\], not 0.0"),
        ({"curriculum_from": 1.5}, r"curriculum_from must be in \(0, 1\], not 1.5"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(steps=1, **options)  # pyright: ignore[reportArgumentType]

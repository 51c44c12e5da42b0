"""Short samples first: the first batches of a run are drawn from the shortest samples alone.

What a long sample asks for may be out of reach at first: among the 64 patches of a large memory a
model does not find the instruction that it is to look up, and never begins to. In short programs it
is one of a few. The share of the corpus that batches are drawn from grows in `STAGES` steps, each
by the same factor, up to all of it. Like the order of samples this is a pure function of the
batch's number, so a run resumes with one integer.
"""

from typing import Final, final

from bgpt.data import BatchStream, DrawnSample, SampleStream
from bgpt.train_config import TrainConfig
from simulators.permutation import derived_seed

STAGES: Final = 8


@final
class Curriculum:
    """The batches of a run: `num_batches` of growing length, then those of the whole corpus."""

    def __init__(
        self,
        view: SampleStream,
        *,
        num_batches: int,
        first_share: float,
        batch_size: int,
        window_batches: int,
        seed: int,
    ) -> None:
        """Plan the stages.

        `first_share` of the samples of each corpus, the shortest, are what the first stage draws
        from.

        Raises:
            ValueError: there is no sample to train on.
        """
        shares = [first_share ** (1 - stage / STAGES) for stage in range(STAGES)]
        self._num_batches = num_batches
        self._stages = [
            BatchStream(
                view.shortest(share),
                batch_size=batch_size,
                window_batches=window_batches,
                seed=derived_seed(seed, "curriculum", stage),
            )
            for stage, share in enumerate(shares)
        ]
        self._whole = BatchStream(
            view, batch_size=batch_size, window_batches=window_batches, seed=seed
        )

    def batch(self, number: int) -> list[DrawnSample]:
        """Return the samples of batch `number` (from 0); it depends on nothing called before."""
        if number >= self._num_batches:
            return self._whole.batch(number - self._num_batches)
        stage = number * STAGES // self._num_batches
        first = -(-stage * self._num_batches // STAGES)
        return self._stages[stage].batch(number - first)


def open_batches(view: SampleStream, config: TrainConfig) -> BatchStream | Curriculum:
    """Return the batches that a configuration trains on.

    Raises:
        ValueError: there is no sample to train on.
    """
    sizes = {"batch_size": config.batch_size, "window_batches": config.window_batches}
    if not config.curriculum_steps:
        return BatchStream(view, **sizes, seed=config.seed)
    return Curriculum(
        view,
        num_batches=config.curriculum_steps,
        first_share=config.curriculum_from,
        **sizes,
        seed=config.seed,
    )

"""How a run trains: section `runs.NAME.train` of `params.yaml`, checked.

The defaults are the behaviour of a section that names no option. Which corpus and which model stand
beside it in `bgpt.run`. How many ranks share the work is no part of it: that changes no curve.
"""

from dataclasses import dataclass, field
from typing import Literal

from bgpt.optim import OptimConfig
from bgpt.patching import LossRegion
from bgpt.schedule import Budget, Schedule

NOT_BINDING = ("workers",)
"""Keys that a run may change while it lasts: they decide nothing of what it leaves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything about training but the model: section `runs.NAME.train` of `params.yaml`."""

    steps: int | None = None
    """Budget in steps of one batch each. Exactly one of `steps` and `bytes` is given."""
    bytes: int | None = None
    """Budget in true bytes of samples; the step that reaches it is the last."""
    seed: int = 0
    """Of the first weights and of the order of samples."""
    train_samples: int | None = None
    """Train on this many first samples of the corpus (its scale); None: all there are."""
    batch_size: int = 24
    window_batches: int = 32
    """Batches whose samples are sorted by length among themselves; 1: no bucketing."""
    curriculum_steps: int = 0
    """So many first steps train on short samples, of growing length (`bgpt.curriculum`)."""
    curriculum_from: float = 0.05
    """Share of the samples, the shortest, that the curriculum begins with."""
    directions: dict[str, float] = field(default_factory=dict[str, float])
    """Conversion only: direction (`abc-to-midi`, `midi-to-abc`) -> weight."""
    loss: LossRegion = "target"
    """`target`: the scored region alone. `file`: all bytes. `tokens`: the authors' way."""
    optimizer: OptimConfig = field(default_factory=OptimConfig)
    warmup: float = 0.03
    """Share of the budget over which the rates rise."""
    hold_until: float = 0.4
    """Share of the budget at which they begin to fall."""
    final: float = 0.0
    """Share of the peak at the end."""
    threads: int = 1
    """CPU threads; part of the configuration, because sums depend on it in the last bit. More than
    the free cores makes a small model many times slower: torch's threads wait for each other."""
    device: Literal["cpu", "cuda"] = "cpu"
    log_every: int = 20
    """Steps between two lines of metrics."""
    eval_every: int = 500
    """Steps between two evaluations on the test side; there is one at the end in any case."""
    eval_samples: int = 100
    """First samples of the test side to evaluate on; 0: no evaluation."""
    checkpoint_every: int = 500
    """Steps between two checkpoints to resume from."""
    packing: bool = False
    """Short samples share rows of attention without seeing each other (`bgpt.packing`)."""
    too_long: Literal["error", "drop"] = "error"
    """What becomes of samples that are longer than the model reads: nothing starts, or they are
    left out and counted."""
    accumulate: int = 1
    """Parts that a batch (a rank's share of it) goes through the model in; memory falls with it,
    and the batch and its gradient stay the same."""
    init_from: str | None = None
    """Folder of a model, or of a run, whose weights are the first ones: fine-tuning."""
    freeze: tuple[str, ...] = ()
    """Patterns (`patch_level.*`) of the parameters that do not move."""
    keep_checkpoints: int | None = None
    """Keep this many last checkpoints, after the end too. None: two while the run lasts, none
    after: an ended run is not gone on with. The model of the best evaluation stays in any case."""
    samples_every: int | None = None
    """Steps between two looks at what the model writes (`samples.jsonl`); None: never."""
    compile: bool = False
    """Compile both levels with torch.compile; on a GPU only."""
    workers: int = 0
    """Processes of each rank that prepare the coming batches; 0: each step waits for its own. They
    change no bit, so a run may go on with another number (`NOT_BINDING`)."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "window_batches", "threads", "log_every", "eval_every",
                     "checkpoint_every", "accumulate", "keep_checkpoints",
                     "samples_every"):  # fmt: skip
            value: int | None = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.compile and self.device == "cpu":
            raise ValueError(
                "compile needs device: cuda; on a CPU it takes minutes and gains a few percent"
            )
        if self.train_samples is not None and self.train_samples < 1:
            raise ValueError(f"train_samples must be at least 1, not {self.train_samples}")
        if not 0 < self.curriculum_from <= 1:
            raise ValueError(f"curriculum_from must be in (0, 1], not {self.curriculum_from}")
        for name in ("eval_samples", "workers", "curriculum_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        _ = self.budget, self.schedule

    @property
    def budget(self) -> Budget:
        """Return how much is trained."""
        return Budget(steps=self.steps, bytes=self.bytes)

    @property
    def schedule(self) -> Schedule:
        """Return how the learning rate goes."""
        return Schedule(warmup=self.warmup, hold_until=self.hold_until, final=self.final)

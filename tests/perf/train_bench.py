"""Speed of training on short files against the authors' way, in turns, in one run on one thread.

The baseline is the architecture as the authors run it: eager GPT-2 blocks of transformers at both
levels, 17 byte positions, float32, dropout, random batches padded to their longest, torch's AdamW.
Ours is the same architecture through `bgpt`, in float32 and in bfloat16, with batches of like
length; and the compact preset against the same baseline, which is another architecture for the same
job. Width 256 in place of 768 keeps it affordable; the paper's width at its longest sequences is
`model_bench`'s. Rates are true bytes per CPU second of the process, which other work on the machine
disturbs least.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

from bgpt.config import PATCH_SIZE, ModelConfig, compact_cpu
from bgpt.data import BatchStream, SampleView, TrainingSample, patch_batch
from bgpt.initial import first_weights
from bgpt.model import Bgpt
from bgpt.optim import OptimConfig, make_optimizers
from bgpt.patching import LossRegion
from bgpt.protocol import EOP, NUM_TOKENS
from simulators.permutation import hashed

BATCH_SIZE = 16
STEPS = 3
"""Steps in one turn of training."""
TURNS = 5

PAPER = ModelConfig(
    patch_width=256, patch_layers=12, patch_heads=4, patch_ffn=1024,
    byte_width=256, byte_layers=3, byte_heads=4, byte_ffn=1024,
)  # fmt: skip


class Traces:
    """Files of the lengths of the small toy CPU's: 96 to 336 bytes of noise."""

    def __init__(self, num_samples: int) -> None:
        lengths = 96 + 16 * (hashed(np.arange(num_samples), "length") % np.uint64(16))
        noise = hashed(np.arange(42), "noise").tobytes()
        self._files = [noise[: int(n)] for n in lengths]

    def __len__(self) -> int:
        return len(self._files)

    def read(self, index: int, /) -> tuple[bytes, ...]:
        return (self._files[index],)

    def key(self, index: int, /) -> str:
        return f"noise-{index}"

    def column(self, name: str, /) -> list[int]:
        return [len(file) for file in self._files]


class AuthorsModel(nn.Module):
    """Both levels from transformers, put together as the paper describes."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.patch_width

        def gpt2(layers: int, positions: int, vocabulary: int) -> GPT2Config:
            return GPT2Config(
                n_layer=layers, n_positions=positions, vocab_size=vocabulary, n_embd=width,
                n_head=config.patch_heads, use_cache=False, bos_token_id=None, eos_token_id=None,
                attn_implementation="eager",
            )  # fmt: skip

        self.embed = nn.Linear(PATCH_SIZE * NUM_TOKENS, width)
        self.patch_level = GPT2Model(gpt2(config.patch_layers, config.max_patches, 1))
        self.byte_level = GPT2LMHeadModel(gpt2(config.byte_layers, PATCH_SIZE + 1, NUM_TOKENS))

    def features(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each patch says of the next one."""
        one_hot = nn.functional.one_hot(patches, NUM_TOKENS).float().flatten(2)
        return self.patch_level(
            inputs_embeds=self.embed(one_hot), attention_mask=mask
        ).last_hidden_state

    def byte_logits(self, feature: Tensor, tokens: Tensor) -> Tensor:
        """Return logits at the feature and after every token."""
        embedded = self.byte_level.transformer.wte(tokens)
        return self.byte_level(inputs_embeds=torch.cat((feature[:, None], embedded), 1)).logits

    def loss(self, patches: Tensor, num_patches: Tensor) -> Tensor:
        """Return the mean over all tokens of every patch but the first."""
        mask = torch.arange(patches.shape[1]) < num_patches[:, None]
        hidden = self.features(patches, mask.long())
        feature, target = hidden[:, :-1][mask[:, 1:]], patches[:, 1:][mask[:, 1:]]
        logits = self.byte_logits(feature, target)[:, :-1]
        return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())

    @torch.no_grad()
    def generate(self, given: bytes, num_bytes: int) -> bytes:
        """Write greedily, everything computed anew at every byte and patch."""
        tokens = [*b"bin", *[EOP] * (PATCH_SIZE - 3), *given]
        while len(tokens) < PATCH_SIZE + len(given) + num_bytes:
            feature = self.features(torch.tensor([tokens]).view(1, -1, PATCH_SIZE))[:, -1]
            patch: list[int] = []
            for _ in range(PATCH_SIZE):
                logits = self.byte_logits(feature, torch.tensor([patch], dtype=torch.long))
                patch.append(int(logits[0, -1, :EOP].argmax()))
            tokens += patch
        return bytes(tokens[-num_bytes:])


@dataclass(slots=True)
class Trainer:
    """One way to train: `step` trains on the next batch and returns its true bytes."""

    batches: BatchStream
    step_on: Callable[[list[TrainingSample]], None]
    number: int = 0

    def rate(self) -> float:
        """Return bytes per CPU second over one turn."""
        num_bytes, started = 0, time.process_time()
        for _ in range(STEPS):
            samples = self.batches.batch(self.number)
            self.number += 1
            self.step_on([sample.read() for sample in samples])
            num_bytes += sum(sample.num_bytes for sample in samples)
        return num_bytes / (time.process_time() - started)


def bench() -> list[dict[str, Any]]:
    """Measure training; one row a way, each with the baseline of its turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return bench_training()
    finally:
        torch.set_num_threads(threads)


def bench_training() -> list[dict[str, Any]]:
    """Return the rows of training."""
    adamw, muon = OptimConfig(), OptimConfig(kind="muon", lr=4e-3)
    ways = {
        "authors": authors_way(),
        "paper architecture, width 256, float32": our_way(PAPER, adamw, "tokens"),
        "paper architecture, width 256, bfloat16": our_way(
            replace(PAPER, bf16=True), adamw, "tokens"
        ),
        "compact-cpu, AdamW, whole file": our_way(compact_cpu(), adamw, "tokens"),
        "compact-cpu, Muon, scored region": our_way(compact_cpu(), muon, "target"),
    }
    rates = in_turns({name: way.rate for name, way in ways.items()})
    baseline = rates.pop("authors")
    name = "authors' way (eager GPT-2 of transformers, width 256, float32, padded)"
    return [row(f"training on short files, {way}", rates[way], name, baseline) for way in rates]


def our_way(config: ModelConfig, optim: OptimConfig, loss: LossRegion) -> Trainer:
    """Return training as `bgpt.train` does it."""
    model = first_weights(config, 0)
    optimizers = make_optimizers(model, optim)

    def step_on(samples: list[TrainingSample]) -> None:
        optimizers.zero_grad()
        sums = model.loss(patch_batch(samples, loss))
        (sums.nats / sums.num_tokens).backward()
        optimizers.step()

    return Trainer(batches=stream(window_batches=32), step_on=step_on)


def authors_way() -> Trainer:
    """Return training as the authors' script does it."""
    step = authors_step(AuthorsModel(PAPER))
    return Trainer(batches=stream(window_batches=1), step_on=lambda samples: step(*samples))


def authors_step(model: AuthorsModel) -> Callable[..., None]:
    """Return what trains the authors' model on a batch of samples."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step(*samples: TrainingSample) -> None:
        model.train()
        batch = patch_batch(samples, "tokens")
        optimizer.zero_grad()
        model.loss(batch.patches, batch.num_patches).backward()
        optimizer.step()

    return step


def stream(*, window_batches: int) -> BatchStream:
    """Return batches of traces; a window of one batch is plain random batching."""
    view = SampleView(Traces(2000), extensions=["bin"], prompt_bytes=80, directions={})
    return BatchStream(view, batch_size=BATCH_SIZE, window_batches=window_batches, seed=0)


def never_ending(model: Bgpt) -> Bgpt:
    """Return the model, in evaluation mode, made to never write the end token."""
    for name, parameter in model.named_parameters():
        if name == "byte_level.table.weight":
            with torch.no_grad():
                parameter[EOP] = 0.0
                parameter[0] *= 50.0
    return model.eval()


def in_turns(ways: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure all ways in turns, after one turn of each to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, measure in ways.items():
            rate = measure()
            if turn:
                rates[name].append(rate)
    return rates


def row(
    name: str, rates: list[float], baseline: str, baseline_rates: list[float]
) -> dict[str, Any]:
    """Return one row of the report."""
    median, baseline_median = statistics.median(rates), statistics.median(baseline_rates)
    return {
        "name": name,
        "unit": "bytes per CPU second, one thread",
        "median": median,
        "baseline": baseline,
        "baseline_median": baseline_median,
        "ratio": median / baseline_median,
        "n": len(rates),
    }


if __name__ == "__main__":
    for measured in bench():
        print(f"{measured['ratio']:6.2f} x  {measured['median']:10.0f}  {measured['name']}")

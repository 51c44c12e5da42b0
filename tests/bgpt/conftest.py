"""Models of every architecture, small enough for a test."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from bgpt.config import ModelConfig, compact_cpu, compact_music, paper
from bgpt.model import Bgpt


def _shrink(config: ModelConfig) -> ModelConfig:
    return replace(
        config, patch_width=32, patch_layers=2, patch_heads=2, patch_ffn=64, byte_width=32,
        byte_layers=2, byte_heads=2, byte_ffn=64, max_patches=40, window_width=8, bf16=False,
        byte_embedding=16 if config.byte_embedding else None,
        numeric_bytes=False,
    )  # fmt: skip


TINY: dict[str, ModelConfig] = {
    "paper": _shrink(paper()),
    "compact-cpu": _shrink(compact_cpu()),
    "compact-music": _shrink(compact_music()),
    "rotary": replace(_shrink(compact_cpu()), positions="rotary", window=5, prev_layers=1),
    "music-8": replace(_shrink(compact_music()), patch_size=8),
    "cpu-32": replace(_shrink(compact_cpu()), patch_size=32, value_embeddings=True),
    "paper-12": replace(_shrink(paper()), patch_size=12, value_embeddings=True),
    "music-values": replace(_shrink(compact_music()), value_embeddings=True),
}


@pytest.fixture(params=sorted(TINY))
def tiny_name(request: pytest.FixtureRequest) -> str:
    """Return the name of each tiny architecture in turn."""
    return str(request.param)


@pytest.fixture
def tiny_model() -> Callable[[str], Bgpt]:
    """Return a maker of untrained models; noise on all weights keeps outputs from being zero."""

    def make(name: str) -> Bgpt:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            model = Bgpt(TINY[name])
            for parameter in model.parameters():
                parameter.data.add_(0.15 * torch.randn_like(parameter))
        return model.eval()

    return make


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)

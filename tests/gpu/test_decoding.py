# pyright: reportUnknownMemberType=false
"""On a GPU files come out as on the CPU: caches on the device, prompts of any mix of lengths."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bgpt.checkpoint import save_model
from bgpt.config import PRESETS, preset
from bgpt.generate import Decoding, decode
from bgpt.model import Bgpt
from bgpt.protocol import Prompt
from bgpt.sampling import Sampling
from pipelines.sample import Segment

pytestmark = pytest.mark.gpu


def model_of(name: str) -> Bgpt:
    """Return an untrained model; noise on all weights keeps its outputs from being zero."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Bgpt(preset(name))
        for parameter in model.parameters():
            parameter.data.add_(0.02 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize("sampling", [None, Sampling(temperature=0.8, top_p=0.9, seed=5)])
def test_a_file_is_the_same_on_both_devices(name: str, sampling: Sampling | None) -> None:
    prompts = [
        Prompt(source=None, extension="bin", given=bytes(range(size))) for size in (0, 5, 16, 90)
    ]
    source = Segment(extension="abc", data=b"X:1\nK:C\nCDEF|\n" * 9)
    prompts.append(Prompt(source=source, extension="mid", given=b"MThd"))
    model, limits = model_of(name), [24] * len(prompts)
    how = Decoding(sampling=sampling)
    on_cpu = decode(model, prompts, limits, how)
    on_gpu = decode(model.to("cuda"), prompts, limits, how)
    assert on_gpu == on_cpu
    assert sum(len(one.data) for one in on_cpu) > 40


def test_the_commands_take_the_device(tmp_path: Path) -> None:
    save_model(tmp_path / "m", model_of("compact-cpu"))
    (tmp_path / "a.bin").write_bytes(bytes(range(200)))
    found: dict[str, float] = {}
    for device in ("cpu", "cuda"):
        done = subprocess.run(
            [sys.executable, "-m", "bgpt", "eval", str(tmp_path / "m"), "--device", device,
             "--files", str(tmp_path / "a.bin"), "--json"],
            check=True, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        found[device] = json.loads(done.stdout)[0]["total_nats"]
    assert found["cuda"] == pytest.approx(found["cpu"], rel=1e-5)

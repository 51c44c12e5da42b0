import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bgpt.checkpoint import CheckpointError, atomic_folder, save_model
from bgpt.classifier_folder import ClassifierWeights, tensor_shapes, write_classifier
from bgpt.config import PRESETS, paper
from bgpt.info import describe
from bgpt.model import Bgpt

Make = Callable[[str], Bgpt]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_described_by_its_configuration_and_counts(name: str) -> None:
    info = describe(name)
    assert (info.config, info.kind, info.provenance) == (PRESETS[name](), "generative", {})
    found = json.loads(info.as_json())
    assert found["parameters"]["total"] == info.parameters.total
    assert found["flops"]["patches"] == 512
    assert found["flops"]["training"] == 3 * found["flops"]["forward"]
    assert f"{info.parameters.total:,}" in info.as_text()


def test_a_model_is_described_with_its_provenance(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model("compact-music")
    save_model(tmp_path / "run" / "model", model, {"step": 12, "corpus": "abc-midi"})
    for folder in ("run", "run/model"):
        info = describe(str(tmp_path / folder), patches=20, source_patches=4)
        assert info.parameters.total == model.num_parameters()
        assert info.provenance == {"step": 12, "corpus": "abc-midi"}
        assert "FLOPs of a sequence of 20 patches, 4 of them its source" in info.as_text()
        assert 'corpus               "abc-midi"' in info.as_text()


def test_a_folder_comes_before_a_preset_of_its_name(
    tiny_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper").mkdir()  # no model yet
    assert describe("paper").config == paper()
    save_model(tmp_path / "paper", tiny_model("rotary"))
    assert describe("paper").config == tiny_model("rotary").config


def test_a_classifier_is_described_without_a_byte_level(tiny_model: Make, tmp_path: Path) -> None:
    config = tiny_model("paper").config
    tensors = {name: torch.zeros(shape) for name, shape in tensor_shapes(config, 5).items()}
    with atomic_folder(tmp_path / "m") as folder:
        write_classifier(folder, ClassifierWeights(config=config, tensors=tensors, provenance={}))
    info = describe(str(tmp_path / "m"))
    assert (info.kind, info.flops) == ("classifier", None)
    assert info.parameters.total == sum(tensor.numel() for tensor in tensors.values())
    assert info.parameters.byte_level == 5 * 33
    assert "FLOPs" not in info.as_text()


def test_a_name_that_is_nothing_gets_the_nearest_preset() -> None:
    with pytest.raises(CheckpointError, match=r"papr: no folder of a model, .* mean 'paper'"):
        describe("papr")

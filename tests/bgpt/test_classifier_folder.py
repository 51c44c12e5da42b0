import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bgpt.checkpoint import CheckpointError, atomic_folder
from bgpt.classifier_folder import (
    ClassifierWeights,
    kind_of,
    read_classifier,
    require_generative,
    tensor_shapes,
    write_classifier,
)
from bgpt.config import paper

CONFIG = paper()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A classifier of the smallest size, with 4 classes."""
    config = replace(
        CONFIG, patch_width=16, patch_heads=2, patch_layers=1, patch_ffn=32, byte_width=16,
        byte_heads=2, max_patches=8,
    )  # fmt: skip
    tensors = {name: torch.randn(shape) for name, shape in tensor_shapes(config, 4).items()}
    with atomic_folder(tmp_path / "m") as part:
        write_classifier(
            part, ClassifierWeights(config=config, tensors=tensors, provenance={"epoch": 1})
        )
    return tmp_path / "m"


def test_a_classifier_holds_the_patch_level_and_a_head(folder: Path) -> None:
    weights = read_classifier(folder)
    assert kind_of(folder) == "classifier"
    assert {name.split(".")[0] for name in weights.tensors} == {"patch_level", "classifier"}
    assert list(weights.tensors["classifier.weight"].shape) == [4, 16]
    assert weights.provenance == {"epoch": 1, "kind": "classifier", "classes": 4}
    declared = json.loads((folder / "config.json").read_text())
    assert declared["num_parameters"] == sum(t.numel() for t in weights.tensors.values())


def change(folder: Path, **provenance: object) -> None:
    file = folder / "config.json"
    declared = json.loads(file.read_text())
    declared["provenance"] |= provenance
    file.write_text(json.dumps(declared))


def test_a_classifier_with_other_weights_than_declared_names_the_tensor(folder: Path) -> None:
    change(folder, classes=5)
    with pytest.raises(CheckpointError, match=r"classifier.(bias|weight) is torch.float32 \[4"):
        read_classifier(folder)


def test_a_folder_without_classes_is_no_classifier(folder: Path) -> None:
    change(folder, classes="four")
    with pytest.raises(CheckpointError, match=r"not a classifier: config.json declares no classes"):
        read_classifier(folder)


def test_a_kind_of_the_future_is_refused(folder: Path) -> None:
    change(folder, kind="regressor")
    with pytest.raises(CheckpointError, match=r"a model of unknown kind 'regressor'"):
        require_generative(folder)


def test_what_is_no_model_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not a model: config.json cannot be read"):
        require_generative(tmp_path)

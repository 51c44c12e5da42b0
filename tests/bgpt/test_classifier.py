"""Classifiers that run; that they equal the authors' is in test_interop."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bgpt.checkpoint import CheckpointError, atomic_folder, save_model
from bgpt.classifier import Classifier, load_classifier, make_classifier
from bgpt.classifier_folder import ClassifierWeights, tensor_shapes, write_classifier
from bgpt.config import paper
from bgpt.model import Bgpt
from bgpt.patching import TooLong, collate, layout
from pipelines.sample import Segment

CONFIG = replace(
    paper(), patch_width=16, patch_heads=2, patch_layers=2, patch_ffn=32, byte_width=16,
    byte_heads=2, max_patches=8,
)  # fmt: skip
FILES = [Segment(extension="txt", data=bytes(range(size))) for size in (1, 16, 90, 17)]


def weights() -> ClassifierWeights:
    generator = torch.Generator().manual_seed(5)
    tensors = {
        name: torch.randn(shape, generator=generator)
        for name, shape in tensor_shapes(CONFIG, 4).items()
    }
    return ClassifierWeights(config=CONFIG, tensors=tensors, provenance={})


def test_a_folder_loads_with_every_tensor(tmp_path: Path) -> None:
    stored = weights()
    with atomic_folder(tmp_path / "m") as part:
        write_classifier(part, stored)
    state = load_classifier(tmp_path / "m").state_dict()
    assert state.keys() == stored.tensors.keys()
    for name, tensor in state.items():
        assert torch.equal(tensor, stored.tensors[name]), name


def test_a_file_is_classified_the_same_in_any_batch() -> None:
    model = make_classifier(weights())
    together = model.classify(FILES)
    assert together.shape == (4, 4)
    assert torch.allclose(together.sum(dim=1), torch.ones(4))
    for file, expected in zip(FILES, together, strict=True):
        assert torch.allclose(model.classify([file])[0], expected, atol=1e-5)
    assert torch.allclose(model.classify(FILES[::-1]), together.flip(0), atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=1e-2)


def test_the_mean_is_over_extension_bytes_and_end_patch() -> None:
    model = make_classifier(weights())
    batch = collate([layout([FILES[2]])])
    seen: list[torch.Tensor] = []
    model.patch_level.register_forward_hook(lambda _module, _args, out: seen.append(out))
    with torch.no_grad():
        logits = model(batch)[0]
    assert batch.patches.shape[1] == 8  # one of extension, six of 90 bytes, one of the end
    mean = seen[0][:8].mean(dim=0)
    expected = model.classifier.weight @ mean + model.classifier.bias
    assert torch.allclose(logits, expected, atol=1e-4)


def test_a_file_that_is_too_long_is_named() -> None:
    model = Classifier(CONFIG, 2).eval()
    with pytest.raises(TooLong, match=r"file 1 takes 9 patches, the model reads at most 8"):
        model.classify([FILES[0], Segment(extension="txt", data=bytes(97))])


def test_a_generative_model_is_no_classifier(tmp_path: Path) -> None:
    save_model(tmp_path / "m", Bgpt(CONFIG))
    with pytest.raises(CheckpointError, match="not a classifier"):
        load_classifier(tmp_path / "m")

# pyright: reportUnknownMemberType=false
"""A classifier that runs: the patch level over a file, the mean of its vectors, one linear layer.

It reads what `bgpt.classifier_folder` stores and says which class a file is of. The mean is over
all patches of a sample, extension and end patch included, and over no padding, so a file's logits
do not depend on the batch it is in. The authors take the mean over padding too; in a batch of one,
as they classify, there is none. Training a classifier is not done here.

Shapes: B samples, T patches of the longest, R patches in flat form, D patch width, C classes.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bgpt.classifier_folder import ClassifierWeights, read_classifier
from bgpt.config import ModelConfig
from bgpt.layers import Linear, ragged, take_rows
from bgpt.patch_level import PatchLevel
from bgpt.patching import PatchBatch, TooLong, collate, layout
from pipelines.sample import Segment


class Classifier(nn.Module):
    """The paper's classifier: parameters are named as in a classifier's folder."""

    def __init__(self, config: ModelConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.patch_level = PatchLevel(config)
        self.classifier = Linear(config.patch_width, num_classes)

    def forward(self, batch: PatchBatch) -> Tensor:
        """Return logits `[B, C]` in float32."""
        rows = ragged(batch.num_patches)
        tokens = take_rows(batch.patches, rows)  # [R, 16]
        hidden = self.patch_level(tokens, rows, None, torch.float32)  # [R, D]
        total = rows.pad(hidden).sum(dim=1)  # [B, D]; padding is zero
        return self.classifier(total / batch.num_patches[:, None])

    @torch.no_grad()
    def classify(self, files: Sequence[Segment]) -> Tensor:
        """Return the probability `[B, C]` of every class for every file, on the CPU.

        Raises:
            TooLong: a file is longer than the model reads; the message has its number.
        """
        samples = [layout([file], patch_size=self.config.patch_size) for file in files]
        for number, sample in enumerate(samples):
            if len(sample) > self.config.max_patches:
                raise TooLong(
                    f"file {number} takes {len(sample)} patches, the model reads at most "
                    f"{self.config.max_patches}"
                )
        batch = collate(samples).to(self.classifier.weight.device)
        return self(batch).softmax(dim=-1).cpu()


def make_classifier(weights: ClassifierWeights) -> Classifier:
    """Return the classifier of these weights, in evaluation mode."""
    with torch.device("meta"):
        model = Classifier(weights.config, len(weights.tensors["classifier.bias"]))
    model.load_state_dict(weights.tensors, assign=True)
    return model.eval()


def load_classifier(path: Path) -> Classifier:
    """Read the classifier in folder `path`.

    Raises:
        CheckpointError: not a classifier, or a broken one; the message names the tensor.
    """
    return make_classifier(read_classifier(path))

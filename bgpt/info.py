"""What a model or a preset is: configuration, parameters, cost of a sequence, provenance.

Only `config.json` is read, no weights: counts come from `bgpt.counts`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bgpt.checkpoint import CONFIG_FILE, CheckpointError, model_folder, read_config
from bgpt.classifier_folder import Kind, kind_of
from bgpt.config import PRESETS, ModelConfig
from bgpt.counts import Flops, Parameters, count_flops, count_parameters
from simulators.suggest import unknown_name


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """What `bgpt info` prints."""

    name: str
    """The folder or the preset, as it was given."""
    kind: Kind
    config: ModelConfig
    parameters: Parameters
    """Of a classifier, `byte_level` is its head."""
    flops: Flops | None
    """None for a classifier, which writes no bytes."""
    provenance: dict[str, Any]
    """Empty for a preset."""

    def as_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=1)

    def as_text(self) -> str:
        """Return everything in lines for a person."""
        lines = [f"{self.name}: {self.kind}", "", "configuration"]
        lines += [f"  {key:<20} {value}" for key, value in asdict(self.config).items()]
        lines += ["", "parameters"]
        lines += [f"  {key:<20} {value:>15,}" for key, value in asdict(self.parameters).items()]
        if self.flops is not None:
            source = self.flops.source_patches
            num_bytes = self.config.patch_size * self.flops.patches
            lines += ["", f"FLOPs of a sequence of {self.flops.patches} patches"]
            lines[-1] += f", {source} of them its source" if source else ""
            for key, value in (("forward", self.flops.forward), ("training", self.flops.training)):
                lines.append(f"  {key:<20} {value:>15.4g}  {value / num_bytes:.4g} a byte")
        if self.provenance:
            lines += ["", "provenance"]
            lines += [f"  {key:<20} {json.dumps(value)}" for key, value in self.provenance.items()]
        return "\n".join(lines)


def describe(name: str, *, patches: int | None = None, source_patches: int = 0) -> ModelInfo:
    """Return what model folder, run or preset `name` is; a folder comes before a preset.

    FLOPs are those of a sequence of `patches`; None: the longest.

    Raises:
        CheckpointError: neither a model nor a preset, or a broken `config.json`.
        ValueError: a sequence that the model cannot read.
    """
    path, kind = Path(name), "generative"
    if (model_folder(path) / CONFIG_FILE).is_file():
        kind = kind_of(path)
        config, provenance = read_config(path)
    elif name in PRESETS:
        config, provenance = PRESETS[name](), dict[str, Any]()
    else:
        raise CheckpointError(
            f"{name}: no folder of a model, and {unknown_name('preset', name, PRESETS)}"
        )
    parameters, flops = count_parameters(config), None
    if kind == "classifier":
        head = int(provenance.get("classes", 0)) * (config.patch_width + 1)
        patch = parameters.patch_level
        parameters = Parameters(total=patch + head, patch_level=patch, byte_level=head, shared=0)
    else:
        longest = config.max_patches if patches is None else patches
        flops = count_flops(config, longest, source_patches)
    return ModelInfo(
        name=name, kind=kind, config=config, parameters=parameters, flops=flops,
        provenance=provenance,
    )  # fmt: skip

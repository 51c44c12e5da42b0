"""What the model writes while it learns: greedy continuations of the first test samples.

`samples.jsonl` in the run folder has one line a sample and look, in the order of steps. It is for
people: no figure is made of it, and nothing of training depends on it.
"""

import json
from pathlib import Path
from typing import Any, final

from bgpt.byte_model import TrainedByteModel
from bgpt.data import SampleStream, TrainingSample
from bgpt.evaluate import evaluation_samples
from bgpt.model import Bgpt
from bgpt.protocol import Prompt
from bgpt.run import write_atomically

NUM_SAMPLES = 3
"""First samples of the test side, of every corpus."""
MAX_BYTES = 256
"""Bytes written a sample; the rest of the file costs time and shows little more."""


@final
class SampleLog:
    """Writes `samples.jsonl` of one run."""

    def __init__(self, run: Path, test: SampleStream) -> None:
        self._path = run / "samples.jsonl"
        self._test = test

    def write(self, model: Bgpt, step: int) -> None:
        """Let `model` write, and put its lines after those of earlier steps.

        Lines of this step and later ones go: a run that was killed comes by them again.
        """
        samples = [
            (name, sample)
            for name, view in self._test.parts.items()
            for sample in evaluation_samples(view, NUM_SAMPLES)
        ]
        prompts = [_prompt(sample) for _, sample in samples]
        written = TrainedByteModel(model).generate(prompts, [MAX_BYTES] * len(prompts))
        lines = [line for line in self._lines() if json.loads(line)["step"] < step]
        for (name, sample), prompt, data in zip(samples, prompts, written, strict=True):
            expected = sample.segments[-1].data[len(prompt.given) :]
            line: dict[str, Any] = {
                "step": step,
                **({"corpus": name} if name else {}),
                "key": sample.key,
                "extension": prompt.extension,
                "given_bytes": len(prompt.given),
                "written": data.hex(),
                "expected": expected[:MAX_BYTES].hex(),
                "right_bytes": _num_right(data, expected),
            }
            lines.append(json.dumps(line))
        write_atomically(self._path, "".join(f"{line}\n" for line in lines))

    def _lines(self) -> list[str]:
        """Return what earlier looks wrote."""
        return self._path.read_text("utf-8").splitlines() if self._path.exists() else []


def _prompt(sample: TrainingSample) -> Prompt:
    """Return the sample as it is given: a source, or the bytes that are not scored.

    A single file of which all is scored gives its first quarter, else there is nothing to go on.
    """
    *sources, target = sample.segments
    given = sample.scored_from
    if not sources and not given:
        given = len(target.data) // 4
    return Prompt(
        source=sources[0] if sources else None,
        extension=target.extension,
        given=target.data[:given],
    )


def _num_right(written: bytes, expected: bytes) -> int:
    """Return how many bytes are right before the first wrong one."""
    pairs = enumerate(zip(written, expected, strict=False))
    wrong = (at for at, (ours, theirs) in pairs if ours != theirs)
    return next(wrong, min(len(written), len(expected)))

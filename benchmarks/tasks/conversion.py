"""`abc-to-midi` and `midi-to-abc`: one whole file is given, the other is scored.

Beside the likelihood of the true target stands the control: the same target after another tune's
source. Who pays nothing for the wrong source does not read it. What was written is also judged as
music, see `benchmarks.tasks.conversion_metrics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.explaining.dimension import Parts
from benchmarks.explaining.music_parts import DIMENSIONS, tune_parts
from benchmarks.metrics import Answer, Ratio, written_exactly
from benchmarks.task import Item, SampleSet, TaskError, TaskSpec
from benchmarks.tasks.conversion_metrics import abc_metrics, edit_similarity, midi_metrics
from bgpt.protocol import Continuation, Prompt
from pipelines.sample import Segment


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionTask:
    """From one file of a pair to the other."""

    spec: TaskSpec
    source: str
    """Extension of the file that is given."""
    target: str
    """Extension of the file that is scored."""

    def check(self, samples: SampleSet) -> None:
        """Refuse samples that are not pairs of this task's two files."""
        for files in samples.files:
            extensions = {segment.extension for segment in files}
            if {self.source, self.target} != extensions or samples.prompt_bytes:
                raise TaskError(
                    f"{self.spec.name} needs pairs of {self.source} and {self.target}, found "
                    f"{' + '.join(sorted(extensions)) or 'nothing'}; meant for corpus "
                    f"{self.spec.corpus}"
                )

    def request(
        self,
        files: tuple[Segment, ...],
        prompt_bytes: int,  # noqa: ARG002
    ) -> Continuation:
        """Give the whole source, score the whole target."""
        by_extension = {segment.extension: segment for segment in files}
        target = by_extension[self.target].data
        if not target:
            raise TaskError(f"{self.spec.name}: an empty {self.target} file cannot be scored")
        prompt = Prompt(source=by_extension[self.source], extension=self.target, given=b"")
        return Continuation(prompt=prompt, target=target)

    def own_metrics(self, items: Sequence[Item], answers: Sequence[Answer]) -> Mapping[str, Ratio]:
        """Measure exact files, edits, and what was written as music."""
        targets = [item.continuation.target for item in items]
        measured = {
            "free_running_file_accuracy": written_exactly(answers, targets),
            "free_running_edit_similarity": edit_similarity(answers, targets),
        }
        if self.target == "mid":
            measured |= midi_metrics(answers, targets)
        else:
            measured |= abc_metrics(answers, targets, [source_of(item) for item in items])
        return {name: found for name, found in measured.items() if found is not None}

    def dissect(self, item: Item) -> Mapping[str, Parts]:
        """Cut a tune's file by what its bytes say, bar, voice, pitch and distance."""
        return tune_parts(item.continuation.target, self.target, source_of(item))


def source_of(item: Item) -> bytes:
    """Return the file that is given."""
    source = item.continuation.prompt.source
    assert source is not None, "a conversion has a source"
    return source.data


_MIDI_METRICS: Final = ("free_running_file_accuracy_true_lengths",)
_ABC_METRICS: Final = (
    "free_running_key_accuracy",
    "free_running_metre_accuracy",
    "free_running_bar_accuracy",
    "free_running_full_bar_share",
)

CONVERSIONS: Final = tuple(
    ConversionTask(
        source=source,
        target=target,
        spec=TaskSpec(
            name=name,
            version=2,
            corpus="abc-midi",
            given=given,
            scored=scored,
            metrics=(
                "teacher_forced_bits_per_byte",
                "teacher_forced_bits_per_byte_shuffled_source",
                "shuffled_source_cost",
                "teacher_forced_byte_accuracy",
                "free_running_byte_accuracy",
                "free_running_file_accuracy",
                *(_MIDI_METRICS if target == "mid" else ()),
                "free_running_valid_file_share",
                "free_running_note_f1",
                *(_ABC_METRICS if target == "abc" else ()),
                "free_running_edit_similarity",
            ),
            shuffled_source=True,
            dimensions=DIMENSIONS,
            written_limit=limit,
        ),
    )
    for name, source, target, given, scored, limit in (
        # abc2midi unfolds repeats and chord symbols: the largest factor seen is 20.
        ("abc-to-midi", "abc", "mid", "a tune in ABC", "its MIDI file", (24, 1024)),
        ("midi-to-abc", "mid", "abc", "a MIDI file", "its tune in ABC", (1, 256)),
    )
)

"""`abc-to-midi` and `midi-to-abc`: one whole file is given, the other is scored.

Beside the likelihood of the true target stands the control: the same target after another tune's
source. Who pays nothing for the wrong source does not read it. A written MIDI file is also compared
by its notes; a file that the strict reader refuses has none right.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from benchmarks.metrics import Answer, Ratio, ratio, written_exactly
from benchmarks.task import BreakdownRow, Item, SampleSet, TaskError, TaskSpec
from bgpt.protocol import Continuation, Prompt
from pipelines.sample import Segment
from simulators.music.midi import MidiError, Score, read_score, salvage_score

NoteCounts = Counter[tuple[int, int, Fraction, Fraction]]


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
        """Measure exact files and, for MIDI, notes."""
        targets = [item.continuation.target for item in items]
        measured = {"free_running_file_accuracy": written_exactly(answers, targets)}
        if self.target == "mid":
            measured["free_running_note_f1"] = note_f1(answers, targets)
            measured["free_running_valid_file_share"] = valid_files(answers)
        return {name: found for name, found in measured.items() if found is not None}

    def breakdowns(
        self,
        items: Sequence[Item],  # noqa: ARG002
        answers: Sequence[Answer],  # noqa: ARG002
    ) -> Mapping[str, list[BreakdownRow]]:
        """Return none: files have no kinds of events that both sides share."""
        return {}


def note_f1(answers: Sequence[Answer], targets: Sequence[bytes]) -> Ratio | None:
    """Return the mean over files of the F1 between written and true notes.

    A note is (channel, pitch, start, length), both in quarter notes, exactly; notes are compared as
    multisets. No two notes are matched that differ at all. A written file is read up to its first
    malformed event, whatever length its track declares (`salvage_score`): that length stands before
    the notes, and one wrong digit there must not hide them. `valid_files` counts the well-formed.
    """
    parts: list[tuple[int, float, float]] = []
    for i, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        if answer.free_running is None:
            continue
        true = _notes(salvage_score(target))
        parts.append((i, _f1(_notes(salvage_score(answer.free_running)), true), 1.0))
    return ratio(parts)


def valid_files(answers: Sequence[Answer]) -> Ratio | None:
    """Return the share of written files that a strict MIDI reader takes whole."""
    written = [(i, a.free_running) for i, a in enumerate(answers) if a.free_running is not None]
    return ratio([(i, float(_is_valid(data)), 1.0) for i, data in written])


def _is_valid(data: bytes) -> bool:
    try:
        read_score(data)
    except MidiError:
        return False
    return True


def _notes(score: Score | None) -> NoteCounts:
    """Return a file's notes; none of a file without a readable header."""
    if score is None:
        return Counter()
    quarter = score.ticks_per_quarter
    return Counter(
        (
            note.channel,
            note.pitch,
            Fraction(note.start_tick, quarter),
            Fraction(note.duration_ticks, quarter),
        )
        for note in score.notes
    )


def _f1(written: NoteCounts, true: NoteCounts) -> float:
    both = written.total() + true.total()
    return 2 * (written & true).total() / both if both else 1.0


CONVERSIONS: Final = tuple(
    ConversionTask(
        source=source,
        target=target,
        spec=TaskSpec(
            name=name,
            version=1,
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
                *(
                    ("free_running_note_f1", "free_running_valid_file_share")
                    if target == "mid"
                    else ()
                ),
            ),
            shuffled_source=True,
            written_limit=limit,
        ),
    )
    for name, source, target, given, scored, limit in (
        # abc2midi unfolds repeats and chord symbols: the largest factor seen is 20.
        ("abc-to-midi", "abc", "mid", "a tune in ABC", "its MIDI file", (24, 1024)),
        ("midi-to-abc", "mid", "abc", "a MIDI file", "its tune in ABC", (1, 256)),
    )
)

"""The display tunes beside the test set: what a conversion entrant is asked, and what it wrote.

Test samples are real tunes whose licences do not clear them for a published page; the display tunes
were written for this project. Whoever reads its source is asked to convert them too. What it wrote
stands in its report and counts in no metric. A simulation has no examples.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import cast

from benchmarks.metrics import first_different_byte
from benchmarks.predictions import ExampleAnswer, Predictions
from benchmarks.report import Example
from benchmarks.submission import SubmissionError
from benchmarks.task import Item, SampleSet, Task, prepare
from benchmarks.tasks.conversion import ConversionTask
from bgpt.protocol import ByteModel
from pipelines.sample import Segment
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.conversion.converter import convert
from simulators.music.conversion.presets import PRESETS, Preset
from simulators.music.looking.display_tunes import display_tunes
from simulators.music.midi.files import MidiError, read_score
from simulators.music.reasons import DropReason

MAX_MIDI_BYTES = 64 << 10
"""Largest MIDI file of a written tune that a report holds; an honest one has some 2 KB."""


def example_items(task: Task, settings: Mapping[str, object]) -> list[Item]:
    """Return the display tunes as `task` asks them, keyed by their names; none of a simulation.

    `settings` are the corpus': its converter preset makes the MIDI files.
    """
    if not isinstance(task, ConversionTask):
        return []
    return prepare(task, _display_samples(preset_of(settings)))


def write_examples(
    task: Task, settings: Mapping[str, object], model: ByteModel
) -> tuple[ExampleAnswer, ...]:
    """Let a model convert the display tunes, free-running; nothing if it does not write."""
    items = example_items(task, settings)
    prompts, limits = [i.continuation.prompt for i in items], [i.max_bytes for i in items]
    written = model.generate(prompts, limits) if items else None
    return tuple(
        ExampleAnswer(name=item.key, written=data.hex())
        for item, data in zip(items, written or (), strict=written is not None)
    )


def report_examples(
    task: Task, settings: Mapping[str, object], predictions: Predictions
) -> list[Example]:
    """Return what the entrant wrote of the display tunes, beside the truth.

    Raises:
        SubmissionError: not exactly the display tunes, or more bytes than the task allows.
    """
    answers = predictions.header.examples
    items = example_items(task, settings) if answers else []
    _check(answers, items, predictions.header.submission.name)
    written = {answer.name: bytes.fromhex(answer.written) for answer in answers}
    return [_example(item, written[item.key], preset_of(settings)) for item in items]


def preset_of(settings: Mapping[str, object]) -> Preset:
    """Return the converter preset of a corpus; those that name none have the plain one."""
    options = settings.get("options")
    named = cast("Mapping[str, object]", options).get("preset") if options else None
    for preset in PRESETS:
        if preset == named:
            return preset
    return "plain"


@functools.cache
def _display_samples(preset: Preset) -> SampleSet:
    """Return the display tunes as pairs of files."""
    tunes = display_tunes()
    files = convert([tune.abc for tune in tunes], preset)
    pairs: list[tuple[Segment, Segment]] = []
    for tune, mid in zip(tunes, files, strict=True):
        assert isinstance(mid, bytes), f"{tune.name}: {mid}"
        abc = Segment(extension="abc", data=tune.abc.encode())
        pairs.append((abc, Segment(extension="mid", data=mid)))
    names = tuple(tune.name for tune in tunes)
    return SampleSet(
        corpus="display",
        config_sha256="",
        settings={},
        prompt_bytes=0,
        shard_sha256=(),
        keys=names,
        groups=names,
        files=tuple(pairs),
    )


def _check(answers: Sequence[ExampleAnswer], items: Sequence[Item], name: str) -> None:
    """Refuse other examples than the task's, and more bytes than may be written."""
    if sorted(answer.name for answer in answers) != sorted(item.key for item in items):
        raise SubmissionError(
            f"{name}: examples must be all of {', '.join(item.key for item in items) or 'nothing'}"
            ', once each, or none; predict again with "bgpt-bench predict"'
        )
    limits = {item.key: item.max_bytes for item in items}
    for answer in answers:
        if len(answer.written) // 2 > limits[answer.name]:
            raise SubmissionError(
                f"{name}: example {answer.name}: {len(answer.written) // 2} bytes written, at most "
                f"{limits[answer.name]} allowed"
            )


def _example(item: Item, written: bytes, preset: Preset) -> Example:
    """Return one example, with what is wrong with the written file and how it sounds."""
    prompt, truth = item.continuation.prompt, item.continuation.target
    assert prompt.source is not None
    midi: bytes | None = None
    if prompt.extension == "mid":
        fault = _midi_fault(written)
    else:
        midi, fault = midi_of_abc(written, preset)
    return Example(
        name=item.key,
        source=prompt.source.data.hex(),
        truth=truth.hex(),
        written=written.hex(),
        first_different_byte=first_different_byte(truth, written),
        written_midi=None if midi is None else midi.hex(),
        fault=fault,
    )


def _midi_fault(data: bytes) -> str | None:
    """Return why a strict reader refuses a MIDI file."""
    try:
        read_score(data)
    except MidiError as error:
        return str(error)
    return None


def midi_of_abc(data: bytes, preset: Preset) -> tuple[bytes | None, str | None]:
    """Return the MIDI file of a written tune, or why there is none."""
    try:
        form = canonicalise(data.decode("ascii"))
    except UnicodeDecodeError as error:
        return None, f"no ABC: byte {error.start} is not ASCII"
    except TuneRejected as error:
        return None, f"no tune in ABC: {str(error).replace('_', ' ')}"
    midi = convert([form], preset)[0]
    if isinstance(midi, DropReason):
        return None, f"abc2midi refuses it: {midi.replace('_', ' ')}"
    if len(midi) > MAX_MIDI_BYTES:
        return None, f"its MIDI file of {len(midi)} bytes is too long to be shown"
    return midi, None

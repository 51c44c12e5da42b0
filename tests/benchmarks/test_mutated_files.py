"""A thousand damaged files through the scorer: no crash, no hang, no wrong "valid"."""

import io
import subprocess
import time
from pathlib import Path

import mido
import pytest

from benchmarks.metrics import Answer
from benchmarks.task import SampleSet, prepare
from benchmarks.tasks.conversion_metrics import read_midis
from benchmarks.tasks.registry import TASKS
from simulators.music.conversion.converter import _program, convert
from simulators.music.conversion.written_abc import AbcFault, judge_abc
from simulators.music.midi.files import MidiError, read_score, salvage_score
from tests.benchmarks.conftest import make_tune_samples
from tests.benchmarks.mutated_files import (
    ABC_MUTATIONS,
    MIDI_MUTATIONS,
    mutated_abcs,
    mutated_midis,
)

COUNT = 510
ABCS = [
    b"X:1\nL:1/8\nM:6/8\nK:Em\nB|:E2G FGA|B>cd e2B|(3ABc ~d2 [EG]2 z|1 E3 -E2B:|2 E3 E2|]\n",
    b'X:1\nL:1/16\nM:2/4\nK:D\n"D"d2f2 {g}a4|"A7"c2e2 a2g2|\nK:A\n!f!A4 [M:3/4]E4 A,4|Z|\n',
    b"X:1\nL:1/4\nM:none\nK:Bb\nB, C/D/ ^F3/2 _A/|G4 x z|\n",
]
MIDS = [mid for mid in convert([abc.decode() for abc in ABCS]) if isinstance(mid, bytes)]


@pytest.fixture(scope="module")
def samples() -> SampleSet:
    return make_tune_samples(0, COUNT)


def is_well_formed(data: bytes) -> bool:
    try:
        read_score(data)
    except MidiError:
        return False
    return True


def test_damaged_midi_is_scored_and_valid_only_where_others_read_it(samples: SampleSet) -> None:
    files = mutated_midis(MIDS, 0, COUNT)
    assert {name for name, _ in files} == set(MIDI_MUTATIONS)
    written = [Answer(free_running=data) for _, data in files]
    metrics = TASKS["abc-to-midi"].own_metrics(prepare(TASKS["abc-to-midi"], samples), written)
    valid = metrics["free_running_valid_file_share"].numerators.tolist()
    assert 20 < sum(valid) < COUNT / 2
    for (name, data), is_valid, read in zip(
        files, valid, read_midis([data for _, data in files]), strict=True
    ):
        assert bool(is_valid) == read.is_valid == is_well_formed(data), name
        salvaged = salvage_score(data)
        assert read.notes.total() == (0 if salvaged is None else len(salvaged.notes)), name
        if is_valid:
            mido.MidiFile(file=io.BytesIO(data))


def test_damaged_abc_is_scored_and_valid_only_where_a_second_run_says_so(
    samples: SampleSet, tmp_path: Path
) -> None:
    files = mutated_abcs(ABCS, 0, COUNT)
    assert {name for name, _ in files} == set(ABC_MUTATIONS)
    written = [Answer(free_running=data) for _, data in files]
    started = time.monotonic()
    metrics = TASKS["midi-to-abc"].own_metrics(prepare(TASKS["midi-to-abc"], samples), written)
    assert time.monotonic() - started < 60
    assert {len(found) for found in metrics.values()} == {COUNT}
    valid = metrics["free_running_valid_file_share"].numerators.tolist()
    verdicts = judge_abc([data for _, data in files])
    assert [float(found.fault is None) for found in verdicts] == valid
    assert 100 < sum(valid) < COUNT / 2
    assert {found.fault for found in verdicts} >= {*AbcFault, None} - {AbcFault.CONVERTER_STOPPED}
    for number, ((name, data), found) in enumerate(zip(files, verdicts, strict=True)):
        if found.fault is None:
            assert_converts_alone(name, data, tmp_path / str(number))


def assert_converts_alone(name: str, data: bytes, folder: Path) -> None:
    """Run abc2midi by itself, outside the sandbox: no error, one file that mido reads.

    As the corpus is made, with `-quiet`: without it, repeats that do not pair are called errors,
    and 70 of music21's tunes have such.
    """
    folder.mkdir()
    (folder / "in.abc").write_bytes(data)
    run = subprocess.run(
        [_program("abc2midi"), "in.abc", "-quiet"],
        cwd=folder,
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert b"Error" not in run.stdout + run.stderr, name
    (made,) = folder.glob("*.mid")
    mido.MidiFile(made)

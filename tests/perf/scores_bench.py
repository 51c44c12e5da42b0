"""Scoring of written music: pairs of MIDI files, ABC files in the sandbox, and damaged files.

Rates are by CPU time, that of child processes included. "Written" files are real tunes as a model
may write them: exact, cut, with wrong notes, with a bar left out. Baselines in the same run: mido
with a counter of notes, mir_eval on notes that are already read, and one sandboxed process an ABC
file. The damaged files are those of the tests, ten times as many; one wrong "valid" among them
stops the run.
"""

import io
import random
import resource
import statistics
import subprocess
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mido

from benchmarks.metrics import Answer
from benchmarks.tasks.conversion_metrics import (
    abc_metrics,
    edit_similarity,
    midi_metrics,
    note_f1,
    read_midis,
)
from simulators.music.conversion.converter import _program, convert_alone
from simulators.music.conversion.written_abc import judge_abc
from simulators.music.midi.files import MidiError, read_score
from tests.benchmarks.mutated_files import mutated_abcs, mutated_midis
from tests.benchmarks.test_conversion_metrics import edited, f1_by_mir_eval, midi_of, real_tunes

REPETITIONS = 5
NUM_ABC_FILES = 400
NUM_DAMAGED = 5000


def bench() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    tunes = real_tunes(10)
    return [*_midi(tunes), _abc(tunes[:NUM_ABC_FILES]), *_damaged(tunes)]


def _midi(tunes: Sequence[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    """Pairs of MIDI files: every metric of them, against mido; note F1 alone, against mir_eval."""
    draw = random.Random(0)
    notes = [[n for n in read_score(mid).notes if n.duration_ticks] for _, mid in tunes]
    true = [midi_of(found) for found in notes]
    written = [midi_of(edited(found, draw)) for found in notes]
    answers = [Answer(free_running=data) for data in written]
    midi_metrics(answers, true)  # the truth is read once, and the reader compiled

    def ours() -> int:
        assert midi_metrics(answers, true)
        assert edit_similarity(answers, true)
        return len(true)

    def by_mido() -> int:
        few = 100
        for data, other in zip(written[:few], true[:few], strict=True):
            note_f1(_notes_by_mido(data), _notes_by_mido(other))
        return few

    read = read_midis(written)
    theirs = read_midis(true)
    as_notes = [read_score(data).notes for data in written[:100]]

    def our_f1() -> int:
        for one, other in zip(read, theirs, strict=True):
            note_f1(one.notes, other.notes)
        return len(read)

    def mir_eval_f1() -> int:
        for one, other in zip(as_notes, notes, strict=False):
            if one:
                f1_by_mir_eval(one, other)
        return len(as_notes)

    return [
        _row("scores.midi_pairs", "pairs/CPU-s", ours, "mido and a Counter", by_mido),
        _row("scores.note_f1", "pairs/CPU-s, notes read", our_f1, "mir_eval", mir_eval_f1),
    ]


def _abc(tunes: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Written ABC with all metrics, against one sandboxed process a file without any."""
    draw = random.Random(0)
    abcs, mids = [abc for abc, _ in tunes], [mid for _, mid in tunes]
    written = [_as_written(abc, draw) for abc in abcs]
    answers = [Answer(free_running=data) for data in written]

    def ours() -> int:
        assert abc_metrics(answers, abcs, mids)
        assert edit_similarity(answers, abcs)
        return len(written)

    def one_process_a_file() -> int:
        for data in written[:100]:
            convert_alone(data)
        return 100

    return _row("scores.abc_files", "files/CPU-s", ours, "one process a file", one_process_a_file)


def _damaged(tunes: Sequence[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    """Damaged files of both kinds, the verdicts checked against others after the clock stops."""
    midis = mutated_midis([mid for _, mid in tunes], 1, NUM_DAMAGED)
    abcs = mutated_abcs([abc for abc, _ in tunes], 1, NUM_DAMAGED)
    started = _cpu_seconds()
    read = read_midis([data for _, data in midis])
    midi_seconds = _cpu_seconds() - started
    started = _cpu_seconds()
    verdicts = judge_abc([data for _, data in abcs])
    abc_seconds = _cpu_seconds() - started
    for (name, data), found in zip(midis, read, strict=True):
        try:
            read_score(data)
        except MidiError:
            assert not found.is_valid, name
        else:
            assert found.is_valid, name
            mido.MidiFile(file=io.BytesIO(data))
    for (name, data), verdict in zip(abcs, verdicts, strict=True):
        if verdict.fault is None:
            _check_alone(name, data)
    return [
        {
            "name": f"scores.damaged_{kind}",
            "unit": f"files/CPU-s, {valid} of {NUM_DAMAGED} valid, none of them wrongly",
            "median": round(NUM_DAMAGED / seconds),
            "n": 1,
        }
        for kind, seconds, valid in (
            ("midi", midi_seconds, sum(found.is_valid for found in read)),
            ("abc", abc_seconds, sum(verdict.fault is None for verdict in verdicts)),
        )
    ]


def _check_alone(name: str, data: bytes) -> None:
    """Convert a text once more, outside the sandbox, by itself."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.abc").write_bytes(data)
        run = subprocess.run(
            [_program("abc2midi"), "in.abc", "-quiet"],
            cwd=folder, capture_output=True, timeout=20, check=True,
        )  # fmt: skip
        assert b"Error" not in run.stdout + run.stderr, name
        (made,) = Path(folder).glob("*.mid")
        mido.MidiFile(made)


def _as_written(abc: bytes, draw: random.Random) -> bytes:
    """Return a tune as a model may write it."""
    head, body = b"\n".join(abc.split(b"\n", 4)[:4]) + b"\n", abc.split(b"\n", 4)[4]
    match draw.randrange(4):
        case 0:
            return abc
        case 1:
            return abc[: draw.randrange(len(head) + 4, len(abc))]
        case 2:
            wrong = bytearray(body)
            for place in draw.sample(range(len(body)), min(5, len(body))):
                if chr(body[place]) in "ABCDEFGabcdefg":
                    wrong[place] = draw.choice(b"ABCDEFGabcdefg")
            return head + bytes(wrong)
        case _:
            bars = body.split(b"|")
            del bars[draw.randrange(len(bars))]
            return head + b"|".join(bars)


def _notes_by_mido(data: bytes) -> Counter[tuple[int, int, int]]:
    """Read notes as `midi.read_score` pairs them, by mido."""
    counts: Counter[tuple[int, int, int]] = Counter()
    for track in mido.MidiFile(file=io.BytesIO(data)).tracks:
        at = 0
        sounding: dict[tuple[int, int], deque[int]] = {}
        for message in track:
            at += message.time
            if message.type == "note_on" and message.velocity:
                sounding.setdefault((message.channel, message.note), deque()).append(at)
            elif message.type in ("note_on", "note_off"):
                begun = sounding.get((message.channel, message.note))
                if begun:
                    start = begun.popleft()
                    counts[start, at - start, message.note] += 1
    return counts


def _row(
    name: str, unit: str, ours: Callable[[], int], baseline: str, theirs: Callable[[], int]
) -> dict[str, Any]:
    """Measure both in turns."""
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPETITIONS):
        for task, found in zip((ours, theirs), rates, strict=True):
            started = _cpu_seconds()
            count = task()
            found.append(count / (_cpu_seconds() - started))
    median, baseline_median = (statistics.median(found) for found in rates)
    return {
        "name": name,
        "unit": unit,
        "median": round(median),
        "baseline": baseline,
        "baseline_median": round(baseline_median),
        "ratio": round(median / baseline_median, 1),
        "n": REPETITIONS,
    }


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

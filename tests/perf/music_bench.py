"""Music: four tiers to finished shards, each by its command, and the parts they are made of.

A build is a process of its own with its workers: wall clock, CPU time of all its processes, and the
most memory that they hold together (proportional shares, sampled). The baseline of corpora is the
straight way to a pair: one process of abc2midi a tune, conversion alone. Parts are measured by the
CPU time of one core, against music21 (transposing) and mido (reading).
"""

import io
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mido
import psutil

from pipelines.corpus import Corpus
from pipelines.leakage import find_leakage
from simulators.music.abc.transpose import SHIFTS, Transposer
from simulators.music.conversion.converter import convert
from simulators.music.conversion.golden import golden_tunes
from simulators.music.midi.note_batches import read_note_batch

TIERS = (1_000, 10_000, 100_000, 1_000_000)
TEST_SAMPLES = 1_000
WORKERS = 2
SAMPLING_SECONDS = 0.2
REPETITIONS = 3
CHECKED_PAIRS = 500
TRANSPOSED_TUNES = 1_000
BASELINE_TUNES = 5
READ_FILES = 5_000


def bench() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        rows = [_build(Path(folder) / f"tier-{tier}", tier) for tier in TIERS]
        small = Corpus.open(Path(folder) / f"tier-{TIERS[1]}")
        return [
            *rows,
            _leakage(Path(folder) / f"tier-{TIERS[-1]}"),
            _transposition(small),
            _reading(small),
        ]


def _build(out: Path, tier: int) -> dict[str, Any]:
    """Build one tier from nothing, once: a million pairs are measurement enough."""
    command = [sys.executable, "-m", "pipelines", "build", "abc-midi", "--workers", str(WORKERS)]
    command += ["--train-samples", str(tier), "--test-samples", str(TEST_SAMPLES)]
    before = _cpu_seconds_of_children()
    started = time.monotonic()
    process = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE, text=True)
    with _most_memory(process.pid) as most:
        said, _ = process.communicate()
    seconds = time.monotonic() - started
    cpu_seconds = _cpu_seconds_of_children() - before
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said}")
    pairs = tier + TEST_SAMPLES
    same, checked = _converted_again(Corpus.open(out))
    if same != checked:
        raise RuntimeError(f"{out}: only {same} of {checked} pairs convert to the same bytes again")
    baseline = statistics.median(_one_at_a_time() for _ in range(REPETITIONS))
    return {
        "name": f"{tier:,} + {TEST_SAMPLES:,} pairs to finished shards, {WORKERS} workers",
        "unit": "pairs/CPU-s",
        "median": round(pairs / cpu_seconds),
        "wall_seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "peak_memory_gb": round(max(most) / 1e9, 2),
        "converted_again_to_the_same_bytes": f"{same} of {checked}",
        "baseline": "abc2midi, one process a tune, conversion alone",
        "baseline_median": round(baseline),
        "ratio": round(pairs / cpu_seconds / baseline, 1),
        "n": 1,
    }


def _converted_again(corpus: Corpus) -> tuple[int, int]:
    """Return how many of some random train pairs convert to the same bytes, each by itself."""
    reader = corpus.side("train")
    pairs = [reader.read(i) for i in random.Random(0).sample(range(len(reader)), CHECKED_PAIRS)]
    same = [convert([abc.decode()]) == [mid] for abc, mid in pairs]
    return sum(same), len(same)


def _one_at_a_time() -> float:
    """Return tunes a CPU second."""
    tunes = [tune.abc for tune in golden_tunes()] * 5
    before = _cpu_seconds_of_children() + time.process_time()
    for tune in tunes:
        convert([tune])
    return len(tunes) / (_cpu_seconds_of_children() + time.process_time() - before)


def _leakage(folder: Path) -> dict[str, Any]:
    started = time.process_time()
    found = find_leakage(folder)
    seconds = time.process_time() - started
    if not found.is_clean:
        raise RuntimeError(f"{folder}: {found}")
    pairs = found.train_samples + found.test_samples
    return {
        "name": "leakage and distinctness of the finished shards, exactly, by samples",
        "unit": "samples/CPU-s",
        "median": round(pairs / seconds),
        "near_duplicates_across_the_split": found.near_train,
        "repeated_files": found.repeated,
        "n": 1,
    }


def _transposition(corpus: Corpus) -> dict[str, Any]:
    """Into eleven keys, reading included."""
    import music21

    reader = corpus.side("train")
    forms = [reader.read(i)[0].decode() for i in range(TRANSPOSED_TUNES)]

    def ours() -> int:
        for form in forms:
            transposer = Transposer(form)
            for semitones in SHIFTS:
                transposer.to(semitones)
        return len(forms) * len(SHIFTS)

    def theirs() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for form in forms[:BASELINE_TUNES]:
                score: Any = music21.converter.parse(form, format="abc")
                score.transpose(2)
        return BASELINE_TUNES

    return _row(
        "transposing a tune", "tunes/CPU-s", "music21, which reads a tune and writes none", ours,
        theirs,
    )  # fmt: skip


def _reading(corpus: Corpus) -> dict[str, Any]:
    reader = corpus.side("train")
    files = [reader.read(i)[1] for i in range(READ_FILES)]

    def ours() -> int:
        assert not (read_note_batch(files).fault_offsets >= 0).any()
        return len(files)

    def theirs() -> int:
        for data in files[:100]:
            mido.MidiFile(file=io.BytesIO(data))
        return 100

    ours()  # compiles
    return _row(
        "reading the notes of a MIDI file", "files/CPU-s", "mido, events only", ours, theirs
    )


def _row(
    name: str, unit: str, baseline: str, ours: Callable[[], int], theirs: Callable[[], int]
) -> dict[str, Any]:
    """Measure both in turns."""
    theirs()  # imports
    pairs = [(_rate(ours), _rate(theirs)) for _ in range(REPETITIONS)]
    median = statistics.median(rate for rate, _ in pairs)
    baseline_median = statistics.median(rate for _, rate in pairs)
    return {
        "name": name,
        "unit": unit,
        "median": round(median),
        "baseline": baseline,
        "baseline_median": round(baseline_median),
        "ratio": round(median / baseline_median, 1),
        "n": len(pairs),
    }


def _rate(work: Callable[[], int]) -> float:
    started = time.process_time()
    count = work()
    return count / (time.process_time() - started)


def _cpu_seconds_of_children() -> float:
    """Return the CPU time of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _most_memory(pid: int) -> Iterator[list[int]]:
    """Sample the memory of a process and all below it, in bytes, until the block ends."""
    samples = [0]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLING_SECONDS):
            samples.append(_memory_of_tree(pid))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _memory_of_tree(pid: int) -> int:
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue  # it has ended
    except psutil.Error:
        return 0
    return total

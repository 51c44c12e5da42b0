"""What is measured on written MIDI and ABC files, beyond their bytes: music against music.

Every function takes the answers and the true files, in one order, and returns a `Ratio` over those
samples that were asked for; what is missing or surplus in a file counts as wrong. MIDI is read in
this process by the project's own reader; written ABC is judged by
`simulators.music.conversion.written_abc`. Definitions in words: docs/benchmark.md.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from benchmarks.metrics import Answer, Ratio, ratio
from simulators.music.abc.bars import Sound, Tune, read_bars, sounds_of
from simulators.music.abc.canonical import canonicalise
from simulators.music.conversion.converter import check_converter
from simulators.music.conversion.written_abc import judge_abc
from simulators.music.midi.files import with_true_lengths
from simulators.music.midi.note_batches import read_note_batch

GRID = 480
"""Places in a quarter note to which onsets and durations are rounded: abc2midi's own ticks."""

NoteCounts = Counter[tuple[int, int, int]]
"""How often each (onset, duration, pitch) occurs, the times in `1 / GRID` of a quarter note."""


class ReadMidi(NamedTuple):
    """A MIDI file as it is compared."""

    is_valid: bool
    """A strict reader takes it whole."""
    notes: NoteCounts
    """Of a broken file those before its first fault."""


def read_midis(files: Sequence[bytes]) -> list[ReadMidi]:
    """Read MIDI files, broken ones up to their first malformed event.

    The length that a track declares is ignored there (`files.salvage_score`): it stands before the
    notes, and one wrong digit in it must not hide them. Channels and velocities are not compared:
    which channel plays a voice is the converter's affair, nothing a listener hears.
    """
    batch = read_note_batch(files, salvage=True)
    read: list[ReadMidi] = []
    starts, durations = batch.start_ticks.tolist(), batch.duration_ticks.tolist()
    pitches, offsets = batch.pitches.tolist(), batch.offsets.tolist()
    for i, (fault, quarter) in enumerate(
        zip(batch.fault_offsets.tolist(), batch.ticks_per_quarter.tolist(), strict=True)
    ):
        notes = slice(offsets[i], offsets[i + 1])
        onsets, lasts = starts[notes], durations[notes]
        if quarter != GRID:
            onsets, lasts = _on_grid(onsets, quarter), _on_grid(lasts, quarter)
        counts: NoteCounts = Counter(zip(onsets, lasts, pitches[notes], strict=True))
        read.append(ReadMidi(fault < 0, counts))
    return read


def note_f1(written: NoteCounts, true: NoteCounts) -> float:
    """Return the harmonic mean of precision and recall; 1 of no notes against none.

    >>> note_f1(Counter({(0, 480, 60): 1}), Counter({(0, 480, 60): 2}))
    0.6666666666666666
    """
    both = written.total() + true.total()
    return 2 * (written & true).total() / both if both else 1.0


def midi_metrics(answers: Sequence[Answer], targets: Sequence[bytes]) -> dict[str, Ratio | None]:
    """Measure written MIDI files: exact but for declared lengths, well-formed ones, and notes."""
    rows, files = written_files(answers)
    pairs = list(zip(rows, files, strict=True))
    true = _true_midis(tuple(targets[row] for row in rows))
    read = read_midis(files)
    return {
        "free_running_file_accuracy_true_lengths": _mean(
            rows, [float(with_true_lengths(data) == targets[row]) for row, data in pairs]
        ),
        "free_running_valid_file_share": _mean(rows, [float(found.is_valid) for found in read]),
        "free_running_note_f1": _mean(
            rows,
            [note_f1(ours.notes, theirs.notes) for ours, theirs in zip(read, true, strict=True)],
        ),
    }


def abc_metrics(
    answers: Sequence[Answer], targets: Sequence[bytes], sources: Sequence[bytes]
) -> dict[str, Ratio | None]:
    """Measure written ABC files: valid ones, notes, key, metre and bars.

    `sources` are the MIDI files of the tunes; the notes of what abc2midi makes of the written text
    are compared with theirs. Where that is several files, all their notes count.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterDiffers: this build of it writes other notes than the corpus has.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
    """
    rows, files = written_files(answers)
    if files:
        check_converter()
    verdicts = judge_abc(files)
    true_midis = _true_midis(tuple(sources[row] for row in rows))
    true_tunes = _true_tunes(tuple(targets[row] for row in rows))
    played = read_midis([data for verdict in verdicts for data in verdict.midis])
    at = 0
    f1s: list[float] = []
    bars: list[tuple[int, float, float]] = []
    for row, verdict, midi, true in zip(rows, verdicts, true_midis, true_tunes, strict=True):
        notes: NoteCounts = Counter()
        for found in played[at : at + len(verdict.midis)]:
            notes.update(found.notes)
        at += len(verdict.midis)
        f1s.append(note_f1(notes, midi.notes))
        right, longer = bars_right(bars_of(verdict.tune), true.bars)
        bars.append((row, float(right), float(longer)))
    tunes = [verdict.tune for verdict in verdicts]
    both = list(zip(tunes, true_tunes, strict=True))
    return {
        "free_running_valid_file_share": _mean(rows, [float(v.fault is None) for v in verdicts]),
        "free_running_note_f1": _mean(rows, f1s),
        "free_running_key_accuracy": _mean(
            rows, [float(t is not None and t.key == true.tune.key) for t, true in both]
        ),
        "free_running_metre_accuracy": _mean(
            rows, [float(t is not None and t.metre == true.tune.metre) for t, true in both]
        ),
        "free_running_bar_accuracy": ratio(bars),
        "free_running_full_bar_share": _mean(
            rows, [full_bar_share(t, true.inner_bars) for t, true in both]
        ),
    }


def edit_similarity(answers: Sequence[Answer], targets: Sequence[bytes]) -> Ratio | None:
    """Return the mean over files of 1 - edits / bytes of the longer file (Levenshtein)."""
    rows, files = written_files(answers)
    return _mean(
        rows,
        [
            Levenshtein.normalized_similarity(data, targets[row])
            for row, data in zip(rows, files, strict=True)
        ],
    )


def bars_of(tune: Tune | None) -> list[list[Sound]]:
    """Return what sounds and rests in every bar of a tune, spelled as written; none of no tune."""
    if tune is None:
        return []
    return [sounds_of(tune.tokens[bar.first_token : bar.end_token]) for bar in tune.bars]


def bars_right(written: list[list[Sound]], true: list[list[Sound]]) -> tuple[int, int]:
    """Return (bars that are alike at their place, bars of the longer tune)."""
    same = sum(ours == theirs for ours, theirs in zip(written, true, strict=False))
    return same, max(len(written), len(true))


def full_bar_share(tune: Tune | None, true_inner_bars: int) -> float:
    """Return the share of inner bars that last as long as the metre asks.

    The first and the last bar of a section may be a pickup and its rest, and are not looked at.
    A tune with fewer inner bars than the true one lacks them; a metre of `none` asks for nothing,
    so it has no inner bars. 1 where neither has any; 0 of no tune.
    """
    if tune is None:
        return 0.0
    inner = _inner_bars(tune)
    longer = max(len(inner), true_inner_bars)
    return sum(inner) / longer if longer else 1.0


def written_files(answers: Sequence[Answer]) -> tuple[list[int], list[bytes]]:
    """Return the numbers of the samples that were written, and what was."""
    found = [(i, a.free_running) for i, a in enumerate(answers) if a.free_running is not None]
    return [row for row, _ in found], [data for _, data in found]


class _TrueTune(NamedTuple):
    """A true tune, read once."""

    tune: Tune
    bars: list[list[Sound]]
    inner_bars: int


@functools.lru_cache(maxsize=4)
def _true_midis(files: tuple[bytes, ...]) -> list[ReadMidi]:
    """Read true files; every entrant is compared with the same ones."""
    return read_midis(files)


@functools.lru_cache(maxsize=4)
def _true_tunes(forms: tuple[bytes, ...]) -> list[_TrueTune]:
    """Read true tunes.

    Raises:
        TuneRejected: one has no normal form, so the corpus is none of tunes.
    """
    tunes = [read_bars(canonicalise(form.decode("ascii"))) for form in forms]
    return [_TrueTune(tune, bars_of(tune), len(_inner_bars(tune))) for tune in tunes]


def _inner_bars(tune: Tune) -> list[bool]:
    """Return for every inner bar with a metre whether it is full."""
    return [
        bar.duration == bar.due
        for bar in tune.bars
        if bar.due is not None and not (bar.opens_section or bar.closes_section)
    ]


def _on_grid(ticks: list[int], ticks_per_quarter: int) -> list[int]:
    """Round ticks to the grid, halves up; in Python's whole numbers, which do not overflow."""
    return [(2 * GRID * tick + ticks_per_quarter) // (2 * ticks_per_quarter) for tick in ticks]


def _mean(rows: Sequence[int], values: Sequence[float]) -> Ratio | None:
    """Return a metric that is a mean over files."""
    return ratio([(row, value, 1.0) for row, value in zip(rows, values, strict=True)])

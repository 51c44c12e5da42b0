"""Metrics of written music: against mir_eval, against plain counts, and by hand."""

import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.baselines.midi2abc import Midi2Abc
from benchmarks.metrics import Answer, Ratio
from benchmarks.task import SampleSet, prepare
from benchmarks.tasks.conversion_metrics import (
    abc_metrics,
    edit_similarity,
    midi_metrics,
    note_f1,
    read_midis,
)
from benchmarks.tasks.registry import TASKS
from bgpt.protocol import Prompt
from pipelines.sample import Segment
from pipelines.sources.tunes import music21_tunes
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.conversion.converter import convert
from simulators.music.conversion.golden import golden_tunes
from simulators.music.midi.files import Event, MidiFile, Note, encode, read_score


def value(found: Ratio | None) -> float:
    assert found is not None
    assert found.value is not None
    return found.value


def written(*files: bytes | None) -> list[Answer]:
    return [Answer(free_running=data) for data in files]


def midi_of(notes: Sequence[Note], ticks_per_quarter: int = 480) -> bytes:
    """Write notes down, one track a channel and pitch, so that no note cuts another short."""
    tracks: list[tuple[Event, ...]] = []
    lines: dict[tuple[int, int, int], list[Note]] = {}
    for note in sorted(notes):
        # Of two notes of one pitch that sound together, each gets a track of its own.
        for line in range(len(notes)):
            held = lines.setdefault((note.channel, note.pitch, line), [])
            if not held or held[-1].start_tick + held[-1].duration_ticks <= note.start_tick:
                held.append(note)
                break
    for held in lines.values():
        events: list[Event] = []
        at = 0
        for start, duration, pitch, velocity, channel in held:
            events.append(Event(start - at, 0x90 | channel, bytes([pitch, velocity])))
            events.append(Event(duration, 0x80 | channel, bytes([pitch, 0])))
            at = start + duration
        tracks.append((*events, Event(0, 0xFF, b"\x2f")))
    return encode(MidiFile(1, ticks_per_quarter, tuple(tracks or [(Event(0, 0xFF, b"\x2f"),)])))


def real_tunes(step: int) -> list[tuple[bytes, bytes]]:
    """Return every `step`-th tune of the installed music21 as (ABC, MIDI)."""
    forms: list[str] = []
    for raw in music21_tunes()[::step]:
        try:
            forms.append(canonicalise(raw.text))
        except TuneRejected:
            continue
    found = zip(forms, convert(forms), strict=True)
    return [(form.encode(), mid) for form, mid in found if isinstance(mid, bytes)]


@pytest.fixture(scope="module")
def tunes() -> list[tuple[bytes, bytes]]:
    return real_tunes(120)


SIXTEENTH = 120


def edited(notes: list[Note], draw: random.Random) -> list[Note]:
    """Change some notes: dropped, moved, of another pitch or length, doubled."""
    changed: list[Note] = []
    share = draw.choice([0.0, 0.05, 0.3, 0.9])
    for note in notes:
        how = draw.choice(["drop", "move", "pitch", "length", "double"])
        if draw.random() >= share:
            changed.append(note)
        elif how == "move":
            changed.append(
                note._replace(start_tick=note.start_tick + draw.choice([1, 2, 4]) * SIXTEENTH)
            )
        elif how == "pitch":
            changed.append(note._replace(pitch=min(note.pitch + draw.choice([-12, -1, 1, 2]), 127)))
        elif how == "length":
            changed.append(note._replace(duration_ticks=note.duration_ticks + SIXTEENTH))
        elif how == "double":
            changed += [note, note]
    return changed


def f1_by_mir_eval(ours: Sequence[Note], theirs: Sequence[Note]) -> float:
    """Match notes by mir_eval's bipartite graph, with tolerances below the smallest edit."""

    def parts(notes: Sequence[Note]) -> tuple[np.ndarray, np.ndarray]:
        starts = np.array([note.start_tick for note in notes]) / 480
        ends = np.array([note.start_tick + note.duration_ticks for note in notes]) / 480
        hertz = 440 * 2 ** ((np.array([note.pitch for note in notes]) - 69) / 12)
        return np.stack([starts, ends], 1), hertz

    _, _, f1, _ = mir_eval.transcription.precision_recall_f1_overlap(
        *parts(theirs),
        *parts(ours),
        onset_tolerance=0.01,
        offset_ratio=0.0,
        offset_min_tolerance=0.01,
    )
    return float(f1)


def test_note_f1_agrees_with_mir_eval(tunes: list[tuple[bytes, bytes]]) -> None:
    draw = random.Random(0)
    agreed: list[float] = []
    while len(agreed) < 500:
        _, mid = draw.choice(tunes)
        notes = [note for note in read_score(mid).notes if note.duration_ticks]
        other = notes[: len(notes) // 3] if draw.random() < 0.1 else edited(notes, draw)
        finer = draw.choice([1, 2, 5])  # the same music in other ticks
        data = midi_of(
            [
                note._replace(
                    start_tick=note.start_tick * finer, duration_ticks=note.duration_ticks * finer
                )
                for note in other
            ],
            480 * finer,
        )
        true = midi_of(notes)
        ours, theirs = read_midis([data, true])
        as_read = [
            note._replace(
                start_tick=note.start_tick // finer, duration_ticks=note.duration_ticks // finer
            )
            for note in read_score(data).notes
        ]
        if not as_read:
            continue
        expected = f1_by_mir_eval(as_read, read_score(true).notes)
        assert note_f1(ours.notes, theirs.notes) == pytest.approx(expected, abs=1e-9)
        agreed.append(expected)
    assert sum(0 < f1 < 1 for f1 in agreed) > 100
    assert min(agreed) < 0.3
    assert agreed.count(1.0) > 50


NOTES = [Note(0, 480, 60, 64, 0), Note(480, 480, 62, 64, 0), Note(960, 960, 64, 64, 0)]


def test_note_f1_counts_notes_not_bytes() -> None:
    true = midi_of([*NOTES, Note(1920, 480, 60, 64, 0)])
    events = [
        event
        for pitch in (60, 62, 64)
        for event in (Event(0, 0x90, bytes([pitch, 64])), Event(480, 0x80, bytes([pitch, 0])))
    ]
    one_track = encode(MidiFile(0, 480, ((*events, Event(0, 0xFF, b"\x2f")),)))
    thirds = [Note(i * 160, 160, 60, 64, 0) for i in range(3)]
    cases = [
        (true, true, 1),
        (midi_of([note._replace(channel=7, velocity=9) for note in NOTES]), midi_of(NOTES), 1),
        (midi_of([Note(0, 96, 60, 64, 0)], 96), midi_of([Note(0, 480, 60, 64, 0)]), 1),
        # rounded to 1/480 of a quarter note: 1/3 of 1000 ticks is 160 of 480
        (midi_of([Note(i * 1000 // 3, 333, 60, 1, 0) for i in range(3)], 1000), midi_of(thirds), 1),
        (midi_of(NOTES[:2]), true, Fraction(2 * 2, 2 + 4)),
        (midi_of([Note(0, 479, 60, 64, 0)]), midi_of(NOTES), 0),
        (midi_of([NOTES[0]] * 2), midi_of(NOTES), Fraction(2 * 1, 2 + 3)),
        (midi_of([]), midi_of([]), 1),
        (midi_of([]), true, 0),
        (b"", true, 0),
        (b"MThd" + b"\xff" * 100, true, 0),
        (one_track[:-1], one_track, 1),  # cut short in the end-of-track event
        (one_track[:18] + b"\xff\xff\xff\xff" + one_track[22:], one_track, 1),  # a wrong length
        (one_track[:-9], one_track, Fraction(2 * 2, 2 + 3)),  # cut before the third note ends
    ]
    for ours, theirs, expected in cases:
        found = midi_metrics(written(ours), [theirs])
        assert value(found["free_running_note_f1"]) == pytest.approx(float(expected)), ours.hex(" ")


def test_a_valid_file_is_what_the_strict_reader_takes() -> None:
    true = midi_of(NOTES)
    files = [true, true[:-1], b"", true[:18] + b"\x00\x00\x00\x09" + true[22:], None]
    found = midi_metrics(written(*files), [true] * 5)["free_running_valid_file_share"]
    assert value(found) == 1 / 4
    assert found is not None
    assert found.rows.tolist() == [0, 1, 2, 3]


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_edit_similarity_is_the_textbook_distance(ours: bytes, theirs: bytes) -> None:
    row = list(range(len(theirs) + 1))
    for i, byte in enumerate(ours, 1):
        before, row = row, [i]
        for j, other in enumerate(theirs, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (byte != other)))
    expected = 1 - row[-1] / max(len(ours), len(theirs)) if ours or theirs else 1
    assert value(edit_similarity(written(ours), [theirs])) == pytest.approx(expected, abs=1e-12)


HEAD = "X:1\nL:1/8\nM:4/4\nK:G\n"
TUNE = HEAD + "A|:GABc defg|a2g2 f2e2|GABc d4|agfe G4:|\n"
# What was written, and the key, metre, bars right and full inner bars it is worth.
ABC_CASES: dict[str, tuple[str, tuple[float, float, Fraction, Fraction]]] = {
    "the tune": (TUNE, (1, 1, Fraction(5, 5), Fraction(2, 2))),
    "without the last line end": (TUNE[:-1], (1, 1, Fraction(5, 5), Fraction(2, 2))),
    "another key": (TUNE.replace("K:G", "K:Gm"), (0, 1, Fraction(5, 5), Fraction(2, 2))),
    "the same key by another name": (
        TUNE.replace("K:G", "K: G major"),
        (1, 1, Fraction(5, 5), Fraction(2, 2)),
    ),
    # A metre of 2/4 makes every bar over-full.
    "another metre": (TUNE.replace("M:4/4", "M:2/4"), (1, 0, Fraction(5, 5), Fraction(0, 2))),
    "no metre": (TUNE.replace("M:4/4", "M:none"), (1, 0, Fraction(5, 5), Fraction(0, 2))),
    "spaces, ornaments, chord symbols, slurs": (
        TUNE.replace("GABc", '"G"G (~A{c}B) !trill!c '),
        (1, 1, Fraction(5, 5), Fraction(2, 2)),
    ),
    "lengths written otherwise": (
        TUNE.replace("L:1/8", "L:1/4").replace("A|:GABc defg|a2g2 f2e2|GABc d4|agfe G4:|",
        "A/|:G/A/B/c/ d/e/f/g/|ag fe|G/A/B/c/ d2|a/g/f/e/ G2:|"),
        (1, 1, Fraction(5, 5), Fraction(2, 2)),
    ),
    "a bar left out": (TUNE.replace("a2g2 f2e2|", ""), (1, 1, Fraction(2, 5), Fraction(1, 2))),
    "a bar more": (TUNE.replace("defg|", "defg|z8|"), (1, 1, Fraction(2, 6), Fraction(3, 3))),
    "one note wrong": (TUNE.replace("f2e2", "f2c2"), (1, 1, Fraction(4, 5), Fraction(2, 2))),
    "one length wrong": (TUNE.replace("f2e2", "f2e"), (1, 1, Fraction(4, 5), Fraction(1, 2))),
    "an accidental too many": (TUNE.replace("f2e2", "^f2e2"), (1, 1, Fraction(4, 5), Fraction(1))),
    "a chord for a note": (TUNE.replace("f2e2", "[fa]2e2"), (1, 1, Fraction(4, 5), Fraction(1))),
    "a tie": (TUNE.replace("f2e2", "f2-e2"), (1, 1, Fraction(4, 5), Fraction(1))),
    "half of it": (HEAD + "A|:GABc defg|a2g2", (1, 1, Fraction(2, 5), Fraction(0, 2))),
    "the head alone": (HEAD, (0, 0, Fraction(0, 5), Fraction(0, 2))),
    "no head": (TUNE.removeprefix(HEAD), (0, 0, Fraction(0, 5), Fraction(0, 2))),
    "two tunes": (TUNE + "\n" + TUNE, (0, 0, Fraction(0, 5), Fraction(0, 2))),
    "nothing": ("", (0, 0, Fraction(0, 5), Fraction(0, 2))),
}  # fmt: skip


@pytest.mark.parametrize("what", ABC_CASES)
def test_key_metre_and_bars_by_hand(what: str) -> None:
    text, expected = ABC_CASES[what]
    (mid,) = convert([TUNE])
    assert isinstance(mid, bytes)
    found = abc_metrics(written(text.encode()), [TUNE.encode()], [mid])
    names = ("key_accuracy", "metre_accuracy", "bar_accuracy", "full_bar_share")
    measured = [value(found[f"free_running_{name}"]) for name in names]
    assert measured == pytest.approx([float(part) for part in expected])


def test_the_notes_of_written_abc_are_those_of_its_midi() -> None:
    (mid,) = convert([TUNE])
    assert isinstance(mid, bytes)
    texts = [
        (TUNE, 1),
        (TUNE.replace("K:G", "K:Gm"), None),  # half the notes sound otherwise
        (TUNE + "\n" + TUNE.replace("X:1", "X:2"), Fraction(2 * 45, 45 + 90)),  # all twice
        ("", 0),
        ("%%abc-include in.abc\n" + TUNE, 0),
    ]
    assert len(read_score(mid).notes) == 45
    for text, expected in texts:
        found = abc_metrics(written(text.encode()), [TUNE.encode()], [mid])["free_running_note_f1"]
        if expected is None:
            assert 0.3 < value(found) < 0.9
        else:
            assert value(found) == pytest.approx(float(expected))


def test_perfect_files_of_real_tunes_are_right_in_all_but_their_own_odd_bars(
    tunes: list[tuple[bytes, bytes]],
) -> None:
    abcs, mids = [abc for abc, _ in tunes], [mid for _, mid in tunes]
    found = abc_metrics(written(*abcs), abcs, mids) | midi_metrics(written(*mids), mids)
    full = value(found.pop("free_running_full_bar_share"))
    assert {name: value(ratio) for name, ratio in found.items()} == dict.fromkeys(found, 1.0)
    assert 0.8 < full < 1


@pytest.mark.parametrize("name", ["abc-to-midi", "midi-to-abc"])
def test_the_source_or_nothing_is_worth_nothing(name: str, tune_samples: SampleSet) -> None:
    items = prepare(TASKS[name], tune_samples)
    sources = [item.continuation.prompt.source for item in items]
    for files in ([source.data for source in sources if source], [b""] * len(items)):
        found = TASKS[name].own_metrics(items, written(*files))
        assert len(found) == len([m for m in TASKS[name].spec.metrics if "free_running" in m]) - 1
        for metric, measured in found.items():
            assert len(measured) == len(items), metric
            if metric == "free_running_edit_similarity":
                assert value(measured) < 0.4
            else:
                assert value(measured) == 0, metric


def test_one_bad_file_costs_no_other_its_score() -> None:
    golden = golden_tunes()
    abcs, mids = [tune.abc.encode() for tune in golden], [tune.mid for tune in golden]
    bad = [b"\xff" * 9, *abcs[1:3], abcs[3] + b"(3A(3B\n", *abcs[4:]]
    found = abc_metrics(written(*bad), abcs, mids)
    valid = found["free_running_valid_file_share"]
    assert valid is not None
    assert np.flatnonzero(valid.numerators == 0).tolist() == [0, 3]


def test_midi2abc_is_worth_what_a_program_of_its_kind_is(tunes: list[tuple[bytes, bytes]]) -> None:
    abcs, mids = [abc for abc, _ in tunes], [mid for _, mid in tunes]
    task = TASKS["midi-to-abc"]
    assert task.spec.metrics.count("teacher_forced_bits_per_byte_shuffled_source") == 1
    prompts = [
        Prompt(source=Segment(extension="mid", data=mid), extension="abc", given=b"")
        for mid in mids
    ]
    texts = Midi2Abc().generate(prompts, [8000] * len(mids))
    assert texts is not None
    found = abc_metrics(written(*texts), abcs, mids)
    figures = {name.removeprefix("free_running_"): value(ratio) for name, ratio in found.items()}
    print(len(mids), figures)
    assert figures["valid_file_share"] > 0.95
    assert figures["note_f1"] > 0.9
    assert 0.5 < figures["key_accuracy"] < 1
    assert figures["full_bar_share"] > 0.5


def test_counts_are_a_multiset() -> None:
    assert read_midis([midi_of([NOTES[0], NOTES[0]])])[0].notes == Counter({(0, 480, 60): 2})


def test_a_file_is_exact_but_for_its_declared_lengths(tunes: list[tuple[bytes, bytes]]) -> None:
    mid = tunes[0][1]
    guessed = mid[:18] + bytes(4) + mid[22:]
    other_velocity = guessed.replace(b"\x90", b"\x91", 1)
    found = midi_metrics(written(guessed, mid, other_velocity, guessed[:-1]), [mid] * 4)
    exact = found["free_running_file_accuracy_true_lengths"]
    assert exact is not None
    assert exact.numerators.tolist() == [1, 1, 0, 0]

"""Explanations: parts of every task, planted errors found where they are, strict files, words."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bootstrap import Bootstrap
from benchmarks.explaining.dimension import GENERIC, Parts, generic_parts, range_name
from benchmarks.explaining.explain import explain
from benchmarks.explaining.explanation import (
    Explanation,
    ExplanationError,
    ForcedTotals,
    PartCounts,
    PartTable,
    WrittenTotals,
    explanation_json,
    read_explanation,
    write_explanation,
)
from benchmarks.explaining.music_parts import fields_of, tune_parts
from benchmarks.explaining.tally import PartSums, dissect, tally
from benchmarks.explaining.text import explanation_text, sample_text
from benchmarks.explaining.worst_tunes import TuneLook, around_difference, tune_text
from benchmarks.metrics import Answer
from benchmarks.report import CorpusRef, SubmissionRef, TaskRef
from benchmarks.scorer import corpus_ref
from benchmarks.task import Item, SampleSet, Task, prepare
from benchmarks.tasks.registry import TASKS
from simulators.cpu.toy.machine import ToyCpu
from simulators.music.conversion.converter import convert
from simulators.music.looking.piano_roll import read_roll
from simulators.music.looking.roll_text import ASCII


def tokens_of(item: Item) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.frombuffer(item.continuation.target, np.uint8).astype(np.uint16)


def explained(
    task: Task, samples: SampleSet, items: list[Item], answers: list[Answer], worst: int = 3
) -> Explanation:
    return explain(
        task,
        items,
        answers,
        tally(task, items, answers),
        Bootstrap(samples.groups, resamples=50, seed=0),
        corpus=corpus_ref(samples),
        submission=SubmissionRef(
            name="made-up", kind="model", description="", parameters=1, train_samples=None
        ),
        worst=worst,
    )


def by_name(sums: Mapping[str, list[PartSums]], dimension: str) -> dict[str, PartSums]:
    return {part.name: part for part in sums[dimension]}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_cuts_its_files_without_gaps(
    name: str, samples_of: dict[str, SampleSet]
) -> None:
    task = TASKS[name]
    named = 0
    for item in prepare(task, samples_of[name]):
        cut = dissect(task, item)
        assert list(cut) != []
        assert set(cut) == {dimension.name for dimension in task.spec.dimensions}
        for parts in cut.values():
            starts = parts.starts.tolist()
            assert starts[0] == 0
            assert starts == sorted(set(starts))
            assert starts[-1] < len(item.continuation.target)
            assert len(parts.names) == len(starts)
            named += sum(part is not None for part in parts.names)
    assert named > 100
    assert set(task.spec.reported) <= {dimension.name for dimension in task.spec.dimensions}


def test_a_planted_error_stands_in_the_right_part_of_every_dimension(
    cpu_samples: SampleSet,
) -> None:
    # Wrong is ACC wherever it becomes 255; every byte of ACC costs two nats, all others nothing.
    task = TASKS["cpu-toy"]
    items = prepare(task, cpu_samples)
    answers: list[Answer] = []
    planted, states = 0, 0
    for item in items:
        predicted = tokens_of(item)
        nats = np.zeros(len(predicted), np.float32)
        nats[1::16] = 2
        at = np.flatnonzero(predicted[1::16] == 255) * 16 + 1
        predicted[at] = 0
        planted, states = planted + len(at), states + len(predicted) // 16
        answers.append(
            Answer(
                teacher_forced_nats=float(nats.sum()),
                teacher_forced_predicted=predicted,
                teacher_forced_byte_nats=nats,
            )
        )
    assert planted > 5
    sums = tally(task, items, answers)
    values = by_name(sums, "value")
    wrong = {
        name: part.num_bytes - part.byte_accuracy.numerators.sum() for name, part in values.items()
    }
    assert wrong == {name: planted if name == "255" else 0 for name in values}
    registers = by_name(sums, "register")
    acc = registers["ACC"].accuracy
    assert acc.denominators.sum() - acc.numerators.sum() == planted
    assert registers["ACC"].bits == pytest.approx(states * 2 / np.log(2))
    assert registers["A"].bits == 0
    for dimension in ("instruction", "operand", "register", "distance", "fetch"):
        parts = sums[dimension]
        assert sum(part.num_bytes for part in parts) == 16 * states
        assert sum(part.bits or 0 for part in parts) == pytest.approx(states * 2 / np.log(2))
        missed = sum(part.num_bytes - part.byte_accuracy.numerators.sum() for part in parts)
        assert missed == planted
    found = explained(task, cpu_samples, items, answers)
    table = next(table for table in found.tables if table.name == "register")
    assert table.rows[0].name == "ACC"
    assert (table.rows[0].wrong_bytes, table.rows[0].units) == (planted, states)


def test_operands_and_ages_are_those_of_the_listing(cpu_samples: SampleSet) -> None:
    task = TASKS["cpu-toy"]
    machine = ToyCpu(memory_bytes=64, max_instructions=16)
    seen: set[str] = set()
    for item in prepare(task, cpu_samples):
        given_bytes, target = item.continuation.prompt.given, item.continuation.target
        states = np.frombuffer(given_bytes[64:] + target, np.uint8).reshape(-1, 16)
        listing = machine.listing(given_bytes[:64])
        cut = dissect(task, item)
        assert cut["operand"].names[0] == "(first fetch)"
        for state, operands in enumerate(cut["operand"].names[1:]):
            code = listing[state].code
            used = [byte for byte in code[1:] if byte]
            if code[0] == 11:  # LOADI, whose number may be 0
                assert operands == "number"
            elif not used:
                assert operands == "ACC"
            else:
                kinds = " ".join("RST"[: len(used)])
                twice = ", one twice" if len(set(used)) < len(used) else ""
                assert operands == kinds + twice
            seen.add(str(operands))
        for state, back in enumerate(cut["fetch"].names):
            # State k + 1 stands behind 64 bytes and k + 1 states; it fetches what is at byte 4 k.
            low, _, high = str(back).partition("-")
            assert int(low) <= 64 + 16 * (state + 1) - 4 * state <= int(high)
        ages = cut["age"]
        for unit, start in enumerate(ages.starts.tolist()):
            state, place = divmod(start, 16)
            size = 4 if place == 2 else 1
            age, name = 1, ages.names[unit]
            while (
                age <= state
                and (
                    states[state - age, place : place + size]
                    == states[state - age + 1, place : place + size]
                ).all()
            ):
                age += 1
            low, _, high = str(name).partition("-")
            if age > state:
                assert name == "never"
            else:
                assert int(low) <= age <= int(high or low)
    assert {"number", "ACC", "R", "R S", "R S T"} <= seen


def test_where_writing_goes_wrong_first_is_counted_once_a_file(cpu_samples: SampleSet) -> None:
    task = TASKS["cpu-toy"]
    items = [item for item in prepare(task, cpu_samples) if len(item.continuation.target) >= 64]
    answers: list[Answer] = []
    for number, item in enumerate(items):
        written = bytearray(item.continuation.target)
        if number == 0:
            written += b"more"
        elif number > 1:
            written[2 * 16] ^= 1  # PC of the third state, and all of the next
            written[3 * 16 :] = bytes(len(written) - 48)
        answers.append(Answer(free_running=bytes(written)))
    sums = tally(task, items, answers)
    firsts = {part.name: part.first_wrong for part in sums["register"] if part.first_wrong}
    assert firsts == {"PC": len(items) - 2}
    distances = {part.name: part.first_wrong for part in sums["distance"] if part.first_wrong}
    assert distances == {"3-4": len(items) - 2}
    samples = dataclasses.replace(cpu_samples, groups=tuple(item.group for item in items))
    found = explained(task, samples, items, answers)
    assert found.teacher_forced is None
    assert found.free_running is not None
    assert (found.free_running.files, found.free_running.exact) == (len(items), 1)
    assert found.free_running.only_too_long == 1
    shown = explanation_text(found, rows=3)
    assert "written: first error" in shown
    assert "of all errors" not in shown  # nothing was predicted


def test_the_worst_trace_marks_exactly_the_first_wrong_byte(cpu_samples: SampleSet) -> None:
    task = TASKS["cpu-toy"]
    items = prepare(task, cpu_samples)
    answers = [Answer(teacher_forced_predicted=tokens_of(item)) for item in items]
    bad = max(range(len(items)), key=lambda i: len(items[i].continuation.target))
    predicted = tokens_of(items[bad])
    predicted[[5 * 16 + 3, 5 * 16 + 4, 6 * 16 + 1]] = 256
    answers[bad] = Answer(teacher_forced_predicted=predicted)
    found = explained(task, cpu_samples, items, answers)
    (sample,) = found.worst
    target = items[bad].continuation.target
    assert (sample.key, sample.wrong_bytes, sample.first_wrong) == (items[bad].key, 3, 83)
    assert (sample.true, sample.answered) == (target[83], 256)
    assert sample.place["register"] == "IR"
    marked = [
        (line.state, cell)
        for line in sample.trace
        for cell in line.cells
        if cell.first_wrong is not None
    ]
    ((state, cell),) = marked
    assert (state, cell.field, cell.first_wrong) == (6, "IR", 1)
    assert cell.true == target[82:86][::-1].hex()
    assert cell.answered == f"{target[85]:02x}....{target[82]:02x}"
    text = sample_text(sample)
    assert f"answered {target[85]:02x}..>..<{target[82]:02x}]" in text
    assert text.count(">") - text.count("->") == 2
    # The instruction beside a state is the one that the listing has there.
    machine = ToyCpu(memory_bytes=64, max_instructions=16)
    listing = machine.listing(items[bad].continuation.prompt.given[:64])
    texts = {line.state: line.instruction for line in sample.trace}
    assert texts[6] == listing[4].text


def test_fields_of_a_tune_are_its_text_cut_up() -> None:
    tune = b'X:1\nL:1/8\nM:4/4\nK:G\nGA|"Am"^B2 c/ [eg]2 {d}z2|\nB,4 c\'4|]\n'
    fields = fields_of(tune, "abc", b"")
    ends = [field.start for field in fields[1:]] + [len(tune)]
    found = [(tune[f.start : end].decode(), f.kind) for f, end in zip(fields, ends, strict=True)]
    assert found[:4] == [
        ("X:1\n", "X: of the head"),
        ("L:1/8\n", "L: of the head"),
        ("M:4/4\n", "M: of the head"),
        ("K:G\n", "K: of the head"),
    ]
    assert found[4:12] == [
        ("G", "pitch"),
        ("A", "pitch"),
        ("|", "bar"),
        ('"Am"', "chord symbol"),
        ("^", "accidental"),
        ("B", "pitch"),
        ("2", "length"),
        (" ", "space"),
    ]
    voices = {field.voice for field in fields}
    assert voices == {"(head)", "melody", "chord symbols", "chords of notes", "grace notes"}
    assert [f.octave for f in fields if f.octave][-2:] == ["B3 and below", "C6 and above"]
    assert ("\n", "line break") in found
    assert fields_of(b"no tune", "abc", b"") == []


# ABC in normal form, the bars of its notes, and how many notes ago each was there last.
TUNES = [
    ("X:1\nL:1/4\nM:4/4\nK:C\nC D C E | C4 | D4 |\n", "1 1 1 1 2 3", "- - 2 - 2 4"),
    ("X:1\nL:1/4\nM:4/4\nK:C\nG | C2 C2 | G4 |\n", "0 1 1 2", "- - 1 3"),
]


@pytest.mark.parametrize(("tune", "bars", "distances"), TUNES)
def test_bars_and_distances_are_the_same_in_abc_and_in_midi(
    tune: str, bars: str, distances: str
) -> None:
    (mid,) = convert([tune])
    assert isinstance(mid, bytes)
    abc = tune.encode()
    expected = ["first time" if d == "-" else range_name(int(d)) for d in distances.split()]
    for target, extension, source in ((abc, "abc", mid), (mid, "mid", abc)):
        fields = fields_of(target, extension, source)
        assert [field.bar for field in fields if field.pitch] == bars.split()
        cut = tune_parts(target, extension, source)
        assert [name for name in cut["distance"].names if name] == expected


def test_the_worst_are_those_with_the_most_wrong_bytes(cpu_samples: SampleSet) -> None:
    task = TASKS["cpu-toy"]
    items = prepare(task, cpu_samples)
    answers: list[Answer] = []
    for number, item in enumerate(items):
        predicted = tokens_of(item)
        predicted[: number % 7] ^= 1
        answers.append(Answer(teacher_forced_predicted=predicted))
    worst = explained(task, cpu_samples, items, answers, worst=4).worst
    assert [sample.wrong_bytes for sample in worst] == [6, 6, 6, 6]
    assert [sample.key for sample in worst] == [items[i].key for i in (6, 13, 20, 27)]


class _Plain:
    """A task that cuts nothing itself."""

    def __init__(self, task: Task) -> None:
        self.spec = dataclasses.replace(task.spec, dimensions=(), reported=())

    def dissect(self, item: Item) -> Mapping[str, Parts]:
        raise AssertionError("never called")


def test_a_task_without_dimensions_is_cut_by_place_and_kind_of_byte(
    tune_samples: SampleSet,
) -> None:
    task = TASKS["midi-to-abc"]
    items = prepare(task, tune_samples)
    plain: Any = _Plain(task)
    answers: list[Answer] = []
    for item in items:
        predicted = tokens_of(item)
        predicted[predicted == ord("\n")] = 0
        answers.append(Answer(teacher_forced_predicted=predicted))
    sums = tally(plain, items, answers)
    assert set(sums) == {dimension.name for dimension in GENERIC}
    accuracy = {part.name: part.accuracy.value for part in sums["byte"]}
    assert accuracy.pop("line break") == 0
    assert set(accuracy.values()) == {1}
    assert len(sums["position"]) == 10
    assert explained(plain, tune_samples, items, answers).worst[0].place["byte"] == "line break"
    assert generic_parts(b"a\xff\x00")["byte"].names == ["letter", "0xff", "0x00"]


def tune_answers(samples: SampleSet, pitch: int) -> tuple[list[Item], list[Answer]]:
    """Answer MIDI files of which the last note of pitch 64 has become `pitch`."""
    items = prepare(TASKS["abc-to-midi"], samples)
    answers: list[Answer] = []
    for item in items:
        written = bytearray(item.continuation.target)
        on = written.rfind(b"\x90\x40")
        if on >= 0:
            off = written.find(b"\x80\x40", on)
            written[on + 1] = written[off + 1] = pitch
        predicted = np.frombuffer(bytes(written), np.uint8).astype(np.uint16)
        answers.append(Answer(teacher_forced_predicted=predicted, free_running=bytes(written)))
    return items, answers


def test_a_wrong_note_is_marked_in_bytes_and_roll(tune_samples: SampleSet) -> None:
    items, answers = tune_answers(tune_samples, 65)
    found = explained(TASKS["abc-to-midi"], tune_samples, items, answers, worst=1)
    assert [sample.mode for sample in found.worst] == ["teacher_forced", "free_running"]
    for sample in found.worst:
        assert (sample.true, sample.answered, sample.wrong_bytes) == (64, 65, 2)
        assert sample.place["kind"] == "pitch"
        assert sample.place["voice"] == "track 1, channel 1"
        assert sample.trace == ()
        row = next(i for i, item in enumerate(items) if item.key == sample.key)
        text = tune_text(items[row], answers[row], sample, TuneLook(glyphs=ASCII, width=80))
        assert " 90 >40< " in text
        assert " 90 >41< " in text
        assert "^ first difference: bar 1, beat" in text
        assert "E4 |" in text
        rows = [line for line in text.split("\n") if "|" in line]
        notes = len(read_roll(items[row].continuation.target).notes)
        assert sum(line.count(ASCII.onset) for line in rows) == notes - 1
        assert ("only in what was written" in text) is (sample.mode == "free_running")
        assert "only in the truth" in text
    # Nothing of a tune but one byte and where it stands is in the file that may be published.
    stored = explanation_json(found)
    assert items[0].continuation.target.hex() not in stored
    assert len(stored) < 20_000


def test_a_wrong_letter_is_marked_in_the_abc_text(tune_samples: SampleSet) -> None:
    items = prepare(TASKS["midi-to-abc"], tune_samples)
    answers = [
        Answer(teacher_forced_predicted=tokens_of(item), free_running=item.continuation.target)
        for item in items
    ]
    target = items[0].continuation.target
    first = target.index(b"K:C\n") + 6  # the second note, behind a space
    written = target[:first] + b"b" + target[first + 1 :]
    predicted = tokens_of(items[0])
    predicted[[first, first + 1]] = [ord("b"), 256]
    answers[0] = Answer(teacher_forced_predicted=predicted, free_running=written)
    found = explained(TASKS["midi-to-abc"], tune_samples, items, answers)
    forced, free = found.worst
    assert (forced.first_wrong, forced.answered, free.answered) == (first, ord("b"), ord("b"))
    line = target.split(b"\n")[4].decode()
    text = tune_text(items[0], answers[0], forced, TuneLook(glyphs=ASCII))
    assert f"  {line}\n    >b<$" in text
    assert text.startswith("  X:1\n")
    text = tune_text(items[0], answers[0], free, TuneLook(glyphs=ASCII))
    assert text.startswith(f"  true      {line[:2].replace(' ', '_')}>{line[2]}<_")
    assert "\n  answered  " in text
    assert ">b<" in text
    assert "^ first difference: bar 1, beat 1.5" in text
    silent = dataclasses.replace(answers[0], free_running=b"no tune")
    text = tune_text(items[0], silent, free, TuneLook(glyphs=ASCII))
    assert "nothing to hear: no tune in ABC" in text


def test_a_roll_is_cut_to_the_bars_around_the_first_difference(tune_samples: SampleSet) -> None:
    data = tune_samples.files[0][1].data
    roll = read_roll(data)
    bars = tuple(4.0 * number for number in range(30))
    notes = tuple(
        note._replace(start=4.0 * number, length=1.0)
        for number, note in enumerate((roll.notes * 30)[:30])
    )
    long = dataclasses.replace(roll, bars=bars, notes=notes, quarters=120.0, first_bar=1)
    other = dataclasses.replace(long, notes=(*notes[:20], *notes[21:]))
    one, two = around_difference(long, other)
    assert two is not None
    assert one.first_bar == two.first_bar == 20
    assert len(one.bars) == len(one.notes) == 8
    assert one.notes[0].start == 0
    assert len(two.notes) == 7
    assert one.place(4.0) == "bar 21, beat 1"


def test_an_explanation_comes_back_from_disk_as_it_was(
    tmp_path: Path, cpu_samples: SampleSet
) -> None:
    task = TASKS["cpu-toy"]
    items = prepare(task, cpu_samples)
    answers = [Answer(teacher_forced_predicted=tokens_of(item) ^ 1) for item in items]
    made = explained(task, cpu_samples, items, answers)
    path = write_explanation(tmp_path, made)
    assert path.name == "cpu-toy.made-up.explain.json"
    assert read_explanation(path) == made
    assert max(map(len, path.read_text().splitlines())) < 2_000
    backwards = explained(
        task,
        dataclasses.replace(cpu_samples, groups=cpu_samples.groups[::-1]),
        items[::-1],
        answers[::-1],
    )
    assert explanation_json(backwards) == explanation_json(made)


# What is done to the JSON of an honest explanation, and what the error must say.
def _no_tables(content: dict[str, Any]) -> None:
    content["tables"] = "all"


def _another_version(content: dict[str, Any]) -> None:
    content["schema_version"] = 2


def _more_wrong_than_there_is(content: dict[str, Any]) -> None:
    content["tables"][0]["rows"][0]["wrong_units"] = 10**6


def _negative_bits(content: dict[str, Any]) -> None:
    content["tables"][0]["rows"][0]["bits"] = -1.0


def _an_unknown_key(content: dict[str, Any]) -> None:
    content["tables"][0]["rows"][0]["score"] = 1


def _a_long_name(content: dict[str, Any]) -> None:
    content["tables"][0]["rows"][0]["name"] = "x" * 401


def _a_terminals_order(content: dict[str, Any]) -> None:
    content["worst"][0]["trace"][0]["instruction"] = "ADD\x1b[2J"


def _too_many_rows(content: dict[str, Any]) -> None:
    content["tables"][0]["rows"] *= 1001


def _a_mark_outside(content: dict[str, Any]) -> None:
    cells = content["worst"][0]["trace"][0]["cells"]
    cells[0]["first_wrong"] = 9


def _another_mode(content: dict[str, Any]) -> None:
    content["worst"][0]["mode"] = "guessed"


REFUSED = [
    (_no_tables, "tables"),
    (_another_version, "schema_version 2, this version reads 1; score again"),
    (_more_wrong_than_there_is, "more is wrong than there is"),
    (_negative_bits, "cannot be negative"),
    (_an_unknown_key, "unknown key 'score'"),
    (_a_long_name, "a text of more than 400 characters"),
    (_a_terminals_order, "a text with characters that do not print"),
    (_too_many_rows, "rows, at most 1000 are read"),
    (_a_mark_outside, "marks no byte"),
    (_another_mode, "unknown value 'guessed'"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_an_explanation_of_another_form_is_refused(
    change: Any, message: str, tmp_path: Path, cpu_samples: SampleSet
) -> None:
    task = TASKS["cpu-toy"]
    items = prepare(task, cpu_samples)[:4]
    answers = [Answer(teacher_forced_predicted=tokens_of(item) ^ 1) for item in items]
    samples = dataclasses.replace(cpu_samples, groups=cpu_samples.groups[:4])
    path = write_explanation(tmp_path, explained(task, samples, items, answers))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ExplanationError) as caught:
        read_explanation(path)
    assert message in str(caught.value)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_figures_of_a_table_are_shares_of_the_totals() -> None:
    row = PartCounts(
        name="ADD",
        units=8,
        wrong_units=2,
        stderr=0.125,
        bytes=128,
        wrong_bytes=3,
        bits=64.0,
        first_wrong=1,
    )
    made = _small_explanation(row)
    lines = explanation_text(made, rows=1).splitlines()
    assert lines[0] == "cpu-toy: made-up (model), 4 test samples of cpu-toy"
    assert lines[1] == "teacher-forced: 12 of 256 bytes wrong (4.7 %), 0.500 bits a byte"
    assert lines[2] == "free-running: 2 of 4 files exact"
    assert lines[5].split("  ")[1:2] == ["Instruction"]
    assert lines[6].split() == (
        ["ADD", "8", "25.00", "±", "12.50", "%", "25.0", "%", "50.0", "%", "0.500", "50.0", "%"]
    )
    assert lines[7] == "  ... and 1 more; --rows shows more"


def _small_explanation(row: PartCounts) -> Explanation:
    return Explanation(
        schema_version=1,
        task=TaskRef(name="cpu-toy", version=1),
        corpus=CorpusRef(name="cpu-toy", config_sha256="", test_sha256="", samples=4),
        submission=SubmissionRef(
            name="made-up", kind="model", description="", parameters=None, train_samples=None
        ),
        teacher_forced=ForcedTotals(bytes=256, wrong_bytes=12, bits=128.0),
        free_running=WrittenTotals(files=4, exact=2, only_too_long=0),
        tables=(
            PartTable(
                name="instruction", part="Instruction", unit="states", ranked=True, rows=(row, row)
            ),
        ),
        worst=(),
    )

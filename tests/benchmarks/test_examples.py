"""Display tunes through the benchmark: asked, written, kept on disk, refused, reported, shown."""

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.answering import answer_task
from benchmarks.config import BenchmarkConfig
from benchmarks.entrant import Entrant, baseline_entrant
from benchmarks.examples import example_items, report_examples, write_examples
from benchmarks.leaderboard import LeaderboardError, build
from benchmarks.leaderboard.data import read_board
from benchmarks.predictions import HEADER_NAME, write_predictions
from benchmarks.submission import MAX_EXAMPLES, SubmissionError, read_predictions
from benchmarks.task import SampleSet
from benchmarks.tasks.registry import TASKS
from bgpt.protocol import Continuation, Prompt, Scores
from simulators.music.looking.display_tunes import display_tunes
from simulators.music.looking.piano_roll import read_roll
from tests.benchmarks.made_up_examples import made_up_examples, predictions_with, true_target

FIXTURE = Path(__file__).parent / "fixtures" / "leaderboard"
NAMES = [tune.name for tune in display_tunes()]


class Echo:
    """A model that writes back the source it was given, as far as it may."""

    def score(self, requests: Sequence[Continuation]) -> list[Scores]:
        return [Scores(total_nats=None, predicted=None) for _ in requests]

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        sources = [prompt.source for prompt in prompts]
        assert all(source is not None for source in sources)
        return [
            b"" if source is None else source.data[:limit]
            for source, limit in zip(sources, max_bytes, strict=True)
        ]


class Silent(Echo):
    """A model that only weighs."""

    def generate(self, prompts: Sequence[Prompt], max_bytes: Sequence[int]) -> list[bytes] | None:
        return None


@pytest.mark.parametrize("name", sorted(TASKS))
def test_conversions_have_the_display_tunes_and_simulations_nothing(name: str) -> None:
    items = example_items(TASKS[name], {})
    assert [item.key for item in items] == ([] if name.startswith("cpu-") else NAMES)
    answers = write_examples(TASKS[name], {}, Echo())
    assert [answer.name for answer in answers] == [item.key for item in items]
    for item, answer in zip(items, answers, strict=True):
        source = item.continuation.prompt.source
        assert source is not None
        assert bytes.fromhex(answer.written) == source.data[: item.max_bytes]
        assert len(item.continuation.target) <= item.max_bytes
    assert write_examples(TASKS[name], {}, Silent()) == ()


def test_the_corpus_preset_makes_the_midi_files() -> None:
    task = TASKS["abc-to-midi"]
    plain, compact = (
        example_items(task, {"options": {"preset": preset}})[0].continuation.target
        for preset in ("plain", "compact")
    )
    assert plain == true_target("abc-to-midi", 0)
    assert len(compact) < 0.9 * len(plain)
    assert read_roll(compact) == read_roll(plain)


def test_only_who_reads_its_source_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tune_samples: SampleSet
) -> None:
    task = TASKS["midi-to-abc"]
    config = BenchmarkConfig(free_running_samples=2)
    monkeypatch.setattr("benchmarks.answering.load_samples", lambda *_: tune_samples)
    entrant = baseline_entrant(task, "midi2abc", lambda: tune_samples, 4)
    for reads, expected in ((True, NAMES), (False, [])):
        made: Entrant = dataclasses.replace(entrant, reads_source=reads)
        answer_task(task, None, lambda made=made: made, tmp_path / str(reads), config)  # pyright: ignore
        header = read_predictions(tmp_path / str(reads)).header
        assert [example.name for example in header.examples] == expected
    assert not baseline_entrant(task, "uniform", lambda: tune_samples, 4).reads_source
    found = report_examples(task, {}, read_predictions(tmp_path / "True"))
    air = found[-1]
    assert bytes.fromhex(air.written).startswith(b"X:1\nL:1/8\nM:4/4\nK:C\nA4 c2 BA|")
    assert (air.first_different_byte, air.fault) == (8, None)
    assert air.written_midi is not None


def test_a_report_says_where_an_example_parts_and_what_is_wrong_with_it() -> None:
    exact, reel, waltz, march, air = made_up_examples("abc-to-midi")
    assert (exact["first_different_byte"], exact["fault"]) == (None, None)
    assert exact["written"] == exact["truth"]
    assert bytes.fromhex(exact["source"]).decode() == display_tunes()[0].abc
    for one in (reel, waltz, march, air):
        truth, written = bytes.fromhex(one["truth"]), bytes.fromhex(one["written"])
        at = one["first_different_byte"]
        assert truth[:at] == written[:at]
        assert truth[at : at + 1] != written[at : at + 1]
        assert one["written_midi"] is None
    assert (reel["fault"], waltz["fault"]) == (None, None)
    assert re.match("at byte 18: track 0 declares", march["fault"])
    assert air["first_different_byte"] == 0


def test_a_written_tune_is_made_to_sound_or_the_reason_is_said() -> None:
    exact, reel, _, march, air = made_up_examples("midi-to-abc")
    assert exact["written_midi"] == exact["source"]
    assert bytes.fromhex(reel["written_midi"]).startswith(b"MThd")
    assert (march["written_midi"], march["fault"]) == (None, "no tune in ABC: no key")
    assert air["fault"] == "no tune in ABC: no key"
    cases = {
        b"X:1\nK:C\nCDE\xff|\n": "no ABC: byte 11 is not ASCII",
        b"X:1\nL:1/8\nM:4/4\nK:C\n(3CD [CE |\n": "abc2midi refuses it: converter error",
        b"X:1\nK:C\n" + b"|:CDEF GABc:|\n" * 40: None,
    }
    for written, fault in cases.items():
        answers = dict.fromkeys(NAMES, written)
        for one in report_examples(
            TASKS["midi-to-abc"], {}, predictions_with("midi-to-abc", answers)
        ):
            assert (one.fault, one.written_midi is None) == (fault, fault is not None)


def test_a_tune_that_sounds_for_too_long_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.examples.MAX_MIDI_BYTES", 900)
    exact, reel, *_ = made_up_examples("midi-to-abc")
    assert exact["written_midi"] is not None
    assert (reel["written_midi"], reel["fault"][:16]) == (None, "its MIDI file of")


def test_examples_come_back_from_disk_and_foreign_ones_are_refused(tmp_path: Path) -> None:
    task = TASKS["abc-to-midi"]
    whole = {name: true_target("abc-to-midi", i) for i, name in enumerate(NAMES)}
    made = predictions_with("abc-to-midi", whole)
    write_predictions(tmp_path / "mine", made)
    assert read_predictions(tmp_path / "mine").header == made.header
    lacking = {name: whole[name] for name in NAMES[1:]}
    with pytest.raises(
        SubmissionError, match="made-up: examples must be all of bytes-by-the-dozen"
    ):
        report_examples(task, {}, predictions_with("abc-to-midi", lacking))
    with pytest.raises(SubmissionError, match="examples must be all of bytes-by"):
        report_examples(task, {}, predictions_with("abc-to-midi", {**whole, "mine": b""}))
    with pytest.raises(SubmissionError, match="examples must be all of nothing"):
        report_examples(TASKS["cpu-toy"], {}, predictions_with("cpu-toy", {"mine": b""}))
    long = {**whole, NAMES[0]: bytes(8_000)}
    with pytest.raises(SubmissionError, match=f"example {NAMES[0]}: 8000 bytes written, at most"):
        report_examples(task, {}, predictions_with("abc-to-midi", long))
    assert report_examples(task, {}, predictions_with("abc-to-midi", {})) == []


# examples in predictions.json -> what the refusal says
BAD_HEADERS: list[tuple[Any, str]] = [
    ([{"name": "a", "written": "0"}], "example 'a': written is not whole bytes in lower-case"),
    ([{"name": "a", "written": "AA"}], "example 'a': written is not whole bytes in lower-case"),
    ([{"name": "a", "written": "00" * 8161}], "example 'a': 8161 bytes, at most 8160 are read"),
    ([{"name": "a", "written": ""}] * (MAX_EXAMPLES + 1), "33 examples, at most 32"),
    ([{"name": "a"}], r"examples\[0\].written: missing"),
    ([{"name": "a", "written": "", "more": 1}], r"examples\[0\].more: unknown key"),
    ({"a": ""}, "examples: expected"),
]


@pytest.mark.parametrize(("examples", "message"), BAD_HEADERS)
def test_examples_of_another_form_are_refused(tmp_path: Path, examples: Any, message: str) -> None:
    write_predictions(tmp_path / "mine", predictions_with("abc-to-midi", {}))
    path = tmp_path / "mine" / HEADER_NAME
    content = json.loads(path.read_text())
    content["examples"] = examples
    path.write_text(json.dumps(content))
    with pytest.raises(SubmissionError, match=message):
        read_predictions(tmp_path / "mine")


def test_a_header_without_examples_is_read_as_before(tmp_path: Path) -> None:
    write_predictions(tmp_path / "mine", predictions_with("abc-to-midi", {}))
    path = tmp_path / "mine" / HEADER_NAME
    content = json.loads(path.read_text())
    del content["examples"]
    del content["submission"]["base_tunes"]
    path.write_text(json.dumps(content))
    header = read_predictions(tmp_path / "mine").header
    assert (header.examples, header.submission.base_tunes) == ((), None)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Return the fixture's reports, one of which has examples."""
    folder = Path(shutil.copytree(FIXTURE / "reports", tmp_path / "reports"))
    change(folder, made_up_examples("abc-to-midi"))
    return folder


def change(reports: Path, examples: Any) -> None:
    path = reports / "abc-to-midi" / "fixture-compact.json"
    report = json.loads(path.read_text())
    report.update(schema_version=3, examples=examples)
    path.write_text(json.dumps(report))


def test_the_page_shows_examples_and_keeps_their_files_out_of_its_data(
    reports: Path, tmp_path: Path
) -> None:
    build(reports, None, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count('<figure class="tune">') == 5
    assert "First wrong byte 21 of 420 written; the first wrong note in bar 8, beat 3" in page
    assert "Byte for byte the true file." in page
    assert "Nothing was written." in page
    notes = json.loads(page.split('id="notes">')[1].split("</script>")[0])
    place = "abc-to-midi/fixture-compact/bytes-by-the-dozen"
    assert notes[place] == notes["truth/bytes-by-the-dozen"]
    assert len(notes[place]) == 86
    assert notes[place][0][1:3] == [0.498, 66]
    assert sorted(set(re.findall('data-notes="([^"]*)"', page))) == sorted(notes)
    assert '"examples"' not in page
    assert '"examples"' in (tmp_path / "out" / "reports.json").read_text()
    assert '<div class="listen">' not in page.split('id="task-midi-to-abc"')[1]


# what is changed in the examples -> what the refusal says
BAD_EXAMPLES: list[tuple[Any, str]] = [
    ([{"name": "o-carolan", "source": "", "truth": "", "written": ""}], "'o-carolan' is none of"),
    (
        [{"name": NAMES[0], "source": b"X:1\nK:C\nc".hex(), "truth": "", "written": ""}],
        "is none of",
    ),
    ([{"name": NAMES[0], "source": "x", "truth": "", "written": ""}], "source: expected a file in"),
    ([{"name": NAMES[0], "source": "00" * 70000, "truth": ""}], "source: more than 65536 bytes"),
    ([{}] * 33, "33 examples, at most 32"),
    ("all", "examples: expected a list"),
]


@pytest.mark.parametrize(("examples", "message"), BAD_EXAMPLES)
def test_the_page_refuses_examples_that_may_not_be_published(
    reports: Path, examples: Any, message: str
) -> None:
    change(reports, examples)
    with pytest.raises(LeaderboardError, match=message):
        read_board(reports, None, None)


def test_a_tune_that_stands_twice_is_refused(reports: Path) -> None:
    change(reports, made_up_examples("abc-to-midi")[:1] * 2)
    with pytest.raises(LeaderboardError, match="a tune stands twice"):
        read_board(reports, None, None)


def test_scales_are_drawn_over_pairs_and_base_tunes_where_there_are_two(
    reports: Path, tmp_path: Path
) -> None:
    build(reports, None, tmp_path / "one")
    assert "<h3>Scale</h3>" not in (tmp_path / "one" / "index.html").read_text()
    path = reports / "abc-to-midi" / "fixture-compact.json"
    report = json.loads(path.read_text())
    report.update(schema_version=3, examples=[])
    for pairs, tunes in ((1_000, 1_000), (100_000, 11_000)):
        report["submission"].update(name=f"at-{pairs}", train_samples=pairs, base_tunes=tunes)
        (reports / f"at-{pairs}.json").write_text(json.dumps(report))
    build(reports, None, tmp_path / "two")
    page = (tmp_path / "two" / "index.html").read_text()
    part = page.split("<h3>Scale</h3>")[1].split("</div></div>")[0]
    assert "at 100k pairs" in part
    assert "at 11k base tunes" in part
    assert part.count("<polyline") == 2

"""The leaderboard without a browser: what is read, refused, ranked, escaped and written.

All results in `fixtures/leaderboard` are made up, for these tests only.
"""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard import LeaderboardError, build
from benchmarks.leaderboard.data import Metric, read_board
from benchmarks.leaderboard.markup import Markup, escape, join, json_block, tag
from benchmarks.leaderboard.page import standings
from benchmarks.leaderboard.ranking import rank
from benchmarks.leaderboard.scales import Scale, accuracy_ticks, linear_ticks, log_ticks
from tests.benchmarks.made_up_explanations import explain_beside

FIXTURE = Path(__file__).parent / "fixtures" / "leaderboard"
HOSTILE = "<script>alert(1)</script>\"'&{{data}}|`</style>\u202e\ud800\x00"


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE / "reports", tmp_path / "reports"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("leaderboard")
    build(FIXTURE / "reports", FIXTURE / "runs", out, published=FIXTURE / "published.json")
    return out


def change(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    path.write_text(json.dumps(content), encoding="utf-8")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and all text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if not self.found or self.found[-1][0] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_same_input_gives_the_same_bytes_of_every_file(tmp_path: Path, built: Path) -> None:
    build(FIXTURE / "reports", FIXTURE / "runs", tmp_path, published=FIXTURE / "published.json")
    names = sorted(path.name for path in tmp_path.iterdir())
    expected = ["index.html", "learning-curve.svg", "reports.json", "results.md", "standings.svg"]
    assert names == expected
    for name in names:
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes(), name


def test_names_of_report_files_do_not_matter(tmp_path: Path, reports: Path, built: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(reports.rglob("*.json"), reverse=True)):
        shutil.copy(path, flat / f"{number:03}.json")
    build(flat, FIXTURE / "runs", tmp_path / "out", published=FIXTURE / "published.json")
    page = (tmp_path / "out" / "index.html").read_bytes()
    assert page == (built / "index.html").read_bytes()


def test_the_page_asks_for_nothing_outside_itself(built: Path) -> None:
    page = (built / "index.html").read_text(encoding="utf-8")
    elements = Elements(page)
    references = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in {"href", "src", "srcset", "action", "data", "poster", "xlink:href"}
    ]
    assert len(references) >= 7
    assert all(value and value.startswith("#") for value in references)
    assert not re.search(r"url\(|@import|https?://", page)
    assert not {"link", "iframe", "object", "embed", "base", "img"} & {t for t, _ in elements.found}
    policy = next(a for t, a in elements.found if "http-equiv" in a)["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_all_three_tasks_stand_on_the_page_with_every_entry(built: Path) -> None:
    elements = Elements((built / "index.html").read_text(encoding="utf-8"))
    sections = [a["id"] for t, a in elements.found if t == "section"]
    assert sections == ["task-cpu-toy", "task-abc-to-midi", "task-midi-to-abc"]
    rows = [a for t, a in elements.found if t == "tr" and "data-entry" in a]
    assert len(rows) == len(list((FIXTURE / "reports").rglob("*.json"))) == 36
    heads = [a for t, a in elements.found if t == "th" and "data-column" in a]
    assert sum("aria-sort" in a for a in heads) == 3
    assert "Reported, not measured here" in elements.text
    assert "n/a" in elements.text


def test_the_wrong_source_control_is_said_in_words(built: Path) -> None:
    text = Elements((built / "index.html").read_text(encoding="utf-8")).text
    assert (
        "fixture-compact needs 0.444 bits per byte with the right source and 0.886 with a wrong "
        "one, 0.442 more. It reads its source." in text
    )
    assert "It does not read its source." in text


# (a, b, better) -> (place of a, place of b): the difference against two combined standard errors
TIES = [
    ((0.50, 0.010), (0.52, 0.010), "higher", (1, 1)),  # 0.020 <= 2 * 0.0141
    ((0.50, 0.010), (0.53, 0.010), "higher", (2, 1)),  # 0.030 > 2 * 0.0141
    ((0.50, 0.010), (0.53, 0.010), "lower", (1, 2)),
    ((0.50, 0.000), (0.50, 0.000), "lower", (1, 1)),
    ((0.50, None), (0.51, 0.010), "higher", (1, 1)),  # no error given counts as none
    ((0.50, None), (0.51, None), "higher", (2, 1)),
]


@pytest.mark.parametrize(("a", "b", "better", "places"), TIES)
def test_entries_within_two_combined_standard_errors_share_a_rank(
    a: Any, b: Any, better: Any, places: tuple[int, int]
) -> None:
    metrics = {name: Metric(value=v, stderr=e, n=9) for name, (v, e) in {"a": a, "b": b}.items()}
    ranks = rank(metrics, better)
    assert (ranks["a"].place, ranks["b"].place) == places
    assert ranks["a"].tied == ranks["b"].tied == (places[0] == places[1])


def test_a_rank_after_a_tie_counts_the_tied_entries() -> None:
    values = {"a": 0.9, "b": 0.9, "c": 0.5}
    ranks = rank({k: Metric(value=v, stderr=0.0, n=9) for k, v in values.items()}, "higher")
    assert [ranks[name].place for name in "abc"] == [1, 1, 3]


def test_what_has_no_value_or_no_direction_has_no_rank() -> None:
    metrics = {
        "a": Metric(value=None, stderr=None, n=0),
        "b": Metric(value=1.0, stderr=0.1, n=9),
    }
    assert list(rank(metrics, "higher")) == ["b"]
    assert rank(metrics, None) == {}


def test_what_was_measured_on_fewer_samples_has_no_rank_and_stands_below(
    reports: Path, tmp_path: Path
) -> None:
    metric = {"value": 0.9999, "stderr": None, "n": 3}
    change(reports / "cpu-toy" / "rule.json", metrics__teacher_forced_state_accuracy=metric)
    board = standings(read_board(reports, None, None))[0]
    assert board.primary == "teacher_forced_state_accuracy"
    ranks = board.ranks[board.primary]
    assert "rule" not in ranks
    assert len(ranks) == 7
    best = board.best()
    assert best is not None
    assert best.name == "fixture-compact"
    with_value = [e.name for e in board.entries if e.value(board.primary) is not None]
    assert with_value[-1] == "rule"
    build(reports, None, tmp_path / "out")
    row = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert "| – | rule | 99.99 %" in row


def test_where_an_entry_errs_is_told_from_the_file_beside_its_report(
    tmp_path: Path, reports: Path
) -> None:
    path = reports / "cpu-toy" / "fixture-compact.json"
    explain_beside(path, "<b>SWAP</b>")
    build(reports, FIXTURE / "runs", tmp_path / "out", published=FIXTURE / "published.json")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    section = page.split('class="errs"')[1].split("</section>")[0]
    assert page.count('class="errs"') == 1
    words = Elements(section).text
    assert (
        "fixture-compact 224 of 8,960 bytes wrong (2.5 %); 180 of 200 written files exact" in words
    )
    assert "<b>SWAP</b> 40 25.00 ± 6.25 % 7.1 % 7.1 % 0.500 5.0 %" in words
    assert "2 further parts hold 14.3 % of the errors" in words
    assert "The first is byte 17: true 0b, answered 0c; register <b>SWAP</b>." in words
    assert "true 0a0b, answered 0a" not in words
    assert "0a0b, answered 0a<mark>0c</mark>" in section
    assert not [name for name, _ in Elements(section).found if name == "b"]


def test_an_explanation_of_another_result_is_refused(tmp_path: Path, reports: Path) -> None:
    path = reports / "cpu-toy" / "fixture-compact.json"
    beside = explain_beside(path, "SWAP")
    for key, value in (
        ("submission__name", "another"),
        ("task__version", 99),
        ("corpus__test_sha256", "0" * 64),
    ):
        before = beside.read_text()
        change(beside, **{key: value})
        with pytest.raises(LeaderboardError, match=r"explains another result than fixture-compact"):
            build(reports, None, tmp_path / "out")
        beside.write_text(before)
    change(beside, tables=7)
    with pytest.raises(LeaderboardError, match=r"fixture-compact\.explain\.json\.tables: expected"):
        build(reports, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_published_figures_are_shown_apart_and_never_ranked(built: Path) -> None:
    board = read_board(FIXTURE / "reports", None, FIXTURE / "published.json")
    conversion = standings(board)[1]
    assert [figure.value for figure in conversion.figures] == [0.2381, 0.0011]
    assert conversion.best().name == "fixture-compact"  # type: ignore[union-attr]
    page = (built / "index.html").read_text(encoding="utf-8")
    apart = page.split('<tbody class="reported">')[2].split("</tbody>")[0]
    assert "0.0011" in apart
    assert "data-rank" not in apart


def test_hostile_text_stays_text(tmp_path: Path, reports: Path) -> None:
    path = reports / "cpu-toy" / "fixture-compact.json"
    change(
        path,
        submission__name=HOSTILE,
        submission__description=HOSTILE,
        environment={HOSTILE: {HOSTILE: HOSTILE}},
        breakdowns={
            "instruction": [{"name": HOSTILE, "n": 1, "teacher_forced_accuracy": 0.5}],
            HOSTILE: [],
        },
    )  # fmt: skip
    change(path, task__version=HOSTILE)
    for other in (reports / "cpu-toy").glob("*.json"):
        change(other, task__version=HOSTILE)
    runs = tmp_path / "runs"
    run = runs / "cpu-toy-<img src=x onerror=alert(1)>"
    shutil.copytree(FIXTURE / "runs" / "cpu-toy", run)
    published = tmp_path / "published.json"
    figure = {"task": "cpu-toy", "name": HOSTILE, "metric": HOSTILE, "value": 1, "unit": HOSTILE}
    published.write_text(json.dumps({"entries": [{**figure, "source": HOSTILE, "note": HOSTILE}]}))
    build(reports, runs, tmp_path / "out", published=published)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    elements = Elements(page)
    assert sum(t == "script" for t, _ in elements.found) == 3
    assert sum(t == "style" for t, _ in elements.found) == 1
    assert not any(name.startswith("on") for _, a in elements.found for name in a)
    assert "img" not in {t for t, _ in elements.found}
    assert "<script>alert(1)</script>" in elements.text  # shown, as it was written
    assert not re.search("[\u202e\x00\ud800]", page)
    inlined = page.split('id="data">')[1].split("</script>")[0]
    assert "<" not in inlined
    assert HOSTILE in [r["submission"]["name"] for r in json.loads(inlined)["reports"]]
    written = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert "<script" not in written
    table = [line for line in written.split("\n") if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table[: 2 + 13]}
    assert len(cells) == 1
    for picture in ("learning-curve.svg", "standings.svg"):
        root = ET.parse(tmp_path / "out" / picture).getroot()
        assert not [e for e in root.iter() if e.tag.endswith(("script", "img"))]


@given(st.text())
def test_escaped_text_never_opens_an_element_or_ends_an_attribute(text: str) -> None:
    assert not set("<>\"'") & set(escape(text))
    assert not set("<>&") & set(json_block({"key": text}))
    assert json.loads(json_block({"key": text})) == {"key": text}
    seen = Elements(tag("p", text, title=text))
    assert [name for name, _ in seen.found] == ["p"]


def test_markup_goes_in_once_and_plain_text_is_escaped() -> None:
    inner = tag("b", "a & b")
    assert join(inner, "<i>", None) == "<b>a &amp; b</b>&lt;i&gt;"
    assert isinstance(tag("p", inner), Markup)


# what is changed in one report -> what the message must say
BAD_REPORTS: list[tuple[dict[str, Any], str]] = [
    ({"schema_version": 1}, r"schema_version is 1, this leaderboard reads 3"),
    ({"submission__kind": "winner"}, r"'winner' is not one of model, baseline, reported"),
    ({"submission__name": 7}, r"name: expected a string, found 7"),
    ({"submission__parameters": -1}, r"parameters: expected a whole number >= 0, found -1"),
    ({"metrics": []}, r"metrics: expected an object, found \[\]"),
    (
        {"metrics__teacher_forced_bits_per_byte__value": True},
        r"value: expected a number, found True",
    ),
    ({"metrics__teacher_forced_bits_per_byte__stderr": -0.1}, r"stderr: -0.1 is below zero"),
    ({"corpus__test_sha256": "00"}, r"test set '00' of 'cpu-toy'.*cannot stand in one table"),
    ({"task__version": "2"}, r"task version '2' of 'cpu-toy'.*cannot stand in one table"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_REPORTS)
def test_a_report_that_cannot_be_shown_is_refused_by_name(
    reports: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    change(reports / "cpu-toy" / "xz.json", **changes)
    with pytest.raises(LeaderboardError, match=message) as caught:
        build(reports, None, tmp_path / "out")
    assert "xz.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


# not JSON as the standard has it -> what the message must say
BAD_JSON = [
    ('{"a": NaN}', "NaN is not a number of JSON"),
    ('{"a": 1e999}', "1e999 is out of range"),
    ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
    ("[" * 100_000, "not usable as JSON"),
    ("[]", r"expected an object, found \[\]"),
    ('{"a":', "not usable as JSON"),
]


@pytest.mark.parametrize(("content", "message"), BAD_JSON)
def test_json_that_would_misorder_a_table_is_refused(
    reports: Path, tmp_path: Path, content: str, message: str
) -> None:
    (reports / "broken.json").write_text(content)
    with pytest.raises(LeaderboardError, match=message):
        build(reports, None, tmp_path / "out")


def test_two_reports_for_one_entry_are_refused(reports: Path, tmp_path: Path) -> None:
    shutil.copy(reports / "cpu-toy" / "xz.json", reports / "again.json")
    with pytest.raises(LeaderboardError, match=r"a second report for 'xz' on 'cpu-toy'"):
        build(reports, None, tmp_path / "out")


def test_a_missing_folder_of_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match=r"nowhere: no such folder of reports"):
        build(tmp_path / "nowhere", None, tmp_path / "out")


def test_other_json_beside_the_reports_is_left_alone(reports: Path) -> None:
    before = read_board(reports, None, None)
    (reports / "summary.json").write_text('{"cpu-toy": {"xz": {}}}')
    assert read_board(reports, None, None) == before


def test_an_empty_board_still_makes_a_page(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    build(tmp_path / "reports", tmp_path / "no-runs", tmp_path / "out")
    text = Elements((tmp_path / "out" / "index.html").read_text(encoding="utf-8")).text
    # The tasks that have published figures, and no other.
    assert text.count("No entry has been scored yet.") == 2
    assert "has been evaluated yet" in (tmp_path / "out" / "learning-curve.svg").read_text()


def test_tasks_and_metrics_without_words_are_shown_under_their_names(
    reports: Path, tmp_path: Path
) -> None:
    path = reports / "cpu-toy" / "xz.json"
    change(path, task__name="cpu-riscv", metrics={"new_score": {"value": 1.5, "stderr": 0.25}})
    build(reports, None, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 'id="task-cpu-riscv"' in page
    assert "new score" in page


def test_machines_stand_side_by_side_where_there_are_two(reports: Path, tmp_path: Path) -> None:
    build(reports, None, tmp_path / "one")
    assert 'id="machines"' not in (tmp_path / "one" / "index.html").read_text(encoding="utf-8")
    for name in ("rule", "fixture-compact"):
        report = json.loads((reports / "cpu-toy" / f"{name}.json").read_text(encoding="utf-8"))
        report["task"]["name"] = "cpu-rv32"
        report["metrics"]["teacher_forced_state_accuracy"]["value"] = 0.125
        (reports / f"machine-{name}.json").write_text(json.dumps(report))
    build(reports, None, tmp_path / "two")
    page = (tmp_path / "two" / "index.html").read_text(encoding="utf-8")
    table = page.split('<table class="machines">')[1].split("</table>")[0]
    assert table.index("toy") < table.index("rv32")
    assert table.count("12.50") == 2
    assert "n/a" in table  # entries of the toy that the other machine has not
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results -->\n<!-- /results -->\n")
    build(reports, None, tmp_path / "three", readme=readme)
    text = readme.read_text(encoding="utf-8")
    assert "### cpu-rv32" not in text
    assert "| entry | toy | rv32 |" in text
    assert re.search(r"\| rule \| \d+\.\d+ ± 0\.\d+ % \| 12\.50 ± ", text)


def test_a_resumed_run_counts_every_step_once_and_a_line_in_the_making_not_at_all(
    tmp_path: Path,
) -> None:
    run = tmp_path / "cpu-toy"
    run.mkdir()
    lines = [
        {"step": step, "samples": 24 * step, "eval": {"bits_per_byte": value, "n": 9}}
        for step, value in ((10, 5.0), (20, 4.0), (30, 3.9), (20, 3.0), (30, 2.0))
    ]
    written = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "metrics.jsonl").write_text(written + '{"step": 40, "samp')
    (read,) = read_board(FIXTURE / "reports", tmp_path, None).runs
    assert [(p.step, p.bits_per_byte) for p in read.points] == [(10, 5.0), (20, 3.0), (30, 2.0)]
    assert read.task == "cpu-toy"


def test_a_broken_line_of_a_run_is_named(tmp_path: Path) -> None:
    run = tmp_path / "cpu-toy"
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"step": 1, "samples": 24, "eval": null}\n{"step"\n')
    with pytest.raises(LeaderboardError, match=r"metrics.jsonl:2: not usable as JSON"):
        read_board(FIXTURE / "reports", tmp_path, None)


def test_a_run_that_fits_no_task_is_named_and_not_drawn(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE / "runs" / "cpu-toy", tmp_path / "runs" / "experiment")
    build(FIXTURE / "reports", tmp_path / "runs", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "not drawn: experiment." in page
    assert "Learning curves" not in page


def test_learning_curves_are_drawn_with_the_baselines_to_beat(built: Path) -> None:
    text = (built / "learning-curve.svg").read_text(encoding="utf-8")
    ET.fromstring(text)
    words = set(re.findall(r">([^<>]+)</text>", text))
    assert {"rule 94.62 %", "best n-gram 0.618", "best compressor 0.931"} <= words
    assert {"cpu-toy: byte accuracy", "abc-to-midi: bits per byte", "cpu-toy-10000"} <= words
    assert len(re.findall("<polyline", text)) == 3


def test_results_are_a_markdown_table_a_task(built: Path) -> None:
    lines = (built / "results.md").read_text(encoding="utf-8").split("\n")
    assert [line for line in lines if line.startswith("###")] == [
        "### cpu-toy",
        "### abc-to-midi",
        "### midi-to-abc",
    ]
    first = next(line for line in lines if line.startswith("| 1"))
    assert first.startswith("| 1 tie | **fixture-compact** (model) | **59.14 ± 0.82 %** |")
    assert any("*(reported, not measured here)*" in line for line in lines)


def test_a_readme_gets_the_key_metrics_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nstale\n<!-- /results -->\nafter\n")
    for _ in range(2):
        build(FIXTURE / "reports", None, tmp_path / "out", readme=readme)
        text = readme.read_text(encoding="utf-8")
        assert text.startswith("before\n<!-- results -->\n\nValue ±")
        assert text.endswith("\n<!-- /results -->\nafter\n")
        assert "stale" not in text
        assert text.count("### ") == 3
    full = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert max(map(len, full.split("\n"))) > max(map(len, text.split("\n")))


@pytest.mark.parametrize("text", ["none", "<!-- /results --><!-- results -->"])
def test_a_readme_without_its_marks_is_refused_before_anything_is_written(
    tmp_path: Path, text: str
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(LeaderboardError, match="must hold <!-- results -->"):
        build(FIXTURE / "reports", None, tmp_path / "out", readme=readme)
    assert not (tmp_path / "out").exists()
    assert readme.read_text() == text


def test_the_merged_data_holds_what_the_reports_hold(built: Path) -> None:
    merged = json.loads((built / "reports.json").read_text(encoding="utf-8"))
    paths = sorted((FIXTURE / "reports").rglob("*.json"))
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    assert len(merged["reports"]) == len(reports)
    assert all(report in merged["reports"] for report in reports)
    assert [run["name"] for run in merged["runs"]] == ["abc-to-midi", "cpu-toy", "cpu-toy-10000"]


# (low, high) -> ticks
TICKS = [
    (linear_ticks, (0.0, 8.0), [0.0, 2.0, 4.0, 6.0, 8.0]),
    (linear_ticks, (0.0, 0.5), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    (linear_ticks, (1.0, 1.0), [1.0]),
    (log_ticks, (24, 100_000), [100.0, 1000.0, 10_000.0, 100_000.0]),
    (accuracy_ticks, (0.4, 0.98), [0.5, 0.8, 0.9, 0.95, 0.98]),
]


@pytest.mark.parametrize(("ticks", "ends", "expected"), TICKS)
def test_ticks_are_round_and_inside_the_axis(ticks: Any, ends: Any, expected: Any) -> None:
    assert ticks(*ends) == pytest.approx(expected)


@given(
    st.sampled_from(["linear", "log", "accuracy"]),
    st.floats(0.001, 0.999),
    st.floats(0.001, 0.999),
)
def test_an_axis_keeps_order_and_stays_inside(kind: Any, a: float, b: float) -> None:
    scale = Scale(kind, 0.001, 0.999, 10.0, 90.0)
    low, high = sorted((a, b))
    assert 10.0 <= scale.at(low) <= scale.at(high) <= 90.0

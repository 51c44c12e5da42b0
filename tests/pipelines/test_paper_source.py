"""The authors' stream as a corpus, against what their generator would write."""

import copy
import dataclasses
import hashlib
import importlib.util
import json
import random
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import pytest

from pipelines import __main__ as command
from pipelines.build import build_corpus
from pipelines.config import ConfigError
from pipelines.corpora import change_corpus, load_corpora, make_source, packaged_corpora
from pipelines.corpus import Corpus
from pipelines.engine import LocalEngine
from pipelines.manifest import read_manifest
from pipelines.plan import SIDES, Plan, Side
from pipelines.sources.cpu import group_of_program
from pipelines.sources.paper import PaperSource
from pipelines.verify import verify_corpus

ROOT = Path(__file__).parents[2]
SOURCE = PaperSource(corpus="cpu-toy", seed=0)
SMALL: dict[Side, int] = {"train": 300, "test": 30}
LARGER: dict[Side, int] = {"train": 2400, "test": 1100}
Draw: TypeAlias = tuple[str, bytes, bytes]


def load(name: str) -> ModuleType:
    path = ROOT / "tests" / "simulators" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load("paper_reference")
MACHINE = load("toy_reference")


@cache
def draws(count: int) -> list[Draw]:
    """The first draws of seed 0: text, code, initial state."""
    stream = random.Random(0)
    return [GENERATOR.draw(stream) for _ in range(count)]


def left(drawn: dict[Side, int], side: Side) -> list[Draw]:
    """What is left of one side's draws when files of one name overwrite each other."""
    first = 0 if side == "train" else drawn["train"]
    files: dict[str, Draw] = {}
    for draw in draws(sum(drawn.values()))[first : first + drawn[side]]:
        name = GENERATOR.file_name(draw[0])
        files.pop(name, None)  # the later one takes the later one's place in the order, too
        files[name] = draw
    return list(files.values())


def file_of(draw: Draw) -> bytes:
    """The bytes that the authors write: memory, then all states."""
    _, code, state = draw
    states, _ = MACHINE.run(code, state, 1024)
    return code + bytes(1024 - len(code)) + b"".join(states)


def shards_of(plan: Plan, side: Side) -> list[bytes]:
    """All samples of one side, made shard by shard."""
    assert plan.numbers is not None
    number = plan.numbers[side]
    return [
        sample.segments[0].data
        for first in range(0, number, 1000)
        for sample in SOURCE.shard(plan, side, first, min(1000, number - first)).samples
    ]


@pytest.fixture(scope="module")
def larger() -> Plan:
    return SOURCE.plan(LARGER)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `bgpt-data build cpu-toy --stream paper --train-samples 300 --test-samples 30` makes."""
    config = change_corpus(
        packaged_corpora()["cpu-toy"], stream="paper", train_samples=300, test_samples=30
    )
    out = tmp_path_factory.mktemp("paper") / "corpus"
    build_corpus(make_source("cpu-toy", config), config.needed, out)
    return out


# --- the authors' files --------------------------------------------------------------------------


def test_300_and_30_draws_of_seed_0_are_the_298_and_30_files_of_the_authors(built: Path) -> None:
    corpus = Corpus.open(built)
    for side, number in (("train", 298), ("test", 30)):
        reader = corpus.side(side)
        expected = left(SMALL, side)
        assert len(reader) == len(expected) == number
        assert [reader.read(i) for i in range(number)] == [(file_of(draw),) for draw in expected]
        assert reader.groups() == [group_of_program(code) for _, code, _ in expected]
        lengths = [len(code) // 4 for _, code, _ in expected]
        assert reader.column("instructions") == lengths
    assert sorted(path.name for path in built.rglob("*.tar")) == ["cpu-toy-000000.tar"] * 2


def test_the_command_writes_them_and_says_what_was_dropped(
    built: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = "build cpu-toy --stream paper --seed 0 --train-samples 300 --test-samples 30 --out"
    monkeypatch.setattr(sys, "argv", ["bgpt-data", *words.split(), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code in (0, None)
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'out'}: 298 train, 30 test samples; 2 shards built, 0 kept, 0 removed",
        "dropped in planning: 2 same_program_later",
        "on both sides: 0 test_programs_in_train",
    ]
    for name in ("manifest.json", "train/cpu-toy-000000.tar", "test/cpu-toy-000000.tar"):
        assert (tmp_path / "out" / name).read_bytes() == (built / name).read_bytes()


def test_numbers_drops_and_overlap_are_those_of_the_authors_files(larger: Plan) -> None:
    programs = {side: [code for _, code, _ in left(LARGER, side)] for side in SIDES}
    overlap = len(set(programs["train"]) & set(programs["test"]))
    assert overlap >= 1  # HLT alone is 1 in 255 draws
    assert larger.overlap == {"test_programs_in_train": overlap}
    assert larger.numbers == larger.available == {side: len(programs[side]) for side in SIDES}
    num_dropped = 3500 - sum(map(len, programs.values()))
    assert num_dropped >= 10
    assert larger.dropped == {"same_program_later": num_dropped}
    assert larger.read == 3500


@pytest.mark.parametrize("side", SIDES)
def test_every_sample_of_every_shard_is_the_draw_that_it_should_be(
    larger: Plan, side: Side
) -> None:
    expected = left(LARGER, side)
    files = shards_of(larger, side)
    assert len(expected) > 1000
    assert [data[:1040] for data in files] == [
        code + bytes(1024 - len(code)) + state for _, code, state in expected
    ]
    for i in range(0, len(files), 97):
        assert files[i] == file_of(expected[i])


# --- promises of a source ------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_a_short_shard_is_a_prefix_and_the_plan_may_be_sent(larger: Plan, side: Side) -> None:
    full = SOURCE.shard(larger, side, 1000, 50)
    sent = copy.deepcopy(larger)
    short = SOURCE.shard(sent, side, 1000, 7)
    assert list(short.samples) == list(full.samples)[:7]
    assert full.samples[0].key == f"cpu-toy-{side}-00001000"


def test_one_worker_and_two_make_the_same_bytes_and_a_lost_shard_is_made_again(
    tmp_path: Path,
) -> None:
    def hashes(out: Path) -> dict[str, str]:
        names = [out / "manifest.json", *sorted(out.rglob("*.tar*"))]
        return {
            str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in names
        }

    needed: dict[Side, int] = {"train": 1200, "test": 20}
    one, two = tmp_path / "one", tmp_path / "two"
    build_corpus(SOURCE, needed, one)
    build_corpus(SOURCE, needed, two, engine=LocalEngine(2))
    wanted = hashes(one)
    assert len(wanted) == 7
    assert hashes(two) == wanted
    (one / "train" / "cpu-toy-000001.tar").unlink()
    report = build_corpus(SOURCE, needed, one)
    assert (report.kept_shards, report.built_shards) == (2, 1)
    assert hashes(one) == wanted
    again = build_corpus(SOURCE, needed, one)
    assert (again.kept_shards, again.built_shards) == (3, 0)


def test_the_seed_and_both_numbers_of_draws_change_the_configuration() -> None:
    plans = [
        SOURCE.plan(SMALL),
        dataclasses.replace(SOURCE, seed=1).plan(SMALL),
        SOURCE.plan({"train": 301, "test": 30}),
        SOURCE.plan({"train": 300, "test": 31}),
    ]
    assert len({plan.config_sha256 for plan in plans}) == 4


@pytest.mark.parametrize(("train", "test"), [(0, 0), (0, 5), (5, 0), (1000, 1)])
def test_a_side_may_be_empty(train: int, test: int) -> None:
    plan = SOURCE.plan({"train": train, "test": test})
    assert plan.numbers is not None
    assert [len(shards_of(plan, side)) for side in SIDES] == [plan.numbers[side] for side in SIDES]


# --- what is recorded and checked ----------------------------------------------------------------


def test_a_given_split_is_verified_by_the_recorded_overlap(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    build_corpus(SOURCE, {"train": 300, "test": 400}, out)
    manifest = read_manifest(out)
    assert manifest.split == "given"
    overlap = manifest.planning.overlap["test_programs_in_train"]
    assert overlap >= 1
    assert verify_corpus(out).problems == ()
    path = out / "manifest.json"
    content = json.loads(path.read_text())
    content["planning"]["overlap"]["test_programs_in_train"] += 1
    path.write_text(json.dumps(content))
    (problem,) = verify_corpus(out).problems
    assert problem.startswith(f"index.parquet: {overlap} groups stand in train and in test, the f")
    assert problem.endswith(f"expected {overlap + 1} as in manifest.json")


def test_the_cure_of_a_damaged_shard_draws_what_was_drawn(built: Path, tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "corpus"
    shutil.copytree(built, out)
    (out / "test" / "cpu-toy-000000.tar").unlink()
    assert verify_corpus(out).cure == (
        'Run "bgpt-data build cpu-toy --train-samples 300 --test-samples 30 --stream paper '
        f'--seed 0 --out {out}", with --params FILE if it was built with one: it rebuilds that '
        "shard alone."
    )


# --- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cpu-toy", "cpu-toy-paper"])
def test_the_paper_stream_has_the_papers_setting(name: str) -> None:
    config = change_corpus(packaged_corpora()[name], stream="paper")
    assert config.cpu == packaged_corpora()["cpu-toy-paper"].cpu
    assert make_source(name, config) == PaperSource(corpus=name, seed=0)
    assert change_corpus(packaged_corpora()[name], stream="own") == packaged_corpora()[name]


@pytest.mark.parametrize(
    ("name", "stream", "message"),
    [
        ("cpu-toy", "papr", "unknown stream 'papr': did you mean 'paper'"),
        ("abc-midi", "paper", "--stream goes with system 'toy', not 'music'"),
    ],
)
def test_a_stream_that_does_not_go_with_a_corpus_is_refused(
    name: str, stream: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        change_corpus(packaged_corpora()[name], stream=stream)


@pytest.mark.parametrize(("option", "value"), [("memory_bytes", 64), ("max_instructions", 16)])
def test_other_sizes_than_the_papers_are_refused(option: str, value: int) -> None:
    corpus = packaged_corpora()["cpu-toy-paper"]
    words = f"--{option.replace('_', '-')} {value}: --stream paper has always .*; leave it out"
    with pytest.raises(ConfigError, match=words):
        change_corpus(corpus, stream="paper", cpu={option: value})
    own = {"memory_bytes": 1024, "max_instructions": 255}
    assert change_corpus(corpus, stream="paper", cpu=own).stream == "paper"


def test_a_parameter_file_says_the_stream_and_the_papers_setting(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = (
        "corpora: {mine: {source: cpu, seed: 3, train_samples: 10, test_samples: 1, "
        "stream: paper, cpu: {system: toy, memory_bytes: %d, max_instructions: 255}}}\n"
    )
    path.write_text(text % 1024)
    mine = load_corpora(path)["mine"]
    assert make_source("mine", mine) == PaperSource(corpus="mine", seed=3)
    path.write_text(text.replace("255", "16") % 64)
    with pytest.raises(
        ConfigError,
        match="mine: stream: 'paper' goes with system 'toy', memory_bytes 1024 and max_instr",
    ):
        load_corpora(path)

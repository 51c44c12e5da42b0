"""The CPU source over real machines: ends, what is too long, counts, and a fault of ours."""

import re
import shlex
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import __main__ as command
from pipelines.build import build_corpus
from pipelines.config import ConfigError, parse
from pipelines.corpora import change_corpus, make_source, packaged_corpora
from pipelines.corpus import Corpus, cure
from pipelines.plan import Plan, Side
from pipelines.sources.cpu import COUNTERS_PER_ATTEMPT, CpuOptions, CpuSource, UnexpectedEnd
from pipelines.sources.cpu_options import read_weights
from pipelines.sources.cpu_samples import group_of_program
from pipelines.split import side_of_group
from simulators.batches import batch_of
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import LAYOUTS
from simulators.cpu.layout import lay_out, split_file, split_memory
from simulators.cpu.machine import Machine
from simulators.protocol import EndReason

OPTIONS = CpuOptions(system="rv32", memory_bytes=512, max_instructions=60, profile="fault")
SOURCE = CpuSource(corpus="cpu-rv32", seed=3, options=OPTIONS)
PLAN: Plan = SOURCE.plan({})
SIDES: tuple[Side, ...] = ("train", "test")


def machine() -> Machine:
    system = OPTIONS.make_system()
    assert isinstance(system, Machine)
    return system


@pytest.mark.parametrize("side", SIDES)
def test_programs_of_one_instruction_are_split_too(side: Side) -> None:
    options = CpuOptions(system="rv32", memory_bytes=256, max_instructions=1, profile="alu")
    source = CpuSource(corpus="cpu-rv32", seed=0, options=options)
    groups = {sample.group for sample in source.shard(source.plan({}), side, 0, 40).samples}
    assert len(groups) > 10


@pytest.mark.parametrize("side", SIDES)
def test_a_sample_is_the_first_draw_of_its_side_that_comes_to_its_end(side: Side) -> None:
    system = machine()
    shard = SOURCE.shard(PLAN, side, 1000, 60)
    dropped: Counter[str] = Counter()
    ends: set[str] = set()
    for slot, sample in enumerate(shard.samples, start=1000):
        for attempt in range(1000):
            counter = attempt * COUNTERS_PER_ATTEMPT + slot
            drawn = system.draw(3, np.array([counter], np.uint64))
            group = group_of_program(drawn.code.tobytes())
            if side_of_group(group) != side:
                dropped["other_side"] += 1
                continue
            traces = system.run(drawn)
            if traces.end_reasons[0] != EndReason.STEP_LIMIT:
                break
            dropped["too_long"] += 1
        assert sample.segments[0].data == lay_out(drawn, traces, memory_bytes=512).data.tobytes()
        assert sample.group == group
        assert sample.key == f"cpu-rv32-{side}-{slot:08d}"
        end = EndReason(int(traces.end_reasons[0])).name.lower()
        assert sample.meta == {"instructions": len(traces.states) - 1, "end": end}
        ends.add(end)
    assert dict(shard.dropped) == dropped
    assert ends == {"halted", "memory_fault"}


def test_programs_that_run_on_are_drawn_again_whatever_the_size_of_the_shard() -> None:
    full = SOURCE.shard(PLAN, "train", 0, 600)
    short = SOURCE.shard(PLAN, "train", 0, 270)
    assert full.dropped["too_long"] > 5
    assert list(short.samples) == list(full.samples)[:270]


def test_what_was_executed_is_counted_by_class_and_end() -> None:
    system = machine()
    shard = SOURCE.shard(PLAN, "train", 0, 300)
    counts: Counter[str] = Counter()
    for sample in shard.samples:
        memory, states = split_file(
            sample.segments[0].data, memory_bytes=512, state_bytes=system.state_bytes
        )
        counts.update(f"instructions.{name}" for name in system.effects(memory, states[:-1]))
        counts[f"end.{sample.meta['end']}"] += 1
    assert shard.counts == counts
    assert list(shard.counts) == sorted(counts)
    assert {"instructions.load", "instructions.branch", "end.memory_fault"} <= set(counts)


def test_a_prompt_holds_program_data_and_first_state_and_gives_the_rest() -> None:
    system = machine()
    assert PLAN.prompt_bytes == 512 + system.state_bytes
    assert PLAN.columns == {"instructions": "int", "end": "str"}
    for sample in SOURCE.shard(PLAN, "train", 0, 50).samples:
        file = sample.segments[0].data
        assert len(file) <= 8160
        memory, states = split_file(file, memory_bytes=512, state_bytes=system.state_bytes)
        program, data = split_memory(memory, system.data_bytes)
        window = np.frombuffer(data, np.uint8).reshape(1, -1)
        assert np.array_equal(system.run(batch_of([program], states[:1], window)).states, states)


def test_options_that_are_not_given_stand_in_no_setting() -> None:
    toy = CpuOptions(system="toy", memory_bytes=64, max_instructions=16)
    assert toy.settings() == {"system": "toy", "memory_bytes": 64, "max_instructions": 16}
    assert OPTIONS.settings()["profile"] == "fault"


@pytest.mark.parametrize(
    "change", [{"profile": "loop"}, {"layout": "full"}, {"weights": {"load": 9}}]
)
def test_profile_layout_and_weights_change_the_configuration(change: dict[str, object]) -> None:
    values = {"system": "rv32", "memory_bytes": 512, "max_instructions": 60, "profile": "fault"}
    other = CpuSource(corpus="cpu-rv32", seed=3, options=parse(CpuOptions, values | change, "x"))
    assert other.plan({}).config_sha256 != PLAN.config_sha256


def test_an_end_that_the_profile_does_not_allow_says_how_to_make_that_draw_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shard = SOURCE.shard(PLAN, "train", 0, 60)
    wrong = next(i for i, x in enumerate(shard.samples) if x.meta["end"] == "memory_fault")
    halted = frozenset({EndReason.HALTED})
    monkeypatch.setattr(Machine, "allowed_ends", property(lambda self: halted))
    with pytest.raises(UnexpectedEnd) as caught:
        SOURCE.shard(PLAN, "train", 0, 60)
    message = str(caught.value)
    assert "system 'rv32' version " in message
    assert f"seed 3, draw {wrong}: ended by memory_fault at PC 0x" in message
    assert "where only halted may be. Program: " in message
    recipe = message.partition("To make it alone: ")[2]
    making, _, running = recipe.partition("; ")
    names = {"CpuOptions": CpuOptions, "np": np}
    system = eval(making.removeprefix("system = "), names)  # noqa: S307
    traces = eval(running, {**names, "system": system})  # noqa: S307
    assert traces.end_reasons.tolist() == [EndReason.MEMORY_FAULT]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"system": "rv23"}, "unknown system 'rv23': did you mean 'rv32'"),
        ({"profile": "lop"}, "unknown profile 'lop': did you mean 'loop'"),
        ({"layout": "narow"}, "unknown layout 'narow': did you mean 'narrow'"),
        ({"weights": {"laod": 1}}, "unknown instruction class 'laod': did you mean 'load'"),
        ({"profile": "alu", "weights": {"load": 1}}, "is not in profile 'alu'"),
        (
            {
                "profile": "alu",
                "weights": dict.fromkeys(
                    ("move", "arithmetic", "logic", "shift", "compare", "multiply", "divide"), 0
                ),
            },
            "sum to 0",
        ),
        ({"weights": {"load": -1}}, "load = -1 must be a whole number from 0"),
        ({"memory_bytes": 64}, "memory_bytes = 64 must be a multiple of 16 and at least 80"),
        ({"system": "toy", "memory_bytes": 512}, "the toy CPU has no profile"),
    ],
)
def test_options_that_a_machine_cannot_have_are_one_clear_line(
    changed: dict[str, object], message: str
) -> None:
    values = {"system": "rv32", "memory_bytes": 512, "max_instructions": 60, "profile": "loop"}
    with pytest.raises(ConfigError) as caught:
        parse(CpuOptions, values | changed, "corpora.x.cpu")
    assert message in str(caught.value)
    assert str(caught.value).startswith("corpora.x.cpu: ")
    assert "\n" not in str(caught.value)


# A corpus, and what was said of it when it was built.
CURED: list[tuple[str, dict[str, Any]]] = [
    ("cpu-rv32", {"seed": 7, "cpu": {"profile": "alu", "memory_bytes": 256}}),
    ("cpu-rv32", {"cpu": {"layout": "full", "weights": {"divide": 0, "load": 3}}}),
    ("cpu-x86_64", {"cpu": {"layout": "full", "max_instructions": 10, "profile": "fault"}}),
    ("cpu-toy", {"cpu": {"memory_bytes": 128, "max_instructions": 9}}),
    ("cpu-toy-paper", {}),
    ("cpu-toy", {"stream": "paper", "seed": 3}),
]


@pytest.mark.parametrize(("name", "changes"), CURED)
def test_the_cure_of_a_damaged_corpus_makes_the_same_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any]
) -> None:
    built, again = tmp_path / "built", tmp_path / "again"
    config = change_corpus(packaged_corpora()[name], train_samples=3, test_samples=0, **changes)
    build_corpus(make_source(name, config), config.needed, built)
    manifest = Corpus.open(built).manifest
    (line,) = re.findall(r'"bgpt-data (.*)"', cure(again, manifest))
    monkeypatch.setattr(sys, "argv", ["bgpt-data", *shlex.split(line), "--workers", "1"])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code in (0, None)
    assert Corpus.open(again).manifest == manifest


def test_a_layout_has_programs_that_its_samples_have_room_for() -> None:
    narrow = {"aarch64": 44, "rv32": 80, "rv64": 44, "thumb": 80, "x86_16": 96, "x86_64": 48}
    for name in ISAS:
        for layout in LAYOUTS:
            corpus = change_corpus(packaged_corpora()[f"cpu-{name}"], cpu={"layout": layout})
            assert corpus.cpu is not None
            system = corpus.cpu.make_system()
            assert isinstance(system, Machine)
            assert corpus.cpu.settings()["max_instructions"] == system.max_instructions
            assert layout == "full" or system.max_instructions == narrow.get(name, 80)
            traces = system.run(system.draw(0, np.arange(300, dtype=np.uint64)))
            assert np.mean(traces.end_reasons == EndReason.STEP_LIMIT) < 0.1, (name, layout)


def test_little_memory_has_shorter_programs_and_what_is_given_stays() -> None:
    options = CpuOptions(system="rv32", memory_bytes=192, profile="alu")
    assert options.settings()["max_instructions"] == 192 // 4
    assert replace(options, max_instructions=7).settings()["max_instructions"] == 7
    assert replace(options, max_instructions=7, layout="full").make_system().memory_bytes == 192
    with pytest.raises(ValueError, match="max_instructions: missing; the toy CPU has no default"):
        CpuOptions(system="toy", memory_bytes=64)


@pytest.mark.parametrize("text", ["load", "load=", "=3", "load=x", "load=-1", "load=1,,divide=0"])
def test_weights_that_are_no_pairs_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not CLASS=SHARE with a whole number"):
        read_weights(text)


def test_a_class_is_weighed_once() -> None:
    with pytest.raises(ValueError, match="class 'load' is given twice"):
        read_weights("load=1,load=2")

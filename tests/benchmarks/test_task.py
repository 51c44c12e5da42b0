"""The tasks: what they ask, their limits, the shuffled source, the breakdown by instruction."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.explaining.cpu_parts import effects_of
from benchmarks.explaining.tally import tally
from benchmarks.metrics import Answer
from benchmarks.task import MAX_PATCHES, SampleSet, Task, TaskError, other_group, prepare
from benchmarks.tasks.registry import TASKS, UnknownTask, find_task
from pipelines.sample import Segment
from simulators.cpu.toy.machine import ToyCpu


def sample_set(
    files: tuple[tuple[Segment, ...], ...], groups: tuple[str, ...], prompt_bytes: int = 0
) -> SampleSet:
    return SampleSet(
        corpus="made-up",
        config_sha256="c" * 64,
        settings={},
        prompt_bytes=prompt_bytes,
        shard_sha256=("0" * 64,),
        keys=tuple(f"key-{i}" for i in range(len(files))),
        groups=groups,
        files=files,
    )


def pair(abc: bytes, mid: bytes) -> tuple[Segment, ...]:
    return (Segment(extension="abc", data=abc), Segment(extension="mid", data=mid))


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(UnknownTask, match=r"unknown task 'cpu-tyo': did you mean 'cpu-toy'\?"):
        find_task("cpu-tyo")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_prompt_and_target_are_the_sample_and_nothing_else(
    name: str, samples_of: dict[str, SampleSet]
) -> None:
    task: Task = TASKS[name]
    samples = samples_of[name]
    items = prepare(task, samples)
    assert len(items) == len(samples) > 0
    for item, files in zip(items, samples.files, strict=True):
        prompt = item.continuation.prompt
        assert prompt.given + item.continuation.target in [file.data for file in files]
        whole = {file.data for file in files}
        given_whole = set() if prompt.source is None else {prompt.source.data}
        assert given_whole | {prompt.given + item.continuation.target} == whole
        assert len(item.continuation.target) <= item.max_bytes


def test_all_states_after_the_first_are_scored(cpu_samples: SampleSet) -> None:
    item = prepare(TASKS["cpu-toy"], cpu_samples)[0]
    assert len(item.continuation.prompt.given) == 64 + 16
    assert len(item.continuation.target) % 16 == 0
    assert item.max_bytes == 16 * 16


def test_a_corpus_of_another_form_is_refused(
    cpu_samples: SampleSet, tune_samples: SampleSet
) -> None:
    with pytest.raises(TaskError, match="abc-to-midi needs pairs of abc and mid, found bin"):
        prepare(TASKS["abc-to-midi"], cpu_samples)
    with pytest.raises(TaskError, match="found no simulations; meant for corpus cpu-toy"):
        prepare(TASKS["cpu-toy"], tune_samples)
    with pytest.raises(
        TaskError,
        match=r"\(system rv32, version .*, profile call, layout narrow\).*system toy",
    ):
        prepare(TASKS["cpu-rv32"], cpu_samples)
    for changes, said in (
        ({"programs": {"files": "0" * 64}}, "programs of a user"),
        ({"system_version": "0"}, "found system toy, version 0;"),
    ):
        others = replace(cpu_samples, settings={**cpu_samples.settings, **changes})
        with pytest.raises(TaskError, match=said):
            prepare(TASKS["cpu-toy"], others)


def test_a_target_that_may_not_be_written_is_an_error_not_a_wrong_score() -> None:
    samples = sample_set((pair(b"X" * 400, b"m" * 10), pair(b"a", b"m")), ("1", "2"))
    with pytest.raises(TaskError, match=r"key-0: the target's 400 bytes are more than midi-to-abc"):
        prepare(TASKS["midi-to-abc"], samples)


@given(st.lists(st.integers(0, 8), min_size=2, max_size=40))
def test_the_shuffled_source_is_a_permutation_into_other_groups(numbers: list[int]) -> None:
    groups = [str(number) for number in numbers]
    keys = [f"k{i}" for i in range(len(groups))]
    if 2 * max(groups.count(group) for group in groups) > len(groups):
        with pytest.raises(TaskError, match="one group holds"):
            other_group(keys, groups)
        return
    others = other_group(keys, groups)
    assert sorted(others) == list(range(len(groups)))
    assert all(groups[i] != groups[other] for i, other in enumerate(others))
    # It depends on keys and groups, not on their order.
    backwards = other_group(keys[::-1], groups[::-1])
    last = len(groups) - 1
    assert [last - backwards[last - i] for i in range(len(groups))] == others


def test_a_shuffled_pair_that_is_too_long_is_left_out_not_cut() -> None:
    long, short = b"a" * 16 * (MAX_PATCHES - 8), b"a" * 64
    samples = sample_set((pair(long, b"m" * 32), pair(short, b"m" * 160)), ("1", "2"))
    first, second = prepare(TASKS["abc-to-midi"], samples)
    assert first.shuffled is not None
    assert first.shuffled.prompt.source == Segment(extension="abc", data=short)
    assert first.shuffled.target == b"m" * 32
    assert second.shuffled is None


def test_a_state_belongs_to_the_instruction_whose_effect_it_shows(cpu_samples: SampleSet) -> None:
    machine = ToyCpu(memory_bytes=64, max_instructions=16)
    checked = 0
    for item in prepare(TASKS["cpu-toy"], cpu_samples):
        given_bytes, target = item.continuation.prompt.given, item.continuation.target
        program = machine.listing(given_bytes[:64])[: len(target) // 16]
        names = effects_of(machine, item.continuation)
        assert names == ["(first fetch)", *(line.text.split()[0] for line in program[:-1])]
        checked += len(names)
    assert checked > 100


def test_the_breakdown_finds_the_instruction_that_is_predicted_wrong(
    cpu_samples: SampleSet,
) -> None:
    task = TASKS["cpu-toy"]
    machine = ToyCpu(memory_bytes=64, max_instructions=16)
    items = prepare(task, cpu_samples)
    answers: list[Answer] = []
    for item in items:
        predicted = np.frombuffer(item.continuation.target, np.uint8).astype(np.uint16)
        for state, name in enumerate(effects_of(machine, item.continuation)):
            if name == "ADD":
                predicted[state * 16 + 1] ^= 1
        answers.append(Answer(teacher_forced_predicted=predicted))
    num_states = sum(len(item.continuation.target) // 16 for item in items)
    found = tally(task, items, answers)
    rows = found["instruction"]
    by_name = {row.name: row for row in rows}
    assert by_name["ADD"].accuracy.value == 0.0
    assert by_name["ADD"].byte_accuracy.value == 15 / 16
    assert {row.accuracy.value for row in rows if row.name != "ADD"} == {1.0}
    assert sum(row.units for row in rows) == num_states
    registers = {row.name: row for row in found["register"]}
    assert [*registers] == [field.name for field in machine.fields]
    assert {row.units for row in registers.values()} == {num_states}
    right = 1 - by_name["ADD"].units / num_states
    assert registers["ACC"].accuracy.value == pytest.approx(right)
    assert {row.accuracy.value for name, row in registers.items() if name != "ACC"} == {1.0}
    assert [row.name for row in found["distance"]][:4] == ["1", "2", "3-4", "5-8"]
    assert sum(row.units for row in found["distance"]) == num_states
    assert found["distance"][0].accuracy.value == 1.0  # a first fetch shows no effect

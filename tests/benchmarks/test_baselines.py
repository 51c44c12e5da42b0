"""Baselines: each does what its name says, sees no future, and its answers do not hang together."""

import hashlib
import math
from collections import Counter

import numpy as np
import pytest

from benchmarks.baselines.catalogue import TrainSide, UnknownBaseline, baselines_of, find_baseline
from benchmarks.baselines.compressors import Compressor, xz_size, zlib_size, zstd_size
from benchmarks.baselines.midi2abc import Midi2Abc
from benchmarks.baselines.ngram import Ngram, choose
from benchmarks.baselines.ngram_kernel import distribution
from benchmarks.baselines.rules import CopyState, FetchRule
from benchmarks.explaining.cpu_parts import effects_of, states_before
from benchmarks.predict import predict
from benchmarks.task import Item, SampleSet, prepare
from benchmarks.tasks.cpu import (
    CPU_MACHINES,
    CPU_TOY,
    SimulationTask,
)
from benchmarks.tasks.registry import TASKS
from bgpt.protocol import ByteModel, Continuation, Prompt
from pipelines.sample import Segment
from simulators.music.abc.canonical import canonicalise

CPU_BASELINES = sorted(baselines_of("cpu-toy"))


def continuation(given: bytes, target: bytes) -> Continuation:
    return Continuation(prompt=Prompt(source=None, extension="bin", given=given), target=target)


@pytest.fixture(scope="module")
def cpu_items(cpu_samples: SampleSet) -> list[Item]:
    return prepare(TASKS["cpu-toy"], cpu_samples)


@pytest.fixture(scope="module")
def fitted(cpu_train: SampleSet) -> dict[str, ByteModel]:
    train = TrainSide(TASKS["cpu-toy"], lambda: cpu_train, max_order=4)
    return {name: found.fit(train).model for name, found in baselines_of("cpu-toy").items()}


@pytest.mark.parametrize("name", CPU_BASELINES)
def test_answers_do_not_depend_on_batch_or_order(
    name: str, fitted: dict[str, ByteModel], cpu_items: list[Item]
) -> None:
    model = fitted[name]
    one = predict(cpu_items, model, free_running_samples=30, batch_size=1)
    all_at_once = predict(cpu_items, model, free_running_samples=30, batch_size=64)
    backwards = predict(cpu_items[::-1], model, free_running_samples=30, batch_size=7)[::-1]
    assert len(one) == len(cpu_items)
    for other in (all_at_once, backwards):
        for mine, theirs in zip(one, other, strict=True):
            assert mine.teacher_forced_nats == theirs.teacher_forced_nats
            assert mine.free_running == theirs.free_running
            assert np.array_equal(
                np.array(mine.teacher_forced_predicted), np.array(theirs.teacher_forced_predicted)
            )


@pytest.mark.parametrize("name", CPU_BASELINES)
def test_a_prediction_never_sees_the_byte_it_predicts(
    name: str, fitted: dict[str, ByteModel], cpu_items: list[Item]
) -> None:
    item = max(cpu_items, key=lambda item: len(item.continuation.target)).continuation
    at = len(item.target) // 2
    changed = item.target[:at] + bytes(byte ^ 255 for byte in item.target[at:])
    answers = fitted[name].score([item, Continuation(prompt=item.prompt, target=changed)])
    predicted = [answer.predicted for answer in answers]
    if predicted[0] is None or predicted[1] is None:
        assert name in {"uniform", "zlib", "xz", "brotli", "zstd", "zstd-dictionary"}
        return
    # Up to and including place `at`, of which only the bytes before may be known.
    assert np.array_equal(predicted[0][: at + 1], predicted[1][: at + 1])


def test_unknown_baselines_name_the_nearest() -> None:
    with pytest.raises(UnknownBaseline, match=r"baseline of cpu-toy 'rul': did you mean 'rule'\?"):
        find_baseline("cpu-toy", "rul")


def test_the_rule_is_right_about_everything_but_effects(cpu_items: list[Item]) -> None:
    right = total = 0
    for item in cpu_items:
        request = item.continuation
        predicted = FetchRule(CPU_TOY).score([request])[0].predicted
        assert predicted is not None
        table = predicted.reshape(-1, 16)
        true = np.frombuffer(request.target, np.uint8).reshape(-1, 16)
        assert np.array_equal(table[:, 0], true[:, 0])  # PC
        assert np.array_equal(table[:, 2:6], true[:, 2:6])  # the instruction register
        right += int((table == true).sum())
        total += true.size
    assert 0.93 < right / total < 0.96


def test_the_rule_alone_writes_the_right_length_and_copy_does_not(cpu_items: list[Item]) -> None:
    prompts = [item.continuation.prompt for item in cpu_items]
    limits = [item.max_bytes for item in cpu_items]
    for item, written in zip(
        cpu_items, FetchRule(CPU_TOY).generate(prompts, limits) or [], strict=True
    ):
        assert len(written) == len(item.continuation.target)
        assert written[:16] == item.continuation.target[:16]
    for item, written in zip(
        cpu_items, CopyState(CPU_TOY).generate(prompts, limits) or [], strict=True
    ):
        assert written == item.continuation.prompt.given[-16:] * (item.max_bytes // 16)


def test_compressors_charge_for_the_target_only() -> None:
    noise = bytes((i * i * 7 + i // 3) % 251 for i in range(600))
    for size in (zlib_size, xz_size, zstd_size()):
        seen, unseen = (
            Compressor(size).score([continuation(given, noise)])[0].total_nats
            for given in (noise, b"")
        )
        assert seen is not None
        assert unseen is not None
        assert 0 <= seen < 0.2 * unseen


def brute_force(
    examples: list[tuple[bytes, bytes]], before: bytes, order: int, discount: float
) -> list[float]:
    """Kneser-Ney from its formula, with dictionaries."""
    events = [
        (given + after[:i], after[i] if i < len(after) else 256)
        for given, after in examples
        for i in range(len(after) + 1)
    ]
    p = [1 / 257] * 257
    for k in range(order + 1):
        context = before[len(before) - k :]
        fits = [(c, s) for c, s in events if c[len(c) - k :] == context]
        if k < order:
            fits = sorted({(c[len(c) - k - 1 :], s) for c, s in fits})
        counts = Counter(s for _, s in fits)
        if not counts:
            return p
        total = counts.total()
        p = [
            (max(counts[s] - discount, 0) + discount * len(counts) * p[s]) / total
            for s in range(257)
        ]
    return p


@pytest.mark.parametrize(("order", "alphabet", "length"), [(0, 3, 9), (2, 3, 60), (10, 2, 80)])
def test_the_ngram_is_kneser_ney_and_sums_to_one(order: int, alphabet: int, length: int) -> None:
    data = bytes(byte % alphabet for byte in hashlib.shake_256(b"n-gram").digest(4000))
    examples = [
        (data[i * 100 : i * 100 + 12], data[i * 100 + 12 : i * 100 + 12 + length]) for i in range(8)
    ]
    model = Ngram([continuation(given, after) for given, after in examples], order, 0.6)
    tree = model._tree
    checked = 0
    for start in range(2000, 2040):
        text = np.frombuffer(data[start : start + 12], np.uint8)
        p, top = np.empty(257), np.empty(order + 1)
        distribution(tree, text, 12, order, 0.6, 1, p, top)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert p.tolist() == pytest.approx(brute_force(examples, text.tobytes(), order, 0.6))
        for k in range(order + 1):
            expected = brute_force(examples, text.tobytes(), k, 0.6)[1]
            assert top[k] == pytest.approx(expected)
        checked += 1
    assert checked == 40


def test_ngram_nats_are_the_sum_over_its_distributions() -> None:
    examples = [continuation(b"", b"abracadabra"), continuation(b"", b"alakazam")]
    model = Ngram(examples, 3, 0.75)
    padded = bytes(3) + b"bin" + b"abra"
    expected = 0.0
    by_byte: list[float] = []
    for i, token in enumerate([*b"abra", 256]):
        p, top = np.empty(257), np.empty(4)
        text = np.frombuffer(padded[: 6 + i], np.uint8)
        distribution(model._tree, text, len(text), 3, 0.75, token, p, top)
        expected -= math.log(p[token])
        by_byte.append(-math.log(p[token]))
    found = model.score([continuation(b"", b"abra")])[0]
    assert found.total_nats == pytest.approx(expected)
    assert found.byte_nats is not None
    assert found.byte_nats.tolist() == pytest.approx(by_byte[:4])
    assert model.generate([continuation(b"", b"").prompt], [3]) == [b"abr"]


def test_the_order_is_chosen_on_train_groups_that_are_held_out() -> None:
    # Order 2 decides: after "ab" comes c, after "bb" comes d.
    examples = [continuation(b"", b"abcbbd" * 8) for _ in range(80)]
    choice = choose(examples, [f"group {i}" for i in range(80)], 6)
    assert choice.order >= 2
    assert 0 < choice.held_out_samples < 40


def test_conversion_starts_the_context_anew_at_the_target(tune_train: SampleSet) -> None:
    items = prepare(TASKS["abc-to-midi"], tune_train)
    model = Ngram([item.continuation for item in items], 6, 0.75)
    for item in items[:5]:
        assert item.shuffled is not None
        mine, control = model.score([item.continuation, item.shuffled])
        assert mine.total_nats == control.total_nats


def test_midi2abc_writes_canonical_tunes(tune_samples: SampleSet) -> None:
    prompts = [
        Prompt(source=files[1], extension="abc", given=b"") for files in tune_samples.files[:3]
    ]
    hostile = Prompt(source=Segment(extension="mid", data=b"MThd\0\0"), extension="abc", given=b"")
    written = Midi2Abc().generate([*prompts, hostile], [4000] * 4)
    assert written is not None
    assert written[3] == b""
    for tune in written[:3]:
        text = tune.decode()
        assert text.startswith("X:1\n")
        assert canonicalise(text) == text


@pytest.mark.parametrize("task", CPU_MACHINES, ids=lambda task: task.spec.name)
def test_the_rule_knows_where_the_next_instruction_stands_on_every_machine(
    task: SimulationTask, samples_of: dict[str, SampleSet]
) -> None:
    machine = task.machine(prepare(task, samples_of[task.spec.name])[0].continuation.prompt)
    counter = machine.fields[0]
    right = total = 0
    for item in prepare(task, samples_of[task.spec.name]):
        request = item.continuation
        predicted = FetchRule(task).score([request])[0].predicted
        assert predicted is not None
        before = states_before(request, task.state_bytes)
        table = predicted.reshape(before.shape).astype(np.uint8)
        true = np.frombuffer(request.target, np.uint8).reshape(before.shape)
        # All but the program counter is copied; the counter is wrong only where a branch is taken.
        assert np.array_equal(table[:, counter.num_bytes :], before[:, counter.num_bytes :])
        straight = (table == true)[:, : counter.num_bytes].all(axis=1)
        effects = effects_of(machine, request)
        jumps = {"branch", "loop", "call", "stack"}
        assert {e for e, ok in zip(effects, straight, strict=True) if not ok} <= jumps
        right += int(straight.sum())
        total += len(straight)
        assert machine.ended(request.prompt.given[: machine.memory_bytes], true[-1:])[0]
    assert 0.7 < right / total < 1

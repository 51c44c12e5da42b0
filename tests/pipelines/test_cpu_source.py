"""The CPU source: samples, their sides, and the promises that every source makes."""

import hashlib

import numpy as np
import pytest

from pipelines.config import ConfigError, parse
from pipelines.plan import Plan, Side, SourceError
from pipelines.sources.cpu import (
    COUNTERS_PER_ATTEMPT,
    CpuOptions,
    CpuSource,
    group_of_program,
)
from pipelines.split import side_of_group
from simulators.batches import batch_of, programs_of
from simulators.cpu.layout import split_file

OPTIONS = CpuOptions(system="toy", memory_bytes=64, max_instructions=16)
SOURCE = CpuSource(corpus="cpu-toy", seed=0, options=OPTIONS)
PLAN: Plan = SOURCE.plan({"train": 1000, "test": 300})
SIDES: tuple[Side, ...] = ("train", "test")


@pytest.mark.parametrize("side", SIDES)
def test_a_sample_is_the_first_draw_of_its_slot_on_its_side(side: Side) -> None:
    system = OPTIONS.make_system()
    shard = SOURCE.shard(PLAN, side, 1000, 20)
    num_other_side = 0
    for slot, sample in enumerate(shard.samples, start=1000):
        for attempt in range(1000):
            counter = attempt * COUNTERS_PER_ATTEMPT + slot
            drawn = system.draw(0, np.array([counter], np.uint64))
            group = hashlib.blake2b(drawn.code.tobytes(), digest_size=16).hexdigest()
            if side_of_group(group) == side:
                break
            num_other_side += 1
        states = system.run(drawn).states
        code = drawn.code.tobytes()
        (segment,) = sample.segments
        assert segment.extension == "bin"
        assert segment.data == code + bytes(64 - len(code)) + states.tobytes()
        assert sample.group == group == group_of_program(code)
        assert sample.key == f"cpu-toy-{side}-{slot:08d}"
        assert sample.meta == {"instructions": len(code) // 4}
    assert dict(shard.dropped) == ({"other_side": num_other_side} if num_other_side else {})


@pytest.mark.parametrize("side", SIDES)
def test_a_short_shard_is_a_prefix_of_the_full_one(side: Side) -> None:
    full = SOURCE.shard(PLAN, side, 0, 600)
    short = SOURCE.shard(PLAN, side, 0, 270)
    assert len(full.samples) == 600
    assert list(short.samples) == list(full.samples)[:270]


def test_no_program_stands_on_both_sides() -> None:
    train = {sample.group for sample in SOURCE.shard(PLAN, "train", 0, 1000).samples}
    test = {sample.group for sample in SOURCE.shard(PLAN, "test", 0, 1000).samples}
    assert len(train) > 900
    assert len(test) > 900
    assert not train & test
    assert group_of_program(bytes(4)) in train


def test_every_sample_can_be_run_again_from_its_prompt() -> None:
    system = OPTIONS.make_system()
    assert PLAN.prompt_bytes == 80
    for sample in SOURCE.shard(PLAN, "train", 0, 50).samples:
        memory, states = split_file(sample.segments[0].data, memory_bytes=64, state_bytes=16)
        again = batch_of([memory], states[:1])
        assert programs_of(again) == [memory]
        assert np.array_equal(system.run(again).states, states)


def test_shards_are_the_same_bytes_in_every_release() -> None:
    # A change of these needs a new version of the system, or of the split.
    golden = {
        "train": "af225b882659ce9aa92f0a23eb816b87050ee7c13b0755fa8a19981e7fbbb5a5",
        "test": "14022120a1e9845ca90f320217e147a20048c1eacffef1db865d41c69bdc2c40",
    }
    for side in SIDES:
        shard = SOURCE.shard(PLAN, side, 0, 200)
        data = b"".join(sample.segments[0].data for sample in shard.samples)
        assert hashlib.sha256(data).hexdigest() == golden[side]


def test_the_seed_and_every_option_change_the_configuration() -> None:
    sources = [
        SOURCE,
        CpuSource(corpus="cpu-toy", seed=1, options=OPTIONS),
        CpuSource(
            corpus="cpu-toy",
            seed=0,
            options=CpuOptions(system="toy", memory_bytes=128, max_instructions=16),
        ),
        CpuSource(
            corpus="cpu-toy",
            seed=0,
            options=CpuOptions(system="toy", memory_bytes=64, max_instructions=15),
        ),
    ]
    assert len({source.plan({}).config_sha256 for source in sources}) == 4
    assert SOURCE.plan({"train": 5}).config_sha256 == PLAN.config_sha256


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"system": "toi"}, "corpora.x.cpu: unknown system 'toi': did you mean 'toy'"),
        ({"memory_bytes": 60}, "corpora.x.cpu: memory_bytes = 60 must be a multiple of 16"),
        ({"max_instructions": 17}, "corpora.x.cpu: memory_bytes = 64 holds 16 instructions"),
        ({"max_instructions": 1}, "corpora.x.cpu: max_instructions = 1 must be at least 2"),
    ],
)
def test_options_that_do_not_fit_name_the_key(changed: dict[str, object], message: str) -> None:
    values = {"system": "toy", "memory_bytes": 64, "max_instructions": 16, **changed}
    with pytest.raises(ConfigError, match=message):
        parse(CpuOptions, values, "corpora.x.cpu")


def test_more_samples_than_slots_are_refused() -> None:
    with pytest.raises(SourceError, match=f"there are slots for {COUNTERS_PER_ATTEMPT} only"):
        SOURCE.plan({"train": 2**41})

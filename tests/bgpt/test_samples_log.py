"""Samples are written while a model learns: few, greedy, each step once, resumed or not."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from counting import TINY, job, mixed

from bgpt.byte_model import TrainedByteModel
from bgpt.checkpoint import load_model
from bgpt.job import Job, TrainingInterrupted, make_deterministic
from bgpt.protocol import Prompt
from bgpt.samples_log import SampleLog
from bgpt.train import train


def with_samples(one: Job) -> Job:
    return replace(one, write_samples=SampleLog(one.run, one.test_view).write)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def test_samples_are_what_the_model_writes_and_a_resumed_run_has_the_same(tmp_path: Path) -> None:
    make_deterministic(1)
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()

    def one(name: str) -> Job:
        return with_samples(job(tmp_path / name, steps=9, samples_every=3))

    train(one("whole"))
    polls = iter(range(1, 99))
    with pytest.raises(TrainingInterrupted):
        train(one("stopped"), signal_received=lambda: 15 if next(polls) == 5 else None)
    train(one("stopped"))
    found = lines(tmp_path / "whole")
    assert lines(tmp_path / "stopped") == found
    assert [line["step"] for line in found] == [3] * 3 + [6] * 3 + [9] * 3
    last = found[-3]
    assert list(last) == [
        "step", "key", "extension", "given_bytes", "written", "expected", "right_bytes",
    ]  # fmt: skip
    assert (last["key"], last["extension"], last["given_bytes"]) == ("count1-0", "bin", 16)
    prompt = Prompt(source=None, extension="bin", given=bytes(range(16)))
    model = TrainedByteModel(load_model(tmp_path / "whole"))
    (written,) = model.generate([prompt], [256])
    assert last["written"] == written.hex()
    assert last["expected"] == bytes(range(16, 20)).hex()
    assert 0 <= last["right_bytes"] <= 4


def test_samples_of_mixed_corpora_say_whose_they_are(tmp_path: Path) -> None:
    make_deterministic(1)
    one = mixed(
        job(tmp_path, model=replace(TINY, prev=False), steps=2, samples_every=2),
        {"three": 1, "pairs": 1},
    )
    train(with_samples(one))
    found = lines(tmp_path)
    assert [(line["corpus"], line["extension"]) for line in found] == (
        [("three", "bin")] * 3 + [("pairs", "mid")] * 3
    )
    assert [line["given_bytes"] for line in found] == [16] * 3 + [0] * 3

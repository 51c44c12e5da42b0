"""What a manifest says only where a corpus has it: counts, overlaps, a split that was given."""

import dataclasses
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.build import build_corpus
from pipelines.config import ConfigError
from pipelines.engine import IN_PROCESS, Engine
from pipelines.manifest import decode_manifest, encode_manifest, make_manifest, read_manifest
from pipelines.plan import Plan, SampleShard, Side

SCRIPT = Path(__file__).with_name("fake_source.py")
_spec = importlib.util.spec_from_file_location("fake_source_of_manifests", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["fake_source_of_manifests"] = _module
_spec.loader.exec_module(_module)
FakeSource: Any = _module.FakeSource

PLAN = Plan(corpus="c", settings={"seed": 1}, extensions=("bin",))


@dataclass(frozen=True, kw_only=True)
class CountingSource:
    """The fake source, with counts over the samples of each shard."""

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        return FakeSource().plan(needed)

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        shard = FakeSource().shard(plan, side, first, count)
        counts = {"samples": count, f"shard at {first}": 1} if side == "train" else {}
        return dataclasses.replace(shard, counts=counts)


def test_counts_of_shards_are_summed_by_side_and_kept_when_a_corpus_grows(tmp_path: Path) -> None:
    build_corpus(CountingSource(), {"train": 1500, "test": 10}, tmp_path / "out")
    report = build_corpus(CountingSource(), {"train": 2500, "test": 10}, tmp_path / "out")
    assert (report.kept_shards, report.built_shards) == (2, 2)
    manifest = read_manifest(tmp_path / "out")
    assert manifest == report.manifest
    assert manifest.sides["train"].counts == {
        "samples": 2500,
        "shard at 0": 1,
        "shard at 1000": 1,
        "shard at 2000": 1,
    }
    content = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert content["sides"]["train"]["shards"][2]["counts"] == {
        "samples": 500,
        "shard at 2000": 1,
    }
    assert "counts" not in content["sides"]["test"]
    assert "counts" not in content["sides"]["test"]["shards"][0]
    build_corpus(CountingSource(), {"train": 2500, "test": 10}, tmp_path / "fresh")
    names = ("manifest.json", "train/fake-000001.tar")
    assert [(tmp_path / "out" / name).read_bytes() for name in names] == [
        (tmp_path / "fresh" / name).read_bytes() for name in names
    ]


def test_counts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    build_corpus(CountingSource(), {"train": 10, "test": 0}, tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_bytes())
    content["sides"]["train"]["counts"]["samples"] = 11
    with pytest.raises(ConfigError, match=r"sides\.train: counts \{'samples': 11, .*are not the s"):
        decode_manifest(json.dumps(content).encode())


def test_what_a_corpus_has_none_of_is_not_written() -> None:
    plain = encode_manifest(make_manifest(PLAN, {"train": [], "test": []}))
    for word in (b"split", b"overlap", b"counts"):
        assert word not in plain


def test_a_given_split_is_written_with_its_overlap_even_if_that_is_0() -> None:
    plan = dataclasses.replace(PLAN, split="given", overlap={"both": 0})
    manifest = make_manifest(plan, {"train": [], "test": []})
    content = json.loads(encode_manifest(manifest))
    assert (content["split"], content["planning"]["overlap"]) == ("given", {"both": 0})
    assert decode_manifest(encode_manifest(manifest)) == manifest
    assert plan.config_sha256 == PLAN.config_sha256


def test_an_overlap_without_a_given_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap \{'both': 3\}: not allowed, for split is 'gro"):
        dataclasses.replace(PLAN, overlap={"both": 3})
    content = json.loads(encode_manifest(make_manifest(PLAN, {"train": [], "test": []})))
    content["planning"]["overlap"] = {"both": 3}
    with pytest.raises(ConfigError, match=r"planning\.overlap: not allowed, for split is 'group'"):
        decode_manifest(json.dumps(content).encode())

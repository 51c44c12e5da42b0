"""A run's section is read strictly, and a run folder belongs to one configuration."""

import ast
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import bgpt.run
from bgpt.config import compact_cpu
from bgpt.run import (
    TRAINING_MODULES,
    CorpusRecord,
    RunMismatch,
    claim,
    is_same_run,
    load_run,
    parse_run,
    read_record,
    record_sha256,
    run_record,
)
from bgpt.train_config import TrainConfig
from pipelines.config import ConfigError


def values(**changes: Any) -> dict[str, Any]:
    return {
        "corpus": "cpu-toy",
        "model": {"preset": "compact-cpu"},
        "train": {"steps": 10},
        **changes,
    }


def record(**changes: Any) -> dict[str, Any]:
    config = parse_run(values(**changes), "r")
    return run_record(config, [corpus_record("d", "e")])


def corpus_record(*shards: str, test: str = "t") -> CorpusRecord:
    return CorpusRecord(
        name="cpu-toy",
        config_sha256="c" * 64,
        train_samples=2000,
        train_shards={f"cpu-toy-00000{i}.tar": shard for i, shard in enumerate(shards)},
        test_shards={"cpu-toy-000000.tar": test},
    )


def test_mixed_corpora_are_read_with_their_weights_and_recorded() -> None:
    config = parse_run(
        {"corpora": {"a": 2, "b": 0.5}, "model": {"preset": "paper"}, "train": {"steps": 1}}, "r"
    )
    assert config.corpora == {"a": 2.0, "b": 0.5}
    corpora = [replace(corpus_record("d"), name=name, too_long=3) for name in "ab"]
    record = run_record(config, corpora, init_sha256="f")
    assert [one["weight"] for one in record["corpora"]] == [2.0, 0.5]
    assert [one["too_long"] for one in record["corpora"]] == [3, 3]
    assert "corpus" not in record
    assert record["init_sha256"] == "f"


def test_a_preset_is_taken_and_single_keys_of_it_are_replaced() -> None:
    run = parse_run(values(model={"preset": "compact-cpu", "patch_layers": 2}), "r")
    assert asdict(run.model) == {**asdict(compact_cpu()), "patch_layers": 2}
    assert run.train.budget.steps == 10
    assert (run.name, run.corpora) == ("r", {"cpu-toy": 1.0})


def test_nested_training_options_are_read() -> None:
    train = parse_run(
        values(
            train={
                "bytes": 1000, "loss": "file", "directions": {"abc-to-midi": 1, "midi-to-abc": 2},
                "optimizer": {"kind": "muon", "lr": 0.004},
            }
        ),
        "r",
    ).train  # fmt: skip
    assert train.directions == {"abc-to-midi": 1.0, "midi-to-abc": 2.0}
    assert (train.optimizer.kind, train.optimizer.lr, train.loss) == ("muon", 0.004, "file")


# what stands in params.yaml -> what the error must say
BAD: list[tuple[dict[str, Any], str]] = [
    ({"corpse": 1}, r"runs\.r\.corpse: unknown key 'corpse': did you mean 'corpus'"),
    ({"corpus": 3}, r"runs\.r\.corpus: expected str, found 3"),
    ({"model": "compact-cpu"}, r"runs\.r\.model: expected a mapping, found 'compact-cpu'"),
    ({"model": {"preset": "compact-cpo"}}, r"model\.preset: unknown preset .* 'compact-cpu'"),
    ({"model": {"preset": "paper", "patch_heads": 7}}, r"model: patch_width 768 is not a multiple"),
    ({"model": {"preset": "paper", "patch_with": 7}}, r"model\.patch_with: .* 'patch_width'"),
    ({"model": {"preset": "paper", "bf16": 1}}, r"model\.bf16: expected bool, found 1"),
    ({"model": {}}, r"model\.\w+: missing"),
    ({"train": {"step": 3}}, r"train\.step: unknown key 'step': did you mean 'steps'"),
    ({"train": {"steps": "3"}}, r"train\.steps: expected int, found '3'"),
    ({"train": {"steps": 3.5}}, r"train\.steps: expected int, found 3\.5"),
    ({"train": {}}, r"train: give exactly one of steps and bytes"),
    ({"train": {"steps": 3, "bytes": 9}}, r"train: give exactly one of steps and bytes"),
    ({"train": {"steps": 3, "batch_size": 0}}, r"train: batch_size must be at least 1, not 0"),
    ({"train": {"steps": 3, "loss": "scored"}}, r"train\.loss: unknown value 'scored'"),
    ({"train": {"steps": 3, "warmup": 0.9}}, r"train: warmup 0\.9 and hold_until 0\.4"),
    ({"train": {"steps": 3, "optimizer": {"lr": 0}}}, r"train\.optimizer: rates must be above 0"),
    ({"train": {"steps": 3, "optimizer": {"l": 0}}}, r"train\.optimizer\.l: unknown key 'l'"),
    ({"train": {"steps": 3, "train_samples": 0}}, r"train: train_samples must be at least 1"),
    ({"corpora": {"cpu-toy": 1}}, r"runs\.r: give either corpus: NAME or corpora: \{NAME: WEIGHT"),
    ({"corpora": {"a": "1"}}, r"runs\.r\.corpora\.a: expected float, found '1'"),
    ({"train": {"steps": 3, "accumulate": 0}}, r"train: accumulate must be at least 1, not 0"),
    ({"train": {"steps": 3, "too_long": "cut"}}, r"train\.too_long: unknown value 'cut'"),
    ({"train": {"steps": 3, "keep_checkpoints": 0}}, r"keep_checkpoints must be at least 1, not 0"),
    ({"train": {"steps": 3, "samples_every": -1}}, r"samples_every must be at least 1, not -1"),
    ({"train": {"steps": 3, "compile": True}}, r"compile needs device: cuda; on a CPU"),
    ({"train": {"steps": 3, "freeze": "x"}}, r"train\.freeze: expected"),
    ({"train": {"steps": 3, "eval_samples": -1}}, r"train: eval_samples must be 0 or more"),
    ({"train": {"steps": 3, "workers": -1}}, r"train: workers must be 0 or more, not -1"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_a_wrong_key_or_value_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_run(values(**changes), "r")


def test_a_run_is_found_by_name(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(json.dumps({"runs": {"cpu-toy": values()}}))
    assert load_run(params, "cpu-toy") == parse_run(values(), "cpu-toy")
    with pytest.raises(ConfigError, match="unknown run 'cpu-to': did you mean 'cpu-toy'"):
        load_run(params, "cpu-to")
    with pytest.raises(ConfigError, match="no such file"):
        load_run(tmp_path / "absent.yaml", "cpu-toy")


def test_a_folder_is_claimed_once_and_again_by_the_same_configuration(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "r"
    assert read_record(run) is None
    claim(run, record())
    before = (run / "run.json").read_bytes()
    claim(run, record())
    assert (run / "run.json").read_bytes() == before
    found = read_record(run)
    assert found is not None
    assert record_sha256(found) == record_sha256(record())
    assert list(found["corpus"]["train_shards"].items()) == [
        ("cpu-toy-000000.tar", "d"), ("cpu-toy-000001.tar", "e"),
    ]  # fmt: skip


def test_another_configuration_is_refused_by_its_first_differing_key(tmp_path: Path) -> None:
    claim(tmp_path / "r", record())
    with pytest.raises(
        RunMismatch,
        match=rf"{re.escape(str(tmp_path))}/r/run.json: train.seed is 0 there and 4 now; pass",
    ):
        claim(tmp_path / "r", record(train={"steps": 10, "seed": 4}))
    with pytest.raises(RunMismatch, match=r"model.patch_layers is 3 there and 2 now"):
        claim(tmp_path / "r", record(model={"preset": "compact-cpu", "patch_layers": 2}))
    with pytest.raises(RunMismatch, match=r"train.directions.abc-to-midi is absent there and 1.0"):
        claim(tmp_path / "r", record(train={"steps": 10, "directions": {"abc-to-midi": 1}}))


def test_other_shards_are_another_configuration(tmp_path: Path) -> None:
    config = parse_run(values(), "r")

    def with_shards(*shards: str, test: str = "t") -> dict[str, Any]:
        return run_record(config, [corpus_record(*shards, test=test)])

    claim(tmp_path / "r", with_shards("d", "e"))
    name = r"run.json: corpus.train_shards.cpu-toy-000001.tar"
    with pytest.raises(RunMismatch, match=rf"{name} is 'e' there and 'f' now"):
        claim(tmp_path / "r", with_shards("d", "f"))
    with pytest.raises(RunMismatch, match=rf"{name} is 'e' there and absent now"):
        claim(tmp_path / "r", with_shards("d"))
    name = r"run.json: corpus.test_shards.cpu-toy-000000.tar"
    with pytest.raises(RunMismatch, match=rf"{name} is 't' there and 'u' now"):
        claim(tmp_path / "r", with_shards("d", "e", test="u"))


def test_another_number_of_workers_is_the_same_run(tmp_path: Path) -> None:
    claim(tmp_path / "r", record())
    with_workers = record(train={"steps": 10, "workers": 3})
    claim(tmp_path / "r", with_workers)
    assert record_sha256(with_workers) == record_sha256(record())


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunMismatch, match=r"is no run \(no run.json\) and holds thesis.txt"):
        claim(tmp_path, record())
    with pytest.raises(RunMismatch, match="is a file"):
        claim(tmp_path / "thesis.txt", record())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.txt"]


def test_the_record_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({**record(), "schema_version": 3}))
    with pytest.raises(
        RunMismatch, match=r"run.json: written in format version 3, and .* up to 2; update it"
    ):
        claim(tmp_path, record())


@pytest.mark.parametrize("content", ["{", "[]", "3"])
def test_a_broken_record_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunMismatch, match=r"run.json: not .*delete"):
        claim(tmp_path, record())


def test_the_defaults_make_a_valid_configuration() -> None:
    config = TrainConfig(steps=1)
    assert config.schedule.scale(0.2) == 1.0
    assert not config.directions


def test_a_run_is_the_same_only_with_the_same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = record()
    assert is_same_run(json.loads(json.dumps(before)), before)
    monkeypatch.setattr("bgpt.run.TRAINING_MODULES", ("model", "layers"))
    assert record()["code_sha256"] != before["code_sha256"]
    assert not is_same_run(before, record())


ONLY_SHOWN = {"progress"}
"""Modules that the trainer imports and that decide nothing of what a run leaves."""


def imported(module: str) -> set[str]:
    """Return the modules of this package that a module imports, wherever in it."""
    path = Path(bgpt.run.__file__).with_name(f"{module}.py")
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in names]
    return {
        found[1]
        for found in parts
        if len(found) > 1 and found[0] == "bgpt" and path.with_name(f"{found[1]}.py").exists()
    }


def test_a_run_is_bound_to_all_modules_that_the_trainer_imports() -> None:
    todo, closure = ["train", "sides"], set[str]()
    while todo:
        module = todo.pop()
        if module not in closure:
            closure.add(module)
            todo += imported(module)
    assert closure >= ONLY_SHOWN
    assert list(TRAINING_MODULES) == sorted(closure - ONLY_SHOWN)

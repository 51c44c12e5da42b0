"""A study is read strictly: what cannot be trained or compared is one clear line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.studies.config import load_study, merged
from pipelines.config import ConfigError

ROOT = Path(__file__).parent.parent.parent


def study(tmp_path: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "kind": "ablations",
        "tasks": {
            "cpu-toy": {"run": "cpu-toy", "bytes": 1000},
            "abc-to-midi": {"run": "abc-to-midi", "bytes": 500},
        },
        "options": {
            "wide": {"what": "wider", "model": {"byte_width": 8}},
            "tied": {
                "what": "tied",
                "model": {"tied_head": True},
                "tasks": {"cpu-toy": {}, "abc-to-midi": {"against": "wide", "model": {"x": 1}}},
            },
            "music": {"what": "music alone", "tasks": {"abc-to-midi": {}}},
        },
    }
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"studies": {"s": {**values, **changes}}}, sort_keys=False))
    return path


def test_an_option_may_be_another_one_on_another_task(tmp_path: Path) -> None:
    found = load_study(study(tmp_path), "s")
    assert list(found.options_on("cpu-toy")) == ["wide", "tied"]
    assert found.options_on("cpu-toy")["tied"].model == {"tied_head": True}
    own = found.options_on("abc-to-midi")["tied"]
    assert (own.against, own.model) == ("wide", {"tied_head": True, "x": 1})


def test_only_keeps_what_an_option_is_compared_with(tmp_path: Path) -> None:
    found = load_study(study(tmp_path), "s")
    assert list(found.with_options(["tied"]).options) == ["wide", "tied"]
    assert list(found.with_options(["music"]).options) == ["music"]


def test_a_budget_is_a_share_of_every_tasks_own(tmp_path: Path) -> None:
    small = load_study(study(tmp_path), "s").with_budget(0.1)
    assert [task.bytes for task in small.tasks.values()] == [100, 50]
    assert small.budget == 0.1


def test_the_reduced_study_is_the_same_study_in_small(tmp_path: Path) -> None:
    reduced = {"budget": 0.01, "seeds": 1, "eval_samples": 3, "evaluations": 1}
    small = load_study(study(tmp_path, reduced=reduced), "s").as_reduced()
    assert small.seeds == (0,)
    assert [(t.bytes, t.eval_samples) for t in small.tasks.values()] == [(10, 3), (5, 3)]
    assert len(small.options) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": {"cpu-toy": {"run": "a", "bytes": 0}}}, "bytes must be at least 1, not 0"),
        ({"tasks": {"cpu-tpy": {"run": "a", "bytes": 1}}}, "did you mean 'cpu-toy'?"),
        ({"budget": 0}, "studies.s: budget: 0 is no share of the budget"),
        ({"budget": -1.0}, "budget: -1 is no share"),
        ({"seeds": []}, "at least one task and one seed"),
        ({"seeds": [1, 1]}, "seeds [1, 1]: one stands twice"),
        ({"scales": [10]}, "kind ablations needs options and has no scales"),
        ({"kind": "scales"}, "kind scales needs scales and has no options"),
        ({"kind": "scales", "options": {}, "scales": [10, 5]}, "scales [10, 5] must grow"),
        ({"options": {"base": {"what": "x"}}}, "options.base: that name is the base run's own"),
        (
            {"options": {"a": {"what": "x", "against": "b"}}},
            "options.a.against: unknown option 'b'. Known: base.",
        ),
        ({"options": {"a": {"what": "x", "tasks": {"cpu-rv32": {}}}}}, "options.a.tasks: unknown"),
        ({"options": {"a": {"what": "x", "modle": {}}}}, "did you mean 'model'?"),
        ({"reduced": {"seeds": 0}}, "seeds, eval_samples and evaluations must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    if "tasks" in changes:
        changes["options"] = {"a": {"what": "x"}}
    with pytest.raises(ConfigError) as refused:
        load_study(study(tmp_path, **changes), "s")
    assert said in str(refused.value)


def test_unknown_studies_and_options_are_named(tmp_path: Path) -> None:
    path = study(tmp_path)
    with pytest.raises(ConfigError, match=r"unknown study 'ss': did you mean 's'\?"):
        load_study(path, "ss")
    with pytest.raises(ConfigError, match=r"--only: unknown option 'teid': did you mean 'tied'"):
        load_study(path, "s").with_options(["teid"])


def test_merging_goes_into_mappings_and_changes_no_argument() -> None:
    first = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merged(first, {"a": {"c": 3}, "d": [2]}) == {"a": {"b": 1, "c": 3}, "d": [2]}
    assert first == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_the_repositorys_studies_can_be_read() -> None:
    params = ROOT / "params.yaml"
    names = yaml.safe_load(params.read_text(encoding="utf-8"))["studies"]
    assert [load_study(params, name).kind for name in names] == ["ablations", "scales"]

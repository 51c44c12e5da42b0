import dataclasses
import json

import pytest

from pipelines.plan import Plan, canonical_json

PLAN = Plan(
    corpus="c", settings={"seed": 1, "options": {"a": (1, 2)}}, extensions=("bin",), prompt_bytes=80
)


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": "d"},
        {"settings": {"seed": 2, "options": {"a": (1, 2)}}},
        {"extensions": ("abc",)},
        {"prompt_bytes": 0},
        {"columns": {"length": "int"}},
    ],
)
def test_whatever_decides_bytes_changes_the_configuration_hash(change: dict[str, object]) -> None:
    assert dataclasses.replace(PLAN, **change).config_sha256 != PLAN.config_sha256  # pyright: ignore


@pytest.mark.parametrize(
    "change",
    [
        {"available": {"train": 1, "test": 2}},
        {"read": 7},
        {"dropped": {"bad": 3}},
        {"provenance": {"licence": "MIT"}},
        {"payload": [1, 2, 3]},
        {"numbers": {"train": 1, "test": 2}},
        {"split": "given", "overlap": {"both": 1}},
        {"settings": {"options": {"a": [1, 2]}, "seed": 1}},
    ],
)
def test_what_grows_with_the_corpus_leaves_the_configuration_hash(
    change: dict[str, object],
) -> None:
    assert dataclasses.replace(PLAN, **change).config_sha256 == PLAN.config_sha256  # pyright: ignore


def test_the_configuration_hash_is_the_one_it_always_was() -> None:
    assert PLAN.config_sha256 == (
        "f99e965218b238e8388d80a3382553e0b567525be03bf73352fe82ee13a51ab2"
    )


def test_canonical_json_is_json_with_sorted_keys() -> None:
    text = canonical_json({"b": {"d": 1.5, "c": None}, "a": (True, "é")})
    assert text == '{"a":[true,"\\u00e9"],"b":{"c":null,"d":1.5}}'
    assert json.loads(text)["a"] == [True, "é"]


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})

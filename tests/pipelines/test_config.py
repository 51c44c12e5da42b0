"""`params.yaml` is read strictly: every mistake names its key."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from pipelines.config import ConfigError, load_params, parse, section


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    width: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    seed: int
    rate: float = 0.5
    name: str | None = None
    side: Literal["train", "test"] = "train"
    sizes: tuple[int, ...] = ()
    weights: dict[str, float] = field(default_factory=dict[str, float])
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, found {self.seed}")


def test_a_complete_section_becomes_the_dataclass() -> None:
    values = {"seed": 3, "rate": 2, "name": None, "side": "test", "sizes": [1, 2]}
    values |= {"weights": {"a": 1}, "inner": {"width": 8}}
    assert parse(Outer, values, "x") == Outer(
        seed=3, rate=2.0, side="test", sizes=(1, 2), weights={"a": 1.0}, inner=Inner(width=8)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"corpora\.x\.seed: missing"),
        ({"seed": 1, "sed": 2}, r"corpora\.x\.sed: unknown key 'sed': did you mean 'seed'\?"),
        ({"seed": "1"}, r"corpora\.x\.seed: expected int, found '1'"),
        ({"seed": True}, r"corpora\.x\.seed: expected int, found True"),
        ({"seed": 1.5}, r"corpora\.x\.seed: expected int, found 1\.5"),
        ({"seed": -1}, r"corpora\.x: seed must not be negative, found -1"),
        ({"seed": 1, "side": "tets"}, r"corpora\.x\.side: unknown value 'tets': did you mean"),
        ({"seed": 1, "name": 5}, r"corpora\.x\.name: expected str, found 5"),
        ({"seed": 1, "sizes": [1, "b"]}, r"corpora\.x\.sizes\[1\]: expected int, found 'b'"),
        ({"seed": 1, "weights": {"a": "b"}}, r"corpora\.x\.weights\.a: expected float"),
        ({"seed": 1, "inner": {"w": 1}}, r"corpora\.x\.inner\.w: unknown key 'w'"),
        ({"seed": 1, "inner": 5}, r"corpora\.x\.inner: expected Inner, found 5"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(Outer, values, "corpora.x")


def test_a_missing_section_names_the_nearest_one() -> None:
    params = {"corpora": {"cpu-toy": {"seed": 1}, "flat": 3}}
    assert section(params, "corpora", "cpu-toy") == {"seed": 1}
    with pytest.raises(ConfigError, match=r"corpora\.cpu-tyo: .* did you mean 'cpu-toy'\?"):
        section(params, "corpora", "cpu-tyo")
    with pytest.raises(ConfigError, match=r"corpora\.flat: expected a mapping, found 3"):
        section(params, "corpora", "flat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("a: [", "not readable as YAML"),
        ("- 1", "must be a mapping"),
        ("corpra: {}", r"unknown section 'corpra': did you mean 'corpora'\?"),
        ("3: {}", "unknown section '3'"),
    ],
)
def test_an_unreadable_file_is_one_clear_line(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_params(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)

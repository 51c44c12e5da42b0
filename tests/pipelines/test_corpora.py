from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.config import ConfigError
from pipelines.corpora import (
    UnknownCorpus,
    change_corpus,
    find_corpus,
    load_corpora,
    make_source,
    packaged_corpora,
)
from pipelines.sources.cpu import CpuSource
from pipelines.sources.music import MusicSource
from pipelines.sources.programs import ProgramsSource
from simulators.cpu.isa.catalogue import ISAS

CPU = "{source: cpu, seed: 0, train_samples: 10, test_samples: 1, cpu: "
TOY = "{system: toy, memory_bytes: 64, max_instructions: 16}"

# A section `corpora`, and what the error says.
CASES = [
    ("{a: 5}", "corpora.a: expected a mapping, found 5"),
    (f"{{A: {CPU}{TOY}}}}}", "corpora.A: a name has lower-case letters"),
    (f"{{a: {CPU}{TOY}, sede: 1}}}}", "corpora.a.sede: unknown key 'sede': did you mean 'seed'"),
    (
        "{a: {source: cpu, seed: zero, train_samples: 1, test_samples: 1}}",
        "corpora.a.seed: expected int, found 'zero'",
    ),
    ("{a: {source: cpu, seed: 0, train_samples: 1}}", "corpora.a.test_samples: missing"),
    (
        "{a: {source: cpus, seed: 0, train_samples: 1, test_samples: 1}}",
        "corpora.a.source: unknown value 'cpus': did you mean 'cpu'",
    ),
    (
        "{a: {source: cpu, seed: 0, train_samples: 1, test_samples: 1}}",
        "corpora.a: cpu: missing, for source is 'cpu'",
    ),
    (
        f"{{a: {CPU}{TOY}, music: {{tunes: music21}}}}}}",
        "corpora.a: music: not allowed, for source is 'cpu'",
    ),
    (
        f"{{a: {CPU}{{system: toy, memory_bytes: 64, max_instructions: yes}}}}}}",
        "corpora.a.cpu.max_instructions: expected int, found True",
    ),
    (
        f"{{a: {CPU}{{system: tyo, memory_bytes: 64, max_instructions: 16}}}}}}",
        "corpora.a.cpu: unknown system 'tyo': did you mean 'toy'",
    ),
    (
        "{a: {source: cpu, seed: -1, train_samples: 1, test_samples: 1, cpu: " + TOY + "}}",
        "corpora.a: seed -1 is not within",
    ),
    (
        "{a: {source: cpu, seed: 0, train_samples: -1, test_samples: 1, cpu: " + TOY + "}}",
        "corpora.a: train_samples -1 must not be negative",
    ),
]


@pytest.mark.parametrize(("text", "message"), CASES)
def test_a_key_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"corpora: {text}\n")
    with pytest.raises(ConfigError) as caught:
        load_corpora(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_corpora_says_so(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("runs: {}\n")
    with pytest.raises(ConfigError, match=r"corpora: unknown key 'corpora'\. Known: runs"):
        load_corpora(path)


def test_a_corpus_of_a_file_is_read_with_its_options(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"corpora: {{mine: {CPU}{TOY}}}}}\nruns: {{}}\n")
    corpora = load_corpora(path)
    assert list(corpora) == ["mine"]
    source = make_source("mine", corpora["mine"])
    assert isinstance(source, CpuSource)
    assert corpora["mine"].needed == {"train": 10, "test": 1}


def test_the_packaged_corpora_are_the_documented_ones() -> None:
    corpora = load_corpora(None)
    assert corpora == packaged_corpora()
    assert sorted(corpora) == [
        "abc-midi",
        "cpu-aarch64",
        "cpu-rv32",
        "cpu-rv64",
        "cpu-thumb",
        "cpu-toy",
        "cpu-toy-paper",
        "cpu-x86_16",
        "cpu-x86_64",
    ]
    assert isinstance(make_source("abc-midi", corpora["abc-midi"]), MusicSource)


def test_an_unknown_corpus_names_the_nearest() -> None:
    with pytest.raises(UnknownCorpus, match="unknown corpus 'abc-mid': did you mean 'abc-midi'"):
        find_corpus("abc-mid", packaged_corpora())


def test_what_the_command_line_says_goes_over_the_file() -> None:
    config = packaged_corpora()["abc-midi"]
    changed = change_corpus(
        config, train_samples=0, test_samples=2, seed=3, music={"tunes": "folder"}
    )
    assert (changed.needed, changed.seed) == ({"train": 0, "test": 2}, 3)
    assert changed.music is not None
    assert changed.music.tunes == "folder"
    assert change_corpus(config) == config


def test_tunes_for_a_corpus_without_tunes_are_refused() -> None:
    with pytest.raises(ConfigError, match="--tunes goes with source 'music', not 'cpu'"):
        change_corpus(packaged_corpora()["cpu-toy"], music={"tunes": "folder"})


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="train_samples -5 must not be negative"):
        change_corpus(packaged_corpora()["cpu-toy"], train_samples=-5)


def test_every_instruction_set_has_a_packaged_corpus_that_says_all_of_its_options() -> None:
    corpora = packaged_corpora()
    for name in ISAS:
        options = corpora[f"cpu-{name}"].cpu
        assert options is not None
        assert options.system == name
        assert set(options.settings()) == {
            "system",
            "memory_bytes",
            "max_instructions",
            "profile",
            "layout",
        }


def test_options_of_a_machine_go_over_the_configured_ones() -> None:
    config = packaged_corpora()["cpu-rv32"]
    given = {"profile": "memory", "weights": {"load": 3}, "layout": None}
    changed = change_corpus(config, cpu=given)
    assert changed.cpu is not None
    assert config.cpu is not None
    assert changed.cpu.settings() == {
        **config.cpu.settings(),
        "profile": "memory",
        "weights": {"load": 3},
    }
    assert changed.needed == config.needed


def test_programs_make_another_source(tmp_path: Path) -> None:
    config = packaged_corpora()["cpu-rv64"]
    assert config.cpu is not None
    weighed = replace(config, cpu=replace(config.cpu, max_instructions=9, weights={"load": 3}))
    changed = change_corpus(weighed, programs=str(tmp_path), cpu={"profile": "fault"})
    assert isinstance(make_source("cpu-rv64", changed), ProgramsSource)
    assert changed.cpu == replace(config.cpu, profile="fault")


@pytest.mark.parametrize("given", [{"max_instructions": 9}, {"weights": {"load": 3}}])
def test_what_decides_nothing_about_programs_of_a_user_is_refused(given: dict[str, Any]) -> None:
    (name,) = given
    option = name.replace("_", "-")
    config = packaged_corpora()["cpu-rv64"]
    assert config.cpu is not None
    with pytest.raises(ConfigError, match=f"--{option} says how programs are drawn; with --progra"):
        change_corpus(config, programs="x", cpu=given)
    with pytest.raises(ValueError, match=f"{name}: decides nothing where programs are a user's"):
        replace(config, programs="x", cpu=replace(config.cpu, **given))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cpu": {"profile": "loop"}}, "--profile goes with source 'cpu', not 'music'"),
        ({"cpu": {"memory_bytes": 64}}, "--memory-bytes goes with source 'cpu', not 'music'"),
        ({"programs": "x"}, "--programs goes with source 'cpu', not 'music'"),
    ],
)
def test_options_of_machines_for_tunes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        change_corpus(packaged_corpora()["abc-midi"], **changes)


def test_a_profile_that_there_is_not_is_refused_with_the_nearest() -> None:
    known = "Known: alu, memory, branch, loop, call, fault"
    with pytest.raises(ConfigError, match=f"unknown profile 'lop': did you mean 'loop'.*{known}"):
        change_corpus(packaged_corpora()["cpu-rv32"], cpu={"profile": "lop"})

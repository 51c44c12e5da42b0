"""Scales of music: real tunes, other keys, recombined ones; distinct, unseen by test, resumable."""

import dataclasses
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pipelines.build import build_corpus
from pipelines.corpora import make_source, packaged_corpora
from pipelines.engine import IN_PROCESS, LocalEngine
from pipelines.near_index import NearIndex
from pipelines.plan import SIDES, Plan, SamplesUnreachable
from pipelines.sample import Sample
from pipelines.sources import base_tunes, music, recombinations, transpositions
from pipelines.sources.base_tunes import keep_tunes
from pipelines.sources.catalogue import read_catalogue
from pipelines.sources.music import MusicSource, tier_of
from pipelines.sources.music_options import MusicOptions
from pipelines.sources.music_pairs import PairMaker
from pipelines.sources.recombinations import Recombinations
from pipelines.sources.tunes import Licence
from pipelines.split import side_of_group
from simulators.music.abc.canonical import canonicalise
from simulators.music.conversion.converter import convert
from simulators.music.conversion.presets import PRESETS
from simulators.music.midi.files import read_notes
from simulators.music.midi.note_batches import melody_batch, read_note_batch
from simulators.music.reasons import DropReason
from tests.music_tunes import made_up_tunes  # type: ignore[import-not-found]

NUM_TUNES = 120
TRAIN = 2_600
"""More than the tunes in all their keys."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    (folder / "tunes.abc").write_text("\n".join(made_up_tunes(NUM_TUNES, seed=1)))
    return folder


def source(folder: Path, **options: Any) -> MusicSource:
    return MusicSource(corpus="mine", seed=3, options=MusicOptions(tunes=str(folder), **options))


@pytest.fixture(scope="module", autouse=True)
def small_tiers() -> Iterator[None]:
    """Bounds of the tiers that 120 tunes fill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(music, "TIER_MATERIALS", {100: ("real",), 1200: ("real", "transposed")})
        yield


@pytest.fixture(scope="module")
def plan(folder: Path) -> Plan:
    return source(folder).plan({"train": TRAIN, "test": 5})


def samples(folder: Path, plan: Plan, first: int, count: int) -> list[Sample]:
    return list(source(folder).shard(plan, "train", first, count).samples)


@pytest.fixture(scope="module")
def train(folder: Path, plan: Plan) -> list[Sample]:
    return [
        sample
        for first in range(0, TRAIN, 1000)
        for sample in samples(folder, plan, first, min(1000, TRAIN - first))
    ]


def files(sample: Sample) -> tuple[bytes, bytes]:
    abc, mid = sample.segments
    return abc.data, mid.data


def test_real_tunes_come_first_then_other_keys_then_recombined_ones(
    plan: Plan, train: list[Sample]
) -> None:
    lots = Counter(sample.meta["material"] for sample in train)
    (tier,) = [t for t in cast("Any", plan.provenance["tiers"]) if t["pairs"] == TRAIN]
    real = cast("Any", plan.provenance["base_tunes"])["train"]
    assert lots["real"] == tier["real"] == real
    assert lots["transposed"] == tier["transposed"] > 10 * real
    assert lots["recombined"] == tier["recombined"] > 1000
    materials = [sample.meta["material"] for sample in train]
    order = ["real", "transposed", "recombined"]
    assert materials == sorted(materials, key=lambda name: order.index(str(name)))
    assert tier["base_tunes"] == real
    assert tier["keys"] == 12


def test_every_pair_is_distinct_in_abc_and_in_midi_and_converts_to_itself(
    train: list[Sample],
) -> None:
    assert len({files(sample)[0] for sample in train}) == TRAIN
    assert len({files(sample)[1] for sample in train}) == TRAIN
    some = random.Random(0).sample(train, 500)
    texts = [files(sample)[0].decode() for sample in some]
    assert [canonicalise(text) for text in texts] == texts
    assert convert(texts) == [files(sample)[1] for sample in some]


def test_a_transposed_pair_is_its_tune_so_many_semitones_higher(train: list[Sample]) -> None:
    real = {sample.meta["tunes"]: sample for sample in train if sample.meta["material"] == "real"}
    moved = [sample for sample in train if sample.meta["material"] == "transposed"]
    assert {sample.meta["semitones"] for sample in moved} == {*range(-5, 7)} - {0}
    for sample in moved:
        tune, semitones = real[sample.meta["tunes"]], int(sample.meta["semitones"])
        assert sample.group == tune.group
        assert [note._replace(pitch=note.pitch - semitones) for note in
                read_notes(files(sample)[1])] == read_notes(files(tune)[1])  # fmt: skip


def test_recombined_pairs_are_made_of_train_tunes_only(plan: Plan, train: list[Sample]) -> None:
    sides = plan.payload.tunes.sides  # type: ignore[attr-defined]
    numbers = {str(tune.number): tune for tune in sides["train"]}
    recombined = [sample for sample in train if sample.meta["material"] == "recombined"]
    assert recombined
    for sample in recombined:
        parts = str(sample.meta["tunes"]).split("+")
        assert len(parts) == 4
        assert set(parts) <= set(numbers)
        assert sample.group == numbers[parts[0]].group
    assert all(side_of_group(sample.group) == "train" for sample in train)


def test_no_pair_is_a_near_duplicate_of_a_test_tune(plan: Plan, train: list[Sample]) -> None:
    def grams(melody: bytes) -> set[bytes]:
        return {melody[i : i + 5] for i in range(max(len(melody) - 4, 1))}

    flat, offsets = melody_batch(read_note_batch([files(sample)[1] for sample in train]))
    ours = [grams(flat[a:b].tobytes()) for a, b in pairwise(offsets)]
    test, starts = plan.payload.tunes.melodies["test"]  # type: ignore[attr-defined]
    theirs = [grams(test[a:b]) for a, b in pairwise(starts)]
    assert len(theirs) >= 5
    assert all(2 * len(a & b) < len(a | b) for a in ours for b in theirs)


def test_a_smaller_scale_is_a_prefix_and_a_shard_a_slice(
    folder: Path, plan: Plan, train: list[Sample]
) -> None:
    for number in (10, 400, 1500):  # a tier each
        small = source(folder).plan({"train": number, "test": 0})
        assert small.config_sha256 == plan.config_sha256
        assert samples(folder, small, 0, min(number, 1000)) == train[: min(number, 1000)]
    assert samples(folder, plan, 2000, 7) == train[2000:2007]


def test_workers_and_the_size_of_jobs_change_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed: Any = {"train": TRAIN, "test": 5}
    build_corpus(source(folder), needed, tmp_path / "one")
    for module, name in (
        (base_tunes, "CHUNK_TUNES"),
        (transpositions, "CHUNK_CANDIDATES"),
        (recombinations, "CHUNK_TUNES"),
    ):
        monkeypatch.setattr(module, name, 7)
    in_parts = source(folder).plan(needed)
    monkeypatch.undo()
    build_corpus(source(folder), needed, tmp_path / "two", engine=LocalEngine(2))
    for path in sorted((tmp_path / "one").rglob("*.*")):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes(), path
    one = source(folder).plan(needed)
    assert in_parts.settings == one.settings
    assert in_parts.provenance == one.provenance
    assert in_parts.payload.transpositions == one.payload.transpositions  # type: ignore[attr-defined]


def test_a_choice_that_is_near_a_test_tune_or_sounds_like_a_real_one_is_not_taken(
    plan: Plan,
) -> None:
    parts: Recombinations = plan.payload.recombinations  # type: ignore[attr-defined]
    (before,), dropped = parts.make([5])
    assert DropReason.NEAR_TEST_TUNE not in dropped
    notes = read_note_batch([before.mid])
    index = NearIndex.build(*melody_batch(notes))
    near = Recombinations(
        recombiner=parts.recombiner,
        real_sounds=parts.real_sounds,
        test_tunes=index,
        maker=parts.maker,
    )
    (after,), dropped = near.make([5])
    assert after != before
    assert dropped[DropReason.NEAR_TEST_TUNE] >= 1
    assert not index.near(*melody_batch(read_note_batch([after.mid]))).any()
    sound = parts.maker.make([("", before.abc.decode())]).sounds[0]
    real = Recombinations(
        recombiner=parts.recombiner,
        real_sounds=frozenset([sound]),
        test_tunes=parts.test_tunes,
        maker=parts.maker,
    )
    (after,), dropped = real.make([5])
    assert after != before
    assert dropped[DropReason.SAME_AS_REAL] == 1


def test_a_number_comes_out_the_same_alone_and_among_others(plan: Plan) -> None:
    parts: Recombinations = plan.payload.recombinations  # type: ignore[attr-defined]
    together, _ = parts.make(range(40))
    assert [parts.make([i])[0][0] for i in range(40)] == together


@pytest.mark.parametrize("material", ["real", "transposed", "recombined"])
def test_one_material_is_that_at_every_scale(folder: Path, material: str) -> None:
    one = source(folder, material=material)
    for number in (10, 100):
        plan = one.plan({"train": number, "test": 0})
        made = one.shard(plan, "train", 0, number)
        assert made.counts == {material: number}
        assert {sample.meta["material"] for sample in made.samples} == {material}
        assert tier_of(plan.payload, number)["base_tunes"] == len(
            {part for sample in made.samples for part in str(sample.meta["tunes"]).split("+")}
        )


def test_a_tier_that_the_tunes_do_not_fill_is_an_error_that_names_the_most(
    folder: Path, plan: Plan
) -> None:
    lots = {lot.material: lot.num_samples for lot in plan.payload.lots["train"]}  # type: ignore[attr-defined]
    for material in ("real", "transposed"):
        with pytest.raises(SamplesUnreachable) as caught:
            source(folder, material=material).plan({"train": 5_000, "test": 0})
        assert caught.value.maximum == lots[material] > 100
        assert str(caught.value).endswith(
            f"ask for at most {lots[material]}: so many train samples are made of {material} tunes "
            "only; a larger tier or another --material has more"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(music, "TIER_MATERIALS", {10_000: ("real",)})
        with pytest.raises(SamplesUnreachable, match="made of real tunes only"):
            source(folder).plan({"train": 200, "test": 0})


def test_the_sides_are_the_same_under_every_preset_and_licence(
    folder: Path, tmp_path: Path
) -> None:
    """Whoever trains on one preset has not seen the test tunes of another."""
    found: list[dict[str, frozenset[str]]] = []
    for preset in PRESETS:
        sides = source(folder, preset=preset).plan({}).payload.tunes.sides  # type: ignore[attr-defined]
        found.append({side: frozenset(tune.form for tune in sides[side]) for side in SIDES})
    assert found[0]["test"]
    assert found[1:] == found[:1] * (len(PRESETS) - 1)
    raw = read_catalogue(str(folder)).tunes
    few = [dataclasses.replace(tune, licence=Licence.NONE_STATED) if i % 2 else tune
           for i, tune in enumerate(raw)]  # fmt: skip
    maker = PairMaker(preset="plain")
    all_of_them = keep_tunes(few, None, maker, 0, IN_PROCESS).sides
    half = keep_tunes(few, ("none-stated",), maker, 0, IN_PROCESS).sides
    for side in SIDES:
        assert 0 < len(half[side]) < len(all_of_them[side])
        groups = {tune.form: tune.group for tune in all_of_them[side]}
        assert all(groups[tune.form] == tune.group for tune in half[side])


def test_a_killed_build_goes_on_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    words = ["build", "abc-midi", "--tunes", str(folder), "--material", "recombined"]
    words += ["--train-samples", "6000", "--test-samples", "5", "--workers", "1"]
    command = [sys.executable, "-m", "pipelines", *words, "--out"]
    out = tmp_path / "killed"
    with subprocess.Popen([*command, str(out)], start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("train/*.tar")) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    there = len(list(out.glob("train/*.tar")))
    assert 1 <= there < 6
    assert not (out / "manifest.json").exists()
    for folder_of in (out, tmp_path / "whole"):
        subprocess.run([*command, str(folder_of)], check=True, capture_output=True, timeout=300)
    paths = sorted(path.relative_to(out) for path in out.rglob("*.*"))
    assert len(paths) > 16
    assert [(out / path).read_bytes() for path in paths] == [
        (tmp_path / "whole" / path).read_bytes() for path in paths
    ]


def test_tunes_that_give_no_phrases_name_the_most_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "few.abc").write_text("\n".join(made_up_tunes(12, seed=2)))
    few = source(tmp_path)
    with pytest.raises(SamplesUnreachable, match="real or transposed or recombined tunes"):
        few.plan({"train": 100_000, "test": 0})
    with pytest.raises(SamplesUnreachable, match="test samples wanted"):
        few.plan({"train": 1, "test": 13})


def test_compact_files_are_shorter_and_the_same_notes(folder: Path, plan: Plan) -> None:
    compact = source(folder, preset="compact")
    other = compact.plan({"train": 20, "test": 0})
    assert other.config_sha256 != plan.config_sha256
    for ours, theirs in zip(
        sorted(compact.shard(other, "train", 0, 20).samples, key=files),
        sorted(samples(folder, plan, 0, 20), key=files),
        strict=True,
    ):
        if files(ours)[0] == files(theirs)[0]:
            assert len(files(ours)[1]) < len(files(theirs)[1])
            assert read_notes(files(ours)[1]) == read_notes(files(theirs)[1])


def test_the_packaged_corpus_has_all_tiers() -> None:
    config = packaged_corpora()["abc-midi"]
    assert config.music == MusicOptions(tunes="music21", material="tiers", preset="plain")
    assert isinstance(make_source("abc-midi", config), MusicSource)


def test_notes_of_made_up_tunes_are_not_all_alike(train: list[Sample]) -> None:
    """The tunes of these tests are varied enough to prove anything."""
    pitches = np.array([len({note.pitch for note in read_notes(files(s)[1])}) for s in train])
    assert pitches.min() > 4


def test_a_data_set_of_irishmans_form_keeps_its_control_codes_in_every_key(tmp_path: Path) -> None:
    rows = [
        {"abc notation": tune.partition("\n")[2], "control code": f"S:{i % 3 + 1}\nB:8\nE:5\n"}
        for i, tune in enumerate(made_up_tunes(30, seed=4))
    ]
    (tmp_path / "train.json").write_text(json.dumps(rows))
    kept = MusicSource(
        corpus="irish",
        seed=0,
        options=MusicOptions(
            tunes=f"irishman:{tmp_path}",
            material="transposed",
            control_codes=True,
            preset="easyabc",
        ),
    )
    plan = kept.plan({"train": 100, "test": 0})
    made = kept.shard(plan, "train", 0, 100).samples
    assert {sample.meta["material"] for sample in made} == {"transposed"}
    for sample in made:
        codes, _, form = files(sample)[0].decode().partition("X:1\n")
        assert codes == rows[int(str(sample.meta["tunes"]))]["control code"]
        assert canonicalise(f"X:1\n{form}") == f"X:1\n{form}"
        assert convert([f"X:1\n{form}"], "easyabc") == [files(sample)[1]]
        assert sample.meta["licence"] == "mit-research-only"
    plain = MusicSource(
        corpus="irish", seed=0, options=MusicOptions(tunes=f"irishman:{tmp_path}", material="real")
    )
    assert plain.plan({"train": 1, "test": 0}).config_sha256 != plan.config_sha256
    with pytest.raises(ValueError, match="a recombined tune has none"):
        MusicOptions(tunes="irishman", control_codes=True)


def test_the_tiers_are_the_same_bytes_as_ever(train: list[Sample]) -> None:
    """Another hash is another corpus: raise `_FORM_VERSION` with it."""
    digest = hashlib.sha256()
    for sample in train:
        for data in files(sample):
            digest.update(len(data).to_bytes(8, "little") + data)
    assert digest.hexdigest() == (
        "25e082b04fffedf509d78159e295689371cd3b9a40448c10cadfcf0fa645a3d3"
    )

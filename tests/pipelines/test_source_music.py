"""The music source: the promises of `pipelines.plan.Source`, on real tunes and on a folder."""

import hashlib
import importlib.metadata
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from pipelines.config import ConfigError, parse
from pipelines.plan import SIDES, Plan, Side, SourceError, canonical_json
from pipelines.sample import Sample
from pipelines.sources import music, music_pairs
from pipelines.sources.music import MusicSource
from pipelines.sources.music_options import MusicOptions
from pipelines.sources.music_pairs import layout_bytes
from pipelines.split import side_of_group
from simulators.music.abc.canonical import canonicalise
from simulators.music.conversion.converter import ConverterDiffers, ConverterNotRun, convert
from simulators.music.conversion.presets import Preset
from simulators.music.midi.files import read_notes
from simulators.music.reasons import DropReason

SOURCE = MusicSource(corpus="abc-midi", seed=0, options=MusicOptions())

TUNES = """X:1
T:One
K:C
CDEF GABc|cBAG FEDC|
X:2
T:One again, in another key: another pair, the same cluster
K:D
DEFG ABcd|dcBA GFED|
X:3
T:One once more
M:C
K:C
CDEF GABc|cBAG FEDC|
X:4
T:The same sound, with slurs
K:C
(CDEF GABc)|(cBAG) FEDC|
X:5
K:Es
CDE
X:6
T:Tie to nowhere
K:G
GABc dedc|BAGF G4-|
X:7
T:Another tune
K:Am
A>c e>a g2 ec|dBGB A3 A|
"""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return SOURCE.plan({"train": 10_000, "test": 1_000})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tunes.abc").write_text(TUNES)
    (tmp_path / "words.abc").write_text("nothing")
    return tmp_path


def _tunes(plan: Plan) -> object:
    """Return everything that the real pairs are made from, but for places in the catalogue."""
    sides = plan.payload.tunes.sides  # type: ignore[attr-defined]
    return {side: [tune._replace(number=0) for tune in sides[side]] for side in SIDES}


def digest_of(mid: bytes) -> bytes:
    return hashlib.blake2b(mid, digest_size=16).digest()


def folder_source(folder: Path, *, seed: int = 0) -> MusicSource:
    return MusicSource(corpus="mine", seed=seed, options=MusicOptions(tunes=str(folder)))


def base_tunes(plan: Plan) -> dict[Side, int]:
    return cast("dict[Side, int]", plan.provenance["base_tunes"])


def all_samples(source: MusicSource, plan: Plan) -> dict[Side, list[Sample]]:
    """Return the real pairs of both sides."""
    return {side: list(source.shard(plan, side, 0, base_tunes(plan)[side]).samples)
            for side in SIDES}  # fmt: skip


def test_there_are_enough_real_tunes_and_every_one_is_accounted_for(plan: Plan) -> None:
    assert base_tunes(plan)["train"] >= 10_000
    assert base_tunes(plan)["test"] >= 1_000
    assert plan.read == sum(base_tunes(plan).values()) + sum(plan.dropped.values())
    assert set(plan.dropped) <= set(DropReason)
    assert plan.dropped[DropReason.DUPLICATE_ABC] > 50
    assert plan.dropped[DropReason.PAIR_TOO_LONG] >= 1


def test_real_pairs_are_in_normal_form_readable_and_short_enough(plan: Plan) -> None:
    pairs = [
        sample.segments for samples in all_samples(SOURCE, plan).values() for sample in samples
    ]
    assert len({abc.data for abc, _ in pairs}) == len(pairs)
    assert len({mid.data for _, mid in pairs}) == len(pairs)
    assert all((abc.extension, mid.extension) == ("abc", "mid") for abc, mid in pairs)
    assert all(layout_bytes(abc.data, mid.data) <= 8192 for abc, mid in pairs)
    some = pairs[::40]
    texts = [abc.data.decode() for abc, _ in some]
    assert [canonicalise(text) for text in texts] == texts
    assert convert(texts) == [mid.data for _, mid in some]


def test_no_cluster_stands_on_both_sides_and_no_test_tune_has_a_near_duplicate_in_train(
    plan: Plan,
) -> None:
    sides = all_samples(SOURCE, plan)
    for side, samples in sides.items():
        assert all(side_of_group(sample.group) == side for sample in samples)
    # By an inverted index over all of train: independent of the clusters' candidates.
    holders: defaultdict[bytes, list[int]] = defaultdict(list)
    train = [_ngrams(sample) for sample in sides["train"]]
    for number, grams in enumerate(train):
        for gram in grams:
            holders[gram].append(number)
    compared = 0
    for sample in sides["test"][::8]:
        grams = _ngrams(sample)
        shared = Counter(number for gram in grams for number in holders[gram])
        for number, count in shared.items():
            if 3 * count >= len(grams):  # half of the union is at least a third of one set
                compared += 1
                assert 2 * count < len(grams | train[number])
    assert compared > 0


def _ngrams(sample: Sample) -> frozenset[bytes]:
    """Return a melody's interval 5-grams, the plain way."""
    highest: dict[int, int] = {}
    for note in read_notes(sample.segments[1].data):
        if note.channel == 0:
            highest[note.start_tick] = max(note.pitch, highest.get(note.start_tick, 0))
    pitches = [highest[start] for start in sorted(highest)]
    steps = bytes(after - before + 128 for before, after in pairwise(pitches))
    return frozenset(steps[at : at + 5] for at in range(max(len(steps) - 4, 1)))


def test_shards_are_slices_of_one_order(plan: Plan) -> None:
    whole = SOURCE.shard(plan, "test", 0, 1000).samples
    assert [sample.key for sample in whole[:2]] == [
        "abc-midi-test-00000000",
        "abc-midi-test-00000001",
    ]
    assert SOURCE.shard(plan, "test", 0, 10).samples == whole[:10]
    later = SOURCE.shard(plan, "train", 3000, 50).samples
    assert later == SOURCE.shard(plan, "train", 3000, 1000).samples[:50]
    assert later[0].key == "abc-midi-train-00003000"
    assert (
        set(later[0].meta)
        == set(plan.columns)
        == {
            "collection",
            "licence",
            "material",
            "semitones",
            "tunes",
        }
    )
    # Neighbours in the catalogue are not neighbours in the corpus.
    assert len({sample.meta["collection"] for sample in later}) > 2


def test_what_the_bytes_depend_on_stands_in_the_settings(plan: Plan) -> None:
    settings = canonical_json(plan.settings)
    for name in ("seed", "catalogue_sha256", "converter_golden_sha256", "ngram_intervals",
                 "tunes_sha256"):  # fmt: skip
        assert f'"{name}"' in settings
    assert "site-packages" not in canonical_json([plan.settings, plan.provenance])
    canonical_json(plan.provenance)


def test_the_manifest_does_not_say_which_version_of_music21_carried_the_tunes(plan: Plan) -> None:
    assert plan.provenance["material"] == "ABC tunes of the music21 package"
    assert importlib.metadata.version("music21") not in canonical_json(plan.provenance)


def test_another_outcome_of_the_same_tunes_is_another_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made a pair come out otherwise, its corpus must not pass for the first one."""
    needed: dict[Side, int] = {}
    one = folder_source(folder).plan(needed)
    pairs = hashlib.sha256()
    for samples in all_samples(folder_source(folder), one).values():
        pairs.update(len(samples).to_bytes(8, "little"))
        for sample in samples:
            abc, mid = (segment.data for segment in sample.segments)
            for data in (sample.group.encode(), abc, digest_of(mid)):
                pairs.update(len(data).to_bytes(8, "little") + data)
    assert one.settings["tunes_sha256"] == pairs.hexdigest()

    def one_fails(tunes: Sequence[str], preset: Preset) -> list[bytes | DropReason]:
        return [*convert(tunes, preset)[:-1], DropReason.CONVERTER_LIMIT]

    monkeypatch.setattr(music_pairs, "convert", one_fails)
    other = folder_source(folder).plan(needed)
    assert other.settings["catalogue_sha256"] == one.settings["catalogue_sha256"]
    assert other.config_sha256 != one.config_sha256


@pytest.mark.parametrize("note", ["B,,,,,,", "c''''''"])
def test_a_note_that_midi_has_no_pitch_for_drops_its_tune_only(folder: Path, note: str) -> None:
    """The converter writes it as a data byte over 0x7f, and reports nothing."""
    before = folder_source(folder).plan({})
    (folder / "low.abc").write_text(f"X:1\nK:C\nCDE {note} F|\n")
    plan = folder_source(folder).plan({})
    assert plan.dropped == {**before.dropped, DropReason.CONVERTER_BAD_MIDI: 1}
    assert _tunes(plan) == _tunes(before)
    (line,) = plan.provenance["dropped_by_file"]["low.abc"]  # type: ignore[index,call-overload]
    assert re.fullmatch(r"X:1 converter_bad_midi: at byte \d+: data .* is over 0x7f", str(line))


def test_a_folder_says_of_every_file_what_it_dropped_and_why(folder: Path) -> None:
    plan = folder_source(folder).plan({})
    assert plan.read == 8
    assert plan.dropped == {
        DropReason.CONVERTER_ERROR: 1,
        DropReason.DUPLICATE_ABC: 1,
        DropReason.DUPLICATE_MIDI: 1,
        DropReason.NO_TUNE: 1,
        DropReason.UNKNOWN_KEY: 1,
    }
    assert plan.provenance["dropped_by_file"] == {
        "tunes.abc": [
            "X:3 duplicate_abc",
            "X:4 duplicate_midi",
            "X:5 unknown_key: 'Es'",
            "X:6 converter_error",
        ],
        "words.abc": ["no_tune"],
    }
    samples = [
        sample for found in all_samples(folder_source(folder), plan).values() for sample in found
    ]
    assert len(samples) == 3
    assert len({sample.group for sample in samples}) == 2  # the transposed one is no stranger
    assert {sample.meta["licence"] for sample in samples} == {"user"}


def test_the_order_depends_on_the_seed_and_on_nothing_else(folder: Path, tmp_path: Path) -> None:
    one = folder_source(folder).plan({})
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("tunes.abc", "words.abc"):
        (folder / name).rename(moved / name)
    again = folder_source(moved).plan({"train": 0, "test": 0})
    assert again.config_sha256 == one.config_sha256
    assert _tunes(again) == _tunes(one)
    other_seed = folder_source(moved, seed=1).plan({})
    assert other_seed.config_sha256 != one.config_sha256
    assert base_tunes(other_seed) == base_tunes(one)


def test_tunes_can_be_limited_to_a_licence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = MusicOptions(tunes=str(folder), licences=("none-stated",))
    source = MusicSource(corpus="mine", seed=0, options=options)
    with pytest.raises(SourceError, match="no tune is left of 8: licence_not_wanted 7, no_tune 1"):
        source.plan({})


def test_a_pair_that_is_too_long_is_dropped_and_never_cut(folder: Path) -> None:
    """A tune of 900 notes: its MIDI alone takes more than the model's sequence."""
    long = "X:9\nK:C\n" + "CDEFGABc|\n" * 113
    (folder / "long.abc").write_text(long)
    plan = folder_source(folder).plan({})
    assert plan.dropped[DropReason.PAIR_TOO_LONG] == 1
    (line,) = plan.provenance["dropped_by_file"]["long.abc"]  # type: ignore[index,call-overload]
    assert re.fullmatch(r"X:9 pair_too_long: \d+ > 8192 bytes", str(line))


def test_unusable_options_are_refused_with_their_names() -> None:
    with pytest.raises(ConfigError, match="unknown licence 'none': did you mean 'none-stated'"):
        parse(MusicOptions, {"tunes": "music21", "licences": ["none"]}, "corpora.x.music")
    with pytest.raises(ValueError, match="an empty list keeps no tune"):
        MusicOptions(licences=())
    with pytest.raises(ValueError, match="give music21, irishman or a folder"):
        MusicOptions(tunes="")


def test_a_folder_that_is_missing_or_a_wrong_converter_is_a_source_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        folder_source(folder / "none").plan({})

    def differs() -> None:
        raise ConverterDiffers("this build writes other bytes")

    monkeypatch.setattr(music, "check_converter", differs)
    with pytest.raises(SourceError, match="this build writes other bytes"):
        folder_source(folder).plan({})


def test_a_converter_that_was_kept_from_running_drops_no_tune(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_run(tunes: Sequence[str], preset: Preset) -> list[bytes | DropReason]:
        raise ConverterNotRun(f"abc2midi could not be run: {len(tunes)} tunes wait")

    monkeypatch.setattr(music_pairs, "convert", not_run)
    with pytest.raises(SourceError, match=r"^abc2midi could not be run: 5 tunes wait"):
        folder_source(folder).plan({})

"""The check of finished shards: a variant or a copy across the split is found and named."""

import dataclasses
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.build import build_corpus
from pipelines.corpus import Corpus, CorpusError
from pipelines.engine import IN_PROCESS, Engine
from pipelines.leakage import NearPair, find_leakage
from pipelines.plan import Plan, SampleShard, Side
from pipelines.sample import Sample, Segment, sample_key
from simulators.music.midi.files import Event, MidiError, MidiFile, encode, read_score
from tests.pipelines.near_oracle import interval_ngrams, jaccard
from tests.pipelines.test_corpus import group_of
from tests.pipelines.test_main import run
from tests.simulators.test_note_batches import melody_intervals


def midi(pitches: Sequence[int]) -> bytes:
    """Return a file of one note after the other."""
    events = [
        event
        for pitch in pitches
        for event in (Event(1, 0x90, bytes([pitch, 80])), Event(9, 0x80, bytes([pitch, 0])))
    ]
    return encode(MidiFile(0, 480, ((*events, Event(0, 0xFF, b"\x2f")),)))


@dataclass(frozen=True, kw_only=True)
class TuneSource:
    """Pairs that a test made itself."""

    sides: Mapping[Side, Sequence[tuple[bytes, bytes]]]
    extensions: tuple[str, str] = ("abc", "mid")

    def plan(self, needed: Mapping[Side, int], engine: Engine = IN_PROCESS) -> Plan:
        return Plan(
            corpus="tunes",
            settings={"source": "tunes", "seed": 0, "options": {}},
            extensions=self.extensions,
            columns={},
            available={side: len(pairs) for side, pairs in self.sides.items()},
            read=0,
            dropped={},
            provenance={"licence": "none"},
        )

    def shard(self, plan: Plan, side: Side, first: int, count: int) -> SampleShard:
        samples = [
            Sample(
                key=sample_key(plan.corpus, side, number),
                segments=tuple(
                    Segment(extension=extension, data=data)
                    for extension, data in zip(self.extensions, pair, strict=True)
                ),
                group=group_of(side, number),
                meta={},
            )
            for number, pair in enumerate(self.sides[side][first : first + count], first)
        ]
        return SampleShard(samples=samples)


TUNE = [60, 62, 64, 65, 67, 64, 60, 67, 69, 71, 72, 67, 64, 62, 60, 59, 55, 60]


def tunes(number: int, seed: int) -> list[tuple[bytes, bytes]]:
    """Return unrelated tunes: their n-grams meet by chance only."""
    rng = random.Random(seed)
    return [
        (
            f"tune {seed} {i}".encode(),
            midi([rng.randint(50, 80) for _ in range(rng.randint(9, 30))]),
        )
        for i in range(number)
    ]


def build(out: Path, train: list[tuple[bytes, bytes]], test: list[tuple[bytes, bytes]]) -> Path:
    source = TuneSource(sides={"train": train, "test": test})
    build_corpus(source, {"train": len(train), "test": len(test)}, out)
    return out


def nearest_in_plain_words(folder: Path) -> NearPair | None:
    """Return the most similar pair by comparing all."""
    corpus = Corpus.open(folder)
    sets = {
        side: [
            interval_ngrams(melody_intervals(read_score(reader.read(i)[1]).notes))
            for reader in [corpus.side(side)]
            for i in range(len(reader))
        ]
        for side in ("train", "test")
    }
    pairs = [
        (jaccard(one, other), i, j)
        for i, one in enumerate(sets["train"])
        for j, other in enumerate(sets["test"])
    ]
    (shared, union), i, j = max(pairs, key=lambda pair: (pair[0][0] / pair[0][1], -pair[1]))
    train, test = (sample_key("tunes", side, n) for side, n in (("train", i), ("test", j)))
    return NearPair(train=train, test=test, shared=shared, union=union) if shared else None


def test_a_clean_corpus_of_several_shards_has_no_leak(tmp_path: Path) -> None:
    # A distant relation: it is the nearest, but under the bound.
    train, test = tunes(2100, 1), tunes(60, 2)
    test[7] = (b"relation", midi(TUNE))
    train[2050] = (b"part of it", midi([*TUNE[:9], 40, 90, 41, 91, 43]))
    folder = build(tmp_path / "corpus", train, test)
    calls: list[tuple[int, int]] = []
    found = find_leakage(folder, lambda done, total: calls.append((done, total)))
    assert found.is_clean
    assert (found.train_samples, found.test_samples) == (2100, 60)
    assert (found.near_train, found.near_test, found.near_pairs) == (0, 0, ())
    assert (found.repeated, found.repeated_keys, found.problems) == (0, (), ())
    assert found.nearest is not None
    assert found.nearest == nearest_in_plain_words(folder)
    assert found.nearest.train == "tunes-train-00002050"
    assert found.nearest.test == "tunes-test-00000007"
    assert 0 < found.nearest.jaccard < 0.5
    assert calls == [(done, 2160) for done in (60, 1060, 2060, 2160)]


def test_planted_variants_are_found_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = tunes(1050, 1), tunes(40, 2)
    test[30] = (b"the tune", midi(TUNE))
    test[31] = (b"the tune again", midi([pitch + 1 for pitch in TUNE]))
    train[1020] = (b"a fifth higher", midi([pitch + 7 for pitch in TUNE]))
    train[3] = (b"with a tail", midi([*TUNE, 80, 50, 81]))
    folder = build(tmp_path / "corpus", train, test)
    found = find_leakage(folder)
    assert not found.is_clean
    assert (found.near_train, found.near_test, found.repeated) == (2, 2, 0)
    whole = len(TUNE) - 1 - 4
    assert found.near_pairs == (
        NearPair(train="tunes-train-00000003", test="tunes-test-00000030",
                 shared=whole, union=whole + 3),
        NearPair(train="tunes-train-00001020", test="tunes-test-00000030",
                 shared=whole, union=whole),
    )  # fmt: skip
    assert found.nearest == found.near_pairs[1]
    code, out, err = run(capsys, monkeypatch, "verify", folder, "--leakage")
    assert code == 1
    assert out.splitlines()[1] == (
        f"{folder}: near-duplicates across the split: 2 (1,050 train against 40 test samples, "
        "Jaccard >= 0.5); the nearest: 1.0000, tunes-train-00001020 and tunes-test-00000030"
    )
    assert err.splitlines() == [
        "error: tunes-train-00000003 is a near-duplicate of tunes-test-00000030: "
        f"{whole} of {whole + 3} n-grams",
        "error: tunes-train-00001020 is a near-duplicate of tunes-test-00000030: "
        f"{whole} of {whole} n-grams",
        "error: in all 2 train samples are near-duplicates of test samples, 2 of which are reached",
    ]


def test_repeated_bytes_are_found_on_one_side_and_across(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = tunes(1010, 1), tunes(5, 2)
    train[1005] = (train[4][0], train[1005][1])  # ABC, within train
    train[8] = (train[8][0], train[1001][1])  # MIDI, within train
    train[9] = (test[2][0], train[9][1])  # ABC, across
    folder = build(tmp_path / "corpus", train, test)
    found = find_leakage(folder)
    assert (found.near_train, found.repeated) == (0, 6)
    assert found.repeated_keys == (
        "tunes-test-00000002",
        *(f"tunes-train-{number:08d}" for number in (4, 8, 9, 1001)),
    )
    code, out, err = run(capsys, monkeypatch, "verify", folder, "--leakage", "--json")
    assert code == 1
    assert json.loads(out)["leakage"] == json.loads(json.dumps(dataclasses.asdict(found)))
    assert err == (
        "error: 6 samples share a file's bytes with another: tunes-test-00000002, "
        "tunes-train-00000004, tunes-train-00000008, tunes-train-00000009, tunes-train-00001001, "
        "...\n"
    )


def test_unreadable_files_are_named_and_near_to_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = tunes(20, 1), tunes(5, 2)
    broken = train[3][1][:-1]
    train[3], test[1] = (b"cut", broken), (b"empty", b"")
    train[12], test[4] = (b"one", midi(TUNE)), (b"other", midi([p - 3 for p in TUNE]))
    folder = build(tmp_path / "corpus", train, test)
    with pytest.raises(MidiError) as caught:
        read_score(broken)
    found = find_leakage(folder)
    assert found.problems == (
        "tunes-test-00000001: its mid cannot be read: at byte 0: expected 'MThd', found b''",
        f"tunes-train-00000003: its mid cannot be read: {caught.value}",
    )
    assert (found.near_train, found.near_test) == (1, 1)
    assert found.near_pairs[0].train == "tunes-train-00000012"
    assert found.near_pairs[0].test == "tunes-test-00000004"
    code, _, err = run(capsys, monkeypatch, "verify", folder, "--leakage")
    assert code == 1
    assert f"error: {found.problems[1]}\n" in err


def test_unreadable_files_alone_are_a_fault_too(tmp_path: Path) -> None:
    found = find_leakage(build(tmp_path / "corpus", tunes(3, 1), [(b"x", b"y")]))
    assert not found.is_clean
    assert found.nearest is None


def test_a_corpus_without_midi_is_the_users_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = tunes(3, 1)
    source = TuneSource(sides={"train": pairs, "test": []}, extensions=("abc", "txt"))
    folder = tmp_path / "corpus"
    build_corpus(source, {"train": 3, "test": 0}, folder)
    with pytest.raises(CorpusError, match="samples of tunes have abc, txt, no mid"):
        find_leakage(folder)
    code, _, err = run(capsys, monkeypatch, "verify", folder, "--leakage")
    assert code == 2
    assert err.count("\n") == 1
    assert "no mid: leakage is a matter of melodies; leave out --leakage" in err


def test_a_side_without_samples_is_clean(tmp_path: Path) -> None:
    for number, (train, test) in enumerate([(tunes(3, 1), []), ([], tunes(3, 1)), ([], [])]):
        found = find_leakage(build(tmp_path / str(number), train, test))
        assert found.is_clean
        assert found.nearest is None

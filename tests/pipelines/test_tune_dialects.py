"""A user's folder in another dialect than music21's builds, and every drop is explained by file."""

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from pipelines.build import build_corpus
from pipelines.manifest import read_manifest
from pipelines.plan import SIDES, Plan, Side
from pipelines.sources.music import MusicOptions, MusicSource
from simulators.music.abc.canonical import canonicalise
from simulators.music.reasons import DropReason

SCRIPT = Path(__file__).with_name("dialect.py")
_spec = importlib.util.spec_from_file_location("dialect", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
_dialect = importlib.util.module_from_spec(_spec)
sys.modules["dialect"] = _dialect
_spec.loader.exec_module(_dialect)
MadeFile, dialect_files = _dialect.MadeFile, _dialect.dialect_files

SEED, TUNES = 20_240, 1_000


@pytest.fixture(scope="module")
def made() -> dict[str, MadeFile]:
    return dialect_files(SEED, TUNES)


@pytest.fixture(scope="module")
def folder(made: Mapping[str, MadeFile], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dialect")
    for name, file in made.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(file.data)
    return root


@pytest.fixture(scope="module")
def source(folder: Path) -> MusicSource:
    return MusicSource(corpus="dialect", seed=0, options=MusicOptions(tunes=str(folder)))


@pytest.fixture(scope="module")
def plan(source: MusicSource) -> Plan:
    return source.plan({})


def test_such_a_folder_builds_and_every_tune_is_kept_or_dropped(
    source: MusicSource, plan: Plan, tmp_path: Path
) -> None:
    tunes = cast("dict[Side, int]", plan.provenance["base_tunes"])
    build_corpus(source, tunes, tmp_path / "corpus")
    manifest = read_manifest(tmp_path / "corpus")
    kept = sum(manifest.sides[side].kept for side in SIDES)
    assert kept == sum(tunes.values())
    planning = manifest.planning
    assert planning.read == TUNES == kept + sum(planning.dropped.values())
    assert planning.dropped == plan.dropped
    assert manifest.provenance["dropped_by_file"] == plan.provenance["dropped_by_file"]
    assert kept >= 400


def test_every_dropped_tune_is_named_with_its_file_and_reason(
    plan: Plan, made: Mapping[str, MadeFile]
) -> None:
    by_file = cast("Mapping[str, Sequence[str]]", plan.provenance["dropped_by_file"])
    assert set(by_file) <= set(made)
    lines = [line for drops in by_file.values() for line in drops]
    found = [re.match(r"X:([0-9]+) ([a-z_]+)", line) for line in lines]
    assert all(found)
    reasons = Counter(match.group(2) for match in found if match)
    assert reasons == plan.dropped
    assert set(reasons) <= set(DropReason)
    for file, drops in by_file.items():
        numbers = [int(line[2:].split()[0]) for line in drops]
        assert numbers == sorted(set(numbers))  # no tune twice, in the file's order
        assert max(numbers) <= made[file].tunes


def test_only_what_is_meant_to_be_dropped_has_no_normal_form(plan: Plan) -> None:
    by_file = cast("Mapping[str, Sequence[str]]", plan.provenance["dropped_by_file"])
    details = {
        line.split(" ", 1)[1]
        for drops in by_file.values()
        for line in drops
        if " converter_" not in line and " duplicate_" not in line
    }
    keys = {"c", "C none", "D octave=-1", "G transpose=-2", "Gm exp ^f _b _e"}
    expected = {
        "no_key",
        "music_after_end: and so on | until the end",
        "several_voices: overlay &",
        "unknown_unit_length: '1/12'",
        *(f"unknown_metre: '{metre}'" for metre in ("7/x", "C3", "")),
        *(f"unknown_key: '{key}'" for key in keys),
    }
    others = {line for line in details - expected if "unexpected_character: " not in line}
    assert expected <= details
    assert all(re.fullmatch(r"several_voices: (1|2|T1)(, (1|2|T1))+", line) for line in others)
    assert {line for line in details if "character" in line} <= {
        f"unexpected_character: {letter!r}" for letter in "@#é\xc3"
    }


def test_the_same_seed_makes_the_same_files(made: Mapping[str, MadeFile]) -> None:
    assert dialect_files(SEED, TUNES) == made
    assert sum(file.tunes for file in made.values()) == TUNES
    assert dialect_files(SEED + 1, 10) != dialect_files(SEED, 10)


def test_the_dialect_has_what_it_promises(made: Mapping[str, MadeFile]) -> None:
    text = b"".join(file.data for file in made.values())
    for feature in (
        b"\r\n", b"\xc3\x89", b"\xc9", b"\xef\xbb\xbf", b"%%MIDI", b"w:", b"W:", b"+:", b"V:T1",
        b"V:2", b"P:", b"Q:", b"s:", b"m:", b"U:", b"[r:", b"!segno!", b"+fermata+", b"{/ag}",
        b":|2", b"|1 ", b"\\", b"y ", b'"^', b"M:C|", b"clef=", b"(2+3)/8",
    ):  # fmt: skip
        assert feature in text, feature
    assert any(not file.data.endswith((b"\n", b"\r")) for file in made.values())


TWO_BARS = "CDEF GABc|c2B2 A2G2|"
AS_WRITTEN = f"X:1\nL:1/8\nM:4/4\nK:C\n{TWO_BARS}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"X:1\nM:4/4\nL:1/8\nK:C\n{TWO_BARS}\nw: do re mi\nW: Last verse\n",  # lyrics
        f"X:1\n%%MIDI program 1\n%%scale 0.7\nK:C\n%%MIDI gchordoff\n{TWO_BARS}\n",  # %% lines
        f"X:1\nT:\xe9\xff\nC:\xc3\xa9\nK:C\n{TWO_BARS}% \xe9\n",  # Latin-1, UTF-8 seen as Latin-1
        f"X:1\r\nK:C\r\n{TWO_BARS}",  # CRLF, no last line end
    ],
)
def test_what_is_only_decoration_leaves_no_trace(text: str) -> None:
    assert canonicalise(text) == AS_WRITTEN


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no_tune"),
        (b"T:no number\nK:C\nCDE|\n", "no_tune"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\nX:1\nK:C\nCDE|", "not_text"),
        ("X:1\nK:C\nCDE|\n".encode("utf-16"), "not_text"),
        (b"X:3\nCDEF|\n", "X:3 no_key"),
        (b"X:3\nM:five\nK:C\nCDEF|\n", "X:3 unknown_metre: 'five'"),
        (b"X:3\nK:C\nCD\xe9F|\n", "X:3 unexpected_character: 'é'"),
        (b"X:3\nK:C\n" + b"CDEF GABc|" * 100_000, "X:3 text_too_long: 1000008 > 65536 characters"),
        # A repeat in each repeat: each `|: ... |:` is played twice, until the program gives up.
        (b"X:3\nK:C\n" + b"|: CDEF GABc " * 5_000, "X:3 converter_error"),
        # A warning for each of them is too much output.
        (b"X:3\nK:C\n" + b"|:" * 30_000 + b"CDEF|\n", "X:3 converter_limit"),
    ],
)  # fmt: skip
def test_every_bad_file_has_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "bad.abc").write_bytes(data)
    (tmp_path / "good.abc").write_text(AS_WRITTEN)
    options = MusicOptions(tunes=str(tmp_path))
    plan = MusicSource(corpus="mine", seed=0, options=options).plan({})
    assert plan.provenance["dropped_by_file"] == {"bad.abc": [reason]}
    assert (plan.read, sum(plan.dropped.values())) == (2, 1)

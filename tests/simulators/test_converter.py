"""The converter: batches give the bytes of single runs, and a bad tune harms no neighbour."""

import dataclasses
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from pipelines.sources.tunes import music21_tunes
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.conversion import converter
from simulators.music.conversion.converter import (
    ConverterDiffers,
    ConverterMissing,
    ConverterNotRun,
    abc_from_midi,
    check_converter,
    convert,
    golden_sha256,
)
from simulators.music.conversion.golden import GoldenTune, golden_text, golden_tunes
from simulators.music.conversion.presets import PRESETS, Preset
from simulators.music.midi.files import read_notes
from simulators.music.reasons import DropReason
from simulators.sandbox import Ending, LimitedRun, SandboxFailed, run_limited

HEADER = "X:1\nL:1/8\nM:4/4\nK:C\n"
GOOD = HEADER + "|:CDEF GABc:|\n"
WITH_CHORDS = HEADER + '|:"C"CDEF "G7"GABc:|\n'


@pytest.fixture(scope="module")
def real_forms() -> list[str]:
    forms: list[str] = []
    for tune in music21_tunes()[::29]:
        try:
            forms.append(canonicalise(tune.text))
        except TuneRejected:
            continue
    return forms


def test_golden_tunes_come_out_to_the_byte() -> None:
    golden = golden_tunes()
    assert len(golden) >= 8
    assert golden_text().count("\ntune ") == len(golden)
    for tune, mid in zip(golden, convert([tune.abc for tune in golden]), strict=True):
        assert mid == tune.mid, tune.name
        assert canonicalise(tune.abc) == tune.abc


@pytest.mark.parametrize("preset", PRESETS)
def test_a_batch_gives_the_bytes_of_single_runs(
    real_forms: list[str], preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few real tunes have chord symbols; here every other one gets some.
    forms = [
        form if number % 2 else form.replace("|", '|"Am7"', 2).replace("|", '|"G/B"', 1)
        for number, form in enumerate(real_forms)
    ]
    in_batches = convert(forms, preset)
    monkeypatch.setattr(converter, "BATCH_TUNES", 1)
    alone = convert(forms, preset)
    assert in_batches == alone
    assert sum(isinstance(result, bytes) for result in alone) > 400
    assert sum(isinstance(result, DropReason) for result in alone) > 5


@pytest.mark.parametrize(
    ("music", "is_dropped"),
    [
        # sustained past the end of the track
        ("CDEF [CE", True),
        ("CDEF GABc-|", True),
        ("[C2-E-]|", True),
        # unfinished business of every kind
        ("CD {g", True),
        ("CD {gf}", True),
        ("CD |1", None),
        ("CD (3CD", False),
        ("C (3:2:99CDE", False),
        ("CD C>", False),
        ('CD "Am"', None),
        ("CD !pp!", None),
        ("CD T", None),
        ("CD (", None),
        ("CD |:CD", None),
        # settings that must not outlive the tune
        ("CD [K:D][M:3/4][L:1/32]C", False),
        ("K:Hp\nM:none\nCD", False),
        ('!pp!CDEF "Am7"GABc', False),
    ],
)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_tune_does_not_reach_into_the_next(
    music: str, is_dropped: bool | None, preset: Preset
) -> None:
    for next_one in (GOOD, WITH_CHORDS):
        alone = convert([next_one], preset)
        first, *others = convert([f"{HEADER}{music}\n", next_one, next_one], preset)
        assert others == alone * 2
    if is_dropped is not None:
        assert isinstance(first, DropReason) is is_dropped


def test_what_came_before_a_bad_tune_is_not_converted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []

    def counted(
        argv: Sequence[str | Path], *, files: Mapping[str, bytes], **limits: int
    ) -> LimitedRun:
        runs.append(files["in.abc"].count(b"X:"))
        return run_limited(argv, files=files, **limits)

    tunes = [f"{HEADER}C{number} E F G|\n" for number in range(1, 10)]
    alone = [convert([tune])[0] for tune in tunes]
    tunes[4], alone[4] = HEADER + "CDEF G4-|\n", DropReason.CONVERTER_ERROR  # named by an error
    tunes[6] = HEADER + "CDEF (3CD\n"  # given away by the sentinel behind it
    alone[6] = convert([tunes[6]])[0]
    monkeypatch.setattr(converter, "run_limited", counted)
    assert convert(tunes) == alone
    assert runs == [19, 1, 1, 7]  # all; each suspect; the three others behind the first suspect


@pytest.mark.parametrize("preset", PRESETS)
def test_good_tunes_take_one_process_under_every_preset(
    preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    def counted(
        argv: Sequence[str | Path], *, files: Mapping[str, bytes], **limits: int
    ) -> LimitedRun:
        runs.append(files["in.abc"].count(b"X:"))
        return run_limited(argv, files=files, **limits)

    monkeypatch.setattr(converter, "run_limited", counted)
    convert([GOOD, WITH_CHORDS, GOOD, WITH_CHORDS], preset)
    assert runs == [9]


def test_an_error_that_names_no_line_leaves_nothing_standing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []

    def stand_in(
        argv: Sequence[str | Path], *, files: Mapping[str, bytes], **limits: int
    ) -> LimitedRun:
        runs.append(files["in.abc"].count(b"X:"))
        run = run_limited(argv, files=files, **limits)
        return dataclasses.replace(run, output=b"Error somewhere") if len(runs) == 1 else run

    expected = convert([GOOD])
    monkeypatch.setattr(converter, "run_limited", stand_in)
    assert convert([GOOD] * 4) == expected * 4
    assert runs == [9, 5, 5]


def test_every_preset_has_a_golden_hash_of_its_own() -> None:
    plain = hashlib.sha256(golden_text().encode()).hexdigest()
    assert golden_sha256() == golden_sha256("plain") == plain
    assert len({golden_sha256(preset) for preset in PRESETS}) == len(PRESETS) == 3


def test_an_unknown_preset_is_refused_with_its_name() -> None:
    unknown = cast("Preset", "compat")
    with pytest.raises(ValueError, match="unknown preset 'compat': did you mean 'compact'"):
        convert([GOOD], unknown)
    with pytest.raises(ValueError, match="Known: plain, compact, easyabc"):
        golden_sha256(unknown)


def test_a_tune_that_makes_its_neighbour_crash_is_found_by_halving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """abc2midi's worst case, played by a stand-in: poison is harmless alone, its neighbour dies."""
    sizes: list[int] = []
    poison, killer = HEADER + "G8\n", HEADER + "A8\n"

    def stand_in(
        argv: Sequence[str | Path], *, files: Mapping[str, bytes], **limits: int
    ) -> LimitedRun:
        text = files["in.abc"].decode()
        sizes.append(text.count("X:") // 2)
        has_victim = text.count("G8") == 1 and text.count("|:CDEF", text.index("G8")) > 0
        if "A8" in text or has_victim:
            return LimitedRun(ending=Ending.CRASHED, exit_code=-11, output=b"", files={})
        return run_limited(argv, files=files, **limits)

    tunes = [GOOD] * 9
    tunes[3], tunes[6] = poison, killer
    expected = [convert([tune])[0] for tune in tunes]
    monkeypatch.setattr(converter, "run_limited", stand_in)
    results = convert(tunes)
    assert results[6] is DropReason.CONVERTER_CRASHED
    assert [r for i, r in enumerate(results) if i != 6] == expected[:6] + expected[7:]
    assert max(sizes) == 9  # the whole batch was tried first
    assert len(sizes) > 3


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (LimitedRun(ending=Ending.CPU_LIMIT, exit_code=-24, output=b"", files={}),
         DropReason.CONVERTER_LIMIT),
        (LimitedRun(ending=Ending.OUTPUT_LIMIT, exit_code=-25, output=b"", files={}),
         DropReason.CONVERTER_LIMIT),
        (LimitedRun(ending=Ending.CRASHED, exit_code=-11, output=b"", files={}),
         DropReason.CONVERTER_CRASHED),
        (LimitedRun(ending=Ending.EXITED, exit_code=1, output=b"", files={}),
         DropReason.CONVERTER_ERROR),
        # code 0 although there was an error, and a file all the same
        (LimitedRun(ending=Ending.EXITED, exit_code=0, output=b"Error in line-char 5-1 : x",
                    files={"in1.mid": b"MThd"}), DropReason.CONVERTER_ERROR),
        (LimitedRun(ending=Ending.EXITED, exit_code=0, output=b"", files={}),
         DropReason.CONVERTER_NO_OUTPUT),
    ],
)  # fmt: skip
def test_every_end_of_a_single_run_has_its_reason(
    run: LimitedRun, reason: DropReason, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stand_in(*args: object, **kwargs: object) -> LimitedRun:
        return run

    monkeypatch.setattr(converter, "run_limited", stand_in)
    assert convert([GOOD]) == [reason]


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (LimitedRun(ending=Ending.WALL_LIMIT, exit_code=-9, output=b"", files={}),
         "it took over 20 seconds, almost none of them computing"),
        (LimitedRun(ending=Ending.EXITED, exit_code=126, output=b"exec: denied\n", files={}),
         "it cannot be executed: exec: denied"),
        (LimitedRun(ending=Ending.EXITED, exit_code=127, output=b"", files={}),
         "it was not found"),
        (LimitedRun(ending=Ending.CRASHED, exit_code=-9, output=b"", files={}),
         r"it was killed \(SIGKILL\)"),
        (SandboxFailed("x was not started: code 1, 'unshare failed'"), "x was not started: code 1"),
    ],
)  # fmt: skip
def test_what_the_machine_does_is_no_verdict_on_a_tune(
    run: LimitedRun | SandboxFailed, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stand_in(*args: object, **kwargs: object) -> LimitedRun:
        if isinstance(run, SandboxFailed):
            raise run
        return run

    monkeypatch.setattr(converter, "run_limited", stand_in)
    for tunes in ([GOOD], [GOOD, GOOD, GOOD]):
        with pytest.raises(ConverterNotRun, match=f"^abc2midi could not be run: {why}"):
            convert(tunes)
    with pytest.raises(ConverterNotRun, match=f"^midi2abc could not be run: {why}"):
        abc_from_midi([b""])


def test_a_batch_that_the_machine_stopped_is_tried_again_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []

    def stand_in(
        argv: Sequence[str | Path], *, files: Mapping[str, bytes], **limits: int
    ) -> LimitedRun:
        runs.append(files["in.abc"].count(b"X:"))
        if len(runs) == 1:
            return LimitedRun(ending=Ending.WALL_LIMIT, exit_code=-9, output=b"", files={})
        return run_limited(argv, files=files, **limits)

    expected = convert([GOOD])
    monkeypatch.setattr(converter, "run_limited", stand_in)
    assert convert([GOOD] * 4) == expected * 4
    assert runs == [9, 5, 5]


@pytest.mark.parametrize("tune", ["X:2\nK:C\nCDE\n", GOOD + "\n", GOOD.rstrip(), "CDE", ""])
def test_what_is_not_in_normal_form_is_refused(tune: str) -> None:
    with pytest.raises(ValueError, match="tune 1 is not in normal form"):
        convert([GOOD, tune])


def test_nothing_gives_nothing() -> None:
    assert convert([]) == []
    assert abc_from_midi([]) == []


@pytest.fixture
def unknown_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "KNOWN_ABC2MIDI_SHA256", frozenset[str]())
    converter._check_build.cache_clear()


@pytest.mark.usefixtures("unknown_build")
def test_an_unknown_build_is_accepted_when_its_golden_files_come_out_alike() -> None:
    check_converter()


@pytest.mark.usefixtures("unknown_build")
def test_an_unknown_build_that_writes_other_bytes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    golden = [GoldenTune("odd", GOOD, b"MThd")]
    monkeypatch.setattr(converter, "golden_tunes", lambda: golden)
    with pytest.raises(ConverterDiffers, match=r"golden tune 'odd'; install symusic==0\.6\.0"):
        check_converter()


@pytest.mark.skipif(sys.platform != "linux", reason="the known build is Linux's")
def test_the_installed_build_is_the_known_one() -> None:
    program = converter._program("abc2midi").read_bytes()
    assert hashlib.sha256(program).hexdigest() in converter.KNOWN_ABC2MIDI_SHA256
    assert len(golden_sha256()) == 64


def test_a_missing_converter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConverterMissing, match=r"abc2midi is not installed: .* symusic==0\.6\.0"):
        convert([GOOD])


def test_midi2abc_writes_tunes_that_sound_alike(real_forms: list[str]) -> None:
    mids = [mid for mid in convert(real_forms[::12]) if isinstance(mid, bytes)]
    exact = 0
    for mid, text in zip(mids, abc_from_midi(mids), strict=True):
        assert not isinstance(text, DropReason)
        (back,) = convert([canonicalise(text)])
        exact += isinstance(back, bytes) and _pitches(back) == _pitches(mid)
    assert len(mids) > 30
    assert exact / len(mids) > 0.8


def _pitches(mid: bytes) -> list[int]:
    return [note.pitch for note in read_notes(mid)]


def test_midi2abc_gives_a_reason_for_what_it_cannot_read() -> None:
    good = golden_tunes()[0].mid
    results = abc_from_midi([b"", b"rubbish", good[:20], b"MThd" + bytes(1000), good])
    assert all(isinstance(result, DropReason) for result in results[:2])
    assert not isinstance(results[-1], DropReason)

"""Written ABC: every fault has its name, neighbours stay apart, a machine is no verdict."""

import pytest

from simulators import sandbox
from simulators.music.conversion import converter, written_abc
from simulators.music.conversion.converter import ConverterNotRun, convert_alone
from simulators.music.conversion.golden import golden_tunes
from simulators.music.conversion.written_abc import AbcFault, judge_abc
from simulators.music.midi.files import read_notes
from simulators.sandbox import Ending, LimitedRun

GOOD = b"X:1\nL:1/8\nM:4/4\nK:C\nCDEF GABc|\n"
HEAD = b"X:1\nL:1/8\nM:4/4\nK:C\n"

# A text, its verdict, files that abc2midi writes of it, whether it has a normal form.
CASES: dict[str, tuple[bytes, AbcFault | None, int, bool]] = {
    "a tune": (GOOD, None, 1, True),
    "no last line end": (GOOD[:-1], None, 1, True),
    "words around it": (b'X:7\nT:A title\nK:G\n"^slow"GABc|\nw:la la\n', None, 1, True),
    "two voices": (b"X:1\nK:C\nV:1\nCDE|\nV:2\nGAB|\n", None, 1, False),
    "empty": (b"", AbcFault.NOT_ONE_TUNE, 0, False),
    "8 KB of one letter": (HEAD + b"A" * 8000, None, 1, True),
    "over 8 KB": (HEAD + b"A" * 8192, AbcFault.TOO_LONG, 0, False),
    "a NUL": (HEAD + b"AB\0c|\n", AbcFault.NOT_PLAIN_TEXT, 0, False),
    "Latin-1": (b"X:1\nT:Fr\xfchling\nK:C\nABc|\n", AbcFault.NOT_PLAIN_TEXT, 0, False),
    "a MIDI file": (golden_tunes()[0].mid, AbcFault.NOT_PLAIN_TEXT, 0, False),
    "an include": (b"X:1\n%%abc-include /etc/passwd\nK:C\nABc|\n", AbcFault.DIRECTIVE, 0, False),
    "a directive": (b"X:1\nK:C\n  %%MIDI program 300\nABc|\n", AbcFault.DIRECTIVE, 0, False),
    "an instruction": (b"X:1\nK:C\nA[I:x]Bc|\n", AbcFault.DIRECTIVE, 0, False),
    "parts with repeats": (b"X:1\nP:(A9)9\nK:C\nABc|\n", AbcFault.DIRECTIVE, 0, False),
    "the name of a part": (b"X:1\nK:C\nP:A\nABc|\n", None, 1, True),
    "no X:": (GOOD[4:], AbcFault.NOT_ONE_TUNE, 0, False),
    "two tunes": (GOOD + b"\n" + GOOD.replace(b"X:1", b"X:2"), AbcFault.NOT_ONE_TUNE, 2, False),
    "no key": (b"X:1\nL:1/8\nM:4/4\nABc|\n", AbcFault.CONVERTER_REFUSED, 0, False),
    "nested tuplets": (HEAD + b"(3A(3BCD E|\n", AbcFault.CONVERTER_REFUSED, 1, True),
    "nested repeats": (HEAD + b"|:" * 1000 + b"ABc:|\n", None, 1, True),
    "a note without a pitch": (HEAD + b"B,,,,,,,,,|\n", AbcFault.BROKEN_MIDI, 1, True),
    "a header alone": (b"X:1\nK:C\n", AbcFault.NO_NOTES, 1, False),
    "rests alone": (HEAD + b"z4 x4|Z2|\n", AbcFault.NO_NOTES, 1, False),
    "8 KB of one bracket": (HEAD + b"(" * 8000, AbcFault.NO_NOTES, 1, False),
    "a note among rests": (HEAD + b"z4 A4|Z2|\n", None, 1, True),
    "chords without end": (HEAD + b'"C"A8|Z99999|\n', AbcFault.CONVERTER_REFUSED, 1, True),
}


@pytest.mark.parametrize("what", CASES)
def test_every_verdict(what: str) -> None:
    text, fault, num_files, has_form = CASES[what]
    (found,) = judge_abc([text])
    assert found.fault == fault
    assert len(found.midis) == num_files
    assert (found.tune is not None) == has_form


def test_verdicts_are_those_of_single_runs_whatever_stands_beside() -> None:
    texts = [text for text, *_ in CASES.values()]
    golden = [tune.abc.encode() for tune in golden_tunes()]
    # An unfinished tuplet, chord or slur would reach into the next tune of its process.
    leaking = [
        HEAD + end for end in (b"AB(3c\n", b"AB(5c|\n", b"A[Bc\n", b"A{Bc\n", b"A>\n", b"A-\n")
    ]
    many = [*golden, *leaking, *texts, *golden, *texts[::-1], *leaking]
    for text, found in zip(many, judge_abc(many), strict=True):
        (alone,) = judge_abc([text])
        assert found == alone
    for tune, found in zip(golden_tunes(), judge_abc(golden), strict=True):
        assert (found.fault, found.midis) == (None, (tune.mid,))


@pytest.mark.parametrize("extreme", [b"A" + b"," * 900, b"c'''''", b"Z9999", b"(3:2:9999"])
def test_what_could_reach_into_neighbours_unseen_gets_a_process_of_its_own(
    extreme: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """abc2midi looks up accidentals outside a table for such notes, where other tunes left some."""
    batches: list[bytes] = []
    real = sandbox.run_limited

    def watched(*args: object, files: dict[str, bytes], **kwargs: object) -> LimitedRun:
        batches.append(files["in.abc"])
        return real(*args, files=files, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(converter, "run_limited", watched)
    far = HEAD + extreme + b"Bc|\n"
    found = judge_abc([GOOD, far, GOOD])
    assert [batch.count(b"X:") for batch in batches if extreme in batch] == [1]
    assert len(batches) == 2
    assert found[1].midis == convert_alone(far).files != ()


def test_a_missing_line_end_changes_nothing() -> None:
    for tune in golden_tunes():
        assert convert_alone(tune.abc.encode()[:-1]).files == (tune.mid,)


def test_the_notes_of_a_refused_text_can_still_be_read() -> None:
    (found,) = judge_abc([HEAD + b"AB(3A(3BCD E|\n"])
    assert found.fault is AbcFault.CONVERTER_REFUSED
    assert [note.pitch for note in read_notes(found.midis[0])][:2] == [69, 71]


@pytest.mark.parametrize("ending", [Ending.CRASHED, Ending.CPU_LIMIT, Ending.OUTPUT_LIMIT])
def test_a_text_that_stops_the_converter_is_not_valid(
    ending: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = LimitedRun(ending=ending, exit_code=-11, output=b"", files={"in1.mid": b"MThd"})
    monkeypatch.setattr(converter, "run_limited", lambda *args, **kwargs: run)
    for found in judge_abc([GOOD, GOOD, GOOD + b"w:la\n"]):
        assert (found.fault, found.midis) == (AbcFault.CONVERTER_STOPPED, ())


def test_what_the_machine_does_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = LimitedRun(ending=Ending.WALL_LIMIT, exit_code=-9, output=b"", files={})
    monkeypatch.setattr(converter, "run_limited", lambda *args, **kwargs: stopped)
    for text in (GOOD, GOOD + b"w:la\n"):
        with pytest.raises(ConverterNotRun, match="abc2midi could not be run: it took over"):
            judge_abc([text])


def test_every_text_runs_under_the_sandbox_and_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    real = sandbox.run_limited

    def watched(*args: object, **kwargs: object) -> LimitedRun:
        seen.append(args[0])
        return real(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(converter, "run_limited", watched)
    judge_abc([GOOD, GOOD, GOOD + b"w:la\n", b"X:1\n%%MIDI program 1\nK:C\nABc|\n"])
    assert len(seen) == 2  # both tunes in normal form in one run, the other alone, one not at all
    assert not hasattr(written_abc, "subprocess")

"""Converter presets: what they put into a tune's text, and the bytes that come of it."""

import re
from typing import cast

import pytest

from simulators.music.conversion import presets
from simulators.music.conversion.converter import convert
from simulators.music.conversion.golden import golden_tunes
from simulators.music.conversion.presets import PRESETS, with_directives
from simulators.music.midi.compact_midi import compact_files
from simulators.music.midi.files import MidiError, read_notes
from simulators.music.reasons import DropReason

HEADER = "X:1\nL:1/8\nM:4/4\nK:C\n"
ONE_NOTE = HEADER + "C2|\n"
CHORD = HEADER + '"Am7"C8|\n'


def test_only_easyabc_changes_the_text() -> None:
    for preset in PRESETS:
        assert (with_directives(CHORD, preset) == CHORD) is (preset != "easyabc")
    assert with_directives(ONE_NOTE, "easyabc") == (
        "X:1\n"
        "%%MIDI control 7 96\n"
        "%%MIDI control 10 64\n"
        "%%MIDI program 0\n"
        "L:1/8\nM:4/4\nK:C\n"
        "%%MIDI control 7 96\n"
        "C2|\n"
    )


@pytest.mark.parametrize("tune", ["X:1\nK:C\nC\n", "X:1\nL:1/8\nM:4/4\nR:reel\nK:C\nC\n"])
def test_easyabc_wants_the_normal_form(tune: str) -> None:
    with pytest.raises(ValueError, match="this tune is not in normal form: 'X:1"):
        convert([tune], "easyabc")


def test_chord_symbols_bring_their_own_lines_in_easyabcs_order() -> None:
    assert re.findall("%%MIDI (.*)", with_directives(CHORD, "easyabc")) == [
        "control 7 96",
        "control 10 64",
        "gchordon",
        "program 0",
        "chordprog 24",
        "bassprog 24",
        "chordvol 96",
        "bassvol 96",
        "control 7 96",
    ]


EASYABC_ONE_NOTE = """
4d 54 68 64 00 00 00 06                     # MThd, 6 bytes
00 00 00 01 01 e0                           # format 0, 1 track, 480 ticks per quarter
4d 54 72 6b 00 00 00 3f                     # track 0, 63 bytes: 15 more than `plain`
00 ff 01 0a 6e 6f 74 65 20 74 72 61 63 6b   #     0 text note track
00 ff 51 03 07 a1 20                        #     0 tempo
00 ff 59 02 00 00                           #     0 key signature
00 ff 58 04 04 02 30 08                     #     0 time signature
00 b0 07 60                                 #     0 channel 0 controller 7, volume 96
00 b0 0a 40                                 #     0 channel 0 controller 10, panning 64
01 c0 00                                    #     1 channel 0 program 0
00 b0 07 60                                 #     1 channel 0 controller 7, volume 96
00 90 3c 69                                 #     1 channel 0 on C4 velocity 105
83 5f 80 3c 00                              #   480 channel 0 off C4
1a ff 2f 00                                 #   506 end of track
"""


def test_easyabcs_bytes_of_one_note() -> None:
    expected = bytes.fromhex(re.sub("#.*", "", EASYABC_ONE_NOTE))
    assert convert([ONE_NOTE], "easyabc") == [expected]


def test_compact_is_the_plain_file_in_fewer_bytes_with_the_same_notes() -> None:
    tunes = [ONE_NOTE, CHORD, *(tune.abc for tune in golden_tunes())]
    plain = [mid for mid in convert(tunes) if isinstance(mid, bytes)]
    assert len(plain) == len(tunes)
    compact = convert(tunes, "compact")
    assert compact == compact_files(plain)
    for one, other in zip(plain, compact, strict=True):
        assert isinstance(other, bytes)
        assert read_notes(other) == read_notes(one)
        assert len(other) < len(one)


def test_compact_drops_what_plain_drops_and_leaves_a_broken_file_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    too_low, tie = HEADER + "CDE B,,,,,, F|\n", HEADER + "CDEF G4-|\n"
    monkeypatch.setattr(presets, "_COMPACT_FILES", 3)
    results = convert([too_low, ONE_NOTE, tie, CHORD, too_low], "compact")
    assert results[2] is DropReason.CONVERTER_ERROR
    assert [results[0], results[4]] == convert([too_low]) * 2
    with pytest.raises(MidiError, match="is over 0x7f"):
        read_notes(cast("bytes", results[0]))
    assert [results[1], results[3]] == convert([ONE_NOTE, CHORD], "compact")
    assert convert([tie], "compact") == [DropReason.CONVERTER_ERROR]
    assert convert([], "compact") == []


def test_easyabc_changes_no_note_but_the_volume_of_chords() -> None:
    (plain, easy) = (convert([CHORD], preset)[0] for preset in ("plain", "easyabc"))
    assert isinstance(plain, bytes)
    assert isinstance(easy, bytes)
    sounds = [[note._replace(velocity=0) for note in read_notes(mid)] for mid in (plain, easy)]
    assert sounds[0] == sounds[1]
    assert len(sounds[0]) > 4
    chord_notes = [note for note in read_notes(easy) if note.channel > 0]
    assert {note.velocity for note in chord_notes} == {96}
    assert b"\xc1\x18" in easy  # program 24 on the bass's channel
    assert b"\xc2\x18" in easy  # and on the chords'

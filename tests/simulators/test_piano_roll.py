"""Piano rolls: notes and bars of a file, and what text, SVG and PNG show of them."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simulators.music.conversion.converter import convert
from simulators.music.conversion.golden import golden_tunes
from simulators.music.looking.piano_roll import (
    MAX_QUARTERS,
    Roll,
    first_difference,
    read_roll,
    shared_and_own,
)
from simulators.music.looking.render import TuneView, render_tune, upbeat_of
from simulators.music.looking.roll_picture import (
    COLOURS,
    PNG_SCALE,
    PictureError,
    draw_roll,
    png_bytes,
    svg_text,
    write_picture,
)
from simulators.music.looking.roll_text import ASCII, UNICODE, roll_text
from simulators.music.midi.files import Event, MidiFile, Note, encode

QUARTER = 480
SVG = "{http://www.w3.org/2000/svg}"


def midi_of(notes: list[Note], signatures: dict[int, tuple[int, int]] | None = None) -> bytes:
    """Return a file of `notes`; `signatures` has (beats, power of two) by tick."""
    timed = [
        (tick, 0, 0xFF, bytes([0x58, beats, power, 24, 8]))
        for tick, (beats, power) in (signatures or {}).items()
    ]
    for note in notes:
        timed.append((note.start_tick, 2, 0x90, bytes([note.pitch, note.velocity])))
        timed.append((note.start_tick + note.duration_ticks, 1, 0x80, bytes([note.pitch, 0])))
    timed.sort()
    events: list[Event] = []
    now = 0
    for tick, _, status, data in timed:
        events.append(Event(tick - now, status, data))
        now = tick
    return encode(MidiFile(0, QUARTER, ((*events, Event(0, 0xFF, b"\x2f")),)))


def line_of(*pitches: int, quarters: float = 1.0) -> list[Note]:
    """Return notes one after the other."""
    ticks = round(quarters * QUARTER)
    return [Note(i * ticks, ticks, pitch, 80, 0) for i, pitch in enumerate(pitches)]


def tune(*pitches: int, quarters: float = 1.0) -> Roll:
    return read_roll(midi_of(line_of(*pitches, quarters=quarters)))


def test_a_roll_has_its_notes_in_quarters_and_bars_by_the_time_signatures() -> None:
    notes = line_of(60, 62, 64, 65, 67, 69, 71)
    roll = read_roll(midi_of(notes, {0: (6, 3), 6 * QUARTER: (2, 2)}))
    assert [note[:3] for note in roll.notes] == [
        (float(i), 1.0, note.pitch) for i, note in enumerate(notes)
    ]
    assert roll.bars == (0.0, 3.0, 6.0)
    assert (roll.quarters, roll.left_out, roll.fault) == (7.0, 0, None)
    assert roll.place(4.5) == "bar 2, beat 2.5"
    assert read_roll(midi_of(notes)).bars == (0.0, 4.0)  # 4/4 where nothing is said
    changed = read_roll(midi_of(notes, {0: (4, 2), 2 * QUARTER: (3, 2)}))
    assert changed.bars == (0.0, 2.0, 5.0)  # a change begins a bar


def test_an_upbeat_shifts_the_bars_and_is_bar_0() -> None:
    abc = b"X:1\nL:1/8\nM:4/4\nK:G\nD2|G2A2B2c2|d8|\n"
    (mid,) = convert([abc.decode()])
    assert isinstance(mid, bytes)
    roll = read_roll(mid, upbeat_of(abc))
    assert (roll.bars, roll.first_bar) == ((0.0, 1.0, 5.0), 0)
    assert roll.place(1.0) == "bar 1, beat 1"
    assert (
        render_tune(abc, mid, TuneView(glyphs=ASCII)).split("\n")[8]
        == "     0    1                2"
    )
    assert ">0</text>" in svg_text(draw_roll("", roll))
    for whole in (
        b"X:1\nM:4/4\nK:C\nc8|",
        b"X:1\nM:none\nK:C\nc|d2|",
        b"\xff",
        b"X:1\nM:2/4\nK:C\nc",
    ):
        assert upbeat_of(whole) == 0.0


def test_a_broken_file_gives_what_can_be_read_and_its_fault() -> None:
    whole = midi_of(line_of(60, 62, 64, 65))
    cut = read_roll(whole[:-12])
    assert [note.pitch for note in cut.notes] == [60, 62, 64]
    assert re.search("track 0 declares [0-9]+ bytes, [0-9]+ left", cut.fault or "")
    nothing = read_roll(b"no MIDI")
    assert (nothing.notes, nothing.bars) == ((), (0.0,))
    assert nothing.fault == "at byte 0: expected 'MThd', found b'no M'"
    assert roll_text(nothing) == "no notes"


def test_a_file_that_lasts_for_years_is_cut_and_says_so() -> None:
    notes = [*line_of(60), Note(MAX_QUARTERS * QUARTER, QUARTER, 61, 80, 0)]
    mid = midi_of(notes, {0: (0, 7)})
    roll = read_roll(mid)
    assert ([note.pitch for note in roll.notes], roll.left_out) == ([60], 1)
    assert "1 notes are not in the roll, which ends before them" in render_tune(b"X:1", mid)


NOTES = st.lists(st.tuples(st.integers(0, 16), st.integers(1, 4), st.integers(58, 64)), max_size=12)


@given(NOTES, NOTES)
def test_two_rolls_part_at_the_first_note_that_one_of_them_lacks(
    one: list[tuple[int, int, int]], other: list[tuple[int, int, int]]
) -> None:
    rolls: list[Roll] = []
    for drawn in (one, other):
        taken: dict[int, int] = {}
        notes: list[Note] = []
        for start, length, pitch in sorted(drawn):  # a pitch sounds once at a time
            if start >= taken.get(pitch, 0):
                notes.append(Note(start * 240, length * 240, pitch, 80, 0))
                taken[pitch] = start + length
        rolls.append(read_roll(midi_of(notes)))
    a, b = rolls
    sets = [{note[:3] for note in roll.notes} for roll in rolls]
    shared, own = shared_and_own(a, b)
    assert {note[:3] for note in shared} == sets[0] & sets[1]
    assert {note[:3] for note in own} == sets[0] - sets[1]
    starts = [start for start, _, _ in sets[0] ^ sets[1]]
    assert first_difference(a, b) == first_difference(b, a) == (min(starts) if starts else None)


def test_how_hard_a_note_is_struck_is_no_difference() -> None:
    soft = [note._replace(velocity=20) for note in line_of(60, 62)]
    assert first_difference(tune(60, 62), read_roll(midi_of(soft))) is None
    assert first_difference(tune(60, 62), tune(60, 62, quarters=0.5)) == 0.0


def test_the_text_has_a_row_a_pitch_a_column_a_sixteenth_and_lines_at_bars() -> None:
    roll = tune(60, 64, 62, 60, 64, 60, quarters=0.75)
    assert roll_text(roll, glyphs=ASCII).split("\n") == [
        "     1                2",
        "  E4 |.  #==  .   #== |.",
        "  D4 |.   . #==   .   |.",
        "  C4 |#== .   .#==.  #===",
    ]
    unicode = roll_text(roll)
    assert unicode.count(UNICODE.onset) == 6
    assert unicode.translate(str.maketrans("█▬·│", "#=.|")) == roll_text(roll, glyphs=ASCII)


def test_an_overlay_shows_both_and_marks_where_they_part() -> None:
    text = roll_text(tune(60, 62, 64, 65), tune(60, 62, 63, 65), glyphs=ASCII)
    assert text.split("\n") == [
        "     1",
        "  F4 |.   .   .   #===",
        "  E4 |.   .   ----.",
        " D#4 |.   .   xxxx.",
        "  D4 |.   #===.   .",
        "  C4 |#===.   .   .",
        "              ^",
        "",
        "^ first difference: bar 1, beat 3",
        "#= both, - only in the first, x only in the second",
    ]
    same = roll_text(tune(60), tune(60), glyphs=ASCII)
    assert "first difference" not in same
    assert "#===" in same


@given(st.integers(20, 200), st.lists(st.integers(55, 80), min_size=1, max_size=60))
def test_no_line_is_wider_than_asked_and_every_note_is_there(
    width: int, pitches: list[int]
) -> None:
    text = roll_text(tune(*pitches, quarters=0.5), width=width, glyphs=ASCII)
    assert max(map(len, text.split("\n"))) <= max(width, 40)
    rows = [line[5:] for line in text.split("\n")]
    assert sum(row.count("#") for row in rows) == len(pitches)


def test_the_svg_is_well_formed_escaped_and_has_every_note() -> None:
    title = "<script>alert(1)</script> & \"'\x00"
    drawing = svg_text(draw_roll(title, tune(*range(60, 90))))
    root = ET.fromstring(drawing)
    fills = [box.get("fill") for box in root.iter(f"{SVG}rect")]
    assert fills.count(COLOURS["note"]) == 30
    assert root.find(f"{SVG}script") is None
    assert next(root.iter(f"{SVG}text")).text == title.replace("\x00", "\ufffd")
    numbers = [words.text for words in root.iter(f"{SVG}text")]
    assert [str(bar) for bar in range(1, 9)] == [n for n in numbers if n and n.isdigit()]


def test_a_note_stands_in_the_row_of_its_name_and_between_its_beats() -> None:
    root = ET.fromstring(svg_text(draw_roll("", tune(60, 65, 62))))
    boxes = [b for b in root.iter(f"{SVG}rect") if b.get("fill") == COLOURS["note"]]
    tops = [float(box.get("y", "0")) for box in boxes]
    lefts = [float(box.get("x", "0")) for box in boxes]
    height = float(boxes[0].get("height", "0"))
    assert [tops[0] - tops[1], tops[0] - tops[2]] == [40.0, 16.0]  # 8 a semitone
    assert lefts[1] - lefts[0] == pytest.approx(lefts[2] - lefts[1], abs=0.01)
    names = {w.text: float(w.get("y", "0")) for w in root.iter(f"{SVG}text")}
    assert tops[0] < names["C4"] <= tops[0] + height + 1
    assert tops[1] < names["F4"] <= tops[1] + height + 1


def test_the_png_shows_what_the_svg_says() -> None:
    one, other = tune(60, 62, 64, 65), tune(60, 62, 63, 65)
    picture = draw_roll("both", one, other)
    image = Image.open(io.BytesIO(png_bytes(picture)))
    assert image.size == (picture.width * PNG_SCALE, picture.height * PNG_SCALE)
    seen: list[str] = []
    for box in ET.fromstring(svg_text(picture)).iter(f"{SVG}rect"):
        if box.get("fill") in (COLOURS["note"], COLOURS["missing"], COLOURS["surplus"]):
            x, y, width, height = (float(box.get(k, "0")) for k in ("x", "y", "width", "height"))
            place = (round((x + width / 2) * PNG_SCALE), round((y + height / 2) * PNG_SCALE))
            red, green, blue = image.convert("RGB").getpixel(place)  # pyright: ignore
            assert f"#{red:02x}{green:02x}{blue:02x}" == box.get("fill")
            seen.append(str(box.get("fill")))
    counts = [seen.count(COLOURS[role]) for role in ("note", "missing", "surplus")]
    assert counts == [4, 2, 2]  # three notes in both and one in each, and the legend's three


def test_a_picture_of_another_form_is_refused(tmp_path: Path) -> None:
    picture = draw_roll("one", tune(60))
    for name in ("a.jpg", "a", "a.svg.txt"):
        with pytest.raises(PictureError, match=r"a picture is written as \.svg or \.png, not '"):
            write_picture(tmp_path / name, picture)
    write_picture(tmp_path / "a.SVG", picture)
    assert [path.name for path in tmp_path.iterdir()] == ["a.SVG"]


def test_a_tune_is_shown_as_its_text_its_roll_and_its_notes_if_asked() -> None:
    one = golden_tunes()[0]
    shown = [
        "X:1",
        "L:1/4",
        "M:4/4",
        "K:C",
        "C",
        "",
        f"MIDI, {len(one.mid)} bytes, 1 notes, 480 ticks per quarter",
        "",
        "     1",
        "  C4 |#===",
    ]
    abc = one.abc.encode()
    assert render_tune(abc, one.mid, TuneView(glyphs=ASCII)).splitlines() == shown
    assert render_tune(abc, one.mid, TuneView(glyphs=ASCII, notes=True)).splitlines() == [
        *shown,
        "",
        "   start  length  pitch  velocity  channel",
        "   0.002   0.998  C4          105        0",
    ]
    assert render_tune(b"X:1\xff", b"x", TuneView(notes=True)).splitlines() == [
        "X:1\\xff",
        "",
        "MIDI, 1 bytes: not readable: at byte 0: expected 'MThd', found b'x'",
        "",
        "no notes",
    ]
    broken = render_tune(abc, one.mid[:-1], TuneView(against=one.mid)).splitlines()
    assert broken[7].startswith("MIDI is not well formed: at byte 18: track 0 declares")
    assert broken[8].startswith("against, ")

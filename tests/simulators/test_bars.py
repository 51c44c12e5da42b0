"""Time in the normal form: against abc2midi on real tunes, by hand, and on rubbish."""

import re
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.tunes import music21_tunes
from simulators.music.abc.bars import Tune, read_bars, sounds_of
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.abc.tokens import TokenKind
from simulators.music.conversion.converter import convert
from simulators.music.midi.files import read_score


def tune_of(body: str, metre: str = "4/4", unit: str = "1/8") -> Tune:
    return read_bars(f"X:1\nL:{unit}\nM:{metre}\nK:C\n{body}\n")


def lengths(tune: Tune) -> list[str]:
    """Length of every note, chord and rest in eighths."""
    return [str(sound.duration * 8) for sound in sounds_of(tune.tokens)]


# What sounds otherwise than it is written, or not at all: repeats, chord symbols, decorations,
# grace notes, ties.
_NOT_AS_WRITTEN = re.compile(r":\||\|:|::|\|\[?[1-9]|\[[1-9]|[\"!{~.\-HLMOPSTuv]")


def test_every_note_of_real_tunes_starts_and_ends_where_abc2midi_plays_it() -> None:
    forms: list[str] = []
    for raw in music21_tunes()[::3]:
        try:
            form = canonicalise(raw.text)
        except TuneRejected:
            continue
        body = form.split("\n", 4)[4]
        if not _NOT_AS_WRITTEN.search(
            re.sub(r"^[KLM]:.*$|\[[KLM]:[^]]*\]", "", body, flags=re.MULTILINE)
        ):
            forms.append(form)
    forms += [
        f"X:1\nL:1/8\nM:{metre}\nK:C\n{body}\n"
        for metre in ("4/4", "3/4", "6/8", "5/4", "none")
        for body in (
            "A>B c<d e>>f g<<a a>>>b c|",
            "(2AB c (3ABc d (4ABcd e (5ABcde f (6ABcdef g (7ABcdefg a (8ABcdefga b (9ABcdefgab c|",
            "(3:2:2A2B D (3:4:3ABC D (3::4ABCD E (3A>BC D (3ABz D|",
            "[A2c]d [Ac]>d [A2c4]/2d [Ac]2>d2 (3[AC]BC [A/c/]>d c|",
            "A/B// C///D E3/2F/ G3/4A A16/B A0B A/0c|",
            "Z A X2 B z>c A<z x2 d|\nL:1/16\nA B [L:1/4]A|\nc d|",
        )
    ]
    compared = 0
    for form, mid in zip(forms, convert(forms), strict=True):
        if not isinstance(mid, bytes):
            continue
        tune = read_bars(form)
        sounding = [token for token in tune.tokens if token.kind is TokenKind.NOTE]
        # abc2midi begins every note a tick late, and the notes of a chord some ticks later still.
        played = sorted((note.start_tick, note.duration_ticks) for note in read_score(mid).notes)
        written = sorted((t.start * 1920, t.duration * 1920) for t in sounding)
        assert len(played) == len(written), form
        for (start, duration), (at, lasts) in zip(played, written, strict=True):
            assert -1 <= start - at <= 61, form
            assert -2 <= start + duration - at - lasts <= 2, form
            compared += 1
    assert compared > 40_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A>B", ["3/2", "1/2"]),
        ("A2<<B2", ["1/2", "7/2"]),
        ("A > |B", ["3/2", "1/2"]),
        ("A>>>>B", ["1", "1"]),  # an error to abc2midi
        ("(3ABc d", ["2/3", "2/3", "2/3", "1"]),
        ("(3:2:2ABc", ["2/3", "2/3", "1"]),
        ("[A2c4]3d [A2c]e", ["3", "1", "2", "1"]),
        ("{c2d}A3/2 ~B//", ["3/2", "1/4"]),
        ("Z2 z2 x/", ["16", "2", "1/2"]),
        ("A/3 B99999999 C/////////////d", ["1", "1", "1", "1"]),
        ("[L:1/16]A[L:1/4]A", ["1/2", "2"]),
    ],
)
def test_lengths_by_hand(body: str, expected: list[str]) -> None:
    assert lengths(tune_of(body)) == expected


def test_bars_and_sections() -> None:
    tune = tune_of("c2|:ABcd efga|1 b8:|2 b4 z4|\n|c4 [M:2/4]d4|[M:2/4]e4||\nf4|]\n")
    found = [
        (
            "".join(token.text for token in tune.tokens[bar.first_token : bar.end_token]),
            str(bar.duration),
            str(bar.due),
            bar.opens_section,
            bar.closes_section,
        )
        for bar in tune.bars
    ]
    assert found == [
        ("c2|:", "1/4", "1", True, True),
        ("ABcd efga|1", "1", "1", True, False),
        (" b8:|2", "1", "1", False, True),
        (" b4 z4|", "1", "1", True, False),
        ("|c4 [M:2/4]d4|", "1", "1", False, False),
        ("[M:2/4]e4||", "1/2", "1/2", False, True),
        ("f4|]", "1/2", "1/2", True, True),
    ]
    assert [token.bar for token in tune.tokens] == sorted(token.bar for token in tune.tokens)
    assert {token.line for token in tune.tokens} == {4, 5, 6}


def test_the_tokens_of_a_line_give_it_again() -> None:
    form = 'X:1\nL:1/8\nM:6/8\nK:D\n|:"D"A>B~c {d}e2f|\nK:G\n[ce]3 (3abc z|1 d6:|\n'
    lines: Counter[int] = Counter()
    texts: dict[int, str] = {}
    for token in read_bars(form).tokens:
        texts[token.line] = texts.get(token.line, "") + token.text
        lines[token.line] += 1
    assert [texts.get(number, "") for number in range(4, 8)] == form.split("\n")[4:8]
    assert lines[5] == 1


def test_what_is_no_tune_is_refused() -> None:
    for text in ("", "A B c", "X:1\nM:4/4\nL:1/8\nK:C\nABc\n", "X:1\nL:1/8\nM:4/4\n"):
        with pytest.raises(ValueError, match="not a tune in normal form"):
            read_bars(text)


@given(st.text("ABcz|:[]{}()<>23/-'\"!L:M4K \n^=~Z", max_size=60))
def test_any_text_has_a_length_and_bars_in_order(body: str) -> None:
    tune = tune_of(body)
    at = Fraction(0)
    for bar in tune.bars:
        assert bar.start >= at
        assert bar.duration > 0
        at = bar.start + bar.duration
    for token, after in zip(tune.tokens, tune.tokens[1:], strict=False):
        assert token.start <= after.start
        assert token.bar <= after.bar

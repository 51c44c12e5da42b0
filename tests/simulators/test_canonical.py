"""The ABC normal form: a table of cases, idempotence, and that it sounds like what it came from."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.tunes import music21_tunes
from simulators.music.abc import canonical
from simulators.music.abc.canonical import MAX_PASSES, MAX_TEXT_CHARS, TuneRejected, canonicalise
from simulators.music.conversion.converter import convert
from simulators.music.reasons import DropReason

HEADER = "X:1\nL:1/8\nM:4/4\nK:C\n"


def body(music: str) -> str:
    """Return the normal form of a body under a plain header."""
    form = canonicalise(HEADER + music)
    assert form.startswith(HEADER)
    return form.removeprefix(HEADER)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # what is music stays, letter by letter
        ("|:C2D/ ^F,__g' z4 x2|1 [CEG]2 (3abc:|2 {gab}c3-c|]", None),
        ("C>D E<F (GA) .B ~c Td He uA vB", None),
        ("[K:D][M:3/4][L:1/16]CDE|\nK:Am\nM:6/8\nL:1/4\nABc", None),
        ('"Am7"CDE "G/B"F', None),
        ("!f!C !trill!D", None),
        # spaces and tabs become one space; none at either end
        ("  C \t D  ", "C D"),
        # the older spelling of a decoration, unless it can be a chord in the oldest
        ("+trill+C +segno+D", "!trill!C D"),
        # what is dropped takes nothing of what follows with it, and leaves nothing of its own
        ("C`!fermata!D*!D.S.!E y30 Fy2G !y2A", "C!fermata!DE FG A"),
        # line continuations, spacing, old line breaks, reserved letters
        ("CD\\\nEF`G y A!\nB$ nC*", "CD\nEFG A\nB C"),
        # comments and stylesheet lines
        ("CD % comment\n%%MIDI program 5\nEF", "CD\nEF"),
        # fingering, words, unknown decorations
        ('"4"C "^slow"D !4!E !foo!F "End"G', "C D E F G"),
        # fields that do not sound
        ("CD\nP:B\nw:la la\nEF [r:x][Q:1/4=60]G\nQ:90", "CD\nEF G"),
        # a note before a repeat is no field
        ("CD\nA:|\nB::c", "CD\nA:|\nB::c"),
        # a decoration before a slur or a tuplet moves to its note
        ("~(dcd) T(3efg .(AB)", "(~dcd) (3Tefg (.AB)"),
        # past all parentheses at once, in the order they came; 3 of 34 is no tuplet
        (".((3:2~.(AB) .(34A .(2)", "((3:2(.~.AB) (.34A (2.)"),
        # inline fields in normal form; a single voice goes
        ("[V:1]C[K: D major]D[M:C|]E", "C[K:D]D[M:2/2]E"),
        # a blank line ends the tune; free text may follow
        ("CD|\n\nFrom here on words.", "CD|"),
        # dropping can make new things: the rules go on until nothing changes
        ('"x"A:b\nC', "C"),
    ],
)
def test_a_body_has_one_form(given: str, expected: str | None) -> None:
    assert body(given) == (expected or given) + "\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("X:5\nT:Title\nM:C\nK:G", "L:1/8\nM:4/4\nK:G"),
        ("X:5\nM:C|\nL:1/16\nR:reel\nQ:1/4=120\nK: A Minor % so", "L:1/16\nM:2/2\nK:Am"),
        # the default unit length depends on the metre
        ("X:1\nM:2/4\nK:D Dorian", "L:1/16\nM:2/4\nK:Ddor"),
        ("X:1\nM:C |\nK:Emix", "L:1/8\nM:2/2\nK:Emix"),
        ("X:1\nM:3/4\nK:Emix", "L:1/8\nM:3/4\nK:Emix"),
        ("X:1\nK:AMixolydian", "L:1/8\nM:4/4\nK:Amix"),
        ("X:1\nM:none\nK:F# Phrygian", "L:1/8\nM:none\nK:F#phr"),
        ("X:1\nM:(2+3)/8\nK:HP", "L:1/16\nM:5/8\nK:HP"),
        ("X:1\nM:6/8\nK:D ^g _B clef=treble", "L:1/8\nM:6/8\nK:D ^g _b"),
        ("X:1\nM:6/8\nK:Bb bass", "L:1/8\nM:6/8\nK:Bb"),
        ("X:1\nM:6/8\nK:G treble8", "L:1/8\nM:6/8\nK:G"),
        ("X:1\nM:6/8\nK:Ador stafflines=5 middle=d clef=alto", "L:1/8\nM:6/8\nK:Ador"),
        # no X: line, and the fields in another order; the last one counts
        ("L:1/4\nM:2/4\nM:4/4\nK:none", "L:1/4\nM:4/4\nK:none"),
    ],
)
def test_a_header_has_one_form(header: str, expected: str) -> None:
    assert canonicalise(f"{header}\r\nCDEF|\r\n") == f"X:1\n{expected}\nCDEF|\n"


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("X:1\nCDE", DropReason.NO_KEY, "no_key"),
        ("", DropReason.NO_KEY, "no_key"),
        ("K:Es\nCDE", DropReason.UNKNOWN_KEY, "'Es'"),
        ("K:Dmixm\nCDE", DropReason.UNKNOWN_KEY, "'Dmixm'"),
        ("K:G what is this\nCDE", DropReason.UNKNOWN_KEY, "what is this"),
        ("K:G octave=-1\nCDE", DropReason.UNKNOWN_KEY, "octave=-1"),
        ("M:FREI4/4\nK:C\nCDE", DropReason.UNKNOWN_METRE, "FREI"),
        ("M:\nK:C\nCDE", DropReason.UNKNOWN_METRE, "''"),
        ("M:0/4\nK:C\nCDE", DropReason.UNKNOWN_METRE, "0/4"),
        ("M:4/3\nK:C\nCDE", DropReason.UNKNOWN_METRE, "4/3"),
        ("L:1/5\nK:C\nCDE", DropReason.UNKNOWN_UNIT_LENGTH, "1/5"),
        ("K:C\nz4|[K:D]|!f!z|\"Am\"z", DropReason.NO_NOTES, "no_notes"),
        ("K:C\n", DropReason.NO_NOTES, "no_notes"),
        ("X:1\nK:C\nCDE\nX:2\nK:C\nCDE", DropReason.SEVERAL_TUNES, "X:"),
        ("K:C\nV:1\nCDE\nV:2\nCDE", DropReason.SEVERAL_VOICES, "'1', '2'"),
        ("V:a\nV:b\nK:C\nCDE", DropReason.SEVERAL_VOICES, "'a', 'b'"),
        ("K:C\n[V:1]CDE\n[V:2]CDE", DropReason.SEVERAL_VOICES, "'1', '2'"),
        ("K:C\nCDE & GAB", DropReason.SEVERAL_VOICES, "overlay &"),
        ("K:C\nCDE|\n\nGAB|", DropReason.MUSIC_AFTER_END, "'GAB|'"),
        ("K:C\nCDE @", DropReason.UNEXPECTED_CHARACTER, "'@'"),
        ("K:C\nCDé", DropReason.UNEXPECTED_CHARACTER, "'é'"),
        ("K:C\n+CEG+ F", DropReason.UNEXPECTED_CHARACTER, "'+'"),
        ('K:C\nCD"E', DropReason.UNEXPECTED_CHARACTER, "'\"'"),
        ("K:C\n" + "C" * MAX_TEXT_CHARS, DropReason.TEXT_TOO_LONG, "characters"),
    ],
)  # fmt: skip
def test_what_is_not_one_tune_is_rejected_with_its_reason(
    text: str, reason: DropReason, detail: str
) -> None:
    with pytest.raises(TuneRejected, match=re.escape(detail)) as rejected:
        canonicalise(text)
    assert rejected.value.reason is reason


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the texts that the rules were applied to."""
    sizes: list[int] = []
    apply_rules = canonical._apply_rules

    def counted(text: str) -> str:
        sizes.append(len(text))
        return apply_rules(text)

    monkeypatch.setattr(canonical, "_apply_rules", counted)
    return sizes


@pytest.mark.parametrize("run", ["." + 20_000 * "(", 20_000 * ".(", ".~" + 10_000 * "(3:(2"])
def test_decorations_move_past_any_number_of_parentheses_in_one_pass(
    run: str, passes: list[int]
) -> None:
    slurs = re.sub("[.~]", "", run)
    decorations = re.sub("[^.~]", "", run)
    assert body(run + "C") == f"{slurs}{decorations}C\n"
    assert len(passes) == 2  # the second finds nothing to do


def test_passes_are_bounded_however_deep_things_are_nested(passes: list[int]) -> None:
    assert body("[P:[P:[P:]]]C") == "C\n"
    passes.clear()
    with pytest.raises(TuneRejected, match="still changes after 8 passes") as rejected:
        canonicalise(HEADER + 10_000 * "[P:" + 10_000 * "]" + "C")
    assert rejected.value.reason is DropReason.NESTED_TOO_DEEPLY
    assert len(passes) == MAX_PASSES == 8


_PIECES = st.sampled_from(
    [*'ABCdeFgz"!|:[](){}<>-%\\`$&@+^_=~.TMHvy \t\n23/', "K:", "M:", "X:", "V:1", "L:1/8", "[K:",
     "]", "C|", "\n\n", "major", '"x"', "!f!", "%%MIDI", "4/4", "\r\n", "é", "w:la"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_a_normal_form_is_its_own_normal_form(music: str) -> None:
    try:
        form = canonicalise("X:1\nM:4/4\nK:C\nC" + music)
    except TuneRejected:
        return
    assert canonicalise(form) == form
    assert re.fullmatch(r"X:1\nL:\S+\nM:\S+\nK:[^\n]+\n([^\n %]([^\n%]*[^\n %])?\n)+", form)


def test_real_tunes_sound_the_same_in_normal_form() -> None:
    """The converter is asked about the original, less what must not reach it (titles, R:, Q:)."""
    compared = 0
    forms: list[str] = []
    originals: list[str] = []
    for tune in music21_tunes()[::40]:
        fields = set(re.findall(r"^([A-Za-z+]):", tune.text, re.MULTILINE))
        if fields & {"P", "V", "I"} or "%" in tune.text or re.search(r"[\"!~.TuvHK]\(", tune.text):
            continue
        try:
            forms.append(canonicalise(tune.text))
        except TuneRejected:
            continue
        lines = tune.text.strip().replace("`", "").split("\n")
        kept = [line for line in lines if line and not re.match(r"[A-JN-WYZa-z+]:(?![|:])", line)]
        originals.append("X:1\n" + "\n".join(kept[1:]) + "\n")
    for form, one, other in zip(forms, convert(forms), convert(originals), strict=True):
        if isinstance(one, bytes) and isinstance(other, bytes):
            assert one == other, form
            compared += 1
    assert compared > 200

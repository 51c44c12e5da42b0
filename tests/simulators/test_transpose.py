"""Transposing: tables of small tunes, and the converter's word that pitch and rhythm are exact."""

import hashlib
import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.tunes import music21_tunes
from simulators.music.abc.canonical import TuneRejected, canonicalise
from simulators.music.abc.transpose import SHIFTS, NotTransposable, Transposer, transpose
from simulators.music.conversion.converter import convert
from simulators.music.conversion.golden import golden_tunes
from simulators.music.looking.display_tunes import display_tunes
from simulators.music.midi.files import Note, Score, read_score


def tune(music: str, key: str = "C") -> str:
    """Return a tune in normal form."""
    form = f"X:1\nL:1/8\nM:4/4\nK:{key}\n{music}\n"
    assert canonicalise(form) == form
    return form


def scores(forms: Sequence[str]) -> list[Score | None]:
    """Return what the converter makes of tunes; None where it refuses one."""
    files = convert(forms)
    return [read_score(file) if isinstance(file, bytes) else None for file in files]


def moved(score: Score, semitones: int) -> tuple[int, list[Note], list[Note]]:
    """Return a score moved by semitones: its unit of time, melody, and accompaniment.

    The converter puts each chord symbol into one low octave, so there a pitch counts modulo 12.
    """
    notes = [note._replace(pitch=note.pitch + semitones) for note in score.notes]
    accompaniment = [note._replace(pitch=note.pitch % 12) for note in notes if note.channel]
    melody = [note for note in notes if not note.channel]
    return score.ticks_per_quarter, melody, sorted(accompaniment)


@pytest.mark.parametrize(
    ("key", "semitones", "expected"),
    [
        ("C", 1, "Db"),
        ("C", 6, "F#"),
        # of F# and Gb, which have six each, the one nearer to the old key
        ("G", -1, "F#"),
        ("F", 1, "Gb"),
        ("Bb", 2, "C"),
        ("F#m", 1, "Gm"),
        ("Am", -1, "G#m"),
        ("Dmix", 5, "Gmix"),
        ("Ador", 3, "Cdor"),
        ("Ephr", 1, "Fphr"),
        ("Flyd", -4, "Dblyd"),
        ("Bloc", 4, "D#loc"),
        # more than an octave is no other key
        ("D", 12, "D"),
        ("D", -13, "Db"),
        # by 0 as well
        ("C#", 0, "Db"),
        # explicit accidentals move along; F# =g has more than Gb, but no double flat (Gb __a)
        ("D =c", 1, "Eb _d"),
        ("C ^f _b", 2, "D ^g =c"),
        ("F _g", 1, "F# =g"),
        # none has no sharps or flats, like C
        ("none", 2, "D"),
        ("none", 0, "none"),
        ("none", 12, "none"),
        # more accidentals than seven: the converter reads eight sharps as four flats
        ("G#", 0, "Ab"),
        ("Fbm", 1, "Fm"),
    ],
)  # fmt: skip
def test_a_key_moves_to_the_spelling_with_the_fewest_accidentals(
    key: str, semitones: int, expected: str
) -> None:
    out = transpose(tune("c", key), semitones)
    assert out.splitlines()[3] == f"K:{expected}"
    assert canonicalise(out) == out


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        # without accidentals: F# and Gb have six each, up to the sharps
        ("C Am Ddor Ephr Flyd Gmix Bloc", "F# D#m G#dor A#phr Blyd C#mix E#loc"),
        # with one sharp: seven sharps or five flats
        ("G Em Ador Bphr Clyd Dmix F#loc", "Db Bbm Ebdor Fphr Gblyd Abmix Cloc"),
    ],
)
def test_a_mode_counts_by_its_signature(keys: str, expected: str) -> None:
    outs = [transpose(tune("c", key), 6).splitlines()[3] for key in keys.split()]
    assert outs == [f"K:{key}" for key in expected.split()]


@pytest.mark.parametrize(
    ("key", "music", "semitones", "expected"),
    [
        # every letter moves by the same steps, through the octaves; the key has the accidentals
        ("C", "C,, G, B,C Bc bc' g''", 2, "D,, A, CD cd c'd' a''"),
        ("C", "C,C c'", -1, "B,,B, b"),
        ("C", "B,Bb", 1, "Ccc'"),
        # an accidental is written where one was written, courtesy ones too
        ("C", "^F=F _B ^^F __B|F", 3, "=A_A _d ^A __d|A"),
        ("C", "^F=F _B|F", -1, "^E=E =A|E"),
        ("G", "^FF c=c", -3, "^DD A=A"),
        # chord symbols by root and bass; what would need a double sharp takes another name
        ("C", '"C#m7b5/G"C "Bb/D"D "B#"E "Fb"F', 1, '"Dm7b5/Ab"D "Cb/Eb"E "C#"F "F"G'),
        ("C", '"C#m7b5/G"C "Bb/D"D "B#"E "Fb"F', 6, '"Gm7b5/C#"F "E/G#"G "F#"A "Bb"B'),
        # abc2midi plays no bass Cb
        ("C", '"Ab/Eb"C "Eb"D', -4, '"Fb/B"A, "Cb"B,'),
        # everything else stays: tuplets, broken rhythm, grace notes, slurs, ties, lengths, rests
        ("G", "(3A,B,C D>E {/g}^f/2 ~c3/2-c (.d) T[CEG]2 z2 Z|1 !f!e :|2 d[M:3/4]e\nL:1/4\nf", 5,
         "(3DEF G>A {/c'}=b/2 ~f3/2-f (.g) T[FAc]2 z2 Z|1 !f!a :|2 g[M:3/4]a\nL:1/4\nb"),
        # keys inside the tune: one interval for all of it
        ("C", "c[K:G]f\nK:Bm\nf[K:Am ^g]g", 3, "e[K:Bb]a\nK:Dm\na[K:Cm =b]b"),
        # an enharmonic tie between two letters stays one
        ("C", "^C-_D", 2, "^D-_E"),
    ],
)  # fmt: skip
def test_music_moves_by_the_steps_of_one_interval(
    key: str, music: str, semitones: int, expected: str
) -> None:
    out = transpose(tune(music, key), semitones)
    assert out.split("\n", 4)[4] == expected + "\n"
    assert canonicalise(out) == out


def test_where_the_shortest_key_needs_a_triple_accidental_the_other_one_is_taken() -> None:
    assert transpose(tune("e", "F"), 6) == tune("^a".replace("^", ""), "B")
    assert transpose(tune("^^B", "F"), 6) == tune("^^f", "Cb")


@pytest.mark.parametrize(
    ("form", "semitones", "message"),
    [
        # the notes of one instrument, which has no others
        (tune("c", "HP"), 2, "K:HP: only tonic, mode and single accidentals"),
        (tune("c[K:Hp]d"), 2, "K:Hp: only"),
        # signs that belong to nothing: beside another accidental or octave they would
        (tune("C^^^D"), 2, "a stray '^' in 'C^^^D'"),
        (tune("C\nC,:z"), 2, "a stray ':' after the first note of 'C,:z'"),
        # seven sharps and one more
        (tune("c[K:Bb]d", "D"), 6, "no interval of 6 semitones leaves every key 7 accidentals"),
        (tune("^^B"), 2, "^^B needs more than a double accidental"),
        (tune("c", "C _f"), -2, "K:Bb needs a double accidental in its signature"),
        (tune("c", "C __b"), 2, "K:C __b: only"),
        # abc2midi plays this chord without its bass
        (tune('"Ab/Cb"c'), 2, "bass Cb, which the converter does not play"),
        # near MIDI's limits: abc2midi plays B,,,,, of K:B a semitone too high
        (tune("C,,,,"), -2, "C,,,, comes too near to the limits of MIDI's pitches"),
        (tune("B,,,,,"), 12, "B,,,,, comes too near"),
        (tune("b'''"), 5, "b''' comes too near"),
        (tune("C" * 40_000), -1, "> 65536 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_moved_exactly_is_refused_with_the_cause(
    form: str, semitones: int, message: str
) -> None:
    with pytest.raises(NotTransposable, match=re.escape(message)):
        transpose(form, semitones)


@pytest.mark.parametrize("text", ["", "X:1\nK:C\nc\n", "X:1\nL:1/8\nM:4/4\nK:C\nc"])
def test_what_is_no_normal_form_is_a_mistake_of_the_caller(text: str) -> None:
    with pytest.raises(ValueError, match="the tune is not in normal form") as raised:
        Transposer(text)
    assert not isinstance(raised.value, NotTransposable)


KEYS = [
    *("C", "G", "D", "A", "E", "B", "F#", "C#", "F", "Bb", "Eb", "Ab", "Db", "Gb", "Cb"),
    *("Am", "F#m", "Ebm", "Ddor", "Ephr", "Flyd", "Gmix", "Bloc", "none"),
    *("D =c", "Am ^g", "F ^f _e", "C _b", "G#", "Fb", "D#mix", "Fbloc", "B#lyd"),
]


def test_every_key_sounds_as_much_higher_as_asked() -> None:
    """All letters, each also trilled, whose neighbour is the key's affair."""
    music = "CDEFGAB|" + "".join(f"T{letter}2" for letter in "cdefgab")
    forms = [tune(music, key) for key in KEYS]
    bases = scores(forms)
    compared = 0
    for semitones in (0, *SHIFTS, 12):
        kept = [(form, base) for form, base in zip(forms, bases, strict=True)]
        outs: list[str] = []
        expected: list[Score | None] = []
        for form, base in kept:
            try:
                outs.append(transpose(form, semitones))
            except NotTransposable:
                assert " ^f _e" in form
                continue
            expected.append(base)
        for out, base, score in zip(outs, expected, scores(outs), strict=True):
            assert base is not None
            assert score is not None
            assert moved(score, 0) == moved(base, semitones), out
            compared += 1
    assert compared > 12 * len(KEYS)


def test_the_limits_of_pitch_are_reached_and_exact() -> None:
    for music, semitones, expected in (
        ("__D,,, TA,,,,2", -8, "_F,,,, TC,,,,2"),
        ("^g''' Ta'''2", 6, "^^c'''' Td''''2"),
    ):
        form = tune(music)
        out = transpose(form, semitones)
        assert out.endswith(f"\n{expected}\n")
        base, score = scores([form, out])
        assert base is not None
        assert score is not None
        assert moved(score, 0) == moved(base, semitones)


_PITCHES = st.tuples(
    st.sampled_from(["", "", "", "", "^", "_", "=", "^^", "__"]),
    st.sampled_from([*"CDEFGABcdefgab", "G,", "B,", "c'", "d'"]),
).map("".join)
_LENGTHS = st.sampled_from(["", "", "", "2", "/", "3/2", "4"])
_NOTES = st.tuples(_PITCHES, _LENGTHS).map("".join)
_SYMBOLS = st.sampled_from(['"C"', '"F#m7b5"', '"Bb/D"', '"E7"', '"G/B"', '"Abmaj7/Eb"', '"B#/Fb"'])
_ORNAMENTS = st.sampled_from([*"T~.HuvM", "!roll!", "!f!"])
_ITEMS = st.one_of(
    _NOTES,
    _NOTES,
    st.sampled_from(["|", "|", " ", "||", "\n", "|\n", "z", "z2", "[M:3/4]", "[L:1/16]"]),
    st.sampled_from(["C-C", "^c2-c", "d-|d", "_B-|B", "^F-_G", "(ga)", "_A4-A-|A"]),
    st.tuples(st.just("(3"), _PITCHES, _PITCHES, _PITCHES).map("".join),
    st.tuples(_PITCHES, st.sampled_from("<>"), _PITCHES).map("".join),
    st.tuples(st.just("{"), _PITCHES, _PITCHES, st.just("}"), _NOTES).map("".join),
    st.tuples(st.just("["), _PITCHES, _PITCHES, st.just("]"), _LENGTHS).map("".join),
    st.tuples(_ORNAMENTS, _NOTES).map("".join),
    st.tuples(_SYMBOLS, _NOTES).map("".join),
    st.sampled_from(KEYS).map("[K:{}]".format),
    st.sampled_from(KEYS).map("\nK:{}\n".format),
)


@pytest.fixture(scope="module")
def tally() -> dict[str, int]:
    """How often the property below had something to look at."""
    return {"tunes": 0, "shifts": 0}


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from(KEYS), items=st.lists(_ITEMS, min_size=1, max_size=24))
def _drawn_tunes_move_exactly(tally: dict[str, int], key: str, items: list[str]) -> None:
    try:
        form = canonicalise(f"L:1/8\nM:4/4\nK:{key}\n" + "".join(items))
    except TuneRejected:  # no note in it
        return
    base = scores([form])[0]
    if base is None:
        return
    tally["tunes"] += 1
    up: list[tuple[int, str, str | None]] = []
    for semitones in (0, *SHIFTS):
        try:
            out = transpose(form, semitones)
        except NotTransposable:
            continue
        assert canonicalise(out) == out
        up.append((semitones, out, _back(out, semitones)))
    outs = [out for _, out, _ in up]
    backs = [back for _, _, back in up if back is not None]
    for (semitones, out, _), score in zip(up, scores(outs), strict=True):
        assert score is not None, out
        assert moved(score, 0) == moved(base, semitones), out
        tally["shifts"] += 1
    for back, score in zip(backs, scores(backs), strict=True):
        assert score is not None, back
        assert moved(score, 0) == moved(base, 0), back


def _back(form: str, semitones: int) -> str | None:
    """Return a moved tune moved back."""
    try:
        return transpose(form, -semitones)
    except NotTransposable:
        return None


def test_drawn_tunes_move_exactly_and_back(tally: dict[str, int]) -> None:
    _drawn_tunes_move_exactly(tally)
    assert tally["tunes"] > 60
    assert tally["shifts"] > 300


def test_500_real_tunes_are_exact_in_twelve_keys() -> None:
    forms: list[str] = []
    for raw in random.Random(4).sample(music21_tunes(), 540):
        try:
            forms.append(canonicalise(raw.text))
        except TuneRejected:
            continue
    pairs = [
        (form, score) for form, score in zip(forms, scores(forms), strict=True) if score is not None
    ][:500]
    assert len(pairs) == 500
    tunes = [Transposer(form) for form, _ in pairs]
    for semitones in (0, *SHIFTS):
        outs = [one.to(semitones) for one in tunes]
        assert all(canonicalise(out) == out for out in outs[::10])
        for out, (form, base), score in zip(outs, pairs, scores(outs), strict=True):
            assert score is not None, out
            assert moved(score, 0) == moved(base, semitones), (form, out)
            assert (out == form) == (semitones == 0)


def test_transposed_tunes_are_the_same_text_as_ever() -> None:
    """Another hash is another corpus: raise the source's `_FORM_VERSION` with it."""
    digest = hashlib.sha256()
    refused = 0
    for tune in (*golden_tunes(), *display_tunes()):
        try:
            transposer = Transposer(tune.abc)
        except NotTransposable:
            refused += 1
            continue
        for semitones in SHIFTS:
            digest.update(transposer.to(semitones).encode())
    assert refused == 1  # a bagpipe key
    assert digest.hexdigest() == (
        "f515e71b2986858059cc4373b1eab9fd29bcf1c1aadb03493317f6ed007b1371"
    )

"""Recombination: no two numbers give the same tune, and every tune sounds as it is said to."""

import numpy as np
import pytest

from simulators.music.abc import recombine
from simulators.music.abc.canonical import canonicalise
from simulators.music.abc.phrases import PhraseKind
from simulators.music.abc.recombine import (
    ATTEMPTS,
    MIN_PHRASES,
    PERIOD,
    Choices,
    Phrase,
    Recombiner,
    phrase_ticks,
)
from simulators.music.conversion.converter import convert
from simulators.music.midi.note_batches import read_note_batch

OPEN = PhraseKind("1/8", "2/4", 1, "1/8")
"""With a pickup of an eighth."""
WHOLE = PhraseKind("1/8", "3/4", 0, "0")


def phrases(kind: PhraseKind, count: int, *, is_cadence: bool, first: int = 0) -> list[Phrase]:
    """Return phrases of which the first four notes differ, with the notes that they convert to."""
    texts: list[str] = []
    for number in range(first, first + count):
        a, b, c, d = ("CDEFGAB"[number // 7**k % 7] for k in range(4))
        texts.append(f"{a}|{b}2{c}2|{d}4|G2A2|B3" if kind is OPEN else f"{a}6|{b}6|{c}6|{d}4G2")
    key, end = ("G", "") if kind is OPEN else ("C", "|")
    head = f"X:1\nL:{kind.unit}\nM:{kind.metre}\nK:{key}\n"
    mids = convert([f"{head}{text}{end}\n" for text in texts])
    notes = read_note_batch([mid for mid in mids if isinstance(mid, bytes)])
    cut = [slice(a, b) for a, b in zip(notes.offsets[:-1], notes.offsets[1:], strict=True)]
    return [
        Phrase(
            kind=kind,
            is_cadence=is_cadence,
            text=text,
            key=key,
            tune=number,
            starts=notes.start_ticks[where],
            durations=notes.duration_ticks[where],
            pitches=notes.pitches[where],
        )
        for number, (text, where) in enumerate(zip(texts, cut, strict=True), first)
    ]


def all_phrases(openings: int = 24, cadences: int = 20) -> list[Phrase]:
    return [
        one
        for kind in (OPEN, WHOLE)
        for count, is_cadence in ((openings, False), (cadences, True))
        for one in phrases(kind, count, is_cadence=is_cadence)
    ]


@pytest.fixture(scope="module")
def recombiner() -> Recombiner:
    """Return a small one: its kinds last 14 periods, fewer than is asked of real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recombine, "MIN_PERIODS", 1)
        return Recombiner(all_phrases(), 0)


def first_choices(recombiner: Recombiner, count: int, attempt: int = 0) -> Choices:
    return recombiner.choices(np.arange(count), np.full(count, attempt))


def as_rows(choices: Choices) -> list[tuple[int, ...]]:
    return [
        (*row, int(twice))
        for row, twice in zip(choices.phrases.tolist(), choices.repeated.tolist(), strict=True)
    ]


def test_no_two_numbers_or_attempts_give_the_same_choice(recombiner: Recombiner) -> None:
    """All of a small machine: every number, every attempt."""
    assert recombiner.capacity == PERIOD * (2 * 24**2 * 20**2 // ATTEMPTS // 500) == 14_000
    rows = [
        row
        for attempt in range(ATTEMPTS)
        for row in as_rows(first_choices(recombiner, recombiner.capacity, attempt))
    ]
    assert len(rows) == recombiner.capacity * ATTEMPTS
    assert len(set(rows)) == len(rows)
    assert {row[-1] for row in rows} == {0, 1}


def test_distinct_choices_are_distinct_as_text_and_as_sound(recombiner: Recombiner) -> None:
    choices = first_choices(recombiner, 3000)
    texts = recombiner.texts(choices)
    mids = convert(texts)
    assert all(isinstance(mid, bytes) for mid in mids)
    assert len(set(texts)) == len(set(mids)) == 3000
    assert all(canonicalise(text) == text for text in texts)


def test_every_tune_sounds_as_it_is_said_to(recombiner: Recombiner) -> None:
    choices = first_choices(recombiner, 1000)
    found = read_note_batch(
        [mid for mid in convert(recombiner.texts(choices)) if isinstance(mid, bytes)]
    )
    wanted = recombiner.sound(choices)
    assert choices.repeated.any()
    assert not choices.repeated.all()
    assert np.array_equal(found.offsets, wanted.offsets)
    assert np.array_equal(found.start_ticks, wanted.starts)
    assert np.array_equal(found.duration_ticks, wanted.durations)
    assert np.array_equal(found.pitches, wanted.pitches)


def test_a_tune_is_opening_and_cadence_twice_of_one_kind(recombiner: Recombiner) -> None:
    text, plain = (
        recombiner.texts(Choices(np.array([[0, 24, 1, 25]]), np.array([twice])))[0]
        for twice in (True, False)
    )
    assert text == (
        "X:1\nL:1/8\nM:2/4\nK:G\n"
        "|:C|C2C2|C4|G2A2|B3\nC|C2C2|C4|G2A2|B3:|\n|:D|C2C2|C4|G2A2|B3\nD|C2C2|C4|G2A2|B3:|\n"
    )
    assert plain == text.replace("|:", "").replace(":|\n", "\n", 1).replace(":|", "|]")


def test_the_kinds_of_a_period_are_dealt_out_by_how_many_tunes_they_are_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recombine, "MIN_PERIODS", 1)
    many = [*phrases(OPEN, 100, is_cadence=False), *phrases(OPEN, 90, is_cadence=True)]
    few = [*phrases(WHOLE, 50, is_cadence=False), *phrases(WHOLE, 40, is_cadence=True)]
    recombiner = Recombiner([*many, *few], 0)
    choices = first_choices(recombiner, PERIOD)
    assert int((choices.phrases[:, 0] < len(many)).sum()) == 667  # 100 tunes to 50
    assert set(recombiner.tunes()) == set(range(100))


def test_a_phrase_that_sounds_like_an_earlier_one_is_left_out_whatever_its_unit_or_pickup() -> None:
    once = all_phrases()
    sixteenths = [one._replace(kind=one.kind._replace(unit="1/16")) for one in once]
    no_pickup = [one._replace(kind=one.kind._replace(pickup="1/4")) for one in once]
    recombiner = Recombiner([*once, *sixteenths, *no_pickup], 0)
    assert len(recombiner.tune_of) == len(once)
    assert first_choices(recombiner, 50).phrases.tolist() == (
        first_choices(Recombiner(once, 0), 50).phrases.tolist()
    )


def test_a_kind_that_would_end_the_sequence_early_is_left_out() -> None:
    recombiner = Recombiner(all_phrases(), 0)
    assert recombiner.capacity == PERIOD * (2 * 24**2 * 20**2 // ATTEMPTS // PERIOD)
    assert first_choices(recombiner, PERIOD).phrases.max() < 44  # one kind of two alike


def test_too_few_phrases_give_no_tunes() -> None:
    recombiner = Recombiner(all_phrases(openings=MIN_PHRASES - 1), 0)
    assert recombiner.capacity == 0
    assert recombiner.tunes() == []
    with pytest.raises(IndexError, match=r"tune 0\.\.0 reaches outside 0\.\.-1"):
        first_choices(recombiner, 1)


def test_numbers_and_attempts_out_of_range_are_refused(recombiner: Recombiner) -> None:
    end = recombiner.capacity
    with pytest.raises(IndexError, match=rf"tune {end}\.\.{end} reaches outside"):
        recombiner.choices(np.array([end]), np.array([0]))
    with pytest.raises(IndexError, match="attempt 64"):
        recombiner.choices(np.array([0]), np.array([ATTEMPTS]))


def test_the_choices_are_the_same_on_every_machine_and_version(recombiner: Recombiner) -> None:
    assert as_rows(first_choices(recombiner, 3)) == [
        (59, 74, 65, 74, 0),
        (2, 29, 16, 32, 1),
        (64, 72, 44, 82, 0),
    ]
    assert as_rows(first_choices(recombiner, 1, attempt=5)) == [(50, 73, 48, 73, 0)]


def test_a_phrase_lasts_four_bars() -> None:
    assert [phrase_ticks(metre) for metre in ("4/4", "2/4", "6/8", "3/2")] == [
        7680, 3840, 5760, 11520
    ]  # fmt: skip

"""What the entries made of the display tunes, to look at and to play: truth beside written.

The notes travel in the page as JSON (`notes_of`), and `listen.js` plays them; nothing is fetched.
"""

from collections.abc import Sequence

from benchmarks.leaderboard.data import Board, Entry
from benchmarks.leaderboard.examples import ShownExample
from benchmarks.leaderboard.markup import Markup, join, tag
from benchmarks.leaderboard.rolls import frame_of, roll_drawing
from benchmarks.leaderboard.tables import Standing
from simulators.music.looking.piano_roll import Roll, RollNote, first_difference, shared_and_own

MAX_PLAYED_NOTES = 1_000
_TRUTH = "truth"
_AROUND = 8
"""Bytes of a MIDI file that are shown before and behind the first wrong one."""


def listen(board: Standing) -> Markup | None:
    """Return the section of one task; `None` where no entry has converted a display tune."""
    entries = [entry for entry in board.entries if entry.examples]
    if not entries:
        return None
    return tag(
        "div",
        tag("h3", "Listen"),
        tag(
            "p",
            "Tunes written for this project, converted by the entries; no test sample and "
            "nobody’s own tune is shown, because their licences do not clear them for a page. They "
            "count in no figure above. The worst stand first.",
        ),
        tag(
            "ul",
            tag("li", tag("span", class_="key right"), "right"),
            tag("li", tag("span", class_="key wrong"), "written, but not in the truth"),
            tag("li", tag("span", class_="key missed"), "in the truth, but not written"),
            class_="legend roll-legend",
        ),
        *(_entry(entry, number == 0) for number, entry in enumerate(entries)),
        class_="listen",
    )


def notes_of(board: Board) -> dict[str, list[tuple[float, float, int, int]]]:
    """Return what can be played, by its place: start and length in quarters, pitch, velocity."""
    found: dict[str, list[tuple[float, float, int, int]]] = {}
    for entry in board.entries:
        for example in entry.examples:
            found[f"{_TRUTH}/{example.tune.name}"] = _played(example.true_roll)
            if example.written_roll is not None:
                found[_place(entry, example)] = _played(example.written_roll)
    return found


def _played(roll: Roll) -> list[tuple[float, float, int, int]]:
    return [
        (round(n.start, 3), round(n.length, 3), n.pitch, n.velocity)
        for n in roll.notes[:MAX_PLAYED_NOTES]
    ]


def _place(entry: Entry, example: ShownExample) -> str:
    return f"{entry.task}/{entry.name}/{example.tune.name}"


def _entry(entry: Entry, is_open: bool) -> Markup:
    """Return all tunes of one entry, folded away behind its name."""
    exact = sum(one.first_different_byte is None for one in entry.examples)
    return tag(
        "details",
        tag(
            "summary",
            tag("span", entry.name, class_="name"),
            " ",
            tag(
                "span",
                f"{exact} of {len(entry.examples)} tunes byte for byte",
                class_="about",
            ),
        ),
        tag("div", *(_tune(entry, one) for one in _worst_first(entry)), class_="tunes"),
        open=is_open,
    )


def _worst_first(entry: Entry) -> list[ShownExample]:
    """Return the tunes with the largest share of wrong bytes first."""

    def right(one: ShownExample) -> float:
        same = sum(a == b for a, b in zip(one.truth, one.written, strict=False))
        return same / max(len(one.truth), len(one.written), 1)

    return sorted(entry.examples, key=lambda one: (right(one), one.tune.name))


def _tune(entry: Entry, one: ShownExample) -> Markup:
    """Return one tune: what is true, what was written, and where they part."""
    truth, written = one.true_roll, one.written_roll
    frame = frame_of(truth, written)
    time = None if written is None else first_difference(truth, written)
    byte = one.first_different_byte
    named = None if time is None else _parted_text(byte, truth.place(time))
    right: Sequence[RollNote] = ()
    missed: Sequence[RollNote] = truth.notes
    wrong: Sequence[RollNote] = ()
    if written is not None:
        right, missed = shared_and_own(truth, written)
        wrong = shared_and_own(written, truth)[1]
    title = one.tune.title
    sides = [
        _side(
            one,
            "Truth",
            f"{_TRUTH}/{one.tune.name}",
            f"{title}, the truth",
            roll_drawing(
                frame,
                (("right", right), ("missed", missed)),
                time,
                None,
                f"Piano roll of {title}, the truth: {len(truth.notes)} notes, "
                f"{len(missed)} of them not written",
            ),
        )
    ]
    if written is None:
        sides.append(
            tag(
                "div",
                tag("div", tag("span", "Written", class_="side-name"), class_="side-head"),
                tag("p", "Nothing that sounds.", class_="silent"),
                class_="side",
            )
        )
    else:
        sides.append(
            _side(
                one,
                "Written",
                _place(entry, one),
                f"{title}, as {entry.name} wrote it",
                roll_drawing(
                    frame,
                    (("right", right), ("wrong", wrong)),
                    time,
                    named,
                    f"Piano roll of {title}, as {entry.name} wrote it: {len(right)} notes right, "
                    f"{len(wrong)} wrong",
                ),
            )
        )
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("strong", title),
            f"{'An' if one.tune.kind[0] in 'aeio' else 'A'} {one.tune.kind}. ",
            tag("span", _verdict(one, time), class_="verdict"),
        ),
        tag("div", *sides, class_="sides"),
        _texts(one),
        class_="tune",
    )


def _side(one: ShownExample, name: str, place: str, label: str, drawing: Markup) -> Markup:
    """Return one roll with its button; the page's script shows the button."""
    return tag(
        "div",
        tag(
            "div",
            tag(
                "button",
                tag("span", class_="sign", aria_hidden="true"),
                type="button",
                class_="play",
                hidden=True,
                aria_pressed="false",
                aria_label=f"Play {label}",
                data_notes=place,
                data_tempo=one.tune.quarters_per_minute,
            ),
            tag("span", name, class_="side-name"),
            class_="side-head",
        ),
        drawing,
        class_="side",
    )


def _parted_text(byte: int | None, place: str) -> str:
    """Return the label of the line where two rolls part."""
    return place if byte is None else f"first wrong byte {byte:,}; {place}"


def _verdict(one: ShownExample, time: float | None) -> str:
    """Say in words how the written file compares."""
    byte = one.first_different_byte
    if byte is None:
        return "Byte for byte the true file."
    if not one.written:
        return "Nothing was written."
    said = f"First wrong byte {byte:,} of {len(one.written):,} written"
    if one.written_roll is None:
        return f"{said}; {one.fault}."
    if time is None:
        said += "; every note is right"
    else:
        said += f"; the first wrong note in {one.true_roll.place(time)}"
    return f"{said}. Not well formed: {one.fault}." if one.fault else f"{said}."


def _texts(one: ShownExample) -> Markup | None:
    """Return truth and written beside each other, the first different byte of both marked.

    A MIDI file's bytes are shown around that byte only.
    """
    at = one.first_different_byte
    if one.target == "abc":
        shown = [_marked(data, at) for data in (one.truth, one.written)]
    elif at is None:
        return None
    else:
        shown = [_marked_hex(data, at) for data in (one.truth, one.written)]
    texts = zip(("Truth", "Written"), shown, strict=True)
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("span", name, class_="side-name"),
                tag("pre", text, tabindex="0"),
            )
            for name, text in texts
        ),
        class_="texts",
    )


def _marked(data: bytes, at: int | None) -> Markup:
    """Return bytes as text; from `at` on they differ, and the first of them is marked."""
    if at is None:
        return join(_text(data))
    first = _text(data[at : at + 1]) or "end"
    shown = "↵\n" if first == "\n" else "␣" if first == " " else first
    return join(_text(data[:at]), tag("mark", shown), _text(data[at + 1 :]))


def _marked_hex(data: bytes, at: int) -> Markup:
    """Return the bytes around `at` in hexadecimal, that one marked."""
    before, behind = data[max(at - _AROUND, 0) : at], data[at + 1 : at + 1 + _AROUND]
    return join(
        f"byte {max(at - _AROUND, 0):,}: {before.hex(' ')} ",
        tag("mark", data[at : at + 1].hex() or "end"),
        f" {behind.hex(' ')}",
    )


def _text(data: bytes) -> str:
    """Return a file as text, what is not ASCII escaped."""
    return data.decode("ascii", "backslashreplace")

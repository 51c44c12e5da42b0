"""Tunes in the dialect of abcjs and abcm2ps users, made up from a seed: as unlike music21's as
can be.

Several tunes a file, file headers, free text, CRLF, CR and LF, UTF-8 and Latin-1, files without a
last line end. In the tunes: lyrics, parts, one or two named voices, `%%MIDI`, tempo, continued
fields, symbol lines, macros, inline fields, chord symbols and annotations, old and new decorations,
spacers, grace notes, endings, repeats, keys with clefs and transpositions spelt in every way. About
one tune in five has something that this project drops on purpose.
"""

import random
from typing import NamedTuple

KEYS = [
    "D Major", "G major", "Gmaj", "Ador clef=treble", "Emin", "E minor", "EMIN", "Am", "Bb", "F#m",
    "Ddorian", "A Mixolydian", "AMix", "Em treble", "C bass", "G treble-8", "D clef=bass-8", "Hp",
    "D ^g", "Gm exp ^f _b _e", "C none", "none", "C middle=d", "D octave=-1", "G transpose=-2",
    "Am stafflines=5", 'F clef=alto1 name="x"', "Clyd", "Bphr", "c", "G % in G", "Dmaj  clef=none",
]  # fmt: skip
METRES = [
    "C|", "C", "4/4", "6/8", "9/8", "3/4", "2/4", "12/8", "2+2+3/8", "(2+3)/8", "none", "3/2",
    "5/4", "C |", " 6/8 ", "free", "", "4/4 % common", "7/x", "(2+3+2)/8", "C3",
]  # fmt: skip
UNITS = ["1/8", "1/4", " 1/16", "1/8 % eighths", "1", "1/32", "1/12"]
TEMPI = ["120", "1/4=120", '"Allegro" 1/4=132', "1/8=240 % quick", "C=100", '3/8=60 "Slow"']
WORDS = ["Ríleán", "Müller", "An cailín", "Étude", "Förtvivlan", "The Élan", "Plain", "Señor"]
CHORDS = ["G", "Am7", "D7", "Bm", "C#m", "Ebmaj7", "F/C", "G7sus4", "Edim", "N.C.", "Gadd9", "(G)"]
DECORATIONS = [
    "!segno!", "!coda!", "!trill!", "!fermata!", "+fermata+", "!>!", "!p!", "!crescendo(!",
    "!crescendo)!", "!D.S.!", "!uppermordent!", "!slide!", "+trill+", "!5!", "~", ".", "T", "H",
    "u", "v", "!+!", "!breath!", "!wedge!", "!<(!", "!<)!",
]  # fmt: skip
SPOILERS = ["no key", "two voices", "overlay", "foreign", "tie", "only words", "bad note"]


class MadeFile(NamedTuple):
    """A file and what it is made to hold."""

    data: bytes
    tunes: int


def dialect_files(seed: int, tunes: int) -> dict[str, MadeFile]:
    """Return files with `tunes` tunes in all, by their path below a folder."""
    draw = random.Random(seed)
    files: dict[str, MadeFile] = {}
    left = tunes
    while left:
        count = min(left, draw.choice([1, 1, 2, 5, 12, 40]))
        left -= count
        head = draw.choice(["", "%abc-2.1\n", "%%pagewidth 21cm\n%%MIDI nobeataccents\nM:4/4\n\n"])
        parts = [_tune(draw, number) for number in range(1, count + 1)]
        between = draw.choice(
            ["\n\n", "\n\nA paragraph of text between tunes.\n\n", "\n%%newpage\n"]
        )
        text = head + between.join(parts) + draw.choice(["", "\n", "\n\n"])
        text = text.replace("\n", draw.choice(["\n", "\r\n", "\r\n", "\r"]))
        data = text.encode(draw.choice(["utf-8", "utf-8-sig", "latin-1"]))
        name = draw.choice(["tunes", "session set", "Ré", "a.b"]) + f"{len(files):03d}"
        files[f"{draw.choice(['', 'reels/', 'x/y/'])}{name}{draw.choice(['.abc', '.ABC'])}"] = (
            MadeFile(data, count)
        )
    return files


def _tune(draw: random.Random, number: int) -> str:
    """Return one tune without a last line end."""
    spoiler = draw.choice(SPOILERS) if draw.random() < 0.2 else ""
    word = draw.choice(WORDS)
    lines = [f"X:{draw.choice(['', ' '])}{number}", f"T:{word} no. {number}", "T: The Other Name"]
    lines += draw.sample(
        [
            "C:Trad. arr. " + word, "O:Éire", "R:hornpipe", "Z:abc by " + word, "S:from a player",
            "N:a note\n+:that goes on\n+: and on", "H:History\nsecond line without a letter",
            "G:flute", "D:a record", "B:a book", "F:http://example.org/" + str(number),
            "m: ~n2 = {o}n/{m}n/", "U: W = !fermata!", "I:linebreak $", "r:remark",
            f"Q:{draw.choice(TEMPI)}", "P:AABB", "%%MIDI program 40", "%%MIDI gchord fzczfzcz",
            "%%score 1", "%%titlefont Times 20", "A:Cork", "% a comment", "[I:abc-charset utf-8]",
        ],
        k=draw.randrange(3, 12),
    )  # fmt: skip
    if draw.random() < 0.9:
        lines.append(f"M:{draw.choice(METRES)}" if draw.random() < 0.5 else "M:4/4")
    if draw.random() < 0.8:
        lines.append(f"L:{draw.choice(UNITS)}" if draw.random() < 0.3 else "L:1/8")
    if spoiler != "no key":
        lines.append(f"K:{draw.choice(['', ' '])}{draw.choice(KEYS)}")
    voice = draw.choice(["", "", 'V:1 clef=treble name="Fiddle" snm="Fl."', "V:T1 nm=Ténor"])
    if voice:
        lines += [voice, "%%MIDI program 73", "[V:1]" if voice.startswith("V:1 ") else "%"]
    for part in range(draw.randrange(1, 4)):
        lines += [f"P:{'ABC'[part]}"] if draw.random() < 0.4 else []
        lines += _part(draw)
    return "\n".join([*lines, *_spoilt(draw, spoiler)])


def _part(draw: random.Random) -> list[str]:
    """Return a repeated part of two lines, with what stands below and between them."""
    first = "|:" + "|".join(_bar(draw) for _ in range(4)) + draw.choice(["|", "|\\", "|$", "| %x"])
    close = draw.choice([":|", ":|2", "endings"])
    bars = "|".join(_bar(draw) for _ in range(3))
    if close == "endings":
        second = (
            f"{bars}{draw.choice(['|1 ', '[1 ', '|[1'])}{_bar(draw)}:{draw.choice(['|2 ', '|[2 '])}"
        )
        second += f"{_bar(draw)}{draw.choice(['||', '|]'])}"
    elif close == ":|2":
        second = f"{bars}|1 {_bar(draw)} :|2 {_bar(draw)} |]"
    else:
        second = f"{bars}|{_bar(draw)}:|"
    extra = draw.choice(
        ["", "", "w: la la-la * | lé_ lo", "s: !f! * !p!", "%%vskip 1cm", "W:words"]
    )
    lines = [first, extra, second] if extra else [first, second]
    return [*lines, "+: and on"] if extra.startswith("w:") else lines


def _bar(draw: random.Random) -> str:
    """Return the music of one bar, bar lines left out."""
    parts: list[str] = []
    if draw.random() < 0.15:
        parts.append(draw.choice(["[M:3/4]", "[K:G]", "[r:hm]", "[L:1/8]", "[Q:1/4=90]", "[P:B]",
                                  "[I:MIDI program 5]", "[K:Am clef=bass]"]))  # fmt: skip
    for _ in range(draw.randrange(2, 5)):
        note = draw.choice([*"CDEFGABcdefgab", "A,", "G,2", "c'", "d'/2", "_B", "^F", "=c", "__e"])
        note += draw.choice(["", "", "", "2", "/2", "3/2"]) if note[-1].isalpha() else ""
        front = draw.choice(
            [
                "",
                "",
                "",
                "",
                f'"{draw.choice(CHORDS)}"',
                '"^slowly, pizz."',
                "{g}",
                "{/ag}",
                draw.choice(DECORATIONS),
                '"@-5,10 here"',
                "y ",
                "(",
            ]
        )
        tail = ")" if front == "(" else ""
        parts.append(front + note + tail + draw.choice(["", " ", " ", "y", "`", "*"]))
    if draw.random() < 0.2:
        parts.append(draw.choice(["(3efg", "(3:2:3A/B/c/", "[CEG]2", "z", "x", "A>B", "c<d", "Z",
                                  "A-A", "[ce]-[ce]", "(AB)", ".(cd)", "(3(ABc)"]))  # fmt: skip
    return "".join(parts)


def _spoilt(draw: random.Random, spoiler: str) -> list[str]:
    """Return the lines that spoil a tune."""
    return {
        "two voices": ["V:2", "C8|"],
        "overlay": ["C4 & E4|"],
        "foreign": [f"CDE {draw.choice('é@#&')}|"],
        "tie": ["C4 G4-|"],
        "only words": ["", "and so on | until the end"],
        "bad note": ["C,,,,,,,,2|"],
    }.get(spoiler, [])

"""Three ways in which abc2midi is asked for a tune's MIDI file, and what they put into its text.

| preset | the tune as it is given to abc2midi | its file |
|---|---|---|
| `plain` | as it is | as it comes |
| `compact` | as it is | shorter: running status, and a note-on of velocity 0 for a note-off |
| `easyabc` | with the `%%MIDI` lines that the program EasyABC adds | as it comes |

`easyabc` is there because the paper's MIDI files were made by EasyABC's call of abc2midi. What is
certain: which lines EasyABC adds, in which order and with which values on a fresh installation
(its public source, repository jwdj/EasyABC, functions `process_abc_for_midi` and
`test_for_guitar_chords`, and the defaults in `restore_settings`: volume 96, panning 64, programs 0
and 24, 120 quarters a minute, hence no `Q:`). Its option `-BF` is left out: without an `R:` line,
which the normal form drops, it changes no byte and makes abc2midi report an error.

What is not: how the authors had set it up. A fresh EasyABC writes `gchordoff`, which silences chord
symbols; `gchordon` stands here, as after a tick at "play chords", because a model trained on the
authors' files writes chord tracks full of notes. And they had another build of abc2midi (4.84).
"""

from typing import Literal, get_args

Preset = Literal["plain", "compact", "easyabc"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

_MELODY = ["control 7 96", "control 10 64"]
_CHORDS_ON = ["gchordon"]
_PROGRAM = ["program 0"]
_CHORDS = ["chordprog 24", "bassprog 24", "chordvol 96", "bassvol 96"]
_AFTER_KEY = "%%MIDI control 7 96\n"


def _lines(directives: list[str]) -> str:
    return "".join(f"%%MIDI {directive}\n" for directive in directives)


_WITHOUT_CHORDS = _lines(_MELODY + _PROGRAM)
_WITH_CHORDS = _lines(_MELODY + _CHORDS_ON + _PROGRAM + _CHORDS)


def with_directives(tune: str, preset: Preset) -> str:
    r"""Return a tune in normal form with the lines that a preset adds to it.

    They are the same for every tune, but for those on chord symbols, which only a tune with chord
    symbols has and nothing else hears. So what a tune leaves behind for the next is what that one
    sets again.

    >>> with_directives("X:1\nL:1/8\nM:4/4\nK:C\nCDEF|\n", "easyabc").split("\n")[1:4]
    ['%%MIDI control 7 96', '%%MIDI control 10 64', '%%MIDI program 0']
    """
    if preset != "easyabc":
        return tune
    number, unit, metre, key, body = tune.split("\n", 4)
    # In normal form, whatever stands in quotes is a chord symbol.
    header = _WITH_CHORDS if '"' in body else _WITHOUT_CHORDS
    return f"{number}\n{header}{unit}\n{metre}\n{key}\n{_AFTER_KEY}{body}"

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

from collections.abc import Sequence
from typing import Literal, get_args

from simulators.music.reasons import DropReason
from simulators.suggest import unknown_name

Preset = Literal["plain", "compact", "easyabc"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


def check_preset(preset: str) -> None:
    """Refuse a preset that does not exist.

    Raises:
        ValueError: names the nearest one and all.
    """
    if preset not in PRESETS:
        raise ValueError(unknown_name("preset", preset, PRESETS, in_order=True))


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

    Raises:
        ValueError: the tune is not in normal form.
    """
    if preset != "easyabc":
        return tune
    lines = tune.split("\n", 4)
    if len(lines) < 5 or not lines[3].startswith("K:"):
        raise ValueError(f"this tune is not in normal form: {tune[:60]!r}")
    number, unit, metre, key, body = lines
    # In normal form, whatever stands in quotes is a chord symbol.
    header = _WITH_CHORDS if '"' in body else _WITHOUT_CHORDS
    return f"{number}\n{header}{unit}\n{metre}\n{key}\n{_AFTER_KEY}{body}"


def with_compact_files(results: Sequence[bytes | DropReason]) -> list[bytes | DropReason]:
    """Return results with their files in fewer bytes; a broken one stays, to be judged as such.

    In pieces, because the compiled reader takes all notes of its files at once.
    """
    # Not above: only this preset waits for the compiled loops.
    from simulators.music.midi.compact_midi import compact_files
    from simulators.music.midi.note_batches import read_note_batch

    compact: list[bytes | DropReason] = []
    for start in range(0, len(results), _COMPACT_FILES):
        piece = list(results[start : start + _COMPACT_FILES])
        files = [(place, file) for place, file in enumerate(piece) if isinstance(file, bytes)]
        faults = read_note_batch([file for _, file in files]).fault_offsets.tolist()
        whole = [found for found, fault in zip(files, faults, strict=True) if fault < 0]
        shorter = compact_files([file for _, file in whole])
        for (place, _), file in zip(whole, shorter, strict=True):
            piece[place] = file
        compact += piece
    return compact


_COMPACT_FILES = 10_000

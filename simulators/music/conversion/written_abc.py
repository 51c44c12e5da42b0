"""Judge ABC that somebody else wrote: is it one tune, and what does abc2midi make of it?

The bytes are hostile. What no tune needs is refused unread: bytes beyond printable ASCII, texts of
more than 8 KB, directives, through which abc2midi can be made to read other files. The rest goes
through abc2midi in the sandbox. A text that is in normal form may share its process with others, in
batches whose results are those of single runs (`simulators.music.conversion.converter`); any other
text gets a process of its own.

It does not compare anything with a true tune. A bad text is a verdict; only a machine on which the
converter does not run is an error.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from simulators.music.abc.bars import Tune, read_bars
from simulators.music.abc.canonical import canonicalise
from simulators.music.conversion.converter import Conversion, convert_all, convert_alone
from simulators.music.midi.note_batches import read_note_batch
from simulators.music.reasons import DropReason, TuneRejected

MAX_ABC_BYTES = 8192
"""A model's sequence; no file of a corpus is longer."""


class AbcFault(StrEnum):
    """Why a text is not valid: the first that applies."""

    TOO_LONG = "too_long"
    NOT_PLAIN_TEXT = "not_plain_text"
    """Bytes other than printable ASCII, tabs and line ends."""
    DIRECTIVE = "directive"
    """`%%` or `I:`, which could make abc2midi read another file; `P:` with repeats, from which it
    makes other notes in every run."""
    NOT_ONE_TUNE = "not_one_tune"
    """No `X:` line, or more than one."""
    CONVERTER_REFUSED = "converter_refused"
    """abc2midi reported an error, or wrote nothing."""
    CONVERTER_STOPPED = "converter_stopped"
    """abc2midi crashed, or ran over a limit."""
    BROKEN_MIDI = "broken_midi"
    """abc2midi wrote a file that the strict reader refuses."""
    NO_NOTES = "no_notes"
    """Nothing sounds: a header alone, rests, decoration without a note."""


class WrittenAbc(NamedTuple):
    """What became of one text."""

    fault: AbcFault | None
    """None: the text is valid."""
    midis: tuple[bytes, ...]
    """What abc2midi wrote in spite of a fault, one file a tune."""
    tune: Tune | None
    """The text's normal form, read for its time; `None` where it has none."""


def judge_abc(texts: Sequence[bytes]) -> list[WrittenAbc]:
    """Return the verdict on every text, in order.

    Raises:
        ConverterMissing: abc2midi is not installed.
        ConverterNotRun: the machine kept abc2midi from running; another time it may.
    """
    faults = [_fault_of_text(text) for text in texts]
    forms = [
        None if fault else _normal_form(text) for text, fault in zip(texts, faults, strict=True)
    ]
    found: dict[int, Conversion] = {}
    together: list[int] = []
    for i, (text, form) in enumerate(zip(texts, forms, strict=True)):
        if faults[i] in (None, AbcFault.NOT_ONE_TUNE):
            if form is not None and form.encode() in (text, text + b"\n"):
                together.append(i)
            else:
                found[i] = convert_alone(text)
    found.update(zip(together, convert_all([str(forms[i]) for i in together]), strict=True))
    unsound = _unsound_midis([data for i in found for data in found[i].files])
    verdicts: list[WrittenAbc] = []
    for i, fault in enumerate(faults):
        made = found.get(i, _NOTHING)
        verdicts.append(
            WrittenAbc(
                fault=fault or _fault_of_conversion(made, unsound),
                midis=made.files,
                tune=_tune_of(forms[i]),
            )
        )
    return verdicts


_NOTHING = Conversion((), None)
_NOT_PLAIN = re.compile(rb"[^\t\n\r -~]")
_DIRECTIVE = re.compile(
    rb"%% | (?:^|[\r\n\[]) [ \t]* (?: I[ \t]*: | P[ \t]*:[^\r\n\]]*[()0-9] )",
    re.IGNORECASE | re.VERBOSE,
)
_TUNE_START = re.compile(rb"(?:^|[\r\n])[ \t]*X[ \t]*:")


def _fault_of_text(text: bytes) -> AbcFault | None:
    """Return what is wrong with a text before anything reads it."""
    if len(text) > MAX_ABC_BYTES:
        return AbcFault.TOO_LONG
    if _NOT_PLAIN.search(text):
        return AbcFault.NOT_PLAIN_TEXT
    if _DIRECTIVE.search(text):
        return AbcFault.DIRECTIVE
    if len(_TUNE_START.findall(text)) != 1:
        return AbcFault.NOT_ONE_TUNE
    return None


def _normal_form(text: bytes) -> str | None:
    try:
        return canonicalise(text.decode("ascii"))
    except TuneRejected:
        return None


def _tune_of(form: str | None) -> Tune | None:
    return None if form is None else read_bars(form)


def _unsound_midis(files: Sequence[bytes]) -> dict[bytes, AbcFault]:
    """Return what is wrong with those of the files that are not well formed, or without a note."""
    notes = read_note_batch(files)
    unsound: dict[bytes, AbcFault] = {}
    for data, fault, count in zip(
        files, notes.fault_offsets.tolist(), np.diff(notes.offsets).tolist(), strict=True
    ):
        if fault >= 0:
            unsound[data] = AbcFault.BROKEN_MIDI
        elif count == 0:
            unsound[data] = AbcFault.NO_NOTES
    return unsound


def _fault_of_conversion(made: Conversion, unsound: Mapping[bytes, AbcFault]) -> AbcFault | None:
    """Return what is wrong with what abc2midi did."""
    if made.fault in (DropReason.CONVERTER_CRASHED, DropReason.CONVERTER_LIMIT):
        return AbcFault.CONVERTER_STOPPED
    if made.fault is not None:
        return AbcFault.CONVERTER_REFUSED
    if len(made.files) != 1:
        return AbcFault.NOT_ONE_TUNE
    return unsound.get(made.files[0])

"""Why a tune is left out: one closed list for the normal form, the converter and the music source.

Every dropped tune carries exactly one of these; counts by reason stand in the manifest.
"""

from enum import StrEnum


class DropReason(StrEnum):
    """A reason for which a tune, a pair or a file is dropped."""

    # The normal form (`simulators.music.abc.canonical`)
    NO_KEY = "no_key"
    """No `K:` field, so no tune begins."""
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_METRE = "unknown_metre"
    UNKNOWN_UNIT_LENGTH = "unknown_unit_length"
    NO_NOTES = "no_notes"
    """Nothing sounds: no note letter is left in the body."""
    SEVERAL_TUNES = "several_tunes"
    """More than one `X:` line."""
    SEVERAL_VOICES = "several_voices"
    """More than one `V:` voice, or an overlay `&`."""
    MUSIC_AFTER_END = "music_after_end"
    """A blank line ends a tune, yet bars follow it."""
    UNEXPECTED_CHARACTER = "unexpected_character"
    """The body holds a character that is no ABC music."""
    TEXT_TOO_LONG = "text_too_long"
    NESTED_TOO_DEEPLY = "nested_too_deeply"
    """What is dropped keeps bringing out more to drop, as in `[P:[P:[P:]]]`."""

    # The converter (`simulators.music.conversion.converter`)
    CONVERTER_ERROR = "converter_error"
    """The program reported an error for this tune when run on it alone."""
    CONVERTER_CRASHED = "converter_crashed"
    """The program died on this tune alone."""
    CONVERTER_LIMIT = "converter_limit"
    """The program ran over its CPU or output limit on this tune alone."""
    CONVERTER_NO_OUTPUT = "converter_no_output"
    """The program reported nothing and wrote nothing."""
    CONVERTER_BAD_MIDI = "converter_bad_midi"
    """The program reported nothing and wrote a broken file, as for a note that MIDI has no pitch
    for (`B,,,,,,`)."""

    # The transposer (`simulators.music.abc.transpose`)
    NOT_TRANSPOSABLE = "not_transposable"
    """The tune cannot be moved so far exactly, or not at all (a bagpipe key)."""

    # The source (`pipelines.sources`)
    FILE_TOO_LARGE = "file_too_large"
    """A file of the user's folder is over the size limit; it counts as one tune."""
    NOT_TEXT = "not_text"
    """A file of the user's folder has zero bytes, so it is no text in ASCII, Latin-1 or UTF-8,
    whatever its name; it counts as one tune."""
    NO_TUNE = "no_tune"
    """A file of the user's folder has no `X:` line, or a row of a data set is empty; it counts as
    one tune."""
    UNKNOWN_CONTROL_CODE = "unknown_control_code"
    """Control codes were asked for, and this tune's are not lines of `S:`, `B:` or `E:` with a
    number."""
    LICENCE_NOT_WANTED = "licence_not_wanted"
    """The collection's licence is not among the licences asked for."""
    DUPLICATE_ABC = "duplicate_abc"
    """An earlier tune has the same normal form."""
    DUPLICATE_MIDI = "duplicate_midi"
    """An earlier tune sounds the same to the byte."""
    PAIR_TOO_LONG = "pair_too_long"
    """The pair does not fit the model's sequence of 512 patches; never truncated."""
    SOUNDS_OTHERWISE = "sounds_otherwise"
    """A transposed or recombined tune does not convert to the notes that it was made to have."""
    SAME_HALVES = "same_halves"
    """Both halves of a recombined tune are the same phrases."""
    SAME_AS_REAL = "same_as_real"
    """A recombined tune sounds like a real one, in whatever key."""
    NEAR_TEST_TUNE = "near_test_tune"
    """A recombined tune is a near-duplicate of a test tune."""


class TuneRejected(ValueError):  # noqa: N818 - a verdict on a tune, named as such
    """The text has no normal form; `reason` says why, `detail` shows the place."""

    def __init__(self, reason: DropReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason: DropReason = reason
        self.detail: str = detail

    def __reduce__(self) -> tuple[type["TuneRejected"], tuple[DropReason, str]]:
        """Pickle by parts, so that the verdict crosses from a worker process."""
        return (TuneRejected, (self.reason, self.detail))

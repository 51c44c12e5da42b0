"""MIDI files in fewer bytes: running status, and note-on of velocity 0 for note-off.

Both are ways in which the format lets a writer say the same. A channel message leaves out its
status byte where it is that of the message before it; a note-off becomes a note-on of velocity 0,
so that notes that begin and end share one status. Delta times, metas and system exclusives stay
byte for byte; the tracks' lengths are corrected.

A note-on of velocity 0 cannot carry a release velocity. One of 0 (what the converter writes) or 64
(what the standard gives to a writer that knows none) says nothing and is let go; a file where a
note-off has another keeps all its note-offs as they are. Notes never change, and no file grows: a
status that is written has always been written before.

Source: MIDI 1.0 Detailed Specification, "Running Status" and "Note-Off".
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from simulators.music.midi.compact_kernel import rewrite_files
from simulators.music.midi.note_batches import fault_text, flat_files, read_note_batch


def compact_files(files: Sequence[bytes]) -> list[bytes]:
    """Return the same files in fewer bytes, or as many.

    Raises:
        ValueError: a file is not well formed.
    """
    faulty = np.flatnonzero(read_note_batch(files).fault_offsets >= 0)
    if len(faulty):
        number = int(faulty[0])
        raise ValueError(f"file {number} of {len(files)}: {fault_text(files[number])}")
    written, offsets = rewrite_files(*flat_files(files))
    whole = written.tobytes()
    return [whole[start:end] for start, end in pairwise(offsets.tolist())]

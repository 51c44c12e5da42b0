"""From ABC texts to pairs with their MIDI, and what is asked of every pair before it is kept.

Real, transposed and recombined tunes all come through here: converted in batches, held against the
strict reader, measured, and told apart by what sounds (`sounds`), in whatever key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.music.conversion.converter import Preset, convert
from simulators.music.midi.note_batches import NoteBatch, fault_text, melody_batch, read_note_batch
from simulators.music.reasons import DropReason

MAX_LAYOUT_BYTES = 8192
"""A model's sequence: 512 patches of 16 bytes."""

_PATCH_BYTES = 16


class Pairs(NamedTuple):
    """Pairs of n texts; one that is dropped has a reason, and what else stands there is nothing."""

    abc: list[bytes]
    mid: list[bytes]
    reasons: list[DropReason | None]
    details: list[str]
    """What a reason is about, for people; mostly empty."""
    notes: NoteBatch
    melodies: tuple[NDArray[np.uint8], NDArray[np.int64]]
    """Interval bytes and offsets, see `note_batches.melody_batch`."""
    sounds: list[bytes]
    """16 bytes: a hash of the melody's notes relative to its first: two tunes have the same where
    one is the other in another key."""
    first_pitches: list[int]
    """Of the melody."""

    def melody(self, i: int) -> bytes:
        """Return the interval bytes of pair `i`."""
        flat, offsets = self.melodies
        return flat[offsets[i] : offsets[i + 1]].tobytes()


@dataclass(frozen=True, kw_only=True, slots=True)
class PairMaker:
    """How ABC becomes MIDI in one corpus."""

    preset: Preset

    def make(self, texts: Sequence[tuple[str, str]]) -> Pairs:
        """Convert tunes, each given as its control codes and its normal form.

        Raises:
            ConverterNotRun: the machine kept the converter from running; another time it may.
        """
        converted = convert([form for _, form in texts], self.preset)
        abc = [(codes + form).encode("ascii") for codes, form in texts]
        mid = [b"" if isinstance(found, DropReason) else found for found in converted]
        notes = read_note_batch(mid)
        reasons: list[DropReason | None] = []
        details: list[str] = []
        for i, found in enumerate(converted):
            reason, detail = None, ""
            if isinstance(found, DropReason):
                reason = found
            elif (size := layout_bytes(abc[i], found)) > MAX_LAYOUT_BYTES:
                reason, detail = DropReason.PAIR_TOO_LONG, f"{size} > {MAX_LAYOUT_BYTES} bytes"
            elif notes.fault_offsets[i] >= 0:
                reason, detail = DropReason.CONVERTER_BAD_MIDI, fault_text(found)
            reasons.append(reason)
            details.append(detail)
        sounds, first_pitches = _sounds(notes)
        return Pairs(abc, mid, reasons, details, notes, melody_batch(notes), sounds, first_pitches)


def layout_bytes(abc: bytes, mid: bytes) -> int:
    """Return the size of a pair as the model reads it.

    An extension patch before each file, each file padded to whole patches, one end patch.

    >>> layout_bytes(b"x" * 16, b"x" * 17)
    96
    """
    patches = 3 + sum(-(-len(data) // _PATCH_BYTES) for data in (abc, mid))
    return patches * _PATCH_BYTES


def _sounds(notes: NoteBatch) -> tuple[list[bytes], list[int]]:
    """Return `Pairs.sounds` and `Pairs.first_pitches`; the melody is the lowest channel used."""
    sounds: list[bytes] = []
    pitches: list[int] = []
    offsets = notes.offsets.tolist()
    for start, end in pairwise(offsets):
        channels = notes.channels[start:end]
        where = slice(start, end)
        if end == start:
            sounds.append(b"")
            pitches.append(0)
            continue
        lowest = int(channels.min())
        starts, durations = notes.start_ticks[where], notes.duration_ticks[where]
        heights = notes.pitches[where].astype(np.int64)
        if int(channels.max()) != lowest:
            melody = channels == lowest
            starts, durations, heights = starts[melody], durations[melody], heights[melody]
        digest = blake2b((starts - starts[0]).tobytes(), digest_size=16)
        digest.update(durations.tobytes())
        digest.update((heights - heights[0]).tobytes())
        sounds.append(digest.digest())
        pitches.append(int(heights[0]))
    return sounds, pitches

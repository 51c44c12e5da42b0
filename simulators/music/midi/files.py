"""Standard MIDI files: a strict reader, its inverse, and the notes.

The format is two tables (`_CHANNEL_DATA_BYTES` for the length of channel messages, `_META_LENGTHS`
for the metas of fixed length) and `decode` / `encode`, which are inverse. Strict: whatever is not a
whole, well-formed file is an error with its offset; only `salvage_score` takes what is left of a
broken one, and says so in its name. It plays nothing, and knows nothing of abc2midi.

Source: Standard MIDI Files 1.0 (MIDI Manufacturers Association, RP-001).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple, NoReturn


class MidiError(ValueError):
    """Not a well-formed MIDI file; `offset` is the place in bytes."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(f"at byte {offset}: {message}")
        self.offset: int = offset
        self._message: str = message

    def __reduce__(self) -> tuple[type["MidiError"], tuple[int, str]]:
        """Pickle by parts, so that the error crosses from a worker process."""
        return (MidiError, (self.offset, self._message))


class Event(NamedTuple):
    """One event of a track."""

    delta_ticks: int
    """Ticks since the event before it."""
    status: int
    """0x80..0xEF channel message, 0xF0 / 0xF7 system exclusive, 0xFF meta."""
    data: bytes
    """What follows the status; for a meta its type, then its content without the length."""


class MidiFile(NamedTuple):
    """A decoded file."""

    file_format: int
    """0 one track, 1 simultaneous tracks, 2 independent tracks."""
    ticks_per_quarter: int
    tracks: tuple[tuple[Event, ...], ...]


class Note(NamedTuple):
    """One sounding note."""

    start_tick: int
    duration_ticks: int
    pitch: int
    """0..127; 60 is middle C."""
    velocity: int
    """1..127."""
    channel: int
    """0..15."""


class Score(NamedTuple):
    """All notes of a file with their unit of time."""

    ticks_per_quarter: int
    notes: list[Note]
    """Sorted as tuples: by start, then duration, pitch, velocity, channel."""


# High nibble of a channel message -> number of data bytes.
_CHANNEL_DATA_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}

# Meta type -> (name, length of its content).
_META_LENGTHS = {
    0x20: ("channel prefix", 1),
    0x2F: ("end of track", 0),
    0x51: ("tempo", 3),
    0x54: ("SMPTE offset", 5),
    0x58: ("time signature", 4),
    0x59: ("key signature", 2),
}
_END_OF_TRACK = 0x2F
_SMPTE_OFFSET, _KEY_SIGNATURE = 0x54, 0x59
_NOTE_OFF, _NOTE_ON = 0x8, 0x9
_MAX_VARIABLE_LENGTH_BYTES = 4


def decode(data: bytes) -> MidiFile:
    """Return a file's events.

    Raises:
        MidiError: the bytes are not one whole, well-formed file.
    """
    if data[:4] != b"MThd":
        raise MidiError(0, f"expected 'MThd', found {data[:4]!r}")
    if len(data) < 14:
        raise MidiError(len(data), "the header is cut short")
    length = int.from_bytes(data[4:8], "big")
    if length != 6:
        raise MidiError(4, f"header length {length}, expected 6")
    file_format = int.from_bytes(data[8:10], "big")
    num_tracks = int.from_bytes(data[10:12], "big")
    division = int.from_bytes(data[12:14], "big")
    if file_format > 2:
        raise MidiError(8, f"format {file_format}, expected 0, 1 or 2")
    if num_tracks == 0 or (file_format == 0 and num_tracks != 1):
        raise MidiError(10, f"{num_tracks} tracks in a file of format {file_format}")
    if division == 0 or division >= 0x8000:
        raise MidiError(12, f"division {division:#06x} is not a number of ticks per quarter")
    tracks: list[tuple[Event, ...]] = []
    at = 14
    for number in range(num_tracks):
        if data[at : at + 4] != b"MTrk":
            found = data[at : at + 4]
            raise MidiError(at, f"expected 'MTrk' of track {number}, found {found!r}")
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        end = at + 8 + length
        if len(data) < at + 8 or end > len(data):
            raise MidiError(
                at + 4, f"track {number} declares {length} bytes, {max(len(data) - at - 8, 0)} left"
            )
        tracks.append(tuple(_decode_track(data, at + 8, end)))
        at = end
    if at != len(data):
        raise MidiError(at, f"{len(data) - at} bytes after the last track")
    return MidiFile(file_format, division, tuple(tracks))


def encode(file: MidiFile) -> bytes:
    """Return the bytes of a file, without running status; `decode` is the inverse.

    Raises:
        ValueError: a number does not fit its field.
    """
    chunks = [
        b"MThd\x00\x00\x00\x06",
        file.file_format.to_bytes(2, "big"),
        len(file.tracks).to_bytes(2, "big"),
        file.ticks_per_quarter.to_bytes(2, "big"),
    ]
    for track in file.tracks:
        body = b"".join(map(_encode_event, track))
        chunks += [b"MTrk", len(body).to_bytes(4, "big"), body]
    return b"".join(chunks)


def read_notes(data: bytes) -> list[Note]:
    """Return a file's notes in order of their start.

    Raises:
        MidiError: as `read_score`.
    """
    return read_score(data).notes


def read_score(data: bytes) -> Score:
    """Return a file's notes and its ticks per quarter.

    A note ends at the next note-off (or note-on of velocity 0) of its pitch and channel in its
    track; of several that sound, the oldest ends. A note-off with nothing to end is ignored.

    Raises:
        MidiError: the file is not well formed, or a note never ends.
    """
    file = decode(data)
    notes: list[Note] = []
    for number, track in enumerate(file.tracks):
        complete, still_sounding = _pair_notes(track)
        notes += complete
        if still_sounding:
            channel, pitch = still_sounding[0]
            raise MidiError(
                len(data), f"track {number} ends while pitch {pitch} of channel {channel} sounds"
            )
    notes.sort()
    return Score(file.ticks_per_quarter, notes)


def salvage(data: bytes) -> MidiFile | None:
    """Return the events that can be read of a file that may be broken; None without a header.

    A track begins at its `MTrk` and goes on to its end-of-track event or its first malformed one:
    the length that it declares is ignored, as it stands before the events that it counts. For a
    well-formed file this is `decode`.
    """
    division = int.from_bytes(data[12:14], "big")
    if data[:8] != b"MThd\x00\x00\x00\x06" or len(data) < 14 or not 0 < division < 0x8000:
        return None
    tracks: list[tuple[Event, ...]] = []
    at = 14
    while data[at : at + 4] == b"MTrk":
        events: list[Event] = []
        at += 8
        try:
            for event, after in _track_events(data, at, len(data)):
                events.append(event)
                at = after
                if event.status == 0xFF and event.data[0] == _END_OF_TRACK:
                    break
        except MidiError:
            at = len(data)
        tracks.append(tuple(events))
    return MidiFile(int.from_bytes(data[8:10], "big"), division, tuple(tracks))


def with_true_lengths(data: bytes) -> bytes:
    """Return a file whose tracks declare the lengths that they have.

    A track is taken to end with its end-of-track event. Who writes a file from front to back, as a
    model does, has to declare the length before it knows it. Nothing else changes: from the first
    track on that has a malformed event or no end, all stays as it is.

    >>> track = b"MTrk" + bytes([0, 0, 9, 9]) + bytes.fromhex("00 ff 2f 00")
    >>> with_true_lengths(b"MThd" + bytes(10) + track)[-8:].hex(" ")
    '00 00 00 04 00 ff 2f 00'
    """
    mended = bytearray(data)
    at = 14
    while data[at : at + 4] == b"MTrk":
        start = at + 8
        try:
            end = next(
                after
                for event, after in _track_events(data, start, len(data))
                if event.status == 0xFF and event.data[0] == _END_OF_TRACK
            )
        except (MidiError, StopIteration):
            break
        mended[at + 4 : start] = (end - start).to_bytes(4, "big")
        at = end
    return bytes(mended)


def salvage_score(data: bytes) -> Score | None:
    """Return what can be heard of a file that may be broken; None without a readable header.

    Of the events that `salvage` reads, the notes that both begin and end are kept. For a
    well-formed file this is `read_score`.
    """
    file = salvage(data)
    if file is None:
        return None
    notes = [note for track in file.tracks for note in _pair_notes(track)[0]]
    return Score(file.ticks_per_quarter, sorted(notes))


def _pair_notes(track: Iterable[Event]) -> tuple[list[Note], list[tuple[int, int]]]:
    """Return a track's whole notes, and channel and pitch of what sounds at its end."""
    notes: list[Note] = []
    sounding: dict[tuple[int, int], deque[tuple[int, int]]] = {}
    tick = 0
    for delta, status, payload in track:
        tick += delta
        if status >> 4 == _NOTE_ON and payload[1]:
            key = (status & 15, payload[0])
            sounding.setdefault(key, deque()).append((tick, payload[1]))
        elif status >> 4 in (_NOTE_OFF, _NOTE_ON):
            open_notes = sounding.get((status & 15, payload[0]))
            if open_notes:
                start, velocity = open_notes.popleft()
                notes.append(Note(start, tick - start, payload[0], velocity, status & 15))
    return notes, [key for key, open_notes in sounding.items() if open_notes]


def _decode_track(data: bytes, start: int, end: int) -> Iterator[Event]:
    """Yield the events of one track, which fills `data[start:end]` exactly."""
    ended = False
    for event, after in _track_events(data, start, end):
        yield event
        ended = event.status == 0xFF and event.data[0] == _END_OF_TRACK
        if ended and after < end:
            raise MidiError(after, f"{end - after} bytes after the end of the track")
    if not ended:
        raise MidiError(end, "the track has no end-of-track event")


def _track_events(data: bytes, start: int, end: int) -> Iterator[tuple[Event, int]]:
    """Yield each event from `start` on with the offset after it."""
    at = start
    running = 0
    while at < end:
        delta = data[at]
        if delta < 0x80:
            at += 1
        else:
            delta, at = _read_variable_length(data, at, end)
        if at >= end:
            _cut_short(end)
        status = data[at]
        if status >= 0x80:
            at += 1
        elif running:
            status = running
        else:
            raise MidiError(at, f"data byte {status:#04x} where a status is due")
        if status < 0xF0:
            running = status
            after = at + _CHANNEL_DATA_BYTES[status >> 4]
            payload = data[at:after]
            if after > end:
                _cut_short(end)
            if not payload.isascii():
                raise MidiError(at, f"data {payload.hex(' ')} of status {status:#04x} is over 0x7f")
        elif status in (0xF0, 0xF7, 0xFF):
            running = 0
            prefix = data[at : at + 1] if status == 0xFF else b""
            length, content = _read_variable_length(data, at + len(prefix), end)
            after = content + length
            if after > end:
                _cut_short(end)
            payload = prefix + data[content:after]
            if prefix:
                _check_meta(at, payload)
            elif not data[content:after].removesuffix(b"\xf7").isascii():
                raise MidiError(content, "a system exclusive message of data over 0x7f")
        else:
            raise MidiError(at - 1, f"status {status:#04x} has no place in a file")
        yield Event(delta, status, payload), after
        at = after


def _check_meta(at: int, payload: bytes) -> None:
    """Refuse a meta of another length than its own, and values that mean nothing."""
    kind, content = payload[0], payload[1:]
    if kind > 0x7F:
        raise MidiError(at, f"meta type {kind:#04x} is over 0x7f")
    if kind in _META_LENGTHS and _META_LENGTHS[kind][1] != len(content):
        name, expected = _META_LENGTHS[kind]
        raise MidiError(at, f"{name} of {len(content)} bytes, expected {expected}")
    if kind == _KEY_SIGNATURE and not (-7 <= _signed(content[0]) <= 7 and content[1] <= 1):
        raise MidiError(
            at,
            f"key signature of {_signed(content[0])} sharps in mode {content[1]}, expected "
            "-7 to 7 in 0 or 1",
        )
    if kind == _SMPTE_OFFSET and content[0] > 0x7F:
        raise MidiError(at, f"SMPTE offset of hours {content[0]:#04x}, expected 0rrhhhhh")


def _signed(byte: int) -> int:
    return byte - 256 if byte > 0x7F else byte


def _cut_short(end: int) -> NoReturn:
    raise MidiError(end, "the track ends inside an event")


def _read_variable_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a variable-length quantity and the offset after it."""
    value = 0
    for place in range(at, at + _MAX_VARIABLE_LENGTH_BYTES):
        if place >= end:
            _cut_short(end)
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    raise MidiError(at, "a variable-length number of more than 4 bytes")


def _encode_variable_length(value: int) -> bytes:
    """Return a number as a variable-length quantity of the fewest bytes."""
    if not 0 <= value < 1 << 28:
        raise ValueError(f"{value} does not fit a variable-length number (0..2^28-1)")
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def _encode_event(event: Event) -> bytes:
    """Return the bytes of one event."""
    head = _encode_variable_length(event.delta_ticks) + bytes([event.status])
    if event.status < 0xF0:
        return head + event.data
    prefix, content = (
        (event.data[:1], event.data[1:]) if event.status == 0xFF else (b"", event.data)
    )
    return head + prefix + _encode_variable_length(len(content)) + content

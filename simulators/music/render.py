"""A tune as a person wants to see it: its ABC text, then its MIDI file's notes in lines.

Only for looking at; nothing reads it back.
"""

from simulators.music.midi import MidiError, read_score


def pitch_name(pitch: int) -> str:
    """Return a pitch as a letter and an octave.

    >>> pitch_name(60), pitch_name(70)
    ('C4', 'A#4')
    """
    return f"{_PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


_PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def render_tune(abc: bytes, mid: bytes) -> str:
    """Return a tune as a person wants to see it: the ABC text, then a line for each note.

    Starts and lengths are in quarter notes. Neither file has to be valid: what cannot be read is
    said in place.
    """
    lines = [abc.decode("ascii", "backslashreplace").rstrip("\n"), ""]
    try:
        score = read_score(mid)
    except MidiError as error:
        return "\n".join([*lines, f"MIDI, {len(mid)} bytes: not readable: {error}"])
    quarter = score.ticks_per_quarter
    lines.append(f"MIDI, {len(mid)} bytes, {len(score.notes)} notes, {quarter} ticks per quarter")
    lines.append("   start  length  pitch  velocity  channel")
    lines += [
        f"{note.start_tick / quarter:8.3f}{note.duration_ticks / quarter:8.3f}"
        f"  {pitch_name(note.pitch):<5}{note.velocity:10d}{note.channel:9d}"
        for note in score.notes
    ]
    return "\n".join(lines)

"""Files as no honest model writes them: seeded damage to MIDI and ABC, and known traps."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

MAX_BYTES = 8192
Mutation = Callable[[bytes, random.Random], bytes]


def mutated_midis(files: Sequence[bytes], seed: int, count: int) -> list[tuple[str, bytes]]:
    """Return `count` named mutations of MIDI files; the same seed gives the same ones."""
    return list(islice(_mutated(MIDI_MUTATIONS, files, seed), count))


def mutated_abcs(files: Sequence[bytes], seed: int, count: int) -> list[tuple[str, bytes]]:
    """Return `count` named mutations of ABC tunes; the same seed gives the same ones."""
    return list(islice(_mutated(ABC_MUTATIONS, files, seed), count))


def _mutated(
    mutations: dict[str, Mutation], files: Sequence[bytes], seed: int
) -> Iterator[tuple[str, bytes]]:
    draw = random.Random(seed)
    while True:
        for name, mutate in mutations.items():
            yield name, mutate(draw.choice(files), draw)


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def _flip(data: bytes, draw: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 8, 64])):
        flipped[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _insert(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + draw.randbytes(draw.choice([1, 2, 40])) + data[at:]


def _delete(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    return data[:at] + data[at + draw.choice([1, 2, 40]) :]


def _overwrite(at: int, texts: Sequence[bytes]) -> Mutation:
    def mutate(data: bytes, draw: random.Random) -> bytes:
        text = draw.choice(texts)
        return data[:at] + text + data[at + len(text) :]

    return mutate


def _at_events(texts: Sequence[bytes]) -> Mutation:
    """Put events behind the header of the first track, with its length put right."""

    def mutate(data: bytes, draw: random.Random) -> bytes:
        text = draw.choice(texts)
        length = int.from_bytes(data[18:22], "big") + len(text)
        return data[:18] + length.to_bytes(4, "big") + text + data[22:]

    return mutate


def _many_tracks(data: bytes, draw: random.Random) -> bytes:
    track = b"MTrk\x00\x00\x00\x04\x00\xff\x2f\x00"
    tracks = draw.choice([1, 2, 600])
    declared = draw.choice([tracks, tracks + 1, 1_000_000 & 0xFFFF, 0xFFFF, 0])
    return b"MThd\0\0\0\6\0\1" + declared.to_bytes(2, "big") + b"\x01\xe0" + track * tracks


def _always(*texts: bytes) -> Mutation:
    return lambda _, draw: draw.choice(texts)


MIDI_MUTATIONS: dict[str, Mutation] = {
    "cut": _cut,
    "flipped": _flip,
    "inserted": _insert,
    "deleted": _delete,
    "track length": _overwrite(18, [bytes(4), b"\xff" * 4, b"\0\0\0\1", b"\0\1\0\0"]),
    "header length": _overwrite(4, [bytes(4), b"\xff" * 4, b"\0\0\0\7"]),
    "format and tracks": _overwrite(8, [b"\0\0\0\2", b"\0\2\0\1", b"\0\3", b"\xff" * 4]),
    "division": _overwrite(12, [b"\0\0", b"\0\1", b"\x7f\xff", b"\xe7\x28", b"\x80\0"]),
    "many tracks": _many_tracks,
    "tempo": _at_events([b"\0\xff\x51\3\0\0\0", b"\0\xff\x51\2\0\0", b"\0\xff\x51\3\xff\xff\xff"]),
    "giant delta": _at_events([b"\xff\xff\xff\x7f\xff\1\0", b"\xff\xff\xff\xff\x7f\xff\1\0"] * 2),
    "other metas": _at_events(
        [
            b"\0\xff\x59\2\x7f\0",
            b"\0\xff\x59\2\x80\1",
            b"\0\xff\x59\2\0\7",
            b"\0\xff\x59\2\x08\0",
            b"\0\xff\x59\2\xf8\0",
            b"\0\xff\x59\2\xf9\1",
            b"\0\xff\x58\4\0\0\0\0",
            b"\0\xff\x58\4\4\xff\x18\x08",
            b"\0\xff\x54\5\xff\xff\xff\xff\xff",
            b"\0\xff\x20\1\xff",
            b"\0\xff\x21\1\xff",
            b"\0\xff\0\2\0\1",
            b"\0\xff\0\0",
            b"\0\xff\x7f\0",
            b"\0\xff\x05\3\xff\xfe\0",
            b"\0\xf0\3\x7e\x7f\xf7",
            b"\0\xf0\3\x7e\xff\xf7",
            b"\0\xf0\2\x7e\x7f",
            b"\0\xf7\2\xff\xff",
            b"\0\xf0\0",
        ]
    ),
    "doubled": lambda data, _: data + data,
    "rubbish": lambda _, draw: draw.randbytes(draw.choice([0, 1, 13, 14, 500, MAX_BYTES])),
    "rubbish behind a header": lambda data, draw: data[:22] + draw.randbytes(600),
    "one byte": lambda data, draw: data[:22] + draw.choice([b"\0", b"\x7f", b"\xff"]) * 8000,
    "ABC": _always(b"X:1\nL:1/8\nM:4/4\nK:C\nABc|\n"),
}


def _line_before_key(*lines: bytes) -> Mutation:
    return lambda data, draw: data.replace(b"K:", draw.choice(lines) + b"\nK:", 1)


def _in_body(*texts: bytes) -> Mutation:
    def mutate(data: bytes, draw: random.Random) -> bytes:
        at = draw.randrange(data.index(b"\n", data.index(b"K:")) + 1, len(data) + 1)
        return (data[:at] + draw.choice(texts) + data[at:])[:MAX_BYTES]

    return mutate


def _shuffled_lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    draw.shuffle(lines)
    return b"".join(lines)


def _shuffled_bytes(data: bytes, draw: random.Random) -> bytes:
    head, key, body = data.partition(b"K:")
    mixed = list(body)
    draw.shuffle(mixed)
    return head + key + bytes(mixed)


def _other_letters(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5])):
        changed[draw.randrange(len(data))] = draw.choice(b"ABCGabcg|:[](){}<>~-^_=/,'234589zZ\"! ")
    return bytes(changed)


ABC_MUTATIONS: dict[str, Mutation] = {
    "cut": _cut,
    "without the last line end": lambda data, _: data.rstrip(b"\n"),
    "other letters": _other_letters,
    "flipped": _flip,
    "deleted": _delete,
    "doubled": lambda data, _: data + b"\n" + data,
    "body doubled": lambda data, _: data + data.split(b"\n", 4)[4],
    "lines shuffled": _shuffled_lines,
    "bytes shuffled": _shuffled_bytes,
    "nested repeats": _in_body(b"|:" * 1000, b":|" * 1000, b"|:|:ABc:|:|" * 300),
    "endings": _in_body(b"|1 A:|2 B:|3 C:|" * 200, b"[1-9", b"|1,3,5,7,9", b":|1|2|3"),
    "tuplets": _in_body(b"(9" * 500, b"(3(3(3ABC", b"(3ABC(5", b"(2:9:9", b"(3:99999999:99999999"),
    "brackets": _in_body(b"[" * 2000, b"{" * 2000, b"(" * 2000, b"[A" * 900, b"{A" * 900, b"]})"),
    "numbers": _in_body(b"C999999999", b"C/999999999", b"Z999999", b'"C"Z20000', b"C" + b"/" * 900),
    "pitches": _in_body(b"A" + b"," * 900, b"^^^^^A", b"c" + b"'" * 40, b"_" * 900, b"B,,,,,,,,"),
    "broken rhythm": _in_body(b"A" + b">" * 900 + b"B", b"><><", b"A>", b"A>B>C>D>"),
    "ties and slurs": _in_body(b"A-" * 900, b"-" * 900, b"((A)", b"A-|"),
    "quotes": _in_body(b'"' + b"x" * 3000, b'"^' + b"%s%n" * 40 + b'"', b"!" * 901, b'"' * 901),
    "fields": _in_body(
        b"\nV:1\n", b"\nV:2\nABc|\n", b"\nP:A\n", b"\nw:la la\n", b"[V:9]", b"&", b"\nK:\n",
        b"\nM:0/0\n", b"\nM:99999/1\n", b"\nL:1/0\n", b"\nL:1/999999\n", b"\nX:2\n",
        b"\nT:x\nK:C\n",
        b"\nd:!f!\n", b"\n\nABc|\n", b"[M:C|]", b"[I:x]", b"\nQ:0\n", b"\nQ:1/4=999999999\n",
    ),
    "header": _line_before_key(
        b"P:" + b"(" * 200, b"P:((A9)9)9", b"Q:1/0=0", b"Q:-5", b"M:none", b"M:3/0", b"L:1/3",
        b"m:~A=" + b"B" * 180, b"U:T=!x!", b"T:" + b"y" * 4000, b"V:1\nV:2\nV:3", b"R:hornpipe",
    ),
    "directives": _line_before_key(
        b"%%MIDI program 300", b"%%MIDI drumon", b"%%MIDI ptstress /etc/passwd",
        b"%%abc-include /etc/passwd", b" %%abc-include in.abc", b"I:abc-include x", b"%%MIDI",
        b"%%MIDI makechordchannels 99", b"%%propagate-accidentals maybe", b"% only a comment",
    ),
    "zeros": _in_body(b"\0", b"\0" * 4000, b"\x1a", b"\x7f"),
    "beyond ASCII": _in_body("ä".encode(), b"\xe4", b"\xff\xfe", "♯".encode()),
    "no key": lambda data, _: data.replace(b"K:", b"T:"),
    "no header": lambda data, _: data.split(b"\n", 4)[4],
    "other key": lambda data, draw: data.replace(
        b"K:", draw.choice([b"K:H", b"K:C dor^f ", b"K:"])
    ),
    "one letter": lambda data, draw: (
        data[: data.index(b"K:") + 4] + draw.choice([b"A", b"|", b"z", b"(", b"3"]) * MAX_BYTES
    )[:MAX_BYTES],
    "too long": lambda data, _: data + b"ABc|\n" * 200_000,
    "line ends": lambda data, draw: data.replace(
        b"\n", draw.choice([b"\r\n", b"\r", b"\n\n", b""])
    ),
    "rubbish": lambda _, draw: draw.randbytes(draw.choice([0, 1, 300, MAX_BYTES])),
    "MIDI": _always(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\4\0\xff\x2f\0"),
}  # fmt: skip

"""The golden tunes: written for this project, with the exact MIDI that abc2midi 5.02 makes of them.

They stand in `golden.hex` beside this file, because they are needed at run time: a build of
abc2midi that is not known yet is judged by them. In that file a line `tune NAME` begins a tune, a
line `| TEXT` is a line of ABC, any other holds bytes in hexadecimal; `#` begins a comment.
"""

import importlib.resources
from typing import NamedTuple


class GoldenTune(NamedTuple):
    """One golden tune."""

    name: str
    abc: str
    """In normal form."""
    mid: bytes


def golden_text() -> str:
    """Return the text of `golden.hex`."""
    return (
        importlib.resources.files("simulators.music.conversion")
        .joinpath("golden.hex")
        .read_text("ascii")
    )


def golden_tunes() -> list[GoldenTune]:
    """Return all golden tunes."""
    return [_parse(part) for part in golden_text().split("\ntune ")[1:]]


def _parse(part: str) -> GoldenTune:
    """Return one tune; `part` starts with its name."""
    name, *lines = part.split("\n")
    abc = "".join(line.removeprefix("| ") + "\n" for line in lines if line.startswith("| "))
    data = [line.partition("#")[0] for line in lines if not line.startswith("| ")]
    return GoldenTune(name, abc, bytes.fromhex(" ".join(data)))

"""The display tunes: written for this project, so that anybody may show and play them.

A corpus' own tunes carry licences that do not clear them for a published page; these stand in for
them wherever a conversion is shown. They are no part of any corpus, and no near-duplicate of one of
music21's tunes. `display.abc` beside this file holds them as ordinary ABC with title and tempo.
"""

import functools
import importlib.resources
import re
from typing import NamedTuple

from simulators.music.abc.canonical import canonicalise


class DisplayTune(NamedTuple):
    """One tune."""

    name: str
    """Of `a-z` and hyphens."""
    title: str
    kind: str
    """A jig, a reel, a waltz, ..."""
    quarters_per_minute: int
    """How fast a person would play it; the normal form has no tempo."""
    abc: str
    """In normal form."""


@functools.cache
def display_tunes() -> tuple[DisplayTune, ...]:
    """Return all display tunes in the order of their file."""
    text = (
        importlib.resources.files("simulators.music.looking")
        .joinpath("display.abc")
        .read_text("ascii")
    )
    return tuple(_parse("X:" + part) for part in re.split("(?m)^X:", text)[1:])


def _parse(text: str) -> DisplayTune:
    """Return one tune of the file."""
    field = dict(re.findall("(?m)^([TRQ]):(.*)$", text))
    return DisplayTune(
        name=re.sub("[^a-z]+", "-", field["T"].lower()).strip("-"),
        title=field["T"],
        kind=field["R"],
        quarters_per_minute=int(field["Q"].removeprefix("1/4=")),
        abc=canonicalise(text),
    )

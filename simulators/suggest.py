"""Error text for a name that is not known: what was given, the nearest name, the whole list.

One wording for systems, corpora, tasks, presets and configuration keys. It only makes text; the
caller decides what to raise.
"""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name(kind: str, name: str, known: Iterable[str], *, in_order: bool = False) -> str:
    """Return one line that names the unknown `name`, the nearest known one and all known ones.

    Known names are sorted, unless they come in an order that means something.

    >>> unknown_name("corpus", "cpu-tpy", ["abc-midi", "cpu-toy"])
    "unknown corpus 'cpu-tpy': did you mean 'cpu-toy'? Known: abc-midi, cpu-toy."
    >>> unknown_name("task", "x", ["abc-to-midi"])
    "unknown task 'x'. Known: abc-to-midi."
    >>> unknown_name("profile", "x", ["loop", "call"], in_order=True)
    "unknown profile 'x'. Known: loop, call."
    """
    names = list(known) if in_order else sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f": did you mean '{near[0]}'?" if near else "."
    return f"unknown {kind} '{name}'{hint} Known: {', '.join(names)}."

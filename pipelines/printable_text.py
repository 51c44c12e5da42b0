"""Strangers' text made safe to print: what a terminal would obey is shown as an escape.

Names of files and lines of tunes may hold control characters, which recolour, clear or retitle a
terminal, and characters that turn the direction of writing. It changes nothing that prints.
"""


def printable_text(text: str) -> str:
    r"""Return `text` with each character that does not print in Python's notation for it.

    >>> printable_text("2\x1b[31m, \u202e, é")
    '2\\x1b[31m, \\u202e, é'
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )

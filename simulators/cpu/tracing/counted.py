"""Numbers of things in words."""


def counted(number: int, word: str) -> str:
    """Return a number with the word for so many things.

    >>> counted(1, "state"), counted(1200, "state")
    ('1 state', '1,200 states')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"

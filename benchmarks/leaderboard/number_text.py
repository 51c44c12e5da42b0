"""Numbers as people read them: one form a unit, the same digits in a whole column.

It decides how many digits are shown, never what is compared.
"""

from benchmarks.leaderboard.columns import Unit

NOT_DEFINED = "n/a"


def value_text(value: float | None, unit: Unit) -> str:
    """Return a measured value with its unit sign.

    >>> value_text(0.59312, "percent"), value_text(0.44412, "bits"), value_text(None, "bits")
    ('59.31 %', '0.444', 'n/a')
    """
    if value is None:
        return NOT_DEFINED
    if unit == "percent":
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if unit == "plain" else f"{value:.3f}"


def stderr_text(stderr: float | None, unit: Unit) -> str | None:
    """Return a standard error with the digits of its value, None where there is none.

    >>> stderr_text(0.0123, "percent"), stderr_text(0.0001, "bits"), stderr_text(0.0, "bits")
    ('1.23', '<0.001', '0')
    """
    if stderr is None:
        return None
    if stderr == 0:
        return "0"
    digits = 2 if unit == "percent" else 3
    shown = 100 * stderr if unit == "percent" else stderr
    smallest = 10.0**-digits
    return f"<{smallest:.{digits}f}" if shown < smallest / 2 else f"{shown:.{digits}f}"


def published_text(value: float, unit: Unit) -> str:
    """Return a published value with the digits it was published with, four at most.

    >>> published_text(0.0011, "bits"), published_text(0.9999, "percent")
    ('0.0011', '99.99 %')
    """
    shown = round(100 * value, 4) if unit == "percent" else round(value, 4)
    return f"{shown:.10g} %" if unit == "percent" else f"{shown:.10g}"


def count_text(count: int) -> str:
    """Return a count in the short form of axis labels.

    >>> [count_text(n) for n in (16, 2500, 10_000, 1_240_000)]
    ['16', '2.5k', '10k', '1.24M']
    """
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)

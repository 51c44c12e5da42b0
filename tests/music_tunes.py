"""Tunes for tests, made up by chance: eight bars in two halves, with or without a pickup."""

import random

_HEADS = ("L:1/8\nM:2/4\nK:G", "L:1/8\nM:2/4\nK:Em", "L:1/8\nM:2/4\nK:Ador")
"""One key signature, so that phrases of all may follow each other."""


def made_up_tunes(count: int, *, seed: int) -> list[str]:
    """Return so many tunes, each with an `X:` line of its own."""
    chance = random.Random(seed)
    return [f"X:{number}\n{chance.choice(_HEADS)}\n{_music(chance)}\n" for number in range(count)]


def _music(chance: random.Random) -> str:
    bars = [_bar(chance) for _ in range(8)]
    bars[3], bars[7] = _long(chance), _long(chance)
    return f"|:{'|'.join(bars[:4])}|\n{'|'.join(bars[4:])}:|"


def _bar(chance: random.Random) -> str:
    shapes = ("{}{}{}{}", "{}2{}2", "{}2{}{}", "{}>{}{}2", "(3{}{}{}{}2", "{}/{}/{}{}2", "{}3{}")
    shape = chance.choice(shapes)
    return shape.format(*(chance.choice("DEFGABcdefg") for _ in range(shape.count("{}"))))


def _long(chance: random.Random) -> str:
    return chance.choice(("{}4", "{}2z2", "{}3{}")).format(*chance.choices("GABcdef", k=2))

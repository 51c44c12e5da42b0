"""What a listing of one instruction should say, and whether two listings say the same.

The text comes from the table's templates and the operands that were encoded. Listings differ in
spaces, in how they write a number (`-8`, `0xfff8`) and in whether a branch names the place or the
distance; all that counts as the same. Nothing is decoded here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from simulators.cpu.isa.table import Form, Operand

_TOKEN: Final = re.compile(r"0x[0-9a-f]+|\d+(?![\w.])|[\w.]+|\S")
_FIELD: Final = re.compile(r"\{(\d+)\}")
_WIDTHS: Final = (8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedText:
    """One way to print an instruction."""

    template: str
    """The form's text or one of its aliases."""
    text: str
    hidden: tuple[frozenset[str], ...]
    """What may be said of each operand that the template leaves out: its value, and which shown
    ones it equals. Something must hold of it wherever the template is printed, or it is lost."""


def expected_texts(form: Form, operands: tuple[int, ...], address: int) -> Iterator[ExpectedText]:
    """Yield all ways to print an instruction at an address.

    Of a target, `operands` holds the place counted from the instruction.
    """
    target = None if form.target is None else form.target.operand
    for template in (form.text, *form.aliases):
        shown = {int(number) for number in _FIELD.findall(template)}
        hidden = tuple(
            frozenset([str(value), *(f"as {{{k}}}" for k in shown if operands[k] == value)])
            for index, value in enumerate(operands)
            if index not in shown
        )
        for origin in (address, 0) if target in shown else (0,):
            texts = [
                str(value + origin) if index == target else operand_text(operand, value)
                for index, (operand, value) in enumerate(zip(form.operands, operands, strict=True))
            ]
            text = _FIELD.sub(lambda found, texts=texts: texts[int(found[1])], template)
            yield ExpectedText(template=template, text=text, hidden=hidden)


def operand_text(operand: Operand, value: int) -> str:
    """Return an operand that is no target as a listing prints it."""
    if operand.names is not None:
        return operand.names[value]
    if operand.signed_bits is not None:
        half = 1 << operand.signed_bits - 1
        value = (value + half) % (2 * half) - half
    return str(value * operand.scale)


def same_text(one: str, other: str) -> bool:
    """Say whether two listings mean the same.

    >>> same_text("mov ax,word ptr [bx - 8]", "mov  ax, word ptr [bx + 0xfff8]")
    True
    >>> same_text("mov ax, 8", "mov ax, 9")
    False
    """
    left, right = _tokens(one), _tokens(other)
    return len(left) == len(right) and all(map(_same_token, left, right))


def _same_token(one: str | int, other: str | int) -> bool:
    """Numbers are the same if they are so in some width that holds both."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one == other or any(
        (one - other) % (1 << width) == 0
        and min(one, other) >= -(1 << width - 1)
        and max(one, other) < 1 << width
        for width in _WIDTHS
    )


def _tokens(text: str) -> list[str | int]:
    """Return words, signs and numbers; a sign in front of a number belongs to it.

    Adding 0 within brackets is left out.
    """
    tokens: list[str | int] = []
    for found in _TOKEN.findall(text.lower()):
        if not found[0].isdigit():
            tokens.append(found)
            continue
        value = int(found, 0)
        if tokens and tokens[-1] == "-":
            tokens.pop()
            value = -value
            if "[" in tokens and tokens[-1] not in {"+", "#", ","}:
                tokens.append("+")
        tokens.append(value)
    for at in range(len(tokens) - 2, -1, -1):
        if tokens[at : at + 2] == ["+", 0]:
            del tokens[at : at + 2]
    return tokens

"""What counts as the same listing, and what a form's templates make of operands."""

import pytest

from simulators.cpu.isa.table import Form, Operand, Piece, Target
from simulators.cpu.reading.listing_text import expected_texts, same_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("add ax,cx", "ADD  ax, cx"),
        ("add ax, -1", "add ax, 0xffff"),
        ("add eax, 0x80000000", "add eax, -2147483648"),
        ("mov al, byte ptr [rbx - 0x10]", "mov al, byte ptr [rbx + -16]"),
        ("mov al, byte ptr [rbx - 0x10]", "mov al, byte ptr [rbx + 0xfffffffffffffff0]"),
        ("mov al, byte ptr [rbx + 0]", "mov al, byte ptr [rbx]"),
        ("ldr x1, [sp, #-8]", "ldr x1, [sp, #-0x8]"),
        ("lw a0, -4(sp)", "lw a0, -4(sp)"),
        ("j -16", "j -0x10"),
    ],
)
def test_the_same_listing_may_be_written_in_several_ways(one: str, other: str) -> None:
    assert same_text(one, other)
    assert same_text(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("add ax, cx", "add cx, ax"),
        ("add ax, 1", "add ax, -1"),
        ("add ax, 1", "add ax, 0x101"),
        ("add ax, 1", "add ax, 1, 2"),
        ("add ax, 255", "add ax, -2"),
        ("mov al, byte ptr [rbx - 8]", "mov al, byte ptr [rbx + 8]"),
        ("ldr x1, [sp, #8]", "ldr x1, [sp], #8"),
        ("add x1, x2, x3", "add w1, w2, w3"),
    ],
)
def test_another_instruction_is_another_listing(one: str, other: str) -> None:
    assert not same_text(one, other)


NUMBER = Operand(pieces=(Piece(source=0, bits=8, target=8),), signed_bits=8, scale=4)
REGISTER = Operand(pieces=(Piece(source=0, bits=1, target=0),), names={0: "a", 1: "b"})


def test_operands_are_shown_by_name_or_signed_and_scaled() -> None:
    form = Form(
        name="f",
        klass="move",
        base=bytes(2),
        text="f {0}, {1}",
        aliases=("g {0}",),
        operands=(REGISTER, NUMBER),
    )
    texts = list(expected_texts(form, (1, 0xFF), 0))
    assert [text.text for text in texts] == ["f b, -4", "g b"]
    assert texts[1].hidden == (frozenset(["255"]),)
    # An operand left out may also be told from one that is shown.
    assert list(expected_texts(form, (1, 1), 0))[1].hidden == (frozenset(["1", "as {0}"]),)


def test_a_target_is_shown_as_place_or_as_distance() -> None:
    target = Target(operand=0, bias=2, shift=0, lowest=-128, highest=127)
    form = Form(
        name="j", klass="branch", base=bytes(2), text="j {0}", operands=(NUMBER,), target=target
    )
    assert [text.text for text in expected_texts(form, (-6,), 0x100)] == ["j 250", "j -6"]

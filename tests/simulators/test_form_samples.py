"""Single instructions of every form: legal operands, and the bytes that the manual says."""

import pytest

from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import Form, Operand, Piece, Target
from simulators.cpu.oracles.form_samples import draw_form_samples, encode
from simulators.cpu.reading.decoder import Decoder

REGISTERS = {0: "r0", 1: "r1", 2: "r2", 3: "r3"}
MOVE = Form(
    name="move",
    klass="move",
    base=bytes([0x80, 0x00]),
    text="move {0}, {1}",
    operands=(
        Operand(pieces=(Piece(source=0, bits=2, target=0),), names=REGISTERS),
        # the high bit of the number stands apart
        Operand(
            pieces=(Piece(source=0, bits=4, target=8), Piece(source=4, bits=1, target=2)),
            signed_bits=5,
        ),
    ),
)
JUMP = Form(
    name="jump",
    klass="branch",
    base=bytes([0x90, 0x00]),
    text="jump {0}",
    operands=(Operand(pieces=(Piece(source=0, bits=8, target=8),)),),
    target=Target(operand=0, bias=2, shift=1, lowest=-256, highest=254),
)


def test_operands_go_where_their_pieces_say() -> None:
    assert encode(MOVE, (3, 0b0_1001)) == bytes([0x83, 0x09])
    assert encode(MOVE, (0, 0b1_0110)) == bytes([0x84, 0x06])


def test_a_place_is_counted_from_behind_the_bias_in_units() -> None:
    assert encode(JUMP, (2,)) == bytes([0x90, 0x00])
    assert encode(JUMP, (8,)) == bytes([0x90, 0x03])
    assert encode(JUMP, (0,)) == bytes([0x90, 0xFF])
    with pytest.raises(ValueError, match="jump: a place 258 bytes on is out of reach"):
        encode(JUMP, (258,))


@pytest.mark.parametrize("name", ISAS)
def test_every_form_of_a_table_comes_and_is_known_again(name: str) -> None:
    isa = ISAS[name]
    decoder = Decoder(isa)
    samples = list(draw_form_samples(isa, 2, seed=1))
    assert [sample.form for sample in samples] == [form for form in isa.forms for _ in range(2)]
    for sample in samples:
        assert decoder.form_at(sample.code, 0) is sample.form
        operands = decoder.operands_at(sample.code, 0)
        target = None if sample.form.target is None else sample.form.target.operand
        for i, value in enumerate(sample.operands):
            expected = decoder.target_at(sample.code, 0) if i == target else operands[i]
            assert value == expected, sample


def test_samples_depend_on_the_seed_alone() -> None:
    isa = next(iter(ISAS.values()))
    one, same, other = (
        [sample.code for sample in draw_form_samples(isa, 3, seed)] for seed in (1, 1, 2)
    )
    assert one == same != other


@pytest.mark.parametrize("name", ISAS)
def test_places_stay_within_their_bounds(name: str) -> None:
    branches = [
        sample.operands[sample.form.target.operand]
        for sample in draw_form_samples(ISAS[name], 20, 3, places=(16, 64))
        if sample.form.target is not None
    ]
    assert len(branches) >= 20
    assert all(16 <= place <= 64 for place in branches)

"""The decoder: forms, operands, targets and texts, on a made-up set and on every table."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.cpu.isa.analysis import fixed_bits, gather, scatter
from simulators.cpu.isa.catalogue import ISAS
from simulators.cpu.isa.table import TARGET, Form, Isa, Operand, Piece
from simulators.cpu.reading.decoder import Decoder
from simulators.cpu.reading.decoder_kernel import decode_offset
from tests.simulators.tiny_isa import TINY

TABLES = {"tiny": TINY, **ISAS}
EVERY_TABLE = pytest.mark.parametrize("name", TABLES)


@cache
def decoder(name: str) -> Decoder:
    return Decoder(TABLES[name])


def slow_form_at(isa: Isa, code: bytes) -> Form | None:
    """Every form in turn; of those that match, the one with most fixed bits."""
    found: list[tuple[int, int]] = []
    for i, form in enumerate(isa.forms):
        mask, value = fixed_bits(form)
        start = int.from_bytes(code[: len(form.base)], "little")
        if len(code) >= len(form.base) and start & mask == value:
            found.append((-mask.bit_count(), i))
    return isa.forms[min(found)[1]] if found else None


@EVERY_TABLE
def test_every_drawable_instruction_decodes_to_its_form_and_values(name: str) -> None:
    isa = TABLES[name]
    forms = {form.name: form for form in isa.forms}
    random = np.random.default_rng(1)
    seen: set[str] = set()
    for entry in isa.entries:
        for _ in range(10):
            values = [
                int(random.choice(np.array(variable.values, object)))
                if variable.values
                else variable.low + variable.step * int(random.integers(variable.count))
                for variable in entry.variables
            ]
            for use in (*entry.opening, *entry.closing):
                form = forms[use.form]
                number = int.from_bytes(form.base, "little")
                wanted: list[int] = []
                for operand, index in zip(form.operands, use.operands, strict=True):
                    value = 0 if index == TARGET else values[index]
                    number |= scatter(operand, value)
                    width = max(piece.source + piece.bits for piece in operand.pieces)
                    wanted.append(value & ((1 << width) - 1))
                code = bytes(5) + number.to_bytes(len(form.base), "little") + b"\xff" * 3
                assert decoder(name).form_at(code, 5) is form, code.hex(" ")
                assert decoder(name).operands_at(code, 5) == tuple(wanted)
                text = decoder(name).text_at(code, 5)
                assert text
                assert "?" not in text
                seen.add(form.name)
    assert len(seen) > len(forms) / 2


@EVERY_TABLE
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_the_tree_finds_what_a_search_through_all_forms_finds(
    name: str, data: st.DataObject
) -> None:
    isa = TABLES[name]
    form = data.draw(st.sampled_from(isa.forms))
    noise = data.draw(st.binary(min_size=16, max_size=16))
    mask, value = fixed_bits(form)
    flipped = data.draw(st.sampled_from([0, 0, 0, 1, 2, 8, 64, 0x80]))
    number = (int.from_bytes(noise, "little") & ~mask | value) ^ flipped
    code = number.to_bytes(16, "little")[: data.draw(st.integers(0, 16))]
    assert decoder(name).form_at(code, 0) is slow_form_at(isa, code)


@EVERY_TABLE
def test_the_stop_and_zeros_are_no_instruction_of_the_table(name: str) -> None:
    isa = TABLES[name]
    assert decoder(name).form_at(isa.stop + bytes(16), 0) is None
    code = np.frombuffer(isa.stop + isa.forms[0].base, np.uint8)
    starts = np.array([0, len(isa.stop), -1, len(code), 2**40], np.int64)
    assert decoder(name).forms_at(code, starts)[[0, 2, 3, 4]].tolist() == [-1] * 4


def test_forms_at_gives_indices_lengths_and_classes_of_the_table() -> None:
    made = decoder("tiny")
    code = bytes.fromhex("10 02 ff 72 03 f4 71")
    found = made.forms_at(np.frombuffer(code, np.uint8), np.array([0, 3, 5, 6, 4]))
    names = [TINY.forms[i].name if i >= 0 else None for i in found]
    assert names == ["mov", "push", None, "return", None]
    assert made.lengths[found[:2]].tolist() == [3, 2]
    assert [made.classes[i] for i in found[:2]] == ["move", "stack"]
    assert decode_offset(np.frombuffer(code, np.uint8), 3, made.tables) == found[1]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("10 02 ff", "mov c, -1"),
        ("10 02 10", "mov c, 0x10"),
        ("11 05 11 22 33 44 55 66 77 88", "movl f, 0x8877665544332211"),
        ("21 d8", "addh ah, fh"),
        ("50 21 08", "load b, [c + 8]"),
        ("61 0d", "jz 0x1007"),  # 5 bytes on: pieces 101 and 00
        ("60 3f", "jc 0x1001"),  # -1
        ("63 04 80", "jr e, 0x1083"),  # without a sign
        ("62 f0", "loop 0xff2"),
        ("70 fd ff", "call 0x1000"),
        ("71", "return"),
    ],
)
def test_texts_show_names_numbers_and_places(code: str, text: str) -> None:
    assert decoder("tiny").text_at(bytes.fromhex(code), 0) == text


def test_an_instruction_that_is_cut_off_is_unknown() -> None:
    code = bytes.fromhex("11 05 11 22 33 44 55 66 77 88")
    assert decoder("tiny").form_at(code, 0) is not None
    assert decoder("tiny").form_at(code[:-1], 0) is None
    with pytest.raises(ValueError, match="tiny: the table has no instruction at offset 2: 11 22"):
        decoder("tiny").text_at(code, 2)


@given(st.integers(0, 2**20 - 1))
def test_scatter_and_gather_are_inverse(value: int) -> None:
    operand = Operand(
        pieces=(
            Piece(source=12, bits=8, target=3),
            Piece(source=0, bits=5, target=60),
            Piece(source=5, bits=7, target=20),
        )
    )
    assert gather(operand, scatter(operand, value)) == value

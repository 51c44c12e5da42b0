"""Round trips with a table, where 10,000 are quick, and refusals of all that does not fit."""

import math
import random
from dataclasses import replace

import constriction
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bgpt.compress import compress, decompress
from bgpt.compressed_file import Refused, pack, unpack
from bgpt.entropy_coding import GROUP, Context, shares
from pipelines.sample import Segment
from tests.bgpt.table_predictor import TablePredictor

TABLE = TablePredictor()
BIN = Context(extension="bin")
SAMPLE = bytes(random.Random(0).choices(range(256), k=3 * GROUP * 4 + 7))

GOLDEN = (
    "b65a01 00010203 04ad8703 62696e2a b7cdb338 611db817 a2f9c598 9d68865d 3422367b c40b4c3a "
    "3807e3d8 794faf85 dd38a9be 4bac7e74 ace1d2bb 06cf683f 6323eaa1 241988a3"
)


def back(packed: bytes, predictor: TablePredictor = TABLE, context: Context = BIN) -> bytes:
    return decompress("f", unpack("f", packed), predictor, context)


def test_ten_thousand_files_come_back() -> None:
    table = TablePredictor(piece_bytes=2)
    seen: list[int] = []

    @settings(
        max_examples=10_000, deadline=None, database=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(st.binary(max_size=12), st.integers(0, 16), st.binary(max_size=5))
    def comes_back(part: bytes, times: int, tail: bytes) -> None:
        data = part * times + tail
        assert back(compress(table, BIN, data), table) == data
        seen.append(len(data))

    comes_back()
    assert len(seen) >= 10_000
    assert min(seen) == 0
    assert max(seen) > 2 * GROUP * 2  # several groups of pieces


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 4 * GROUP - 1, 4 * GROUP, 4 * GROUP + 1, 5000])
def test_files_about_the_ends_of_pieces_and_groups_come_back(size: int) -> None:
    data = bytes(random.Random(size).choices(range(256), k=size))
    told: list[int] = []
    packed = compress(TABLE, BIN, data, told.append)
    assert back(packed) == data
    assert told == sorted(told)
    assert told[-1:] == ([size] if size else [])


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_file_takes_what_its_distributions_say(size: int) -> None:
    data = bytes(random.Random(size).choices(range(256), k=size))
    ideal = TABLE.bits(data) / 8
    words = unpack("f", compress(TABLE, BIN, data)).words
    # What the least probability of 2^-24 costs is far below; and it spares the rarest bytes much.
    assert len(words) <= ideal * 1.001 + 5


def test_every_cut_is_refused() -> None:
    packed = compress(TABLE, BIN, SAMPLE)
    for size in range(len(packed)):
        with pytest.raises(Refused, match=r"^f: (an empty|damaged or cut)"):
            back(packed[:size])
    assert back(packed) == SAMPLE


def test_a_thousand_flips_are_refused() -> None:
    packed = compress(TABLE, BIN, SAMPLE)
    flips = random.Random(1).sample(range(8 * len(packed)), 1000)
    assert min(flips) < 24  # the magic and the version are among them
    for bit in flips:
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused, match=r"^f: (not a file|damaged or cut)"):
            back(bytes(flipped))


def test_bytes_that_follow_are_refused() -> None:
    with pytest.raises(Refused, match="damaged or cut"):
        back(compress(TABLE, BIN, SAMPLE) + b"\0")


def test_a_flip_that_a_forged_checksum_hides_is_found_in_what_comes_out() -> None:
    file = unpack("f", compress(TABLE, BIN, SAMPLE))
    last = 8 * len(file.words) - 64  # bits that may mean nothing follow
    for at in random.Random(2).sample(range(last), 100):
        words = bytearray(file.words)
        words[at // 8] ^= 1 << at % 8
        with pytest.raises(Refused, match=r"^f: .*this machine computes otherwise"):
            back(pack(replace(file, words=bytes(words))))


def test_a_length_that_no_code_holds_is_refused_at_once() -> None:
    file = unpack("f", compress(TABLE, BIN, SAMPLE))
    with pytest.raises(Refused, match="bytes of code cannot hold 1099511627776"):
        decompress("f", replace(file, length=1 << 40), TABLE, BIN)


def test_another_model_or_build_is_refused_by_name() -> None:
    packed = compress(TABLE, BIN, SAMPLE)
    other = TablePredictor(seed=1)
    with pytest.raises(Refused) as caught:
        back(packed, other)
    assert f"made with the model whose hash begins with {TABLE.identity[:5].hex()}" in str(
        caught.value
    )
    assert other.identity[:5].hex() in str(caught.value)
    with pytest.raises(Refused, match=r"another numerical build .* Here is \w{4}: another table"):
        back(packed, TablePredictor(build="another table"))


GIVEN = Context(extension="mid", given=Segment(extension="abc", data=b"X:1"))
BEGUN = Context(extension="mid", begin=b"MThd")
BOTH = Context(extension="mid", given=GIVEN.given, begin=b"MThd")
OTHER = Context(extension="mid", given=Segment(extension="abc", data=b"X:2"))
NONE = Context(extension="mid")


@pytest.mark.parametrize(
    ("made", "named", "words"),
    [
        (GIVEN, NONE, "made with something given; name it with --given or --begin"),
        (NONE, GIVEN, "made with nothing given; leave --given and --begin out"),
        (BEGUN, NONE, "made with something given; name it with --given or --begin"),
        (GIVEN, BOTH, "made with something else given"),
        (BEGUN, BOTH, "made with something else given"),
        (GIVEN, OTHER, "made with something else given"),
    ],
)
def test_another_given_file_is_refused(made: Context, named: Context, words: str) -> None:
    packed = compress(TABLE, made, SAMPLE)
    assert back(packed, context=made) == SAMPLE
    with pytest.raises(Refused, match=words):
        back(packed, context=named)


def test_a_predictor_that_computes_otherwise_gives_nothing() -> None:
    packed = compress(TABLE, BIN, SAMPLE)
    drifted = TablePredictor()
    drifted.table[:, 7] *= 1.5
    with pytest.raises(Refused, match=r"^f: .*this machine computes otherwise"):
        back(packed, drifted)


def test_the_smallest_probability_is_enough_for_any_byte() -> None:
    sure = TablePredictor()
    sure.table[:] = 0
    sure.table[:, 65] = 1
    data = b"A" * 4000 + bytes(range(256))
    packed = compress(sure, BIN, data)
    assert back(packed, sure) == data
    assert len(packed) <= 255 * 3 + 4000 * -math.log2(1 - 255 / 2**24) / 8 + 32


@given(st.integers(0, 2**32 - 1), st.floats(0, 30))
@settings(max_examples=300, deadline=None, database=None, derandomize=True)
def test_shares_are_whole_and_add_up(seed: int, spread: float) -> None:
    drawn = np.random.default_rng(seed).normal(0, spread, (3, 256))
    weights = np.exp(drawn - drawn.max(axis=1, keepdims=True)).astype(np.float32)
    made = shares(weights).astype(np.int64)
    assert np.array_equal(made, shares(weights))
    assert made.min() >= 0
    assert made.sum(axis=1).tolist() == [2**24 - 256] * 3
    p = weights / weights.sum(axis=1, keepdims=True, dtype=np.float64)
    assert np.abs(made - p * (2**24 - 256)).max() <= 257
    # Every byte of every row can be coded, the last among them.
    family, queue = constriction.stream.model.Categorical(perfect=False), constriction.stream.queue
    coder, symbols = queue.RangeEncoder(), np.array([0, 128, 255], np.int32)
    coder.encode(symbols, family, shares(weights))
    coded = queue.RangeDecoder(coder.get_compressed())
    assert np.array_equal(coded.decode(family, shares(weights)), symbols)


def test_the_same_distributions_give_the_same_file() -> None:
    """Another file is another format version: raise `VERSION` with it."""
    plain = TablePredictor()
    plain.table[:] = (np.arange(257)[:, None] * 7 + np.arange(256) * 13) % 17 + 1
    plain.identity = bytes(range(32))
    packed = compress(plain, BIN, b"a file of forty-two bytes, no more no less")
    assert packed.hex(" ", 4) == GOLDEN

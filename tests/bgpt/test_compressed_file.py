import zlib

import pytest

from bgpt.compressed_file import CompressedFile, Refused, digest, pack, unpack

FILE = CompressedFile(
    model=bytes.fromhex("a1a2a3a4a5"), build=bytes.fromhex("b1b2"), extension="mid",
    given=bytes.fromhex("c1c2c3"), length=300, check=bytes.fromhex("d1d2d3d4"),
    words=bytes.fromhex("0102030405060708"),
)  # fmt: skip
# What a reader of docs/compression.md puts together by hand.
BODY = bytes.fromhex(
    "b65a" "01" "a1a2a3a4a5" "b1b2" "13" "6d6964" "c1c2c3" "ac02" "d1d2d3d4"
    "01020304" "05060708"
)  # fmt: skip
EMPTY = CompressedFile(
    model=bytes(5), build=bytes(2), extension="x", given=None, length=0, check=b"", words=b""
)


def sealed(body: bytes) -> bytes:
    """Return a body with the checksum that a careful forger would give it."""
    return body + zlib.crc32(body).to_bytes(4, "big")


def test_a_file_is_laid_out_as_the_page_says() -> None:
    assert pack(FILE) == sealed(BODY)
    assert unpack("f", sealed(BODY)) == FILE
    assert unpack("f", pack(EMPTY)) == EMPTY
    assert len(pack(EMPTY)) == 17


@pytest.mark.parametrize("length", [1, 127, 128, 16383, 16384, (1 << 63) - 1])
def test_every_length_comes_back(length: int) -> None:
    file = CompressedFile(
        model=FILE.model, build=FILE.build, extension="bin", given=None, length=length,
        check=FILE.check, words=b"abcd",
    )  # fmt: skip
    assert unpack("f", pack(file)) == file


# bytes -> what is said of them
BAD = {
    b"": "f: an empty file",
    b"\x1f\x8b\x08 a gzip file of some length": 'f: not a file that "bgpt compress" made',
    b"\xb6": "f: damaged or cut: 1 bytes",
    b"\xb6\x5a": "f: damaged or cut: 2 bytes",
    sealed(BODY)[:-1]: "f: damaged or cut: 34 bytes do not match their checksum",
    sealed(BODY[:2] + b"\x02" + BODY[3:]): "f: of format version 2, and this program reads 1",
    sealed(BODY[:10] + b"\x03" + b"a/c" + bytes(9)): "an impossible extension in its header",
    sealed(BODY[:10] + b"\x23" + BODY[11:]): "an impossible extension in its header",
    sealed(BODY[:10] + b"\x00" + bytes(9)): "an impossible extension in its header",
    sealed(BODY[:16]): "2 of 3 bytes in its header",
    sealed(BODY[:17] + b"\xff" * 12): "a length above 9223372036854775807 in its header",
    sealed(BODY[:-1]): "7 bytes of 32-bit words for 300 bytes in its header",
    sealed(pack(EMPTY)[:-4] + b"abcd"): "4 bytes of 32-bit words for 0 bytes in its header",
}


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_whole_compressed_file_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        unpack("f", data)
    assert BAD[data] in str(caught.value)


def test_a_digest_is_the_begin_of_the_sha256() -> None:
    assert digest(b"abc", 4).hex() == "ba7816bf"  # FIPS 180-2, appendix B.1

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import ustar

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=100).map(str.encode)
SIZES = st.integers(0, ustar.MAX_FILE_BYTES)

# The record that docs/data-format.md shows byte by byte; 247 NULs follow.
GOLDEN = bytes.fromhex(
    "6370752d746f792d746573742d30303030303031322e62696e" + "00" * 75  # cpu-toy-test-00000012.bin
    + "3030303036343400"  # mode 0644
    + "30303030303030003030303030303000"  # uid, gid
    + "303030303030303032323000"  # size: 0o220 = 144 bytes
    + "303030303030303030303000"  # mtime
    + "3031313636360020"  # checksum
    + "30" + "00" * 100  # a regular file, no link
    + "7573746172003030"  # magic and version
)  # fmt: skip


@given(NAMES, SIZES)
def test_decoding_undoes_encoding(name: bytes, num_bytes: int) -> None:
    assert ustar.decode_header(ustar.encode_header(name, num_bytes)) == (name, num_bytes)


@given(NAMES, SIZES)
def test_a_header_is_the_one_that_tarfile_writes(name: bytes, num_bytes: int) -> None:
    info = tarfile.TarInfo(name.decode())
    info.size = num_bytes
    info.mtime = 0
    assert ustar.encode_header(name, num_bytes) == info.tobuf(tarfile.USTAR_FORMAT)


def test_a_header_has_the_bytes_of_the_documentation() -> None:
    assert len(GOLDEN) == 265
    assert ustar.encode_header(b"cpu-toy-test-00000012.bin", 144) == GOLDEN + bytes(247)


@given(NAMES, st.integers(0, 10**6), st.integers(0, 511), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_is_another_header(
    name: bytes, num_bytes: int, position: int, change: int
) -> None:
    header = bytearray(ustar.encode_header(name, num_bytes))
    header[position] ^= change
    with pytest.raises(ustar.UstarError):
        ustar.decode_header(bytes(header))


@given(st.lists(st.binary(max_size=1500), max_size=8))
def test_padding_and_end_are_those_of_tarfile(files: list[bytes]) -> None:
    buffer = io.BytesIO()
    ours = b""
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, data in enumerate(files):
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            ours += ustar.encode_header(info.name.encode(), len(data)) + data
            ours += bytes(ustar.padding_bytes(len(data)))
    assert buffer.getvalue() == ours + bytes(ustar.end_bytes(len(ours)))


@pytest.mark.parametrize(
    ("name", "num_bytes"), [(b"", 1), (b"a" * 101, 1), (b"a", -1), (b"a", 8**11)]
)
def test_what_does_not_fit_a_header_is_refused(name: bytes, num_bytes: int) -> None:
    with pytest.raises(ValueError, match="not fit a ustar header"):
        ustar.encode_header(name, num_bytes)

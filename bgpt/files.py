"""What the commands read and write: a user's file in, a written file out, bytes on a terminal.

A result appears whole or not at all, and a place that cannot be written to is found out before the
model has worked for it.
"""

import codecs
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO, final

from pipelines.sample import EXTENSION_PATTERN, Segment

TEXT_EXTENSIONS = frozenset(
    {"abc", "asm", "c", "csv", "css", "html", "js", "json", "md", "py", "tex", "txt", "xml", "yaml"}
)
"""Files that are shown as text; all others in hexadecimal."""
BYTES_A_LINE = 16
STDOUT = Path("-")


def read_segment(path: Path) -> Segment:
    """Return a file; its extension is the suffix of its name.

    Raises:
        ValueError: the name has no suffix.
    """
    extension = path.suffix[1:].lower()
    if not EXTENSION_PATTERN.fullmatch(extension):
        raise ValueError(f"{path}: the name needs a suffix that says what it is, such as .bin")
    return Segment(extension=extension, data=path.read_bytes())


def check_writable(path: Path) -> None:
    """Make the folder of `path` and try to write beside it.

    Raises:
        OSError: it cannot be written; one line.
    """
    part = _part(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        part.unlink()
    except OSError as error:
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; folders that lead to it are made.

    Raises:
        OSError: it cannot be written; one line.
    """
    part = _part(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from error


class ByteStream(Protocol):
    """Where bytes are shown as they come."""

    def write(self, data: bytes) -> None:
        """Show the next bytes."""
        ...

    def close(self) -> None:
        """Show what was held back; nothing follows."""
        ...


def stream_for(extension: str, out: TextIO) -> ByteStream:
    """Return how a file of this kind is shown to a person."""
    return TextStream(out) if extension in TEXT_EXTENSIONS else HexStream(out)


@final
class RawStream:
    """Bytes as they are, for another program."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        """Pass the next bytes on."""
        self._out.write(data)
        self._out.flush()

    def close(self) -> None:
        """Do nothing: nothing is held back."""


@final
class TextStream:
    """UTF-8 as text. What is none, and what would steer a terminal, is written as `\\x1b`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._last = "\n"

    def write(self, data: bytes) -> None:
        """Show the characters that the next bytes complete."""
        self._show(self._decoder.decode(data))

    def close(self) -> None:
        """Show an incomplete character, and end the line."""
        self._show(self._decoder.decode(b"", final=True))
        if self._last != "\n":
            self._show("\n")

    def _show(self, text: str) -> None:
        safe = "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)
        self._out.write(safe)
        self._out.flush()
        self._last = safe[-1:] or self._last


@final
class HexStream:
    """Bytes as hexadecimal numbers, 16 a line behind their offset."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._count = 0

    def write(self, data: bytes) -> None:
        """Show the next bytes."""
        for byte in data:
            if self._count % BYTES_A_LINE == 0:
                self._out.write(f"{self._count:06x} ")
            self._count += 1
            self._out.write(f" {byte:02x}{'' if self._count % BYTES_A_LINE else chr(10)}")
        self._out.flush()

    def close(self) -> None:
        """End the line."""
        if self._count % BYTES_A_LINE:
            self._out.write("\n")
            self._out.flush()


def stdout_bytes() -> BinaryIO:
    """Return stdout for raw bytes."""
    return sys.stdout.buffer


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def _part(path: Path) -> Path:
    """Return the name under which a file is written; another for every process."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")

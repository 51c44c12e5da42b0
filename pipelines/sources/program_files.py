"""A folder's files as programs: the ones that hold one, each program once, and what was dropped.

An ELF is known by its first bytes. Any bytes could be raw code, a text too; so raw code is what a
name says it is. It reads and checks; nothing is run here (`pipelines.sources.programs` has that
done).
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from pipelines.plan import SourceError
from simulators.cpu.machine import Machine
from simulators.cpu.tracing.user_code import (
    MAX_FILE_BYTES,
    Problem,
    UserCode,
    UserCodeError,
    read_user_code,
)

RAW_SUFFIXES: Final = (".bin", ".raw", "")
"""Of files that hold raw code; upper case counts as lower."""

_ELF: Final = b"\x7fELF"
_TEXT_CONTROLS: Final = frozenset("\t\n\r\f")
_TEXT_BYTES: Final = 4096
"""So much of a file is looked at to tell whether it is text."""


class FileReason(StrEnum):
    """Why a file is not looked at as a program, or holds none that would run as meant.

    Files that are no program at all are dropped for a `Problem`.
    """

    OTHER_FILE = "other_file"
    """Neither an ELF nor named as raw code."""
    TEXT_FILE = "text_file"
    """Without a suffix, and text."""
    NEEDS_DATA = "needs_data"
    """An ELF with sections besides `.text` that a program may use; they are not in its memory."""
    NEEDS_LINKING = "needs_linking"
    """An ELF with relocations, which are not applied."""
    SAME_PROGRAM = "same_program"
    """A file before it, by name, has the same program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """A file that is no sample."""

    file: str
    reason: str
    detail: str


def program_files(folder: Path) -> list[tuple[str, Path]]:
    """Return the files in a folder and below, hidden ones left out, sorted by name as text.

    Raises:
        SourceError: no such folder, or no file in it.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder of programs")
    paths = [(path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file()]
    files = sorted(
        (name.as_posix(), path)
        for name, path in paths
        if not any(part.startswith(".") for part in name.parts)
    )
    if not files:
        raise SourceError(f"{folder}: no file in this folder or below it")
    return files


def read_programs(
    files: Sequence[tuple[str, Path]], machine: Machine, drops: list[Drop]
) -> list[tuple[str, UserCode]]:
    """Return the programs of the files that hold one, each once, with the file's name.

    Raises:
        SourceError: a file cannot be read.
    """
    found: dict[tuple[bytes, int], str] = {}
    programs: list[tuple[str, UserCode]] = []
    for name, path in files:
        data = _read(path)
        if (drop := _check_kind(name, data)) is not None:
            drops.append(drop)
            continue
        try:
            user = _read_code(data, machine)
        except UserCodeError as error:
            drops.append(Drop(file=name, reason=error.problem.value, detail=str(error)))
            continue
        if (drop := _check_whole(name, user)) is not None:
            drops.append(drop)
        elif (same := found.setdefault((user.code, user.entry), name)) != name:
            drops.append(Drop(file=name, reason=FileReason.SAME_PROGRAM, detail=f"that of {same}"))
        else:
            programs.append((name, user))
    return programs


def _read(path: Path) -> bytes:
    """Return a file's bytes, or one byte more than the most that is looked at."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error


def _check_kind(name: str, data: bytes) -> Drop | None:
    """Return why a file is not taken for a program."""
    suffix = PurePosixPath(name).suffix.lower()
    if data.startswith(_ELF):
        return None
    if suffix not in RAW_SUFFIXES:
        detail = "not an ELF, and raw code is read from files named .bin or .raw, or without suffix"
        return Drop(file=name, reason=FileReason.OTHER_FILE, detail=detail)
    if not suffix and _is_text(data[:_TEXT_BYTES]):
        detail = "it is text; if it is raw code nevertheless, name it .bin"
        return Drop(file=name, reason=FileReason.TEXT_FILE, detail=detail)
    return None


def _is_text(data: bytes) -> bool:
    """Say whether bytes are text: UTF-8 of printable characters, cut off or not.

    >>> _is_text("naïve\\n".encode()), _is_text(bytes.fromhex("40 f4")), _is_text(b"")
    (True, False, False)
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) < _TEXT_BYTES or error.start < len(data) - 3:
            return False
        text = data[: error.start].decode("utf-8")
    return bool(text) and all(char.isprintable() or char in _TEXT_CONTROLS for char in text)


def _read_code(data: bytes, machine: Machine) -> UserCode:
    """Return the program of one file.

    Raises:
        UserCodeError: it holds none that fits; says what memory would be enough.
    """
    if len(data) > MAX_FILE_BYTES:
        raise UserCodeError(Problem.TOO_LARGE, f"more than {MAX_FILE_BYTES:,} bytes")
    try:
        return read_user_code(data, machine.isa, max_bytes=machine.program_bytes)
    except UserCodeError as error:
        if error.problem is not Problem.TOO_LARGE:
            raise
        whole = read_user_code(data, machine.isa, max_bytes=MAX_FILE_BYTES)
        enough = -(-len(whole.code) // 16) * 16 + machine.data_bytes
        raise UserCodeError(error.problem, f"{error}; {_advice(machine, enough)}") from error


def _advice(machine: Machine, memory_bytes: int) -> str:
    """Say what to do for a program that needs a memory block of so many bytes."""
    try:
        dataclasses.replace(machine, memory_bytes=memory_bytes)
    except ValueError:
        return "no sample can hold it"
    return f"give --memory-bytes {memory_bytes}"


def _check_whole(name: str, user: UserCode) -> Drop | None:
    """Return why a program would not run as it was meant."""
    if user.not_loaded:
        detail = f"not loaded, only .text is: {', '.join(user.not_loaded)}"
        return Drop(file=name, reason=FileReason.NEEDS_DATA, detail=detail)
    if user.unresolved:
        detail = "it has relocations, which are not applied: link it first"
        return Drop(file=name, reason=FileReason.NEEDS_LINKING, detail=detail)
    return None

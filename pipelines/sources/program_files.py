"""A folder's files as programs: the ones that hold one, each program once, and what was dropped.

It reads and checks; nothing is run here (`pipelines.sources.programs` has that done).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.plan import SourceError
from simulators.cpu.isa.table import Isa
from simulators.cpu.user_code import (
    MAX_FILE_BYTES,
    Problem,
    UserCode,
    UserCodeError,
    read_user_code,
)

SAME_PROGRAM: Final = "same_program"
"""Why a file is dropped whose program a file before it, by name, has too; others: `Problem`."""


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
    files: Sequence[tuple[str, Path]], isa: Isa, max_bytes: int, drops: list[Drop]
) -> list[tuple[str, UserCode]]:
    """Return the programs of the files that hold one, each once, with the file's name.

    Raises:
        SourceError: a file cannot be read.
    """
    found: dict[tuple[bytes, int], str] = {}
    programs: list[tuple[str, UserCode]] = []
    for name, path in files:
        try:
            user = _read_code(path, isa, max_bytes)
        except UserCodeError as error:
            drops.append(Drop(file=name, reason=error.problem.value, detail=str(error)))
            continue
        if (same := found.setdefault((user.code, user.entry), name)) != name:
            drops.append(Drop(file=name, reason=SAME_PROGRAM, detail=f"that of {same}"))
            continue
        programs.append((name, user))
    return programs


def _read_code(path: Path, isa: Isa, max_bytes: int) -> UserCode:
    """Return the program of one file.

    Raises:
        UserCodeError: it holds none that fits.
        SourceError: it cannot be read.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserCodeError(Problem.TOO_LARGE, f"more than {MAX_FILE_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    return read_user_code(data, isa, max_bytes=max_bytes)

"""Every file of a folder converted, in batches of like length; a bad one never stops the others.

Whatever is found is either written or refused with a reason: found = written + refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console
from rich.progress import Progress

from bgpt.files import check_writable, read_segment, write_file
from bgpt.protocol import Prompt
from bgpt.write import Writer, mended

FILES_AT_ONCE: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderOutcome:
    """What became of a folder."""

    written: tuple[Path, ...]
    unfinished: tuple[Path, ...]
    """Those of `written` that stop at the limit of bytes, before the end mark."""
    refused: tuple[str, ...]
    """A line for each file that was not converted: which and why."""


def convert_folder(
    writer: Writer,
    folder: Path,
    out: Path,
    *,
    to: str | None = None,
    max_bytes: int | None = None,
    as_written: bool = False,
) -> FolderOutcome:
    """Convert the files below `folder` that the model can read to the same places below `out`.

    Each file is there as soon as its batch is done. A bar on stderr, on a terminal. `as_written`
    leaves out what `bgpt.write.mended` does.

    Raises:
        ValueError: the model does not convert, or no file there is one it converts from.
        OSError: `out` cannot be written.
    """
    directions = writer.directions()
    readable = {source for source, target in directions if to in (None, target)}
    extension = writer.target_of(readable or {"*"}, to)
    sources = {source for source, target in directions if target == extension}
    found = sorted(
        path for path in folder.rglob("*") if path.suffix[1:].lower() in sources and path.is_file()
    )
    if not found:
        wanted = " or ".join(f".{source}" for source in sorted(sources))
        raise ValueError(f"{folder}: holds no {wanted} file, and this model converts no other")
    check_writable(out / ".probe")
    refused: list[str] = []
    prompts: dict[Path, Prompt] = {}
    taken: dict[Path, Path] = {}
    for path in found:
        target = out / path.relative_to(folder).with_suffix(f".{extension}")
        try:
            prompt = writer.conversion_prompt(str(path), read_segment(path), extension)
        except (ValueError, OSError) as error:
            refused.append(_line(path, error))
            continue
        if target in taken:
            refused.append(f"{path}: {target} is made of {taken[target]} already")
            continue
        taken[target] = path
        prompts[target] = prompt
    order = sorted(prompts, key=lambda target: writer.room(prompts[target]))
    written: list[Path] = []
    unfinished: list[Path] = []
    with Progress(
        console=Console(stderr=True), disable=not Console(stderr=True).is_terminal
    ) as bar:
        task = bar.add_task(f"{folder} -> .{extension}", total=len(order))
        for first in range(0, len(order), FILES_AT_ONCE):
            targets = order[first : first + FILES_AT_ONCE]
            results = writer.write([prompts[target] for target in targets], max_bytes=max_bytes)
            for target, one in zip(targets, results, strict=True):
                try:
                    write_file(target, one.data if as_written else mended(one.data, extension))
                except OSError as error:
                    refused.append(_line(taken[target], error))
                    continue
                written.append(target)
                unfinished += [] if one.ended else [target]
            bar.advance(task, len(targets))
    return FolderOutcome(
        written=tuple(sorted(written)),
        unfinished=tuple(sorted(unfinished)),
        refused=tuple(sorted(refused)),
    )


def report(outcome: FolderOutcome, out: TextIO) -> None:
    """Print what became of a folder, every refused file by name."""
    for line in outcome.refused:
        print(f"not converted: {line}", file=out)
    for path in outcome.unfinished:
        print(f"{path}: stopped at the limit of bytes, before the end mark", file=out)
    print(f"{len(outcome.written)} converted, {len(outcome.refused)} not", file=out)


def _line(path: Path, error: Exception) -> str:
    """Return one line that names the file."""
    text = " ".join(str(error).split())
    return text if str(path) in text else f"{path}: {text}"

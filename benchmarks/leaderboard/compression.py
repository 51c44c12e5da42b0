"""What files a model's compression and others' made of a task's test files: read, and as a table.

The results are those of `bgpt-bench compress`, one file a model and task. Sizes are shown beside
what the model's likelihoods say, so that anyone sees whether the reported bits per byte is proved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.leaderboard.markup import Markup, scrolling, tag
from benchmarks.leaderboard.number_text import NOT_DEFINED
from benchmarks.strict_json import (
    JsonObject,
    JsonRefused,
    as_object,
    items,
    load_text,
    optional_count,
    optional_number,
    parse_object,
    text,
)

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSize:
    """Bytes that one tool needs; `None` where it cannot be asked."""

    name: str
    given: int | None
    whole: int | None
    as_one: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressionResult:
    """One model beside the compressors on one task."""

    task: str
    model: str
    files: int
    num_bytes: int
    scored_bytes: int
    predicted_bytes: float
    over_promise: int
    sizes: tuple[ToolSize, ...]
    """The model first."""
    raw: JsonObject


def read_compression(folder: Path) -> tuple[CompressionResult, ...]:
    """Return the results in a folder, by task and model; none where there is no such folder.

    Raises:
        JsonRefused: a file is none of ours, or two are of one model and task.
    """
    found: dict[tuple[str, str], CompressionResult] = {}
    for path in sorted(folder.glob("*.json")):
        result = _read(parse_object(load_text(path), str(path)), str(path))
        if (result.task, result.model) in found:
            raise JsonRefused(f"{path}: a second result of {result.model!r} on {result.task!r}")
        found[result.task, result.model] = result
    return tuple(found[key] for key in sorted(found))


def compression_table(results: Sequence[CompressionResult]) -> Markup | None:
    """Return the sizes of one task's files, a table a model; `None` without a result."""
    if not results:
        return None
    return tag(
        "div",
        tag("h3", "As compressed files"),
        tag(
            "p",
            "Files that were written, given back and compared, headers and checksums included; the "
            "size of the model itself is not counted. What is scored is compressed with all that "
            "the task gives, which xz and brotli cannot be given; whole files with nothing given; "
            "and all whole files as one stream, where a compressor learns from file to file.",
        ),
        *(_table(result) for result in results),
        class_="compression",
    )


def _table(result: CompressionResult) -> Markup:
    heads = (
        f"{result.scored_bytes:,} scored bytes",
        f"{result.num_bytes:,} bytes of whole files",
        "whole files as one",
    )
    say = f"The likelihoods of {result.model} say {result.predicted_bytes:,.0f} bytes of the scored"
    kept = (
        "every file keeps to that plus 1 % and 32 bytes."
        if not result.over_promise
        else f"{result.over_promise} files take more than that plus 1 % and 32 bytes."
    )
    rows = [
        tag(
            "tr",
            tag("th", size.name, scope="row"),
            *(
                tag("td", _share(found, of), class_="num")
                for found, of in (
                    (size.given, result.scored_bytes),
                    (size.whole, result.num_bytes),
                    (size.as_one, result.num_bytes),
                )
            ),
        )
        for size in result.sizes
    ]
    head = tag(
        "tr",
        tag("th", "Compressor", scope="col"),
        *(tag("th", name, scope="col", class_="num") for name in heads),
    )
    label = f"Compressed sizes, {result.task}, {result.model}"
    return scrolling(
        tag(
            "table",
            tag("caption", f"{result.files:,} test files. {say} ones; {kept}"),
            tag("thead", head),
            tag("tbody", *rows),
            class_="machines",
        ),
        label,
    )


def _share(size: int | None, of: int) -> str:
    """Return a size with its share.

    >>> _share(2454, 2976), _share(None, 1)
    ('2,454 (82.5 %)', 'n/a')
    """
    return NOT_DEFINED if size is None else f"{size:,} ({100 * size / of:.1f} %)"


def _read(found: JsonObject, where: str) -> CompressionResult:
    """Check one result."""
    if found.get("schema_version") != SCHEMA_VERSION:
        raise JsonRefused(
            f"{where}: schema_version is {found.get('schema_version')!r}, this leaderboard reads "
            f'{SCHEMA_VERSION}; make it again with "bgpt-bench compress"'
        )
    predicted = optional_number(found, "predicted_bytes", where)
    if predicted is None:
        raise JsonRefused(f"{where}: predicted_bytes: expected a number")
    sizes = [as_object(item, f"{where}: sizes") for item in items(found, "sizes", where)]
    if not sizes:
        raise JsonRefused(f"{where}: sizes: expected at least the model's")
    return CompressionResult(
        task=text(found, "task", where),
        model=text(found, "model", where),
        files=_count(found, "files", where),
        num_bytes=_count(found, "num_bytes", where),
        scored_bytes=_count(found, "scored_bytes", where),
        predicted_bytes=predicted,
        over_promise=optional_count(found, "over_promise", where) or 0,
        sizes=tuple(
            ToolSize(
                name=text(one, "name", f"{where}: sizes"),
                given=optional_count(one, "given", f"{where}: sizes"),
                whole=optional_count(one, "whole", f"{where}: sizes"),
                as_one=optional_count(one, "as_one", f"{where}: sizes"),
            )
            for one in sizes
        ),
        raw=found,
    )


def _count(found: JsonObject, key: str, where: str) -> int:
    """Return a whole number above 0."""
    value = optional_count(found, key, where)
    if not value:
        raise JsonRefused(f"{where}: {key}: expected a whole number above 0")
    return value

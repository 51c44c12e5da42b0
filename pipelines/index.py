# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
"""`index.parquet`: one row a sample, with its place, its group and its meta columns.

It is hashed by its content, shard by shard, because the bytes of a Parquet file differ between
versions of Arrow. It checks no tar; `pipelines.verify` compares both.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.manifest import MANIFEST_NAME, CorpusError, Manifest
from pipelines.plan import ColumnType, Plan, SampleShard, Side
from pipelines.shards import TEMPORARY_SUFFIX

INDEX_NAME = "index.parquet"

_ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
}


ShardColumns: TypeAlias = dict[str, list[Any]]
"""One shard's part of the index that its tar does not say in a second way: `key`, `size_EXT` of
every extension, `group`, and the meta columns; equally long lists."""


def shard_columns(shard: SampleShard, plan: Plan) -> ShardColumns:
    """Return the index columns of a shard's samples.

    Raises:
        ValueError: a sample's meta are not exactly the plan's columns; names the sample.
    """
    samples = shard.samples
    columns: ShardColumns = {"key": [sample.key for sample in samples]}
    for position, extension in enumerate(plan.extensions):
        columns[f"size_{extension}"] = [len(sample.segments[position].data) for sample in samples]
    columns["group"] = [sample.group for sample in samples]
    kinds = {"str": str, "int": int, "float": float}
    for name, kind in plan.columns.items():
        columns[name] = [sample.meta.get(name) for sample in samples]
        for sample in samples:
            if type(sample.meta.get(name)) is not kinds[kind]:
                raise ValueError(f"{sample.key}: meta {name!r} is not of type {kind}")
    for sample in samples:
        if len(sample.meta) != len(plan.columns):
            raise ValueError(f"{sample.key}: meta {sorted(sample.meta)} != {list(plan.columns)}")
    return columns


def columns_sha256(columns: ShardColumns) -> str:
    """Return the SHA-256 of a shard's columns as compact JSON, `[[name, values], ...]`."""
    text = json.dumps(list(columns.items()), separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def write_index(
    path: Path,
    manifest: Manifest,
    shards: Iterable[tuple[Side, int, NDArray[np.int64], ShardColumns]],
) -> None:
    """Write `index.parquet`: one row a sample, in the order of `shards`, train first.

    Each shard comes as its side, number, the offsets of its samples and its columns.
    """
    schema = index_schema(manifest)
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with (
            temporary.open("wb") as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            tables: list[pa.Table] = []
            for side, number, starts, columns in shards:
                tables.append(_shard_table(manifest, schema, side, number, starts, columns))
                if len(tables) == _SHARDS_PER_ROW_GROUP:
                    writer.write_table(pa.concat_tables(tables))
                    tables = []
            if tables:
                writer.write_table(pa.concat_tables(tables))
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_SHARDS_PER_ROW_GROUP = 100


def index_schema(manifest: Manifest) -> pa.Schema:
    """Return the columns of a corpus' index, in order."""
    sizes = [(f"size_{extension}", pa.int64()) for extension in manifest.extensions]
    meta = [(name, _ARROW_TYPES[kind]) for name, kind in manifest.columns.items()]
    return pa.schema(
        [
            ("key", pa.string()),
            ("side", pa.string()),
            ("shard", pa.int32()),
            ("offset", pa.int64()),
            ("size", pa.int64()),
            *sizes,
            ("group", pa.string()),
            *meta,
        ]
    )


def _shard_table(
    manifest: Manifest,
    schema: pa.Schema,
    side: Side,
    number: int,
    starts: NDArray[np.int64],
    columns: ShardColumns,
) -> pa.Table:
    """Return one shard's rows."""
    sizes = np.array(
        [columns[f"size_{extension}"] for extension in manifest.extensions], dtype=np.int64
    )
    rows: dict[str, Any] = {
        **columns,
        "side": [side] * len(starts),
        "shard": [number] * len(starts),
        "offset": starts,
        "size": sizes.sum(axis=0),
    }
    return pa.table({name: rows[name] for name in schema.names}, schema=schema)


def index_columns(rows: pa.Table) -> ShardColumns:
    """Return some rows of the index as `shard_columns` gave them."""
    derived = ("side", "shard", "offset", "size")
    return rows.select([n for n in rows.column_names if n not in derived]).to_pydict()


def read_index(path: Path, manifest: Manifest, names: Sequence[str] | None = None) -> pa.Table:
    """Read `index.parquet`, all of it or the columns `names`.

    Raises:
        CorpusError: missing, not readable, or not the manifest's columns and rows.
    """
    cure = "Run the same bgpt-data build again: it rebuilds the corpus."
    try:
        schema = pq.read_schema(path)
        table = pq.read_table(path, columns=None if names is None else list(names))
    except FileNotFoundError as error:
        raise CorpusError(f"{path}: missing. {cure}") from error
    except (OSError, pa.ArrowException) as error:
        raise CorpusError(f"{path}: not readable as Parquet: {error}. {cure}") from error
    if not schema.equals(index_schema(manifest)):
        raise CorpusError(f"{path}: its columns do not match {MANIFEST_NAME}. {cure}")
    rows = sum(side.kept for side in manifest.sides.values())
    if table.num_rows != rows:
        raise CorpusError(f"{path}: {table.num_rows} rows, expected {rows}. {cure}")
    return table

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
"""How small a task's test files become: by a model's own compressed files, and by zstd, xz, brotli.

A sample's last file is compressed, each on its own, and given back, and compared: once the part
that the task scores, with all that the task gives (a program, a source), and once the whole file
with nothing given; then all of them as one stream. Sizes are those of files in each tool's own
format, headers and checksums included. `bgpt.compress` does the work.
"""

import dataclasses
import json
import lzma
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import brotli
import zstandard

from benchmarks.baselines.compressors import given_bytes
from benchmarks.entrant import trained_entrant
from benchmarks.report import CorpusRef
from benchmarks.task import SampleSet, Task
from bgpt.protocol import Continuation
from pipelines.shards import write_atomically

if TYPE_CHECKING:
    from bgpt.entropy_coding import Context
    from bgpt.model_predictor import ModelPredictor

SCHEMA_VERSION = 1
ZSTD = "zstd -19"
PROMISED_SHARE, PROMISED_BYTES = 1.01, 32
"""A model's file takes at most so much of what its likelihoods say, plus so much."""


class NotGivenBack(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """What came out of a compressed file is not what went in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressedSize:
    """What one tool makes of all files."""

    name: str
    given: int | None
    """Sum of the sizes of the scored parts, with what the task gives; `None` where the tool cannot
    be given anything."""
    whole: int | None
    """Sum of the sizes of the whole files; `None` where the model never meets them without a
    source."""
    as_one: int | None
    """Size of all whole files one after the other; `None` as above."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressionReport:
    """The content of one result file."""

    schema_version: int
    task: str
    corpus: CorpusRef
    model: str
    model_sha256: str
    build: str
    files: int
    num_bytes: int
    """Of the whole files, as they are."""
    scored_bytes: int
    """Of what the task scores of them."""
    predicted_bytes: float
    """What the scored bytes take by the model's teacher-forced likelihoods, end marks included."""
    over_promise: int
    """Files that took more than 1.01 of what is predicted and 32 bytes."""
    sizes: Sequence[CompressedSize]
    """The model first."""


def compress_task(
    task: Task,
    model: Path,
    samples: SampleSet,
    progress: Callable[[int, int], None],
    name: str | None = None,
) -> CompressionReport:
    """Compress test samples of a task with the model in a folder, and with others.

    Raises:
        TaskError: the corpus is not the task's.
        TooLong: a file does not fit the model's sequence.
        NotGivenBack: a file did not come back as it was.
    """
    from bgpt.entropy_coding import Context
    from bgpt.model_predictor import ModelPredictor

    task.check(samples)
    entrant = trained_entrant(task, model, name)
    requests = [task.request(files, samples.prompt_bytes) for files in samples.files]
    predicted = [
        (score.total_nats or 0.0) / math.log(2) / 8 for score in entrant.model.score(requests)
    ]
    wholes = [request.prompt.given + request.target for request in requests]
    has_source = any(request.prompt.source is not None for request in requests)
    predictor = ModelPredictor(model)
    given: list[int] = []
    whole: list[int] = []
    for done, request in enumerate(requests):
        progress(done, len(requests))
        asked = request.prompt
        context = Context(extension=asked.extension, given=asked.source, begin=asked.given)
        given.append(_size_and_back(predictor, context, request.target, samples.keys[done]))
        if not has_source:
            alone = Context(extension=asked.extension)
            whole.append(_size_and_back(predictor, alone, wholes[done], samples.keys[done]))
    as_one = None
    if not has_source:
        alone = Context(extension=requests[0].prompt.extension)
        as_one = _size_and_back(predictor, alone, b"".join(wholes), "all files as one")
    progress(len(requests), len(requests))
    ours = CompressedSize(
        name=entrant.submission.name,
        given=sum(given),
        whole=None if has_source else sum(whole),
        as_one=as_one,
    )
    return CompressionReport(
        schema_version=SCHEMA_VERSION,
        task=task.spec.name,
        corpus=CorpusRef(
            name=samples.corpus,
            config_sha256=samples.config_sha256,
            test_sha256=samples.sha256,
            samples=len(samples),
        ),
        model=entrant.submission.name,
        model_sha256=predictor.identity.hex(),
        build=predictor.build,
        files=len(requests),
        num_bytes=sum(map(len, wholes)),
        scored_bytes=sum(len(request.target) for request in requests),
        predicted_bytes=sum(predicted),
        over_promise=sum(
            size > PROMISED_SHARE * said + PROMISED_BYTES
            for size, said in zip(given, predicted, strict=True)
        ),
        sizes=(ours, *other_sizes(requests)),
    )


def other_sizes(requests: Sequence[Continuation]) -> list[CompressedSize]:
    """Return what general compressors make of the files, at their strongest usual level.

    zstd can be given something, as a dictionary.
    """
    tools: dict[str, Callable[[bytes], bytes]] = {
        ZSTD: zstandard.ZstdCompressor(level=19).compress,
        "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "brotli -11": lambda data: brotli.compress(data, quality=11, lgwin=24),
    }
    wholes = [request.prompt.given + request.target for request in requests]
    return [
        CompressedSize(
            name=name,
            given=sum(map(_zstd_after_given, requests)) if name == ZSTD else None,
            whole=sum(len(compress(data)) for data in wholes),
            as_one=len(compress(b"".join(wholes))),
        )
        for name, compress in tools.items()
    ]


def _zstd_after_given(request: Continuation) -> int:
    """Return the size of a target as a zstd frame whose dictionary is what was given."""
    dictionary = zstandard.ZstdCompressionDict(
        given_bytes(request.prompt), dict_type=zstandard.DICT_TYPE_RAWCONTENT
    )
    return len(zstandard.ZstdCompressor(level=19, dict_data=dictionary).compress(request.target))


def write_compression(path: Path, report: CompressionReport) -> None:
    """Write a result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(report), indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def _size_and_back(predictor: "ModelPredictor", context: "Context", data: bytes, name: str) -> int:
    """Return the size of a compressed file that gives `data` back."""
    from bgpt.compress import compress, decompress
    from bgpt.compressed_file import unpack

    packed = compress(predictor, context, data)
    if decompress(name, unpack(name, packed), predictor, context) != data:
        raise NotGivenBack(f"{name}: did not come back as it was")
    return len(packed)

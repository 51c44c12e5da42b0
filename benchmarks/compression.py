# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
"""How small a task's test files become: by a model's own compressed files, and by zstd, xz, brotli.

Every file is compressed on its own and given back, and compared; then all of them as one stream.
Sizes are those of whole files in each tool's own format, headers and checksums included. What is
compressed is a sample's last file; a conversion's source is given to the model, to which alone it
can be. `bgpt.compress` does the work.
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

from benchmarks.entrant import trained_entrant
from benchmarks.report import CorpusRef
from benchmarks.samples import load_samples
from benchmarks.task import Task
from bgpt.protocol import Continuation, Prompt
from pipelines.corpus import Corpus
from pipelines.shards import write_atomically

if TYPE_CHECKING:
    from bgpt.entropy_coding import Context
    from bgpt.model_predictor import ModelPredictor

SCHEMA_VERSION = 1
PROMISED_SHARE, PROMISED_BYTES = 1.01, 32
"""A model's file takes at most so much of what its likelihoods say, plus so much."""


class NotGivenBack(ValueError):  # noqa: N818 - reads as the sentence the user sees
    """What came out of a compressed file is not what went in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressedSize:
    """What one tool makes of all files."""

    name: str
    each: int
    """Sum of the sizes, every file on its own."""
    as_one: int | None
    """Size of all files one after the other; `None` where each has a source of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CompressionReport:
    """The content of one result file."""

    schema_version: int
    task: str
    corpus: CorpusRef
    model: str
    model_sha256: str
    build: str
    reads_source: bool
    """Every file was compressed with its source given."""
    files: int
    num_bytes: int
    """Of all files, as they are."""
    predicted_bytes: float
    """By the model's teacher-forced likelihoods, end marks included: what `bgpt eval` says."""
    over_promise: int
    """Files that took more than 1.01 of what is predicted and 32 bytes."""
    sizes: Sequence[CompressedSize]
    """The model first."""


def compress_task(
    task: Task,
    model: Path,
    corpus: Corpus,
    limit: int,
    progress: Callable[[int, int], None],
    name: str | None = None,
) -> CompressionReport:
    """Compress the first `limit` test files of a task with the model in a folder, and with others.

    Raises:
        TaskError: the corpus is not the task's.
        TooLong: a file does not fit the model's sequence.
        NotGivenBack: a file did not come back as it was.
    """
    from bgpt.entropy_coding import Context
    from bgpt.model_predictor import ModelPredictor

    samples = load_samples(corpus, "test", limit)
    task.check(samples)
    entrant = trained_entrant(task, model, name)
    requests = [task.request(files, samples.prompt_bytes) for files in samples.files]
    wholes = [_whole(request) for request in requests]
    predicted = [
        (score.total_nats or 0.0) / math.log(2) / 8 for score in entrant.model.score(wholes)
    ]
    predictor = ModelPredictor(model)
    each: list[int] = []
    for done, whole in enumerate(wholes, start=1):
        context = Context(extension=whole.prompt.extension, given=whole.prompt.source)
        each.append(_size_and_back(predictor, context, whole.target, samples.keys[done - 1]))
        progress(done, len(wholes) + 1)
    files = [whole.target for whole in wholes]
    reads_source = any(whole.prompt.source is not None for whole in wholes)
    as_one = None
    if not reads_source:
        context = Context(extension=wholes[0].prompt.extension)
        as_one = _size_and_back(predictor, context, b"".join(files), "all files as one")
    progress(len(wholes) + 1, len(wholes) + 1)
    ours = CompressedSize(name=entrant.submission.name, each=sum(each), as_one=as_one)
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
        reads_source=reads_source,
        files=len(files),
        num_bytes=sum(map(len, files)),
        predicted_bytes=sum(predicted),
        over_promise=sum(
            size > PROMISED_SHARE * said + PROMISED_BYTES
            for size, said in zip(each, predicted, strict=True)
        ),
        sizes=(ours, *other_sizes(files)),
    )


def other_sizes(files: Sequence[bytes]) -> list[CompressedSize]:
    """Return what general compressors make of the files, at their strongest usual level."""
    tools: dict[str, Callable[[bytes], bytes]] = {
        "zstd -19": zstandard.ZstdCompressor(level=19).compress,
        "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
        "brotli -11": lambda data: brotli.compress(data, quality=11, lgwin=24),
    }
    return [
        CompressedSize(
            name=name,
            each=sum(len(compress(data)) for data in files),
            as_one=len(compress(b"".join(files))),
        )
        for name, compress in tools.items()
    ]


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


def _whole(request: Continuation) -> Continuation:
    """Return the request with every byte of the file asked for."""
    prompt = Prompt(source=request.prompt.source, extension=request.prompt.extension, given=b"")
    return Continuation(prompt=prompt, target=request.prompt.given + request.target)

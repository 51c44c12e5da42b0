"""Examples of a made-up entrant, for the tests: exact, nearly right, broken, and nothing at all."""

import dataclasses
from typing import Any

from benchmarks.examples import example_items, report_examples
from benchmarks.predictions import ExampleAnswer, Header, Predictions
from benchmarks.report import CorpusRef, SubmissionRef, TaskRef
from benchmarks.tasks.registry import TASKS
from simulators.music.conversion.converter import convert
from simulators.music.looking.display_tunes import display_tunes


def made_up_examples(task_name: str) -> list[dict[str, Any]]:
    """Return what a report says of five tunes: the first is exact, the last was not written."""
    written = _abc() if task_name == "midi-to-abc" else _midi()
    answers = {tune.name: data for tune, data in zip(display_tunes(), written, strict=True)}
    return [
        dataclasses.asdict(one)
        for one in report_examples(TASKS[task_name], {}, predictions_with(task_name, answers))
    ]


def predictions_with(task_name: str, written: dict[str, bytes]) -> Predictions:
    """Return predictions that hold nothing but examples."""
    header = Header(
        schema_version=1,
        task=TaskRef(name=task_name, version=1),
        corpus=CorpusRef(name="abc-midi", config_sha256="", test_sha256="", samples=0),
        submission=SubmissionRef(
            name="made-up", kind="model", description="", parameters=None, train_samples=None
        ),
        environment={},
        wall_seconds=0.0,
        examples=tuple(ExampleAnswer(name=n, written=d.hex()) for n, d in written.items()),
    )
    return Predictions(header=header, keys=(), groups=(), num_bytes=(), answers=())


def true_target(task_name: str, number: int) -> bytes:
    """Return what should be written of a display tune."""
    return example_items(TASKS[task_name], {})[number].continuation.target


def _variants() -> tuple[str, str, str]:
    """Return three tunes with a few wrong notes, written as a model might."""
    reel = (
        display_tunes()[1].abc.replace("gfge fefd", "gfge f2 fd").replace("GABd egdB", "GABd gedB")
    )
    waltz = display_tunes()[2].abc.replace('"Bb"d3 e f2', '"Gm"d3 e g2')
    march = display_tunes()[3].abc.replace("c>d e>c A2 D2", "c>d e>c A4")
    return reel, waltz, march


def _midi() -> list[bytes]:
    reel, waltz, march = convert(_variants())
    assert isinstance(reel, bytes)
    assert isinstance(waltz, bytes)
    assert isinstance(march, bytes)
    return [true_target("abc-to-midi", 0), reel, waltz, march[:420], b""]


def _abc() -> list[bytes]:
    reel, waltz, march = (text.encode() for text in _variants())
    return [true_target("midi-to-abc", 0), reel, waltz, march.replace(b"K:G", b"Q:"), b""]

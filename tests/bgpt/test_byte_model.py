import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bgpt.bits_per_byte import bits_per_byte
from bgpt.byte_model import TrainedByteModel, load_byte_model
from bgpt.checkpoint import CheckpointError, save_model
from bgpt.model import Bgpt
from bgpt.patching import TooLong
from bgpt.protocol import ByteModel, Continuation, Prompt
from pipelines.sample import Segment

Make = Callable[[str], Bgpt]

REQUESTS = [
    Continuation(
        prompt=Prompt(
            source=Segment(extension="abc", data=bytes(range(size))) if size else None,
            extension="mid",
            given=b"q" * given,
        ),
        target=bytes(range(100, 100 + target)),
    )
    for size, given, target in [(0, 80, 48), (7, 0, 33), (50, 0, 16), (0, 5, 1), (0, 16, 0)]
]


def test_a_trained_model_is_a_byte_model(tiny_model: Make) -> None:
    assert isinstance(TrainedByteModel(tiny_model("paper")), ByteModel)


def test_scores_do_not_depend_on_what_else_is_asked(tiny_model: Make, tiny_name: str) -> None:
    model = TrainedByteModel(tiny_model(tiny_name))
    together = model.score(REQUESTS)
    alone = [model.score([request])[0] for request in REQUESTS]
    nats = [[score.total_nats or 0.0 for score in scores] for scores in (together, alone)]
    num_bytes = sum(len(request.target) for request in REQUESTS)
    figures = [bits_per_byte(sum(each), num_bytes) for each in nats]
    assert figures[0] > 1
    assert abs(figures[0] - figures[1]) < 1e-6
    for a, b in zip(together, alone, strict=True):
        assert a.predicted is not None
        assert b.predicted is not None
        assert np.array_equal(a.predicted, b.predicted)


def test_every_target_byte_has_a_prediction(tiny_model: Make, tiny_name: str) -> None:
    for request, scores in zip(
        REQUESTS, TrainedByteModel(tiny_model(tiny_name)).score(REQUESTS), strict=True
    ):
        assert scores.predicted is not None
        assert scores.predicted.dtype == np.uint16
        assert len(scores.predicted) == len(request.target)
        assert scores.total_nats is not None
        assert scores.byte_nats is not None
        assert len(scores.byte_nats) == len(request.target)
        # What is left is the end token's.
        assert (scores.byte_nats > 0).all()
        assert float(scores.byte_nats.sum()) < scores.total_nats


def test_what_was_written_greedily_is_predicted_at_every_byte(
    tiny_model: Make, tiny_name: str
) -> None:
    model = TrainedByteModel(tiny_model(tiny_name))
    prompts = [request.prompt for request in REQUESTS]
    written = model.generate(prompts, [40] * len(prompts))
    requests = [
        Continuation(prompt=prompt, target=data)
        for prompt, data in zip(prompts, written, strict=True)
    ]
    for data, scores in zip(written, model.score(requests), strict=True):
        assert scores.predicted is not None
        assert bytes(scores.predicted.astype(np.uint8)) == data


def test_a_better_continuation_costs_less(tiny_model: Make) -> None:
    model = TrainedByteModel(tiny_model("compact-music"))
    prompt = REQUESTS[1].prompt
    best = model.generate([prompt], [20])[0]
    worse = bytes(255 - byte for byte in best)
    scores = model.score([Continuation(prompt=prompt, target=data) for data in (best, worse)])
    assert (scores[0].total_nats or math.inf) < (scores[1].total_nats or 0.0)


def test_a_request_that_does_not_fit_is_an_error(tiny_model: Make) -> None:
    request = Continuation(
        prompt=Prompt(source=None, extension="bin", given=b""), target=bytes(640)
    )
    with pytest.raises(TooLong, match="takes 42 patches, the model reads at most 40"):
        TrainedByteModel(tiny_model("paper")).score([request])


def test_a_model_is_loaded_from_its_folder_or_its_run(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model("compact-cpu")
    save_model(tmp_path / "run" / "model", model)
    expected = TrainedByteModel(model).score(REQUESTS)[0].total_nats
    for path in (tmp_path / "run", tmp_path / "run" / "model"):
        assert load_byte_model(path).score(REQUESTS)[0].total_nats == expected


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not a model: config\.json cannot be read"):
        load_byte_model(tmp_path)
